package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Gradients that come out of the same computation are one vector, which holds one after the other; packed is the part of such an
// operation that says how large they are. Nodes then take them apart.
type packed struct {
	terminal
	parts []tensor.Shape
}

// shape is that of all parts together.
func (p packed) shape([]tensor.Shape) (tensor.Shape, error) {
	n := 0
	for _, s := range p.parts {
		n += s.TotalSize()
	}
	return tensor.Shape{n}, nil
}

// cut returns the parts of the vector.
func (p packed) cut(out []float32) (parts [][]float32) {
	for _, s := range p.parts {
		n := s.TotalSize()
		parts, out = append(parts, out[:n]), out[n:]
	}
	return parts
}

// shapesOf is what a packed operation has to know about the nodes that it has gradients for.
func shapesOf(nodes ...*gorgonia.Node) packed {
	var p packed
	for _, n := range nodes {
		p.parts = append(p.parts, n.Shape().Clone())
	}
	return p
}

// apart applies an operation whose parts are p, and makes a node of each.
func (p packed) apart(o operation, inputs ...*gorgonia.Node) (nodes gorgonia.Nodes, err error) {
	all, err := apply(o, inputs...)
	if err != nil {
		return nil, err
	}
	from := 0
	for _, s := range p.parts {
		n, err := apply(part{from: from, of: s}, all)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
		from += s.TotalSize()
	}
	return nodes, nil
}

// part copies some of a vector.
type part struct {
	terminal
	from int
	of   tensor.Shape
}

func (part) String() string { return "part" }

func (p part) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 1); err != nil {
		return nil, err
	}
	if p.from+p.of.TotalSize() > in[0][0] {
		return nil, fmt.Errorf("%v from %d on is not in a vector of %d", p.of, p.from, in[0][0])
	}
	return p.of, nil
}

func (p part) run(out []float32, in []operand) error {
	copy(out, in[0].values[p.from:])
	return nil
}
