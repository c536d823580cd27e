package train

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
)

// A scan goes through a text at once. Where what a memory learns from depends on what was read of it before, a text's chunks come one
// at a time: its state, the weights and the momentum of M's layers one after the other, goes from each to the next in a node
// [texts·heads, values], and what reads and what learns are operations of their own.

// BeginState returns the state that a text begins with, for so many texts: the initial weights of M's layers, and no momentum.
func (c Compute) BeginState(m neural.Config, texts int, initial ...*gorgonia.Node) (*gorgonia.Node, error) {
	return apply(beginState{newScan(c, m, m.Chunk, 0), texts}, initial...)
}

// Retrieve returns what rows read of memories in a state, [rows, heads·dim], and Learn the state after they learned from rows. As in
// Scan, rows qkv [rows, 3·heads·dim] have queries, keys and values: of each text there are as many as a chunk has or, to read, less.
func (c Compute) Retrieve(m neural.Config, state, qkv *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(&retrieval{c: c, m: m}, state, qkv)
}

// Learn has gates and weights as Scan has.
func (c Compute) Learn(m neural.Config, state, qkv, gates *gorgonia.Node, weights ...*gorgonia.Node) (*gorgonia.Node, error) {
	return apply(learning{newScan(c, m, m.Chunk, 0)}, append(append([]*gorgonia.Node{qkv, gates}, weights...), state)...)
}

// stateSize is the number of values in a head's state.
func (s *scan) stateSize() (n int) {
	for l := range s.m.Depth {
		n += 2 * s.m.Width(l) * s.m.Width(l-1)
	}
	return n
}

// load has a chunk begin with a state.
func (x *scanChunk) load(state []float32) {
	for _, y := range x.layers {
		state = state[copy(y.state, state):]
	}
}

// store puts states of layers one after the other.
func (x *scanChunk) store(to []float32) {
	for _, y := range x.layers {
		to = to[copy(to, y.state):]
	}
}

type beginState struct {
	s     *scan
	texts int
}

func (beginState) String() string { return "begin" }

func (b beginState) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkNeural(b.s.m); err != nil {
		return nil, err
	}
	if len(in) != b.s.m.Depth || b.texts < 1 {
		return nil, fmt.Errorf("initial weights of %d layers for %d texts, want %d", len(in), b.texts, b.s.m.Depth)
	}
	for l, shape := range in {
		if want := b.s.initialShape(l); !shape.Eq(want) {
			return nil, fmt.Errorf("initial weights of layer %d are %v, want %v", l, shape, want)
		}
	}
	return tensor.Shape{b.texts * b.s.m.Heads, b.s.stateSize()}, nil
}

func (b beginState) run(out []float32, in []operand) error {
	clear(out)
	size := b.s.stateSize()
	for i := range b.texts * b.s.m.Heads {
		at, head := i*size, i%b.s.m.Heads
		for _, x := range in {
			n := len(x.values) / b.s.m.Heads
			copy(out[at:], x.values[head*n:(head+1)*n])
			at += 2 * n
		}
	}
	return nil
}

func (b beginState) differentiable() []bool { return slices.Repeat([]bool{true}, b.s.m.Depth) }

func (b beginState) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	var grads []func() (*gorgonia.Node, error)
	at := 0
	for l, x := range in {
		grads = append(grads, lazy(beginToInitial{of: b, result: x.Shape(), at: at}, grad))
		at += 2 * b.s.m.Width(l) * b.s.m.Width(l-1)
	}
	return collect(in, grads...)
}

// beginToInitial is the sum over texts of a layer's part of the gradient.
type beginToInitial struct {
	terminal
	of     beginState
	result tensor.Shape
	at     int
}

func (beginToInitial) String() string { return "begin to its weights" }

func (g beginToInitial) shape([]tensor.Shape) (tensor.Shape, error) { return g.result, nil }

func (g beginToInitial) run(out []float32, in []operand) error {
	clear(out)
	s := g.of.s
	size, n := s.stateSize(), len(out)/s.m.Heads
	for i := range g.of.texts * s.m.Heads {
		head := i % s.m.Heads
		s.c.Impl.Axpy(1, in[0].values[i*size+g.at:][:n], out[head*n:(head+1)*n])
	}
	return nil
}

type retrieval struct {
	c Compute
	m neural.Config
	s *scan // of as many rows as a text has
}

func (*retrieval) String() string { return "retrieval" }

func (r *retrieval) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := checkNeural(r.m); err != nil {
		return nil, err
	}
	if err := wantDims(in, 2, 2); err != nil {
		return nil, err
	}
	r.s = newScan(r.c, r.m, r.m.Chunk, 0)
	texts := in[0][0] / r.m.Heads
	if in[0][1] != r.s.stateSize() || texts < 1 || in[0][0]%r.m.Heads != 0 || in[1][0]%texts != 0 || in[1][0]/texts > r.m.Chunk {
		return nil, fmt.Errorf("states %v for rows %v in chunks of %d", in[0], in[1], r.m.Chunk)
	}
	r.s.length = in[1][0] / texts
	if err := (Heads{Count: r.m.Heads, Dim: r.m.Dim, Length: r.s.length}).check(in[1]); err != nil {
		return nil, err
	}
	return tensor.Shape{in[1][0], r.m.Heads * r.m.Dim}, nil
}

// head reads what a head of a text does.
func (r *retrieval) head(w *kernels.Worker, sp *scanSpace, in []operand, text, head int) scanInput {
	x, size := scanInput{qkv: in[1].values, first: text * r.s.length, head: head}, r.s.stateSize()
	sp.chunks[0].load(in[0].values[(text*r.m.Heads+head)*size:][:size])
	r.s.read(w, sp, &sp.chunks[0], x, 0, false)
	return x
}

func (r *retrieval) run(out []float32, in []operand) error {
	return r.s.texts(in[1].shape[0], 1, func(w *kernels.Worker, sp *scanSpace, text, head int) {
		x := r.head(w, sp, in, text, head)
		r.s.result(out, &sp.chunks[0], x, 0)
	})
}

func (*retrieval) differentiable() []bool { return []bool{true, true} }

func (r *retrieval) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	p := shapesOf(in...)
	again := &retrieval{c: r.c, m: r.m, s: newScan(r.c, r.m, r.s.length, 0)}
	return p.apart(retrievalToInputs{p, again}, append(append(gorgonia.Nodes{}, in...), grad)...)
}

// retrievalToInputs is the gradients with respect to state and rows.
type retrievalToInputs struct {
	packed
	of *retrieval
}

func (retrievalToInputs) String() string { return "retrieval to its inputs" }

func (g retrievalToInputs) run(out []float32, in []operand) error {
	s, size := g.of.s, g.of.s.stateSize()
	clear(out)
	to := g.cut(out)
	back := &scanToRows{scan: s}
	return s.texts(in[1].shape[0], 1, func(w *kernels.Worker, sp *scanSpace, text, head int) {
		x := g.of.head(w, sp, in, text, head)
		sp.ready(s)
		back.chunk(w, sp, to[1], in[2].values, x, 0, false)
		sp.down.store(to[0][(text*s.m.Heads+head)*size:][:size])
	})
}

// store puts the gradients of a state's layers one after the other.
func (d *scanDown) store(to []float32) {
	for _, y := range d.layers {
		to = to[copy(to, y.state):]
	}
}

// load is the opposite.
func (d *scanDown) load(from []float32) {
	for _, y := range d.layers {
		from = from[copy(y.state, from):]
	}
}

type learning struct{ s *scan }

func (learning) String() string { return "learning" }

func (k learning) shape(in []tensor.Shape) (tensor.Shape, error) {
	last := len(in) - 1
	if _, err := k.s.shape(in[:last]); err != nil {
		return nil, err
	}
	if want := (tensor.Shape{in[0][0] / k.s.length * k.s.m.Heads, k.s.stateSize()}); !in[last].Eq(want) {
		return nil, fmt.Errorf("states are %v, want %v", in[last], want)
	}
	return in[last], nil
}

// head has a head of a text read and learn.
func (k learning) head(w *kernels.Worker, sp *scanSpace, in []operand, text, head int) scanInput {
	x, size := k.s.input(in, text, head), k.s.stateSize()
	sp.chunks[0].load(in[len(in)-1].values[(text*k.s.m.Heads+head)*size:][:size])
	k.s.read(w, sp, &sp.chunks[0], x, 0, true)
	return x
}

func (k learning) run(out []float32, in []operand) error {
	size := k.s.stateSize()
	return k.s.texts(in[0].shape[0], 2, func(w *kernels.Worker, sp *scanSpace, text, head int) {
		x := k.head(w, sp, in, text, head)
		k.s.learn(w, sp, &sp.chunks[0], &sp.chunks[1], x)
		sp.chunks[1].store(out[(text*k.s.m.Heads+head)*size:][:size])
	})
}

func (k learning) differentiable() []bool { return append(k.s.differentiable(), true) }

func (k learning) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	p := shapesOf(in...)
	s := newScan(k.s.c, k.s.m, k.s.length, 0)
	back := &scanToRows{scan: s}
	texts := in[0].Shape()[0] / s.length
	for _, x := range in[2 : len(in)-1] {
		back.parts = append(back.parts, make([]float32, texts*x.Shape().TotalSize()))
	}
	return p.apart(learningToInputs{p, learning{s}, back}, append(append(gorgonia.Nodes{}, in...), grad)...)
}

// learningToInputs is the gradients with respect to rows, gates, weights and state.
type learningToInputs struct {
	packed
	of   learning
	back *scanToRows
}

func (learningToInputs) String() string { return "learning to its inputs" }

func (g learningToInputs) run(out []float32, in []operand) error {
	s, size, last := g.of.s, g.of.s.stateSize(), len(in)-2
	clear(out)
	to, grad := g.cut(out), in[last+1].values
	g.back.gates = to[1]
	err := s.texts(in[0].shape[0], 1, func(w *kernels.Worker, sp *scanSpace, text, head int) {
		x, at := g.of.head(w, sp, in[:last+1], text, head), (text*s.m.Heads+head)*size
		sp.ready(s)
		sp.down.load(grad[at:][:size])
		g.back.chunk(w, sp, to[0], nil, x, 0, true)
		sp.down.store(to[last][at:][:size])
		g.back.finish(sp, x, text, false)
	})
	for i, parts := range g.back.parts {
		for sum := to[2+i]; len(parts) > 0; parts = parts[len(sum):] {
			s.c.Impl.Axpy(1, parts[:len(sum)], sum)
		}
	}
	return err
}
