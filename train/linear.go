package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Linear returns x·Wᵀ + b for rows x [rows, in], weights W [out, in] and biases b [out], which may be nil.
func (c Compute) Linear(x, w, b *gorgonia.Node) (*gorgonia.Node, error) {
	if b == nil {
		return apply(linear{c}, x, w)
	}
	return apply(linear{c}, x, w, b)
}

type linear struct{ c Compute }

func (linear) String() string { return "linear" }

func (linear) shape(in []tensor.Shape) (tensor.Shape, error) {
	dims := []int{2, 2, 1}
	if len(in) == 2 {
		dims = dims[:2]
	}
	if err := wantDims(in, dims...); err != nil {
		return nil, err
	}
	if in[0][1] != in[1][1] || len(in) == 3 && in[2][0] != in[1][0] {
		return nil, fmt.Errorf("shapes %v do not fit", in)
	}
	return tensor.Shape{in[0][0], in[1][0]}, nil
}

func (l linear) run(out []float32, in []operand) error {
	x, w := in[0].values, in[1].values
	rows, k, n := in[0].shape[0], in[0].shape[1], in[1].shape[0]
	beta := float32(0)
	if len(in) == 3 {
		beta = 1
		for i := range rows {
			copy(out[i*n:], in[2].values)
		}
	}
	return l.c.Team.Gemm(l.c.Impl, &kernels.Gemm{TransB: true, M: rows, N: n, K: k, Alpha: 1, A: x, LDA: k, B: w, LDB: k, Beta: beta, C: out, LDC: n})
}

func (linear) differentiable() []bool { return []bool{true, true, true} }

func (l linear) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	all := []func() (*gorgonia.Node, error){
		lazy(linearToInput{c: l.c}, grad, in[1]),
		lazy(linearToWeights{c: l.c}, grad, in[0]),
	}
	if len(in) == 3 {
		all = append(all, lazy(&linearToBias{c: l.c}, grad))
	}
	return collect(in, all...)
}

// linearToInput is grad·W.
type linearToInput struct {
	terminal
	c Compute
}

func (linearToInput) String() string { return "linear to its input" }

func (linearToInput) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][0], in[1][1]}, nil
}

func (l linearToInput) run(out []float32, in []operand) error {
	rows, n, k := in[0].shape[0], in[1].shape[0], in[1].shape[1]
	return l.c.Team.Gemm(l.c.Impl, &kernels.Gemm{M: rows, N: k, K: n, Alpha: 1, A: in[0].values, LDA: n, B: in[1].values, LDB: k, C: out, LDC: k})
}

// linearToWeights is gradᵀ·x.
type linearToWeights struct {
	terminal
	c Compute
}

func (linearToWeights) String() string { return "linear to its weights" }

func (linearToWeights) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1], in[1][1]}, nil
}

func (l linearToWeights) run(out []float32, in []operand) error {
	rows, n, k := in[0].shape[0], in[0].shape[1], in[1].shape[1]
	return l.c.Team.Gemm(l.c.Impl, &kernels.Gemm{TransA: true, M: n, N: k, K: rows, Alpha: 1, A: in[0].values, LDA: n, B: in[1].values, LDB: k, C: out, LDC: k})
}

// linearToBias is the sum of grad's rows.
type linearToBias struct {
	terminal
	c     Compute
	parts []float32
}

func (*linearToBias) String() string { return "linear to its bias" }

func (*linearToBias) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1]}, nil
}

func (l *linearToBias) run(out []float32, in []operand) error {
	n, grad := len(out), in[0].values
	return l.c.sums(out, in[0].shape[0], &l.parts, func(part []float32, from, to int) {
		for i := from; i < to; i++ {
			l.c.Impl.Axpy(1, grad[i*n:(i+1)*n], part)
		}
	})
}

// Add returns x + y of matrices with the same shape.
func (c Compute) Add(x, y *gorgonia.Node) (*gorgonia.Node, error) { return apply(add{c}, x, y) }

type add struct{ c Compute }

func (add) String() string { return "add" }

func (add) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 2); err != nil {
		return nil, err
	}
	if !in[0].Eq(in[1]) {
		return nil, fmt.Errorf("shapes %v and %v differ", in[0], in[1])
	}
	return in[0], nil
}

func (a add) run(out []float32, in []operand) error {
	return a.c.each(len(out), 1<<14, func(_ *kernels.Worker, from, to int) {
		copy(out[from:to], in[0].values[from:])
		a.c.Impl.Axpy(1, in[1].values[from:to], out[from:to])
	})
}

func (add) differentiable() []bool { return []bool{true, true} }

func (add) gradients(_ gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return gorgonia.Nodes{grad, grad}, nil
}
