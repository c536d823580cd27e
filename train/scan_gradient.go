package train

import (
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
)

func (s *scan) differentiable() []bool {
	all := make([]bool, 3+s.m.Depth)
	for i := range all {
		all[i] = true
	}
	return all
}

// gradients has one operation compute all of them: its result is that for the rows, and others take theirs out of it after it
// has run.
func (s *scan) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	rows, texts := in[0].Shape()[0], in[0].Shape()[0]/s.length
	of := &scanToRows{scan: newScan(s.c, s.m, s.length, s.truncate), gates: make([]float32, rows*3*s.m.Heads)}
	toRows, err := apply(of, append(append(gorgonia.Nodes{}, in...), grad)...)
	if err != nil {
		return nil, err
	}
	all := []func() (*gorgonia.Node, error){
		func() (*gorgonia.Node, error) { return toRows, nil },
		lazy(scanToGates{of: of, result: in[1].Shape()}, toRows),
	}
	for _, x := range in[2:] { // initial weights of the layers, and steps
		parts := make([]float32, texts*x.Shape().TotalSize())
		of.parts = append(of.parts, parts)
		all = append(all, lazy(scanToWeights{c: s.c, parts: parts, result: x.Shape()}, toRows))
	}
	return collect(in, all...)
}

// scanToRows is the gradient with respect to queries, keys and values.
type scanToRows struct {
	terminal
	scan  *scan
	gates []float32   // [rows, 3·heads]
	parts [][]float32 // of each text, for initial weights and steps
}

func (*scanToRows) String() string { return "scan to its rows" }

func (*scanToRows) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

// scanDown is the gradients of a chunk.
type scanDown struct {
	layers                []layerDown
	inWeights, inMomentum []float64 // of the factors of tokens
}

// layerDown is the gradients of what a layer computes, in the shapes that scanLayer has.
type layerDown struct {
	state, inputs, sums, errors, back []float32
	by                                []float32 // [chunk, 2·out]: those of the next state, by the inputs
	scaled                            []float32 // [chunk]: those of the scales, by them
	initial                           []float32 // [out, in]: of the initial weights, which decay leads to
	part                              float64   // of the part of the step
}

func (s *scan) newDown() scanDown {
	d := scanDown{inWeights: make([]float64, s.m.Chunk), inMomentum: make([]float64, s.m.Chunk)}
	for l := range s.m.Depth {
		in, out, n := s.m.Width(l-1), s.m.Width(l), s.m.Chunk
		d.layers = append(d.layers, layerDown{
			state: make([]float32, 2*out*in), inputs: make([]float32, 2*n*in), sums: make([]float32, 2*n*out), errors: make([]float32, n*out),
			back: make([]float32, n*out), by: make([]float32, n*2*out), scaled: make([]float32, n), initial: make([]float32, out*in),
		})
	}
	return d
}

func (g *scanToRows) run(out []float32, in []operand) error {
	s, chunks := g.scan, g.scan.chunks()
	clear(out)
	clear(g.gates)
	return s.texts(in[0].shape[0], chunks, func(w *kernels.Worker, sp *scanSpace, text, head int) {
		sp.ready(s)
		x := s.input(in, text, head)
		sp.chunks[0].begin(x)
		for b := range chunks {
			s.read(w, sp, &sp.chunks[b], x, b, b+1 < chunks)
			if b+1 < chunks {
				s.learn(w, sp, &sp.chunks[b], &sp.chunks[b+1], x)
			}
		}
		for b := chunks - 1; b >= 0; b-- {
			g.chunk(w, sp, out, in[len(in)-1].values, x, b, b+1 < chunks && (s.truncate == 0 || (b+1)%s.truncate != 0))
		}
		g.finish(sp, x, text, true)
	})
}

// ready makes room for the gradients of a text, and those that add up in it zero.
func (sp *scanSpace) ready(s *scan) {
	if sp.down.layers == nil {
		sp.down = s.newDown()
	}
	for l := range sp.down.layers {
		d := &sp.down.layers[l]
		d.part = 0
		clear(d.initial)
	}
}

// finish puts the gradients of a head's initial weights and steps where those of the text belong. Its first chunk begins with the
// initial weights, or with other ones.
func (g *scanToRows) finish(sp *scanSpace, in scanInput, text int, begins bool) {
	s := g.scan
	for l := range sp.down.layers {
		d := &sp.down.layers[l]
		to := g.parts[l][(text*s.m.Heads+in.head)*len(d.initial):][:len(d.initial)]
		copy(to, d.initial)
		if begins {
			s.c.Impl.Axpy(1, d.state[:len(to)], to)
		}
		if s.m.Steps() > 0 && l < s.m.Depth-1 {
			part := float64(in.parts[l])
			g.parts[s.m.Depth][(text*(s.m.Depth-1)+l)*s.m.Heads+in.head] = float32(d.part * part * (1 - part))
		}
	}
}

// chunk takes the gradients of what a chunk computes from grad, nil where nobody reads, and, if the next one learns from it, from
// those of the state that this one begins with, which become those of its own.
func (g *scanToRows) chunk(w *kernels.Worker, sp *scanSpace, out, grad []float32, in scanInput, b int, learns bool) {
	s, x, down := g.scan, &sp.chunks[b], &sp.down
	n, d, width, last := s.in(b), s.m.Dim, s.m.Heads*s.m.Dim, s.m.Depth-1
	first, rows := in.first+b*s.m.Chunk, n // rows that have a part in the result: keys only if somebody sees what is learned
	clear(down.layers[last].sums[:n*d])
	for i := 0; grad != nil && i < n; i++ {
		copy(down.layers[last].sums[i*d:(i+1)*d], grad[(first+i)*width+in.head*d:])
	}
	if !learns {
		for l := range down.layers {
			clear(down.layers[l].state)
		}
	} else {
		rows = 2 * n
		g.learned(w, sp, x, in, first)
		g.wentBack(w, sp, x)
		e := down.layers[last].errors
		for i, v := range e[:n*d] {
			down.layers[last].sums[n*d+i] = s.loss() * v
		}
	}
	g.read(w, sp, x, rows, n)
	for i := range n {
		to := out[(first+i)*3*width+in.head*d:]
		copy(to[:d], down.layers[0].inputs[i*d:])
		if rows == n {
			continue
		}
		copy(to[width:width+d], down.layers[0].inputs[(n+i)*d:])
		value, e := to[2*width:2*width+d], down.layers[last].sums[(n+i)*d:]
		for j := range value {
			value[j] = -e[j]
		}
	}
}

// learned takes the gradients of a chunk's errors, inputs, gates and state from those of the state that they lead to. With W̄ and
// S̄ these,
//
//	Ē = −c∘(X·W̄ᵀ) − d∘(X·S̄ᵀ)    X̄ = −(c∘E)·W̄ − (d∘E)·S̄    W̄ ← a·W̄    S̄ ← b·W̄ + z·S̄
func (g *scanToRows) learned(w *kernels.Worker, sp *scanSpace, x *scanChunk, in scanInput, first int) {
	s, impl, down := g.scan, g.scan.c.Impl, &sp.down
	n, heads := s.m.Chunk, s.m.Heads
	var carried descent
	clear(down.inWeights)
	clear(down.inMomentum)
	for l := range x.layers {
		y, d, size := &x.layers[l], &down.layers[l], len(in.initial[l])
		weights, momentum := d.state[:size], d.state[size:][:size]
		s.gemm(w, sp, kernels.Gemm{TransB: true, M: n, N: 2 * y.out, K: y.in, Alpha: 1, A: y.inputs[n*y.in:], LDA: y.in, B: d.state, LDB: y.in, C: d.by, LDC: 2 * y.out})
		s.factor(sp, x, y, in.parts[l])
		s.gemm(w, sp, kernels.Gemm{M: n, N: y.in, K: 2 * y.out, Alpha: -1, A: sp.factored, LDA: 2 * y.out, B: d.state, LDB: y.in, C: d.inputs[n*y.in:], LDC: y.in})
		for i := range n {
			byWeights, byMomentum := d.by[i*2*y.out:][:y.out], d.by[i*2*y.out+y.out:][:y.out]
			e, to := y.errors[i*y.out:][:y.out], d.errors[i*y.out:][:y.out]
			inWeights, inMomentum := -float64(impl.Dot(e, byWeights)), -float64(impl.Dot(e, byMomentum))
			down.inWeights[i] += float64(in.parts[l]) * inWeights
			down.inMomentum[i] += float64(in.parts[l]) * inMomentum
			f := &x.tokens[i]
			d.part += f.inWeights()*inWeights + f.inMomentum()*inMomentum
			c, z := -in.parts[l]*float32(f.inWeights()), -in.parts[l]*float32(f.inMomentum())
			for j := range to {
				to[j] = c*byWeights[j] + z*byMomentum[j]
			}
		}
		carried.a += float64(impl.Dot(weights, y.state))
		carried.b += float64(impl.Dot(weights, y.state[size:]))
		carried.z += float64(impl.Dot(momentum, y.state[size:]))
		a, b, z := float32(x.first.a), float32(x.first.b), float32(x.first.z)
		if s.m.DecayToInitial {
			carried.a -= float64(impl.Dot(weights, in.initial[l]))
			impl.Axpy(1-a, weights, d.initial)
		}
		for i, v := range weights {
			weights[i], momentum[i] = a*v, b*v+z*momentum[i]
		}
	}
	for i := range n {
		carried.token(s.m, &x.tokens[i], down.inWeights[i], down.inMomentum[i], g.gates[(first+i)*3*heads+in.head:])
	}
}

// wentBack takes the gradients of what scan.goBack computes: of sums, inputs and the errors of later layers from those of errors.
// With B the gradients that come from the next layer, H its inputs, r their scales, and A the sums,
//
//	U = r·(B − H∘(H·B))    E = U∘SiLU′(A), no longer than they may be
func (g *scanToRows) wentBack(w *kernels.Worker, sp *scanSpace, x *scanChunk) {
	s, n := g.scan, g.scan.m.Chunk
	for l := range s.m.Depth - 1 {
		y, next, d, dNext := &x.layers[l], &x.layers[l+1], &sp.down.layers[l], &sp.down.layers[l+1]
		for i := range n {
			g.errors(sp, y, d, next.inputs[(n+i)*y.out:][:y.out], dNext.inputs[(n+i)*y.out:][:y.out], i)
		}
		s.gemm(w, sp, kernels.Gemm{TransB: true, M: n, N: next.out, K: next.in, Alpha: 1, A: d.back, LDA: next.in, B: next.state, LDB: next.in, Beta: 1, C: dNext.errors, LDC: next.out})
		s.gemm(w, sp, kernels.Gemm{TransA: true, M: next.out, N: next.in, K: n, Alpha: 1, A: next.errors, LDA: next.out, B: d.back, LDB: next.in, Beta: 1, C: dNext.state, LDC: next.in})
	}
}

// errors takes the gradients of key i's errors in a hidden layer, whose activations h have the gradients toH so far.
func (g *scanToRows) errors(sp *scanSpace, y *scanLayer, d *layerDown, h, toH []float32, i int) {
	s, impl, row := g.scan, g.scan.c.Impl, g.scan.m.Chunk+i
	back, toE := y.back[i*y.out:][:y.out], d.errors[i*y.out:][:y.out]
	a, sigmoids, scale := y.sums[row*y.out:][:y.out], y.sigmoids[row*y.out:][:y.out], y.scales[row]
	if e := sp.over[:y.out]; s.m.MostError > 0 {
		s.unbounded(e, back, h, y, i)
		if by := s.bound(e); by < 1 { // by·(toE − e·(e·toE)/|e|²)
			along := impl.Dot(e, toE) / impl.Dot(e, e)
			for j, v := range e {
				toE[j] = by * (toE[j] - along*v)
			}
		}
	}
	var along float32
	if s.m.UnitHidden {
		along = impl.Dot(h, back)
	}
	toSums, toBack := d.sums[row*y.out:][:y.out], d.back[i*y.out:][:y.out]
	var scaled, across float32 // Σ Ū∘U, and Σ Ū∘H
	for j, v := range toE {
		u := scale * (back[j] - along*h[j])
		toSums[j] = v * u * bend(a[j], sigmoids[j])
		v *= slope(a[j], sigmoids[j])
		scaled += v * u
		across += v * h[j]
		toBack[j] = scale * v
	}
	if !s.m.UnitHidden {
		return
	}
	d.scaled[i] = scaled
	impl.Axpy(-along, toBack, toH)
	impl.Axpy(-scale*across, back, toH)
	impl.Axpy(-scale*across, h, toBack)
}

// read takes the gradients of what layers make of rows from those of the last layer's sums: for queries, and for keys if they
// count; these have gradients of sums and inputs already. Of activations P, H = r·P with r = 1/|P|.
func (g *scanToRows) read(w *kernels.Worker, sp *scanSpace, x *scanChunk, rows, n int) {
	s := g.scan
	for l := s.m.Depth - 1; l >= 0; l-- {
		y, d := &x.layers[l], &sp.down.layers[l]
		clear(d.inputs[:n*y.in])
		s.gemm(w, sp, kernels.Gemm{M: rows, N: y.in, K: y.out, Alpha: 1, A: d.sums, LDA: y.out, B: y.state, LDB: y.in, Beta: 1, C: d.inputs, LDC: y.in})
		s.gemm(w, sp, kernels.Gemm{TransA: true, M: y.out, N: y.in, K: rows, Alpha: 1, A: d.sums, LDA: y.out, B: y.inputs, LDB: y.in, Beta: 1, C: d.state, LDC: y.in})
		if l == 0 {
			return
		}
		before, dBefore := &x.layers[l-1], &sp.down.layers[l-1]
		clear(dBefore.sums[:n*y.in])
		for i := range rows {
			h, toH, toSums := y.inputs[i*y.in:][:y.in], d.inputs[i*y.in:][:y.in], dBefore.sums[i*y.in:][:y.in]
			a, sigmoids, scale := before.sums[i*y.in:][:y.in], before.sigmoids[i*y.in:][:y.in], before.scales[i]
			var along float32
			if s.m.UnitHidden {
				if along = s.c.Impl.Dot(h, toH); i >= n {
					along += dBefore.scaled[i-n]
				}
			}
			for j, v := range toH {
				toSums[j] += scale * (v - along*h[j]) * slope(a[j], sigmoids[j])
			}
		}
	}
}

// descent goes through a chunk's tokens with the gradients of their factors a, b and z: at first of those of the chunk, which
// factors.weigh ends with.
type descent struct{ a, b, z float64 }

// token sets the gradients of a token's logits, from those of its inWeights and inMomentum.
func (g *descent) token(m neural.Config, f *factors, inWeights, inMomentum float64, logits []float32) {
	step := inWeights*(f.a+f.b) + inMomentum*f.z
	momentum := g.b*(f.a+f.b) + g.z*f.z
	decay := -g.a * f.a
	g.a = (1-f.decay)*g.a + f.momentum*g.b + f.step*inWeights
	g.b = f.momentum*g.b + f.step*inWeights
	g.z = f.momentum*g.z + f.step*inMomentum
	logits[0] = float32(step * f.step * (1 - f.step/float64(m.MostStep)))
	if f.free {
		logits[m.Heads] = float32(momentum * f.momentum * (1 - f.momentum))
	}
	logits[2*m.Heads] = float32(decay * f.decay * (1 - f.decay))
}

// scanToGates is the gradient with respect to gates, of a scanToRows that has run.
type scanToGates struct {
	terminal
	of     *scanToRows
	result tensor.Shape
}

func (scanToGates) String() string { return "scan to its gates" }

func (g scanToGates) shape([]tensor.Shape) (tensor.Shape, error) { return g.result, nil }

func (g scanToGates) run(out []float32, _ []operand) error {
	copy(out, g.of.gates)
	return nil
}

// scanToWeights is the gradient with respect to initial weights or steps, of a scanToRows that has run: the sum over its texts.
type scanToWeights struct {
	terminal
	c      Compute
	parts  []float32
	result tensor.Shape
}

func (scanToWeights) String() string { return "scan to its weights" }

func (g scanToWeights) shape([]tensor.Shape) (tensor.Shape, error) { return g.result, nil }

func (g scanToWeights) run(out []float32, _ []operand) error {
	clear(out)
	for at := 0; at < len(g.parts); at += len(out) {
		g.c.Impl.Axpy(1, g.parts[at:at+len(out)], out)
	}
	return nil
}
