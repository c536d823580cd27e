package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// RMSNorm returns w∘x/√(mean(x²)+eps) for each of the rows x [rows, d], with weights w [d].
func (c Compute) RMSNorm(x, w *gorgonia.Node, eps float32) (*gorgonia.Node, error) {
	return apply(rmsNorm{c, eps}, x, w)
}

type rmsNorm struct {
	c   Compute
	eps float32
}

func (rmsNorm) String() string { return "RMS norm" }

func (rmsNorm) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 1); err != nil {
		return nil, err
	}
	if in[0][1] != in[1][0] {
		return nil, fmt.Errorf("%d weights for rows of %d", in[1][0], in[0][1])
	}
	return in[0], nil
}

func (r rmsNorm) run(out []float32, in []operand) error {
	d, x, w := in[0].shape[1], in[0].values, in[1].values
	return r.c.each(in[0].shape[0], 64, func(_ *kernels.Worker, from, to int) {
		for i := from; i < to; i++ {
			r.c.Impl.RMSNorm(out[i*d:(i+1)*d], x[i*d:(i+1)*d], w, r.eps)
		}
	})
}

func (rmsNorm) differentiable() []bool { return []bool{true, true} }

func (r rmsNorm) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(
		lazy(rmsNormToInput{c: r.c, eps: r.eps}, in[0], in[1], grad),
		lazy(&rmsNormToWeights{c: r.c, eps: r.eps}, in[0], grad),
	)
}

// inverse returns 1/√(mean(x²)+eps).
func inverse(c Compute, x []float32, eps float32) float32 {
	return float32(1 / math.Sqrt(float64(c.Impl.Dot(x, x)/float32(len(x))+eps)))
}

// rmsNormToInput is r·(w∘grad) − r³·mean(w∘grad∘x)·x with r = 1/√(mean(x²)+eps).
type rmsNormToInput struct {
	terminal
	c   Compute
	eps float32
}

func (rmsNormToInput) String() string { return "RMS norm to its input" }

func (rmsNormToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (n rmsNormToInput) run(out []float32, in []operand) error {
	d, w := in[0].shape[1], in[1].values
	return n.c.each(in[0].shape[0], 64, func(_ *kernels.Worker, from, to int) {
		for i := from; i < to; i++ {
			x, grad, to := in[0].values[i*d:(i+1)*d], in[2].values[i*d:(i+1)*d], out[i*d:(i+1)*d]
			r := inverse(n.c, x, n.eps)
			for j, g := range grad {
				to[j] = r * g * w[j]
			}
			n.c.Impl.Axpy(-r*r*n.c.Impl.Dot(to, x)/float32(d), x, to)
		}
	})
}

// rmsNormToWeights is the sum over the rows of grad∘x/√(mean(x²)+eps).
type rmsNormToWeights struct {
	terminal
	c     Compute
	eps   float32
	parts []float32
}

func (*rmsNormToWeights) String() string { return "RMS norm to its weights" }

func (*rmsNormToWeights) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1]}, nil
}

func (n *rmsNormToWeights) run(out []float32, in []operand) error {
	d := len(out)
	return n.c.sums(out, in[0].shape[0], &n.parts, func(part []float32, from, to int) {
		for i := from; i < to; i++ {
			x, grad := in[0].values[i*d:(i+1)*d], in[1].values[i*d:(i+1)*d]
			r := inverse(n.c, x, n.eps)
			for j, g := range grad {
				part[j] += r * g * x[j]
			}
		}
	})
}
