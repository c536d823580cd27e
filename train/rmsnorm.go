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
	return apply(rmsNorm{c: c, eps: eps}, x, w)
}

// RMSNormHeads returns the same for each head of dim values in the rows x [rows, heads·dim], with weights w [heads·dim].
func (c Compute) RMSNormHeads(x, w *gorgonia.Node, dim int, eps float32) (*gorgonia.Node, error) {
	if dim < 1 {
		return nil, fmt.Errorf("train: heads of %d values", dim)
	}
	return apply(rmsNorm{c, eps, dim}, x, w)
}

type rmsNorm struct {
	c   Compute
	eps float32
	dim int // of a head; 0: rows are not cut into heads
}

// heads has body called for where the heads of the rows [from, to) of n values begin and end, and for where they do in a row.
func (r rmsNorm) heads(n, from, to int, body func(at, end, first, last int)) {
	dim := r.dim
	if dim == 0 {
		dim = n
	}
	for i := from; i < to; i++ {
		for j := 0; j < n; j += dim {
			body(i*n+j, i*n+j+dim, j, j+dim)
		}
	}
}

func (rmsNorm) String() string { return "RMS norm" }

func (r rmsNorm) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 1); err != nil {
		return nil, err
	}
	if in[0][1] != in[1][0] {
		return nil, fmt.Errorf("%d weights for rows of %d", in[1][0], in[0][1])
	}
	if r.dim > 0 && in[0][1]%r.dim != 0 {
		return nil, fmt.Errorf("rows of %d values are no whole heads of %d", in[0][1], r.dim)
	}
	return in[0], nil
}

func (r rmsNorm) run(out []float32, in []operand) error {
	d, x, w := in[0].shape[1], in[0].values, in[1].values
	return r.c.each(in[0].shape[0], 64, func(_ *kernels.Worker, from, to int) {
		r.heads(d, from, to, func(at, end, first, last int) {
			r.c.Impl.RMSNorm(out[at:end], x[at:end], w[first:last], r.eps)
		})
	})
}

func (rmsNorm) differentiable() []bool { return []bool{true, true} }

func (r rmsNorm) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in,
		lazy(rmsNormToInput{of: r}, in[0], in[1], grad),
		lazy(&rmsNormToWeights{of: r}, in[0], grad),
	)
}

// inverse returns 1/√(mean(x²)+eps).
func inverse(c Compute, x []float32, eps float32) float32 {
	return float32(1 / math.Sqrt(float64(c.Impl.Dot(x, x)/float32(len(x))+eps)))
}

// rmsNormToInput is r·(w∘grad) − r³·mean(w∘grad∘x)·x with r = 1/√(mean(x²)+eps).
type rmsNormToInput struct {
	terminal
	of rmsNorm
}

func (rmsNormToInput) String() string { return "RMS norm to its input" }

func (rmsNormToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (n rmsNormToInput) run(out []float32, in []operand) error {
	d, w := in[0].shape[1], in[1].values
	return n.of.c.each(in[0].shape[0], 64, func(_ *kernels.Worker, from, to int) {
		n.of.heads(d, from, to, func(at, end, first, last int) {
			normToInput(n.of.c, out[at:end], in[0].values[at:end], in[2].values[at:end], w[first:last], n.of.eps)
		})
	})
}

// normToInput makes to the gradient with respect to x, from grad and the weights.
func normToInput(c Compute, to, x, grad, w []float32, eps float32) {
	r := inverse(c, x, eps)
	for j, g := range grad {
		to[j] = r * g * w[j]
	}
	c.Impl.Axpy(-r*r*c.Impl.Dot(to, x)/float32(len(x)), x, to)
}

// rmsNormToWeights is the sum over the rows of grad∘x/√(mean(x²)+eps).
type rmsNormToWeights struct {
	terminal
	of    rmsNorm
	parts []float32
}

func (*rmsNormToWeights) String() string { return "RMS norm to its weights" }

func (*rmsNormToWeights) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1]}, nil
}

func (n *rmsNormToWeights) run(out []float32, in []operand) error {
	d := len(out)
	return n.of.c.sums(out, in[0].shape[0], &n.parts, func(part []float32, from, to int) {
		n.of.heads(d, from, to, func(at, end, first, last int) {
			x, grad, part := in[0].values[at:end], in[1].values[at:end], part[first:last]
			r := inverse(n.of.c, x, n.of.eps)
			for j, g := range grad {
				part[j] += r * g * x[j]
			}
		})
	})
}
