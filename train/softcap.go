package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Softcap returns limit·tanh(x/limit) for a matrix x.
func (c Compute) Softcap(x *gorgonia.Node, limit float32) (*gorgonia.Node, error) {
	return apply(softcap{c, limit}, x)
}

type softcap struct {
	c     Compute
	limit float32
}

// elements is how many of them a thread takes at a time.
const elements = 1 << 12

func (softcap) String() string { return "soft cap" }

func (s softcap) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	if !(s.limit > 0) {
		return nil, fmt.Errorf("a limit of %v", s.limit)
	}
	return in[0], nil
}

func (s softcap) run(out []float32, in []operand) error {
	return s.c.each(len(out), elements, func(_ *kernels.Worker, from, to int) {
		copy(out[from:to], in[0].values[from:])
		s.c.Impl.Softcap(out[from:to], s.limit)
	})
}

func (softcap) differentiable() []bool { return []bool{true} }

func (s softcap) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(softcapToInput{of: s}, in[0], grad))
}

// softcapToInput is grad∘(1 − (y/limit)²) with y what comes out.
type softcapToInput struct {
	terminal
	of softcap
}

func (softcapToInput) String() string { return "soft cap to its input" }

func (softcapToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (s softcapToInput) run(out []float32, in []operand) error {
	return s.of.c.each(len(out), elements, func(_ *kernels.Worker, from, to int) {
		out, grad := out[from:to], in[1].values[from:]
		copy(out, in[0].values[from:])
		s.of.c.Impl.Softcap(out, s.of.limit)
		slopes(out, out, s.of.limit)
		for i := range out {
			out[i] *= grad[i]
		}
	})
}

// Scale returns x multiplied by a number.
func (c Compute) Scale(x *gorgonia.Node, by float32) (*gorgonia.Node, error) {
	return apply(scaled{c, by}, x)
}

type scaled struct {
	c  Compute
	by float32
}

func (scaled) String() string { return "multiple" }

func (scaled) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], wantDims(in, 2) }

func (s scaled) run(out []float32, in []operand) error {
	return s.c.each(len(out), elements, func(_ *kernels.Worker, from, to int) {
		for i, x := range in[0].values[from:to] {
			out[from+i] = s.by * x
		}
	})
}

func (scaled) differentiable() []bool { return []bool{true} }

func (s scaled) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(s, grad))
}
