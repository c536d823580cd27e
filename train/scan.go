package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
)

// Scan returns what a memory of Titans reads in texts that have length rows each, [rows, heads·dim]. See package neural for what
// it does. In rows qkv [rows, 3·heads·dim] lie queries, keys and values; gates [rows, 3·heads] are what the sigmoids of step,
// momentum and decay are taken of; weights are those of M's layers that a text begins with, [heads, out, in], and then, with
// LayerSteps, what the sigmoids of steps are taken of, [depth−1, heads]. The convolution, the norms and the gate of what is read
// are other operations.
//
// Gradients go through truncate chunks, counted from the beginning of the text: what is read later does not know what earlier
// chunks have to do with it. If it is 0, they go through the whole text.
func (c Compute) Scan(m neural.Config, length, truncate int, qkv, gates *gorgonia.Node, weights ...*gorgonia.Node) (*gorgonia.Node, error) {
	return apply(newScan(c, m, length, truncate), append([]*gorgonia.Node{qkv, gates}, weights...)...)
}

// scan goes through the chunks of a text and head. With W and S the weights and the momentum of a layer that a chunk begins with,
// X what goes into the layer for the chunk's keys, and E the loss's gradients by what the layer makes of it (X·Wᵀ), the next
// chunk begins with
//
//	W′ = a·W + b·S − (c∘E)ᵀ·X    S′ = z·S − (d∘E)ᵀ·X
//
// The factors c and d of the chunk's tokens, and its own three, follow from the gates alone (see factors). The gradient of the
// scan computes all this once more, so that nothing of it is kept in between.
type scan struct {
	c                Compute
	m                neural.Config
	length, truncate int
	spaces           []scanSpace // of each thread
}

func newScan(c Compute, m neural.Config, length, truncate int) *scan {
	return &scan{c, m, length, truncate, make([]scanSpace, c.Team.Threads())}
}

func (*scan) String() string { return "scan" }

// checkNeural returns an error unless memories of that kind can be trained.
func checkNeural(m neural.Config) error {
	const most = 1 << 16
	switch {
	case m.Heads < 1 || m.Dim < 2 || m.Dim%2 != 0 || m.Chunk < 1 || max(m.Heads, m.Dim, m.Chunk) > most:
		return fmt.Errorf("a memory of %d heads with %d values in chunks of %d", m.Heads, m.Dim, m.Chunk)
	case m.Depth < 1 || m.Depth > most || m.Depth > 1 && (m.Expansion < 1 || m.Expansion > most):
		return fmt.Errorf("a memory of depth %d and expansion %d", m.Depth, m.Expansion)
	case m.ReadAfter || m.SiLU:
		return fmt.Errorf("a memory that is read after updates, or whose rows are activated, cannot be trained")
	case !(m.MostStep > 0) || !(m.MostMomentum >= 0 && m.MostMomentum <= 1) || !(m.MostError >= 0):
		return fmt.Errorf("steps up to %g, momentum up to %g, errors up to %g", m.MostStep, m.MostMomentum, m.MostError)
	}
	return nil
}

func (s *scan) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkNeural(s.m); err != nil {
		return nil, err
	}
	dims := []int{2, 2}
	for range s.m.Depth {
		dims = append(dims, 3)
	}
	if s.m.Steps() > 0 {
		dims = append(dims, 2)
	}
	if err := wantDims(in, dims...); err != nil {
		return nil, err
	}
	if err := (Heads{Count: s.m.Heads, Dim: s.m.Dim, Length: s.length}).check(in[0]); err != nil {
		return nil, err
	}
	if s.truncate < 0 {
		return nil, fmt.Errorf("gradients through %d chunks", s.truncate)
	}
	if in[1][0] != in[0][0] || in[1][1] != 3*s.m.Heads {
		return nil, fmt.Errorf("gates are %v, want %d rows of 3 for each of %d heads", in[1], in[0][0], s.m.Heads)
	}
	for l := range s.m.Depth {
		if want := s.initialShape(l); !in[2+l].Eq(want) {
			return nil, fmt.Errorf("initial weights of layer %d are %v, want %v", l, in[2+l], want)
		}
	}
	if want := s.stepsShape(); s.m.Steps() > 0 && !in[2+s.m.Depth].Eq(want) {
		return nil, fmt.Errorf("steps are %v, want %v", in[2+s.m.Depth], want)
	}
	return tensor.Shape{in[0][0], s.m.Heads * s.m.Dim}, nil
}

func (s *scan) initialShape(layer int) tensor.Shape {
	return tensor.Shape{s.m.Heads, s.m.Width(layer), s.m.Width(layer - 1)}
}

func (s *scan) stepsShape() tensor.Shape { return tensor.Shape{s.m.Depth - 1, s.m.Heads} }

// scanInput is what a scan reads of a head in a text.
type scanInput struct {
	qkv, gates []float32
	initial    [][]float32 // of each layer, [out, in]
	parts      []float32   // of the step, for each layer
	first      int         // row of the text
	head       int
}

func (s *scan) input(in []operand, text, head int) scanInput {
	x := scanInput{qkv: in[0].values, gates: in[1].values, first: text * s.length, head: head}
	for l := range s.m.Depth {
		n, part := s.m.Width(l)*s.m.Width(l-1), float32(1)
		x.initial = append(x.initial, in[2+l].values[head*n:(head+1)*n])
		if s.m.Steps() > 0 && l < s.m.Depth-1 {
			part = float32(sigmoid(float64(in[2+s.m.Depth].values[l*s.m.Heads+head])))
		}
		x.parts = append(x.parts, part)
	}
	return x
}

// scanSpace is the memory of a thread.
type scanSpace struct {
	chunks   []scanChunk // of a text; without gradients, its two latest
	factored []float32   // [chunk, 2·widest]: errors by both of their factors
	over     []float32   // of sigmoids
	down     scanDown
	product  kernels.Gemm // here, since what is handed to an implementation would else be allocated anew
}

// scanChunk is what a chunk computes.
type scanChunk struct {
	layers []scanLayer
	tokens []factors
	first  factors // a, b and z
}

// scanLayer is what a layer of M computes for a chunk: for its queries, then for its keys.
type scanLayer struct {
	in, out int
	state   []float32 // [2·out, in]: the weights and the momentum that the chunk begins with
	inputs  []float32 // [2·chunk, in]
	sums    []float32 // [2·chunk, out]
	errors  []float32 // [chunk, out]: the loss's gradients by the sums for keys

	// Of hidden layers:
	sigmoids []float32 // of the sums
	scales   []float32 // [2·chunk]: by what activations were multiplied to have length 1; 0 if they were too short
	back     []float32 // [chunk, out]: the loss's gradients by what goes into the next layer
}

func (s *scan) newSpace(chunks int) scanSpace {
	sp, widest := scanSpace{chunks: make([]scanChunk, chunks)}, 0
	for i := range sp.chunks {
		x := &sp.chunks[i]
		x.tokens = make([]factors, s.m.Chunk)
		for l := range s.m.Depth {
			in, out := s.m.Width(l-1), s.m.Width(l)
			widest = max(widest, out)
			y := scanLayer{
				in: in, out: out, state: make([]float32, 2*out*in), inputs: make([]float32, 2*s.m.Chunk*in), sums: make([]float32, 2*s.m.Chunk*out),
				errors: make([]float32, s.m.Chunk*out),
			}
			if l < s.m.Depth-1 {
				y.sigmoids, y.scales, y.back = make([]float32, kernels.WholeGroups(2*s.m.Chunk*out)), make([]float32, 2*s.m.Chunk), make([]float32, s.m.Chunk*out)
			}
			x.layers = append(x.layers, y)
		}
	}
	sp.factored, sp.over = make([]float32, s.m.Chunk*2*widest), make([]float32, kernels.WholeGroups(2*s.m.Chunk*widest))
	return sp
}

func (s *scan) gemm(w *kernels.Worker, sp *scanSpace, g kernels.Gemm) {
	sp.product = g
	s.c.Impl.Gemm(&sp.product, &w.Scratch)
}

// chunks is the number of chunks of a text.
func (s *scan) chunks() int { return (s.length + s.m.Chunk - 1) / s.m.Chunk }

// in returns the number of rows in a chunk.
func (s *scan) in(chunk int) int { return min(s.m.Chunk, s.length-chunk*s.m.Chunk) }

// texts has the team call body for each text and head, with a thread's memory for so many chunks.
func (s *scan) texts(rows, chunks int, body func(w *kernels.Worker, sp *scanSpace, text, head int)) error {
	return s.c.each(rows/s.length*s.m.Heads, 1, func(w *kernels.Worker, from, to int) {
		sp := &s.spaces[w.ID]
		if sp.chunks == nil {
			*sp = s.newSpace(chunks)
		}
		for i := from; i < to; i++ {
			body(w, sp, i/s.m.Heads, i%s.m.Heads)
		}
	})
}

func (s *scan) run(out []float32, in []operand) error {
	return s.texts(in[0].shape[0], 2, func(w *kernels.Worker, sp *scanSpace, text, head int) {
		x := s.input(in, text, head)
		sp.chunks[0].begin(x)
		for b := range s.chunks() {
			at := &sp.chunks[b%2]
			s.read(w, sp, at, x, b, b+1 < s.chunks())
			s.result(out, at, x, b)
			if b+1 < s.chunks() {
				s.learn(w, sp, at, &sp.chunks[(b+1)%2], x)
			}
		}
	})
}

// result puts what the queries of a chunk read where it belongs.
func (s *scan) result(out []float32, x *scanChunk, in scanInput, chunk int) {
	d, width := s.m.Dim, s.m.Heads*s.m.Dim
	read, first := x.layers[s.m.Depth-1].sums, in.first+chunk*s.m.Chunk
	for i := range s.in(chunk) {
		copy(out[(first+i)*width+in.head*d:][:d], read[i*d:])
	}
}

// begin makes a chunk the first of its text.
func (x *scanChunk) begin(in scanInput) {
	for l, y := range x.layers {
		clear(y.state[copy(y.state, in.initial[l]):])
	}
}

// read computes what the queries of a chunk read and, if it is one that is learned from, the errors that its keys come to.
func (s *scan) read(w *kernels.Worker, sp *scanSpace, x *scanChunk, in scanInput, chunk int, learns bool) {
	n, d, width := s.in(chunk), s.m.Dim, s.m.Heads*s.m.Dim
	first, rows := in.first+chunk*s.m.Chunk, n
	if learns {
		rows = 2 * n
	}
	to := x.layers[0].inputs
	for i := range n {
		row := in.qkv[(first+i)*3*width+in.head*d:]
		copy(to[i*d:(i+1)*d], row)
		copy(to[(n+i)*d:(n+i+1)*d], row[width:])
	}
	for l := range x.layers {
		y := &x.layers[l]
		s.gemm(w, sp, kernels.Gemm{TransB: true, M: rows, N: y.out, K: y.in, Alpha: 1, A: y.inputs, LDA: y.in, B: y.state, LDB: y.in, C: y.sums, LDC: y.out})
		if l < s.m.Depth-1 {
			s.activate(sp, y, x.layers[l+1].inputs, rows)
		}
	}
	if !learns {
		return
	}
	for i := range n {
		x.tokens[i].gate(s.m, in.gates[(first+i)*3*s.m.Heads+in.head:], s.m.Heads)
	}
	x.first.weigh(x.tokens)
	y := &x.layers[s.m.Depth-1]
	for i := range n {
		value, e, sums := in.qkv[(first+i)*3*width+2*width+in.head*d:][:d], y.errors[i*d:][:d], y.sums[(n+i)*d:][:d]
		for j := range e {
			e[j] = s.loss() * (sums[j] - value[j])
		}
	}
	for l := s.m.Depth - 2; l >= 0; l-- {
		s.goBack(w, sp, &x.layers[l], &x.layers[l+1])
	}
}

// loss is the factor of the loss's gradient.
func (s *scan) loss() float32 {
	if s.m.FullLoss {
		return 2
	}
	return 1
}

// activate makes of a layer's sums what goes into the next layer.
func (s *scan) activate(sp *scanSpace, y *scanLayer, to []float32, rows int) {
	n := rows * y.out
	room := kernels.WholeGroups(n)
	s.c.sigmoid(y.sigmoids[:room], sp.over[:room], y.sums[:n])
	for i, v := range y.sums[:n] {
		to[i] = v * y.sigmoids[i]
	}
	for i := range rows {
		if y.scales[i] = 1; s.m.UnitHidden {
			y.scales[i] = s.unit(to[i*y.out : (i+1)*y.out])
		}
	}
}

// unit brings a vector to length 1, and returns by what it was multiplied for this; 0 if it was too short.
func (s *scan) unit(x []float32) float32 {
	scale, unit := s.c.toUnit(x)
	times(x, scale)
	if !unit {
		return 0
	}
	return scale
}

// slope is the derivative of SiLU at a, whose sigmoid is given.
func slope(a, sigmoid float32) float32 { return sigmoid * (1 + a*(1-sigmoid)) }

// bend is the derivative of slope.
func bend(a, sigmoid float32) float32 { return sigmoid * (1 - sigmoid) * (2 + a*(1-2*sigmoid)) }

// goBack computes the errors of a hidden layer from those of the next.
func (s *scan) goBack(w *kernels.Worker, sp *scanSpace, y, next *scanLayer) {
	n := s.m.Chunk
	s.gemm(w, sp, kernels.Gemm{M: n, N: next.in, K: next.out, Alpha: 1, A: next.errors, LDA: next.out, B: next.state, LDB: next.in, C: y.back, LDC: next.in})
	for i := range n {
		back, e, h := y.back[i*y.out:][:y.out], y.errors[i*y.out:][:y.out], next.inputs[(n+i)*y.out:][:y.out]
		s.unbounded(e, back, h, y, i)
		if by := s.bound(e); by < 1 {
			times(e, by)
		}
	}
}

// unbounded computes the errors of a hidden layer for the chunk's key i, without their bound.
func (s *scan) unbounded(e, back, h []float32, y *scanLayer, i int) {
	row := s.m.Chunk + i
	a, sigmoids, scale := y.sums[row*y.out:][:y.out], y.sigmoids[row*y.out:][:y.out], y.scales[row]
	var along float32
	if s.m.UnitHidden {
		along = s.c.Impl.Dot(h, back)
	}
	for j, b := range back {
		e[j] = scale * (b - along*h[j]) * slope(a[j], sigmoids[j])
	}
}

// bound returns by what errors are multiplied to be no longer than they may.
func (s *scan) bound(e []float32) float32 {
	if s.m.MostError == 0 {
		return 1
	}
	length := float32(math.Sqrt(float64(s.c.Impl.Dot(e, e))))
	if !(length > s.m.MostError) {
		return 1
	}
	return s.m.MostError / length
}

// learn computes what the chunk that follows a whole one begins with.
func (s *scan) learn(w *kernels.Worker, sp *scanSpace, x, next *scanChunk, in scanInput) {
	n := s.m.Chunk
	a, b, z := float32(x.first.a), float32(x.first.b), float32(x.first.z)
	for l := range x.layers {
		y, size := &x.layers[l], len(in.initial[l])
		weights, momentum := y.state[:size], y.state[size:][:size]
		to := next.layers[l].state
		for i, v := range weights {
			to[i] = a*v + b*momentum[i]
		}
		if s.m.DecayToInitial {
			s.c.Impl.Axpy(1-a, in.initial[l], to)
		}
		to = to[size:][:size]
		for i, v := range momentum {
			to[i] = z * v
		}
		s.factor(sp, x, y, in.parts[l])
		s.gemm(w, sp, kernels.Gemm{
			TransA: true, M: 2 * y.out, N: y.in, K: n, Alpha: -1, A: sp.factored, LDA: 2 * y.out, B: y.inputs[n*y.in:], LDB: y.in, Beta: 1, C: next.layers[l].state, LDC: y.in,
		})
	}
}

// factor puts a whole chunk's errors by their factors in the weights and in the momentum side by side, with a part of the step.
func (s *scan) factor(sp *scanSpace, x *scanChunk, y *scanLayer, part float32) {
	for i := range s.m.Chunk {
		e, to := y.errors[i*y.out:][:y.out], sp.factored[i*2*y.out:][:2*y.out]
		c, d := part*float32(x.tokens[i].inWeights()), part*float32(x.tokens[i].inMomentum())
		for j, v := range e {
			to[j], to[y.out+j] = c*v, d*v
		}
	}
}

// factors says how much of what a token adds to the momentum, and of what is in weights and momentum after it, is in the weights
// and momentum at the chunk's end. With θ, η and α the step, momentum and decay of token t, and 1, 0 and 1 after the last:
//
//	a_{t−1} = (1−α_t)·a_t    b_{t−1} = η_t·(a_t + b_t)    z_{t−1} = η_t·z_t
//
// of weights in weights, of momentum in weights, of momentum in momentum. Of a token's gradient there is
//
//	c_t = θ_t·(a_t + b_t)    d_t = θ_t·z_t
type factors struct {
	step, momentum, decay float64
	free                  bool // the momentum is not at its bound
	a, b, z               float64
}

func (f *factors) inWeights() float64  { return f.step * (f.a + f.b) }
func (f *factors) inMomentum() float64 { return f.step * f.z }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// gate reads a token's logits, which are apart by the number of heads.
func (f *factors) gate(m neural.Config, logits []float32, apart int) {
	f.step = float64(m.MostStep) * sigmoid(float64(logits[0]))
	f.momentum, f.free = sigmoid(float64(logits[apart])), m.Momentum
	if most := float64(m.MostMomentum); f.momentum > most {
		f.momentum, f.free = most, false
	}
	if !m.Momentum {
		f.momentum = 0
	}
	f.decay = sigmoid(float64(logits[2*apart]))
}

// weigh makes f what the chunk begins with.
func (f *factors) weigh(tokens []factors) {
	f.a, f.b, f.z = 1, 0, 1
	for t := len(tokens) - 1; t >= 0; t-- {
		x := &tokens[t]
		x.a, x.b, x.z = f.a, f.b, f.z
		f.a, f.b, f.z = (1-x.decay)*x.a, x.momentum*(x.a+x.b), x.momentum*x.z
	}
}
