package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// SwiGLU returns SiLU(gate)∘up for rows [rows, 2·hidden] that hold gate, then up.
func (c Compute) SwiGLU(gateUp *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(swiGLU{c}, gateUp)
}

type swiGLU struct{ c Compute }

func (swiGLU) String() string { return "SwiGLU" }

func (swiGLU) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	if in[0][1]%2 != 0 {
		return nil, fmt.Errorf("rows of %d values have no halves", in[0][1])
	}
	return tensor.Shape{in[0][0], in[0][1] / 2}, nil
}

func (s swiGLU) run(out []float32, in []operand) error {
	h, x := in[0].shape[1]/2, in[0].values
	return s.c.each(in[0].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		for i := from; i < to; i++ {
			s.c.Impl.SwiGLU(out[i*h:(i+1)*h], x[2*i*h:(2*i+1)*h], x[(2*i+1)*h:(2*i+2)*h])
		}
	})
}

func (swiGLU) differentiable() []bool { return []bool{true} }

func (s swiGLU) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(swiGLUToInput{c: s.c}, in[0], grad))
}

// swiGLUToInput is, with σ the sigmoid of a gate, grad·up·σ·(1 + gate·(1−σ)) for gates and grad·gate·σ for the others.
type swiGLUToInput struct {
	terminal
	c Compute
}

func (swiGLUToInput) String() string { return "SwiGLU to its input" }

func (swiGLUToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (s swiGLUToInput) run(out []float32, in []operand) error {
	h, x, grad := in[1].shape[1], in[0].values, in[1].values
	return s.c.each(in[0].shape[0], 32, func(w *kernels.Worker, from, to int) {
		room := kernels.WholeGroups(h)
		e := w.Scratch.Floats(2 * room)
		e, over := e[:room], e[room:]
		for i := from; i < to; i++ {
			gate, up := x[2*i*h:(2*i+1)*h], x[(2*i+1)*h:(2*i+2)*h]
			toGate, toUp := out[2*i*h:(2*i+1)*h], out[(2*i+1)*h:(2*i+2)*h]
			s.c.sigmoid(e, over, gate)
			for j, g := range grad[i*h : (i+1)*h] {
				toGate[j] = g * up[j] * e[j] * (1 + gate[j]*(1-e[j]))
				toUp[j] = g * gate[j] * e[j]
			}
		}
	})
}
