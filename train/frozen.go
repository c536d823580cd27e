package train

import (
	"fmt"
	"hash"
	"hash/fnv"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Frozen returns x as a constant: what follows from nothing but constants has no gradients, and none are computed for it.
func Frozen(x *gorgonia.Node) (*gorgonia.Node, error) {
	return gorgonia.ApplyOp(&frozen{id: nodes.Add(1)}, x)
}

// frozen hands its input on as it is.
type frozen struct{ id uint64 }

var _ gorgonia.SDOp = (*frozen)(nil)

// learned reports whether gradients are asked for with respect to a node: those of parameters, and of what follows from them.
func learned(x *gorgonia.Node) bool {
	switch op := x.Op().(type) {
	case *frozen:
		return false
	case *node:
		for _, yes := range op.wrt {
			if yes {
				return true
			}
		}
		return false
	}
	return true
}

func (*frozen) String() string { return "frozen" }
func (*frozen) Arity() int     { return 1 }

// Type is that of the input.
func (*frozen) Type() hm.Type { return hm.NewFnType(hm.TypeVariable('a'), hm.TypeVariable('a')) }

func (*frozen) InferShape(in ...gorgonia.DimSizer) (tensor.Shape, error) {
	shape, ok := in[0].(tensor.Shape)
	if !ok {
		return nil, fmt.Errorf("train: a constant of shape %v", in[0])
	}
	return shape.Clone(), nil
}

// Do returns its input.
func (*frozen) Do(in ...gorgonia.Value) (gorgonia.Value, error) {
	if len(in) != 1 {
		return nil, fmt.Errorf("train: a constant of %d values", len(in))
	}
	return in[0], nil
}

func (*frozen) ReturnsPtr() bool     { return true }
func (*frozen) CallsExtern() bool    { return false }
func (*frozen) OverwritesInput() int { return -1 }

// WriteHash writes what no other node has.
func (f *frozen) WriteHash(h hash.Hash) { fmt.Fprintf(h, "train %d", f.id) }

func (f *frozen) Hashcode() uint32 {
	h := fnv.New32a()
	f.WriteHash(h)
	return h.Sum32()
}

func (*frozen) DiffWRT(inputs int) []bool { return make([]bool, inputs) }

// SymDiff is never asked: there is nothing to differentiate with respect to.
func (*frozen) SymDiff(gorgonia.Nodes, *gorgonia.Node, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, fmt.Errorf("train: no gradients of a constant")
}
