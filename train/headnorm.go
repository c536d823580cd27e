package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// HeadNorms returns rows qkv, which h says how they lie, with the heads of queries RMS-normed with weights q [dim], those of keys
// with weights k [dim], and values as they are. The weights are constants.
func (c Compute) HeadNorms(qkv *gorgonia.Node, h Heads, q, k []float32, eps float32) (*gorgonia.Node, error) {
	return apply(headNorms{c: c, h: h, q: q, k: k, eps: eps}, qkv)
}

type headNorms struct {
	c    Compute
	h    Heads
	q, k []float32
	eps  float32
}

func (headNorms) String() string { return "norms of heads" }

func (n headNorms) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	if len(n.q) != n.h.Dim || len(n.k) != n.h.Dim {
		return nil, fmt.Errorf("%d and %d weights for heads of %d values", len(n.q), len(n.k), n.h.Dim)
	}
	return in[0], n.h.check(in[0])
}

// each has the team call body for where the heads of queries and keys begin, with their weights, after it has made out copies of
// values.
func (n headNorms) each(out, values []float32, body func(at int, weights []float32)) error {
	row := n.h.row()
	return n.c.each(len(out)/row, 32, func(_ *kernels.Worker, from, to int) {
		copy(out[from*row:to*row], values[from*row:])
		for i := from; i < to; i++ {
			for head := range n.h.Count {
				body(i*row+head*n.h.Dim, n.q)
			}
			for head := range n.h.kv() {
				body(i*row+n.h.width()+head*n.h.Dim, n.k)
			}
		}
	})
}

func (n headNorms) run(out []float32, in []operand) error {
	return n.each(out, in[0].values, func(at int, weights []float32) {
		x := out[at : at+n.h.Dim]
		n.c.Impl.RMSNorm(x, x, weights, n.eps)
	})
}

func (headNorms) differentiable() []bool { return []bool{true} }

func (n headNorms) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(headNormsToInput{of: n}, in[0], grad))
}

// headNormsToInput is that of the norm, for each head (see normToInput).
type headNormsToInput struct {
	terminal
	of headNorms
}

func (headNormsToInput) String() string { return "norms of heads to their input" }

func (headNormsToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (n headNormsToInput) run(out []float32, in []operand) error {
	return n.of.each(out, in[1].values, func(at int, weights []float32) {
		end := at + n.of.h.Dim
		normToInput(n.of.c, out[at:end], in[0].values[at:end], in[1].values[at:end], weights, n.of.eps)
	})
}
