package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
)

// row cuts row i out of a matrix.
func (f *formula) row(x *gorgonia.Node, i int) *gorgonia.Node {
	return f.mul(f.matrix(1, x.Shape()[0], func(_, j int) float64 { return when(j == i) }), x)
}

func scanQuestions(some func(...int) input) (all []question) {
	for _, s := range scans {
		all = append(all, scanQuestion(some, s))
	}
	for _, i := range []int{0, 4, 8} {
		all = append(all, segmentsQuestion(some, scans[i]))
	}
	return all
}

type scanned struct {
	name          string
	m             neural.Config
	texts, length int
}

// scans are memories to try things on: in whole chunks, pieces of them, without momentum, and with a larger loss.
var scans = []scanned{
	{"chunks of 3", neural.Config{Heads: 2, Dim: 4, Depth: 1, Chunk: 3, Momentum: true, MostStep: 1, MostMomentum: 0.7}, 2, 11},
	{"chunks of 16", neural.Config{Heads: 2, Dim: 20, Depth: 1, Chunk: 16, Momentum: true, MostStep: 0.5, MostMomentum: 0.999}, 1, 48},
	{"single tokens", neural.Config{Heads: 1, Dim: 6, Depth: 1, Chunk: 1, Momentum: true, MostStep: 1, MostMomentum: 0.999, FullLoss: true}, 2, 7},
	{"without momentum", neural.Config{Heads: 1, Dim: 6, Depth: 1, Chunk: 4, MostStep: 1, MostMomentum: 0.999, FullLoss: true}, 2, 9},
	{"decay to the beginning", neural.Config{Heads: 1, Dim: 6, Depth: 1, Chunk: 4, Momentum: true, MostStep: 1, MostMomentum: 0.999, DecayToInitial: true}, 2, 9},
	{"two layers", neural.Config{Heads: 2, Dim: 4, Depth: 2, Expansion: 2, Chunk: 3, Momentum: true, MostStep: 0.5, MostMomentum: 0.999}, 1, 8},
	{"two layers of length 1", neural.Config{Heads: 1, Dim: 4, Depth: 2, Expansion: 4, Chunk: 4, Momentum: true, MostStep: 0.5, MostMomentum: 0.999, UnitHidden: true}, 2, 9},
	{"two layers of bounded errors", neural.Config{Heads: 1, Dim: 4, Depth: 2, Expansion: 2, Chunk: 4, Momentum: true, MostStep: 1, MostMomentum: 0.999, MostError: 1e-2}, 1, 9},
	{"two steady layers", neural.Config{
		Heads: 2, Dim: 4, Depth: 2, Expansion: 4, Chunk: 4, Momentum: true, MostStep: 1, MostMomentum: 0.999, UnitHidden: true, LayerSteps: true, MostError: 1e-2, DecayToInitial: true,
	}, 1, 11},
	{"three layers", neural.Config{
		Heads: 1, Dim: 4, Depth: 3, Expansion: 2, Chunk: 4, Momentum: true, MostStep: 0.2, MostMomentum: 0.9, FullLoss: true, LayerSteps: true,
	}, 1, 10},
}

// scanInputs are queries, keys and values about as long as 1, gates, initial weights, and steps.
func scanInputs(some func(...int) input, m neural.Config, rows int) []input {
	in := []input{some(rows, 3*m.Heads*m.Dim), some(rows, 3*m.Heads)}
	for i := range in[0].values {
		in[0].values[i] /= float32(math.Sqrt(float64(m.Dim)))
	}
	for l := range m.Depth {
		x := some(m.Heads, m.Width(l), m.Width(l-1))
		for i := range x.values {
			x.values[i] *= 0.5
		}
		in = append(in, x)
	}
	if m.LayerSteps {
		in = append(in, some(m.Depth-1, m.Heads))
	}
	return in
}

// scanQuestion is the memory of equations 10, 13 and 15, token by token, with gradients at a chunk's first weights (18). A bound
// of errors is one that all errors reach.
func scanQuestion(some func(...int) input, s scanned) question {
	inputs := scanInputs(some, s.m, s.texts*s.length)
	return question{fmt.Sprintf("scan in %s", s.name), inputs,
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return c.Scan(s.m, s.length, 0, in[0], in[1], in[2:]...)
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			var sum *gorgonia.Node // all rows of the result, of which each token adds its own
			for text := range s.texts {
				for head := range s.m.Heads {
					m := newPlainMemory(f, s, in, inputs[1].values, head)
					for t := range s.length {
						if y := m.token(text*s.length+t, t%s.m.Chunk == 0); sum == nil {
							sum = y
						} else {
							sum = f.add(sum, y)
						}
					}
				}
			}
			return sum
		}}
}

// segmentsQuestion is the same memory, with its state handed from chunk to chunk.
func segmentsQuestion(some func(...int) input, s scanned) question {
	q := scanQuestion(some, s)
	q.name = fmt.Sprintf("segments in %s", s.name)
	q.fused = func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
		state, err := c.BeginState(s.m, s.texts, in[2:2+s.m.Depth]...)
		if err != nil {
			return nil, err
		}
		var read gorgonia.Nodes
		for from := 0; ; from += s.m.Chunk {
			to := min(from+s.m.Chunk, s.length)
			rows, err := c.Cut(in[0], s.length, from, to)
			if err != nil {
				return nil, err
			}
			y, err := c.Retrieve(s.m, state, rows)
			if err != nil {
				return nil, err
			}
			if read = append(read, y); to == s.length {
				return c.Join(s.texts, read...)
			}
			gates, err := c.Cut(in[1], s.length, from, to)
			if err != nil {
				return nil, err
			}
			if state, err = c.Learn(s.m, state, rows, gates, in[2:]...); err != nil {
				return nil, err
			}
		}
	}
	return q
}

// plainMemory is a head of a memory as an expression.
type plainMemory struct {
	*formula
	scanned
	in                                gorgonia.Nodes
	logits                            []float32
	head                              int
	initial, weights, momentum, first gorgonia.Nodes // of each layer
}

func newPlainMemory(f *formula, s scanned, in gorgonia.Nodes, logits []float32, head int) *plainMemory {
	m := &plainMemory{formula: f, scanned: s, in: in, logits: logits, head: head}
	for l := range s.m.Depth {
		out, from := s.m.Width(l), s.m.Width(l-1)
		all := f.must(gorgonia.Reshape(in[2+l], tensor.Shape{s.m.Heads * out, from}))
		m.initial = append(m.initial, f.mul(f.matrix(out, s.m.Heads*out, func(i, j int) float64 { return when(j == head*out+i) }), all))
		m.momentum = append(m.momentum, f.matrix(out, from, func(_, _ int) float64 { return 0 }))
	}
	m.weights = slices.Clone(m.initial)
	return m
}

// spread makes a matrix of a number.
func (m *plainMemory) spread(x *gorgonia.Node, like *gorgonia.Node) *gorgonia.Node {
	return m.mul(m.mul(m.matrix(like.Shape()[0], 1, one), x), m.matrix(1, like.Shape()[1], one))
}

func (f *formula) scale(x *gorgonia.Node, by float64) *gorgonia.Node {
	return f.times(x, f.matrix(x.Shape()[0], x.Shape()[1], func(_, _ int) float64 { return by }))
}

func (f *formula) transpose(x *gorgonia.Node) *gorgonia.Node {
	return f.must(gorgonia.Transpose(x, 1, 0))
}

func (f *formula) sub(a, b *gorgonia.Node) *gorgonia.Node { return f.must(gorgonia.Sub(a, b)) }

// lengths has the row's length in each column.
func (f *formula) lengths(x *gorgonia.Node) *gorgonia.Node {
	return f.must(gorgonia.Sqrt(f.sums(f.times(x, x))))
}

// forward is what layers make of a row with a chunk's first weights, and what goes into each.
func (m *plainMemory) forward(x *gorgonia.Node) (sums, inputs gorgonia.Nodes) {
	for l, w := range m.first {
		inputs = append(inputs, x)
		a := m.mul(x, m.transpose(w))
		sums = append(sums, a)
		if l == len(m.first)-1 {
			break
		}
		x = m.times(a, m.must(gorgonia.Sigmoid(a)))
		if m.m.UnitHidden {
			x = m.div(x, m.lengths(x))
		}
	}
	return sums, inputs
}

// gradients are those of the loss by the weights.
func (m *plainMemory) gradients(k, v *gorgonia.Node) gorgonia.Nodes {
	sums, inputs := m.forward(k)
	last := len(sums) - 1
	e := m.sub(sums[last], v)
	if m.m.FullLoss {
		e = m.scale(e, 2)
	}
	grads := make(gorgonia.Nodes, last+1)
	for l := last; ; l-- {
		grads[l] = m.mul(m.transpose(e), inputs[l])
		if l == 0 {
			return grads
		}
		b, a, h := m.mul(e, m.first[l]), sums[l-1], inputs[l]
		sigmoid := m.must(gorgonia.Sigmoid(a))
		if m.m.UnitHidden {
			b = m.div(m.sub(b, m.times(h, m.sums(m.times(h, b)))), m.lengths(m.times(a, sigmoid)))
		}
		all := m.matrix(1, a.Shape()[1], one)
		e = m.times(b, m.times(sigmoid, m.add(all, m.times(a, m.sub(all, sigmoid)))))
		if m.m.MostError > 0 {
			e = m.scale(m.div(e, m.lengths(e)), float64(m.m.MostError))
		}
	}
}

// token reads a row, learns from it, and returns the result's rows with what was read in this one.
func (m *plainMemory) token(i int, begins bool) *gorgonia.Node {
	if begins {
		m.first = slices.Clone(m.weights)
	}
	c, d := m.m, m.m.Dim
	width, rows := c.Heads*d, m.texts*m.length
	row, gates := m.row(m.in[0], i), m.must(gorgonia.Sigmoid(m.row(m.in[1], i)))
	part := func(at int) *gorgonia.Node { return m.columns(row, at*width+m.head*d, d) }
	gate := func(at int) *gorgonia.Node { return m.columns(gates, at*c.Heads+m.head, 1) }
	sums, _ := m.forward(part(0))
	y := m.mul(sums[c.Depth-1], m.matrix(d, width, func(i, j int) float64 { return when(j == m.head*d+i) }))

	step, keep := m.scale(gate(0), float64(c.MostStep)), gate(1)
	if sigmoid(float64(m.logits[i*3*c.Heads+c.Heads+m.head])) > float64(c.MostMomentum) {
		keep = m.matrix(1, 1, func(_, _ int) float64 { return float64(c.MostMomentum) })
	}
	if !c.Momentum {
		keep = m.scale(keep, 0)
	}
	for l, g := range m.gradients(part(1), part(2)) {
		own := step
		if c.LayerSteps && l < c.Depth-1 {
			own = m.times(step, m.must(gorgonia.Sigmoid(m.columns(m.row(m.in[2+c.Depth], l), m.head, 1))))
		}
		m.momentum[l] = m.sub(m.times(m.spread(keep, g), m.momentum[l]), m.times(m.spread(own, g), g))
		decay := m.spread(gate(2), g)
		left := m.times(m.sub(m.matrix(g.Shape()[0], g.Shape()[1], one), decay), m.weights[l])
		if c.DecayToInitial {
			left = m.add(left, m.times(decay, m.initial[l]))
		}
		m.weights[l] = m.add(left, m.momentum[l])
	}
	return m.mul(m.matrix(rows, 1, func(r, _ int) float64 { return when(r == i) }), y)
}

// scanned are inputs of a scan, and how it is truncated.
type scanRun struct {
	scanned
	truncate int
	in       []input
}

func newScanRun(r *rand.Rand, s scanned) *scanRun {
	some := func(shape ...int) input {
		return input{shape: shape, values: someValues(r, tensor.Shape(shape).TotalSize())}
	}
	return &scanRun{scanned: s, in: scanInputs(some, s.m, s.texts*s.length)}
}

// ask returns the result, and the gradients of the sum of its products with factors.
func (s *scanRun) ask(t *testing.T, c Compute, factors []float32) answer {
	t.Helper()
	q := question{inputs: s.in, fused: func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
		return c.Scan(s.m, s.length, s.truncate, in[0], in[1], in[2:]...)
	}}
	return q.ask(t, &c, factors)
}

// at are factors that are some for the rows [from, to) of the first text and 0 elsewhere.
func (s *scanRun) at(factors []float32, from, to int) []float32 {
	width := s.m.Heads * s.m.Dim
	x := make([]float32, s.texts*s.length*width)
	copy(x[from*width:to*width], factors[from*width:])
	return x
}

func zero(x []float64) bool {
	return !slices.ContainsFunc(x, func(v float64) bool { return v != 0 })
}

// What is read at a row has gradients by its own query, and by the keys, values and gates of the chunks before its own; of those
// by the last of these, momentum and decay have one only where there is something to keep.
func TestScanIsCausal(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	s := newScanRun(r, scans[0])
	factors := someValues(r, 1<<13)
	width, heads := s.m.Heads*s.m.Dim, s.m.Heads
	for _, c := range computes(t) {
		for i := range s.length {
			grads := s.ask(t, c, s.at(factors, i, i+1)).grads
			begin := i / s.m.Chunk * s.m.Chunk
			for j := range s.texts * s.length {
				row, gates := grads[0][j*3*width:][:3*width], grads[1][j*3*heads:][:3*heads]
				if zero(row[:width]) != (j != i) {
					t.Errorf("%s: row %d: gradient by query %d: %v", c.Impl.Name, i, j, row[:width])
				}
				if zero(row[width:2*width]) != (j >= begin) || zero(row[2*width:]) != (j >= begin) {
					t.Errorf("%s: row %d: gradient by key and value %d: %v", c.Impl.Name, i, j, row[width:])
				}
				if zero(gates[:heads]) != (j >= begin) || zero(gates[2*heads:]) != (j >= begin) {
					t.Errorf("%s: row %d: gradient by gates %d: %v", c.Impl.Name, i, j, gates)
				}
			}
			if zero(grads[2]) {
				t.Errorf("%s: row %d: no gradient by the initial weights", c.Impl.Name, i)
			}
		}
	}
}

// Without steps there is nothing to learn: no key, value, momentum or decay of an empty memory matters, and the initial weights
// decay. With full decay and no momentum just before a chunk, nothing matters to it.
func TestScanAtTheEnds(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	s := newScanRun(r, scanned{m: neural.Config{Heads: 1, Dim: 4, Depth: 1, Chunk: 3, Momentum: true, MostStep: 1, MostMomentum: 1}, texts: 1, length: 9})
	factors := someValues(r, 1<<13)
	gates := slices.Clone(s.in[1].values)
	for _, c := range computes(t) {
		copy(s.in[1].values, gates)
		for i := range s.length {
			s.in[1].values[3*i] = -200
		}
		a := s.ask(t, c, factors)
		keep := 1.0
		want := make([]float64, 16)
		for i := range s.length {
			if i%3 == 0 && i > 0 {
				for j := i - 3; j < i; j++ {
					keep *= 1 - sigmoid(float64(gates[3*j+2]))
				}
			}
			for row := range 4 {
				for col := range 4 {
					want[row*4+col] += keep * float64(factors[i*4+row]) * float64(s.in[0].values[i*12+col])
				}
			}
			if got := a.grads[0][i*12:][:12]; !zero(got[4:]) || zero(got[:4]) {
				t.Errorf("%s: row %d without a step: gradients %v", c.Impl.Name, i, got)
			}
			if a.grads[1][3*i+1] != 0 {
				t.Errorf("%s: row %d without a step: momentum has the gradient %v", c.Impl.Name, i, a.grads[1][3*i+1])
			}
		}
		if d := away(a.grads[2], want); !(d < 1e-6) {
			t.Errorf("%s: without steps: the gradient by the initial weights is away by %v", c.Impl.Name, d)
		}

		copy(s.in[1].values, gates)
		s.in[1].values[3*5], s.in[1].values[3*5+1], s.in[1].values[3*5+2] = -200, -200, 200
		a = s.ask(t, c, s.at(factors, 6, 9))
		if !zero(a.grads[2]) || !zero(a.grads[0]) || !zero(a.grads[1]) || !zero(a.result[6*4:]) {
			t.Errorf("%s: what was cleared is read as %v and has gradients %v", c.Impl.Name, a.result[6*4:], a.grads)
		}
	}
}

// A truncated gradient is that of its piece of the text alone; nothing in the piece changes.
func TestScanIsTruncated(t *testing.T) {
	r := rand.New(rand.NewPCG(15, 16))
	factors := someValues(r, 1<<13)
	for _, truncate := range []int{1, 2, 3, 4} {
		s := newScanRun(r, scans[truncate%2*6])
		for _, c := range computes(t) {
			whole := s.ask(t, c, factors)
			s.truncate = truncate
			cut := s.ask(t, c, factors)
			if !slices.Equal(whole.result, cut.result) {
				t.Errorf("%s, %d chunks: another result", c.Impl.Name, truncate)
			}
			var sum [][]float64
			for _, g := range cut.grads {
				sum = append(sum, make([]float64, len(g)))
			}
			for text := range s.texts {
				for from := 0; from < s.length; from += truncate * s.m.Chunk {
					to := min(from+truncate*s.m.Chunk, s.length)
					s.truncate = 0
					grads := s.ask(t, c, s.at(factors, text*s.length+from, text*s.length+to)).grads
					width := 3 * s.m.Heads * s.m.Dim
					copy(sum[0][(text*s.length+from)*width:(text*s.length+to)*width], grads[0][(text*s.length+from)*width:])
					width = 3 * s.m.Heads
					copy(sum[1][(text*s.length+from)*width:(text*s.length+to)*width], grads[1][(text*s.length+from)*width:])
					for i, weights := range grads[2:] {
						for j, g := range weights {
							if from == 0 {
								sum[2+i][j] += g
							}
						}
					}
				}
			}
			for i := range sum {
				if zero(sum[i]) && zero(cut.grads[i]) {
					continue
				}
				if d := away(cut.grads[i], sum[i]); !(d < 1e-6) {
					t.Errorf("%s, %d chunks: gradient %d is away by %v from that of pieces", c.Impl.Name, truncate, i, d)
				}
			}
		}
	}
}

// What is read is what the memory reads that was trained, with the operations around it.
func TestScanIsTheMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for _, s := range scans {
		m, rows := s.m, s.texts*s.length
		m.Convolution, m.NormEpsilon = 4, 1e-5
		if m.MostError > 0 {
			m.MostError = 0.3 // which some errors reach and others do not
		}
		width := m.Heads * m.Dim
		qkv, logits, out := someValues(r, rows*3*width), someValues(r, rows*3*m.Heads), someValues(r, rows*width)
		weights := neural.Weights{Convolution: someValues(r, 3*width*4), Norm: someValues(r, width)}
		var shapes []tensor.Shape
		for l := range m.Depth {
			shapes = append(shapes, tensor.Shape{m.Heads, m.Width(l), m.Width(l - 1)})
			initial := someValues(r, shapes[l].TotalSize())
			for i := range initial {
				initial[i] /= float32(math.Sqrt(float64(m.Width(l - 1))))
			}
			weights.Initial = append(weights.Initial, initial)
		}
		if m.LayerSteps {
			weights.Steps = someValues(r, (m.Depth-1)*m.Heads)
		}
		memory, err := neural.New(m, weights)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range computes(t) {
			g := gorgonia.NewGraph()
			f := &formula{t: t, g: g}
			value := func(x []float32, shape ...int) *gorgonia.Node {
				f.n++
				return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithName(fmt.Sprint(f.n)), gorgonia.WithShape(shape...), gorgonia.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(x))))
			}
			x := f.must(c.Convolution(value(qkv, rows, 3*width), value(weights.Convolution, 3*width, 4), s.length))
			x = f.must(c.UnitHeads(x, Heads{Count: m.Heads, Dim: m.Dim, Length: s.length}))
			var learned gorgonia.Nodes
			for l, shape := range shapes {
				learned = append(learned, value(weights.Initial[l], shape...))
			}
			if m.LayerSteps {
				learned = append(learned, value(weights.Steps, m.Depth-1, m.Heads))
			}
			x = f.must(c.Scan(m, s.length, 0, x, value(logits, rows, 3*m.Heads), learned...))
			x = f.must(c.RMSNormHeads(x, value(weights.Norm, width), m.Dim, m.NormEpsilon))
			x = f.must(c.Gate(x, value(out, rows, width)))
			machine := gorgonia.NewTapeMachine(g)
			if err := machine.RunAll(); err != nil {
				t.Fatal(err)
			}
			got := x.Value().Data().([]float32)
			q, k, v := parts(qkv, width)
			want := make([]float32, rows*width)
			scratch := neural.NewScratch(c.Impl, new(kernels.Scratch))
			for text := range s.texts {
				state := memory.NewState()
				var pick []int32
				for i := range s.length {
					pick = append(pick, int32(text*s.length+i))
				}
				for head := range m.Heads {
					if err := memory.Advance(scratch, state, head, neural.Rows{Q: q, K: k, V: v, Gates: logits, Out: out}, pick, want); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, v := range want {
				if math.Abs(float64(got[i]-v)) > 2e-5*(1+math.Abs(float64(v))) {
					t.Fatalf("%s, %s: value %d of row %d is %v, want %v", s.name, c.Impl.Name, i%width, i/width, got[i], v)
				}
			}
			if err := machine.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// parts are the queries, keys and values of rows that hold them side by side.
func parts(qkv []float32, width int) (q, k, v []float32) {
	for row := range slices.Chunk(qkv, 3*width) {
		q, k, v = append(q, row[:width]...), append(k, row[width:2*width]...), append(v, row[2*width:]...)
	}
	return q, k, v
}
