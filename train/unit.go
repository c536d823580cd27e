package train

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// shortest is the length below which a vector is not brought to length 1, so that zero stays zero.
const shortest = 1e-12

// UnitHeads brings the queries and keys of rows qkv [rows, 3·heads·dim] to length 1, head by head. Those that are next
// to zero are not, and have no gradient: what it says of so small a step is of no use for any other.
func (c Compute) UnitHeads(qkv *gorgonia.Node, h Heads) (*gorgonia.Node, error) {
	return apply(unitHeads{c, h}, qkv)
}

type unitHeads struct {
	c Compute
	h Heads
}

func (unitHeads) String() string { return "heads of length 1" }

func (u unitHeads) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	return in[0], u.h.check(in[0])
}

// each has the team call body for where the heads of queries and keys begin, after it has made out copies of values.
func (u unitHeads) each(out, values []float32, body func(at int)) error {
	n := u.h.row()
	return u.c.each(len(out)/n, 32, func(_ *kernels.Worker, from, to int) {
		copy(out[from*n:to*n], values[from*n:])
		for i := from; i < to; i++ {
			for head := range u.h.Count + u.h.kv() {
				body(i*n + head*u.h.Dim)
			}
		}
	})
}

// toUnit returns what a vector is multiplied by, and whether that makes its length 1.
func (c Compute) toUnit(x []float32) (by float32, unit bool) {
	length := math.Sqrt(float64(c.Impl.Dot(x, x)))
	return float32(1 / max(length, shortest)), length >= shortest
}

func (u unitHeads) run(out []float32, in []operand) error {
	return u.each(out, in[0].values, func(at int) {
		x := out[at : at+u.h.Dim]
		by, _ := u.c.toUnit(x)
		times(x, by)
	})
}

func (unitHeads) differentiable() []bool { return []bool{true} }

func (u unitHeads) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(unitHeadsToInput{of: u}, in[0], grad))
}

// unitHeadsToInput is (grad − y·(y·grad))/|x| with y = x/|x|.
type unitHeadsToInput struct {
	terminal
	of unitHeads
}

func (unitHeadsToInput) String() string { return "heads of length 1 to their input" }

func (unitHeadsToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (u unitHeadsToInput) run(out []float32, in []operand) error {
	return u.of.each(out, in[1].values, func(at int) {
		x, to := in[0].values[at:at+u.of.h.Dim], out[at:at+u.of.h.Dim]
		by, unit := u.of.c.toUnit(x)
		if !unit {
			clear(to)
			return
		}
		along := by * by * u.of.c.Impl.Dot(x, to)
		for i := range to {
			to[i] = by * (to[i] - along*x[i])
		}
	})
}
