package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
)

// SlotGate says how summaries become slots, as in package fifo.
type SlotGate struct {
	Kind     fifo.Gate // but GateNone, by which summaries are slots
	Previous fifo.Previous
	Detach   bool // gradients do not go from a slot to those that it was mixed with
}

// FifoGate returns the slots [slots, d] that summaries h [slots, d] become, chunk after chunk of a text, by gates with matrices
// u [m·d, d] for the slots that are there, from w [slots, m·d], the products W h + b. Only the simple gate looks at h itself.
func (c Compute) FifoGate(h, w, u *gorgonia.Node, g SlotGate, ch Chunks) (*gorgonia.Node, error) {
	return apply(&fifoGate{c: c, g: g, ch: ch}, h, w, u)
}

// fifoGate goes through the chunks one by one, those of all texts at once: what it holds of a chunk are rows of texts.
type fifoGate struct {
	c  Compute
	g  SlotGate
	ch Chunks

	texts, rows, d int // rows are slots of a chunk in all texts
	steps          []gateStep
}

// gateStep is what became of a chunk, [rows, d] each.
type gateStep struct {
	h, p, out []float32
	gates     []float32 // [rows, m·d] z, r and c of the equations, or g
	rp        []float32 // r·p
}

func (*fifoGate) String() string { return "gate of slots" }

func (f *fifoGate) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 2, 2); err != nil {
		return nil, err
	}
	if err := f.ch.check(); err != nil {
		return nil, err
	}
	var err error
	if f.texts, err = f.ch.textsOf(in[0][0]); err != nil {
		return nil, err
	}
	f.rows, f.d = f.texts*f.ch.Slots, in[0][1]
	wide := f.g.Kind.Matrices() * f.d
	if wide == 0 || in[1][0] != in[0][0] || in[1][1] != wide || in[2][0] != wide || in[2][1] != f.d {
		return nil, fmt.Errorf("shapes %v do not fit a gate of kind %v", in, f.g.Kind)
	}
	return in[0], nil
}

// room makes the memory of steps, once.
func (f *fifoGate) room() {
	if f.steps != nil {
		return
	}
	f.steps = make([]gateStep, f.ch.summarized())
	n := f.rows * f.d
	for i := range f.steps {
		f.steps[i] = gateStep{
			h: make([]float32, n), p: make([]float32, n), out: make([]float32, n),
			gates: make([]float32, f.g.Kind.Matrices()*n), rp: make([]float32, n),
		}
	}
}

// gather makes rows of a chunk, of n values, from those of all slots; scatter is the way back.
func (f *fifoGate) gather(rows, all []float32, chunk, n int) {
	n *= f.ch.Slots
	for t := range f.texts {
		copy(rows[t*n:(t+1)*n], all[(t*f.ch.summarized()+chunk)*n:])
	}
}

func (f *fifoGate) scatter(all, rows []float32, chunk, n int) {
	n *= f.ch.Slots
	for t := range f.texts {
		copy(all[(t*f.ch.summarized()+chunk)*n:], rows[t*n:(t+1)*n])
	}
}

// mixed returns the chunks [from, to) whose slots' mean a chunk's gate mixes its summaries with.
func (f *fifoGate) mixed(chunk int) (from, to int) {
	from, to = f.ch.before(chunk)
	switch {
	case from == to:
	case f.g.Previous == fifo.PreviousNewest:
		from = to - 1
	case f.g.Previous == fifo.PreviousOldest:
		to = from + 1
	}
	return from, to
}

func (f *fifoGate) run(out []float32, in []operand) error {
	if err := f.forward(in); err != nil {
		return err
	}
	for chunk := range f.steps {
		f.scatter(out, f.steps[chunk].out, chunk, f.d)
	}
	return nil
}

func (f *fifoGate) forward(in []operand) error {
	f.room()
	wide, u := f.g.Kind.Matrices()*f.d, in[2].values
	for chunk := range f.steps {
		s := &f.steps[chunk]
		f.gather(s.h, in[0].values, chunk, f.d)
		f.gather(s.gates, in[1].values, chunk, wide)
		clear(s.p)
		from, to := f.mixed(chunk)
		for _, before := range f.steps[from:to] {
			f.c.Impl.Axpy(1/float32(to-from), before.out, s.p)
		}
		both := wide // columns of gates that look at p
		if f.g.Kind == fifo.GateGRU {
			both = 2 * f.d
		}
		if err := f.multiply(s.gates, wide, s.p, u[:both*f.d], both); err != nil {
			return err
		}
		if f.g.Kind == fifo.GateSimple {
			if err := f.each(s.simple); err != nil {
				return err
			}
			continue
		}
		if err := f.each(s.reset); err != nil {
			return err
		}
		if err := f.multiply(s.gates[both:], wide, s.rp, u[both*f.d:], f.d); err != nil {
			return err
		}
		if err := f.each(s.update); err != nil {
			return err
		}
	}
	return nil
}

// multiply adds x·Uᵀ to columns of gates.
func (f *fifoGate) multiply(gates []float32, stride int, x, u []float32, cols int) error {
	return f.c.Team.Gemm(f.c.Impl, &kernels.Gemm{
		TransB: true, M: f.rows, N: cols, K: f.d, Alpha: 1, A: x, LDA: f.d, B: u, LDB: f.d, Beta: 1, C: gates, LDC: stride,
	})
}

// each has the team call body for each row of d values.
func (f *fifoGate) each(body func(row, d int)) error {
	return f.c.each(f.rows, 8, func(_ *kernels.Worker, from, to int) {
		for row := from; row < to; row++ {
			body(row, f.d)
		}
	})
}

// simple is g = σ(W h + U p + b), new = g·h + (1−g)·p.
func (s *gateStep) simple(row, d int) {
	gates := s.gates[row*d : (row+1)*d]
	for j, x := range gates {
		g, at := float32(sigmoid(float64(x))), row*d+j
		gates[j], s.out[at] = g, g*s.h[at]+(1-g)*s.p[at]
	}
}

// reset makes z and r, and r·p, which the candidate looks at.
func (s *gateStep) reset(row, d int) {
	gates := s.gates[3*row*d:]
	for j := range 2 * d {
		gates[j] = float32(sigmoid(float64(gates[j])))
	}
	for j, r := range gates[d : 2*d] {
		s.rp[row*d+j] = r * s.p[row*d+j]
	}
}

// update makes the candidate, and new = (1−z)·p + z·c.
func (s *gateStep) update(row, d int) {
	gates := s.gates[3*row*d:][:3*d]
	for j := range d {
		z, c := gates[j], float32(math.Tanh(float64(gates[2*d+j])))
		gates[2*d+j], s.out[row*d+j] = c, (1-z)*s.p[row*d+j]+z*c
	}
}

// differentiable is h only where the gate looks at it.
func (f *fifoGate) differentiable() []bool {
	return []bool{f.g.Kind == fifo.GateSimple, true, true}
}

func (f *fifoGate) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	p := shapesOf(in...)
	back := &fifoGateToInputs{packed: p, of: &fifoGate{c: f.c, g: f.g, ch: f.ch, texts: f.texts, rows: f.rows, d: f.d}}
	all, err := p.apart(back, in[0], in[1], in[2], grad)
	if err == nil && f.g.Kind != fifo.GateSimple {
		all[0] = nil
	}
	return all, err
}

// fifoGateToInputs are the gradients with respect to summaries, products and matrices, from these and grad: back through the
// chunks, after they were gone through once more.
type fifoGateToInputs struct {
	packed
	of       *fifoGate
	toGates  []float32 // [rows, m·d], of what is within the functions
	toP, toR []float32 // [rows, d], with respect to p, and to r·p
	toH      []float32
	toOut    [][]float32 // of each chunk, with respect to its slots
}

func (*fifoGateToInputs) String() string { return "gate to its inputs" }

func (b *fifoGateToInputs) run(out []float32, in []operand) error {
	f := b.of
	if err := f.forward(in); err != nil {
		return err
	}
	n, wide, u := f.rows*f.d, f.g.Kind.Matrices()*f.d, in[2].values
	if b.toOut == nil {
		b.toGates, b.toP, b.toR, b.toH = make([]float32, f.rows*wide), make([]float32, n), make([]float32, n), make([]float32, n)
		for range f.steps {
			b.toOut = append(b.toOut, make([]float32, n))
		}
	}
	parts := b.cut(out)
	clear(parts[2])
	for chunk, to := range b.toOut {
		f.gather(to, in[3].values, chunk, f.d)
	}
	for chunk := len(f.steps) - 1; chunk >= 0; chunk-- {
		var err error
		s, toOut := &f.steps[chunk], b.toOut[chunk]
		if f.g.Kind == fifo.GateSimple {
			err = b.simple(s, toOut, u, parts[2])
		} else {
			err = b.gru(s, toOut, u, parts[2])
		}
		if err != nil {
			return err
		}
		f.scatter(parts[0], b.toH, chunk, f.d)
		f.scatter(parts[1], b.toGates, chunk, wide)
		if f.g.Detach {
			continue
		}
		from, to := f.mixed(chunk)
		for _, before := range b.toOut[from:to] {
			f.c.Impl.Axpy(1/float32(to-from), b.toP, before)
		}
	}
	return nil
}

func (b *fifoGateToInputs) simple(s *gateStep, toOut, u, toU []float32) error {
	err := b.of.each(func(row, d int) {
		for at := row * d; at < (row+1)*d; at++ {
			g, to := s.gates[at], toOut[at]
			b.toGates[at] = to * (s.h[at] - s.p[at]) * g * (1 - g)
			b.toH[at], b.toP[at] = to*g, to*(1-g)
		}
	})
	if err != nil {
		return err
	}
	return b.products(b.toP, 1, b.toGates, s.p, u, toU, b.of.d)
}

// gru has to go through the candidate first: what it looks at is the product of r and p.
func (b *fifoGateToInputs) gru(s *gateStep, toOut, u, toU []float32) error {
	d := b.of.d
	err := b.of.each(func(row, d int) {
		gates, to := s.gates[3*row*d:][:3*d], b.toGates[3*row*d:]
		for j := range d {
			z, c, g := gates[j], gates[2*d+j], toOut[row*d+j]
			to[j] = g * (c - s.p[row*d+j]) * z * (1 - z)
			to[2*d+j] = g * z * (1 - c*c)
			b.toP[row*d+j] = g * (1 - z)
		}
	})
	if err != nil {
		return err
	}
	if err := b.products(b.toR, 0, b.toGates[2*d:], s.rp, u[2*d*d:], toU[2*d*d:], d); err != nil {
		return err
	}
	err = b.of.each(func(row, d int) {
		gates, to := s.gates[3*row*d:], b.toGates[3*row*d:]
		for j := range d {
			r, at := gates[d+j], row*d+j
			to[d+j] = b.toR[at] * s.p[at] * r * (1 - r)
			b.toP[at] += b.toR[at] * r
		}
	})
	if err != nil {
		return err
	}
	return b.products(b.toP, 1, b.toGates, s.p, u[:2*d*d], toU[:2*d*d], 2*d)
}

// products goes back through products x·Uᵀ of so many columns, which have the gradients toGates: to x, to which as much of what
// it holds is added as beta says, and to U, to which it is added.
func (b *fifoGateToInputs) products(toX []float32, beta float32, toGates, x, u, toU []float32, cols int) error {
	f := b.of
	d, stride := f.d, f.g.Kind.Matrices()*f.d
	err := f.c.Team.Gemm(f.c.Impl, &kernels.Gemm{
		M: f.rows, N: d, K: cols, Alpha: 1, A: toGates, LDA: stride, B: u, LDB: d, Beta: beta, C: toX, LDC: d,
	})
	if err != nil {
		return err
	}
	return f.c.Team.Gemm(f.c.Impl, &kernels.Gemm{
		TransA: true, M: cols, N: d, K: f.rows, Alpha: 1, A: toGates, LDA: stride, B: x, LDB: d, Beta: 1, C: toU, LDC: d,
	})
}
