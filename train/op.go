package train

import (
	"fmt"
	"hash"
	"hash/fnv"
	"sync/atomic"

	"github.com/chewxy/hm"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// operation is what a node of this package computes.
type operation interface {
	fmt.Stringer
	// shape returns the result's, nil for a number, or says what is wrong with the inputs'.
	shape(in []tensor.Shape) (tensor.Shape, error)
	// run computes the result, which holds what it held after the last run, from inputs of the shapes that shape was shown.
	run(out []float32, in []operand) error
	// gradients returns nodes for the gradients with respect to the inputs, nil where there is none, or where nobody asks for it
	// (see learned).
	gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error)
	// differentiable tells for which inputs there are gradients; nil means for none.
	differentiable() []bool
}

// terminal is the part of an operation that has no gradients itself: those that compute gradients embed it.
type terminal struct{}

func (terminal) differentiable() []bool { return nil }

func (terminal) gradients(gorgonia.Nodes, *gorgonia.Node) (gorgonia.Nodes, error) {
	return nil, fmt.Errorf("train: no gradients of gradients")
}

// operand is an input: values, or token ids.
type operand struct {
	shape  tensor.Shape
	values []float32
	ids    []int
}

// node is an operation as Gorgonia sees it. It owns its result, which the next run overwrites.
type node struct {
	operation
	id     uint64
	result tensor.Shape
	wrt    []bool        // inputs that there are gradients for: those that follow from what is learned
	dense  *tensor.Dense // nil if the result is a number
	out    []float32
	in     []operand
}

var (
	_ gorgonia.SDOp = (*node)(nil)

	nodes atomic.Uint64
)

// apply adds an operation to the graph of its inputs.
func apply(o operation, inputs ...*gorgonia.Node) (*gorgonia.Node, error) {
	n := &node{operation: o, id: nodes.Add(1), in: make([]operand, len(inputs))}
	var shapes []tensor.Shape
	for i, x := range inputs {
		if x == nil {
			return nil, fmt.Errorf("train: input %d of %v is missing", i, o)
		}
		n.in[i].shape = x.Shape().Clone()
		shapes = append(shapes, n.in[i].shape)
		n.wrt = append(n.wrt, i < len(o.differentiable()) && o.differentiable()[i] && learned(x))
	}
	result, err := o.shape(shapes)
	if err != nil {
		return nil, fmt.Errorf("train: %v: %w", o, err)
	}
	if result == nil {
		n.out = make([]float32, 1)
	} else {
		n.result = result.Clone() // it may be an input's
		n.out = make([]float32, result.TotalSize())
		n.dense = tensor.New(tensor.WithShape(result...), tensor.WithBacking(n.out))
	}
	return gorgonia.ApplyOp(n, inputs...)
}

func (n *node) Arity() int { return len(n.in) }

// Type says that inputs may be anything: shape has looked at them.
func (n *node) Type() hm.Type {
	var types []hm.Type
	for i := range n.in {
		types = append(types, hm.TypeVariable('α'+rune(i)))
	}
	if n.result == nil {
		return hm.NewFnType(append(types, tensor.Float32)...)
	}
	return hm.NewFnType(append(types, gorgonia.TensorType{Dims: n.result.Dims(), Of: tensor.Float32})...)
}

func (n *node) InferShape(...gorgonia.DimSizer) (tensor.Shape, error) {
	if n.result == nil {
		return tensor.ScalarShape(), nil
	}
	return n.result.Clone(), nil
}

// Do runs the operation. Its result is the node's own memory, not a new value.
func (n *node) Do(values ...gorgonia.Value) (gorgonia.Value, error) {
	if len(values) != len(n.in) {
		return nil, fmt.Errorf("train: %v has %d inputs, not %d", n, len(n.in), len(values))
	}
	for i, v := range values {
		if err := n.take(i, v); err != nil {
			return nil, fmt.Errorf("train: input %d of %v: %w", i, n, err)
		}
	}
	if err := n.run(n.out, n.in); err != nil {
		return nil, fmt.Errorf("train: %v: %w", n, err)
	}
	if n.dense == nil {
		return gorgonia.NewF32(n.out[0]), nil
	}
	return n.dense, nil
}

func (n *node) take(i int, v gorgonia.Value) error {
	if d, ok := v.(*tensor.Dense); ok && (!d.DataOrder().IsRowMajor() || d.RequiresIterator()) {
		return fmt.Errorf("values do not lie in rows")
	}
	var got int
	switch data := v.Data().(type) {
	case []float32:
		n.in[i].values, got = data, len(data)
	case []int:
		n.in[i].ids, got = data, len(data)
	case float32:
		n.in[i].values, got = []float32{data}, 1
	default:
		return fmt.Errorf("%T is neither values nor token ids", data)
	}
	if want := n.in[i].shape.TotalSize(); got != want {
		return fmt.Errorf("%d elements, want %d", got, want)
	}
	return nil
}

func (n *node) ReturnsPtr() bool     { return true }
func (n *node) CallsExtern() bool    { return false }
func (n *node) OverwritesInput() int { return -1 }

// WriteHash writes what no other node has: Gorgonia takes nodes whose hashes are equal for the same.
func (n *node) WriteHash(h hash.Hash) { fmt.Fprintf(h, "train %d", n.id) }

func (n *node) Hashcode() uint32 {
	h := fnv.New32a()
	n.WriteHash(h)
	return h.Sum32()
}

func (n *node) DiffWRT(inputs int) []bool { return n.wrt[:inputs] }

func (n *node) SymDiff(inputs gorgonia.Nodes, _, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return n.gradients(inputs, grad)
}

// work is a task of a team.
type work func(w *kernels.Worker)

func (f work) Work(w *kernels.Worker) { f(w) }

// each has the team call body for the parts of [0, n).
func (c Compute) each(n, grain int, body func(w *kernels.Worker, from, to int)) error {
	_, err := c.Team.Run(work(func(w *kernels.Worker) {
		w.For(n, grain, func(from, to int) { body(w, from, to) })
	}), nil)
	return err
}

// sums adds up, in parts of the rows [0, n) that do not depend on the number of threads, what add adds to part for the rows
// [from, to), and makes out the sum.
func (c Compute) sums(out []float32, n int, parts *[]float32, add func(part []float32, from, to int)) error {
	const rows = 64
	count := (n + rows - 1) / rows
	if len(*parts) < count*len(out) {
		*parts = make([]float32, count*len(out))
	}
	err := c.each(count, 1, func(_ *kernels.Worker, from, to int) {
		for p := from; p < to; p++ {
			part := (*parts)[p*len(out):][:len(out)]
			clear(part)
			add(part, p*rows, min(n, (p+1)*rows))
		}
	})
	clear(out)
	for p := range count {
		c.Impl.Axpy(1, (*parts)[p*len(out):][:len(out)], out)
	}
	return err
}

// collect makes nodes of the gradients with respect to the inputs of an operation: each is nil, or a put off apply, which is left
// out if nobody asks for it.
func collect(in gorgonia.Nodes, grads ...func() (*gorgonia.Node, error)) (gorgonia.Nodes, error) {
	var all gorgonia.Nodes
	for i, grad := range grads {
		if grad == nil || !learned(in[i]) {
			all = append(all, nil)
			continue
		}
		g, err := grad()
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

// lazy is apply put off.
func lazy(o operation, inputs ...*gorgonia.Node) func() (*gorgonia.Node, error) {
	return func() (*gorgonia.Node, error) { return apply(o, inputs...) }
}

// wantDims returns an error unless the shapes have as many dimensions as dims says.
func wantDims(in []tensor.Shape, dims ...int) error {
	if len(in) != len(dims) {
		return fmt.Errorf("%d inputs, want %d", len(in), len(dims))
	}
	for i, d := range dims {
		if in[i].Dims() != d {
			return fmt.Errorf("input %d is %v, want %d dimensions", i, in[i], d)
		}
	}
	return nil
}
