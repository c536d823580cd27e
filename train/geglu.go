package train

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// GeGLU returns GELU(gate)∘up, with the tanh form of GELU, for rows [rows, 2·hidden] that hold gate, then up.
func (c Compute) GeGLU(gateUp *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(geGLU{swiGLU{c}}, gateUp)
}

// geGLU has rows as SwiGLU has them.
type geGLU struct{ swiGLU }

func (geGLU) String() string { return "GeGLU" }

func (s geGLU) run(out []float32, in []operand) error {
	h, x := in[0].shape[1]/2, in[0].values
	return s.c.each(in[0].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		for i := from; i < to; i++ {
			s.c.Impl.GeGLU(out[i*h:(i+1)*h], x[2*i*h:(2*i+1)*h], x[(2*i+1)*h:(2*i+2)*h])
		}
	})
}

func (s geGLU) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(geGLUToInput{c: s.c}, in[0], grad))
}

// geGLUToInput is, with t = tanh(√(2/π)(x + 0.044715x³)) of a gate x, grad·up·(½(1+t) + ½x(1−t²)·√(2/π)(1 + 3·0.044715x²)) for
// gates and grad·½x(1+t) for the others.
type geGLUToInput struct {
	terminal
	c Compute
}

func (geGLUToInput) String() string { return "GeGLU to its input" }

func (geGLUToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (s geGLUToInput) run(out []float32, in []operand) error {
	const root, cubic = 0.79788456080286535588, 0.044715
	h, x, grad := in[1].shape[1], in[0].values, in[1].values
	return s.c.each(in[0].shape[0], 32, func(w *kernels.Worker, from, to int) {
		t := w.Scratch.Floats(h)
		for i := from; i < to; i++ {
			gate, up := x[2*i*h:(2*i+1)*h], x[(2*i+1)*h:(2*i+2)*h]
			toGate, toUp := out[2*i*h:(2*i+1)*h], out[(2*i+1)*h:(2*i+2)*h]
			for j, g := range gate {
				t[j] = float32(math.Tanh(float64(root * (g + cubic*g*g*g))))
			}
			for j, d := range grad[i*h : (i+1)*h] {
				g := gate[j]
				toUp[j] = d * 0.5 * g * (1 + t[j])
				toGate[j] = d * up[j] * 0.5 * (1 + t[j] + g*(1-t[j]*t[j])*root*(1+3*cubic*g*g))
			}
		}
	})
}
