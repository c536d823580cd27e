package train

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Cut returns the rows [from, to) of each text, of rows [rows, d] of texts that have length rows each.
func (c Compute) Cut(x *gorgonia.Node, length, from, to int) (*gorgonia.Node, error) {
	return apply(cut{length, from, to}, x)
}

type cut struct{ length, from, to int }

func (cut) String() string { return "cut" }

func (k cut) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	if k.length < 1 || in[0][0]%k.length != 0 || k.from < 0 || k.from >= k.to || k.to > k.length {
		return nil, fmt.Errorf("rows [%d, %d) of texts of %d, in %d rows", k.from, k.to, k.length, in[0][0])
	}
	return tensor.Shape{in[0][0] / k.length * (k.to - k.from), in[0][1]}, nil
}

// pieces calls body for where a text's piece lies in its rows of d values, and where it lies alone.
func (k cut) pieces(texts, d int, body func(within, alone, n int)) {
	n := (k.to - k.from) * d
	for text := range texts {
		body((text*k.length+k.from)*d, text*n, n)
	}
}

func (k cut) run(out []float32, in []operand) error {
	k.pieces(in[0].shape[0]/k.length, in[0].shape[1], func(within, alone, n int) {
		copy(out[alone:alone+n], in[0].values[within:])
	})
	return nil
}

func (cut) differentiable() []bool { return []bool{true} }

func (k cut) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(cutToInput{of: k}, grad))
}

// cutToInput is the gradient where the rows were, and zeros around them.
type cutToInput struct {
	terminal
	of cut
}

func (cutToInput) String() string { return "cut to its input" }

func (k cutToInput) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][0] / (k.of.to - k.of.from) * k.of.length, in[0][1]}, nil
}

func (k cutToInput) run(out []float32, in []operand) error {
	clear(out)
	k.of.pieces(in[0].shape[0]/(k.of.to-k.of.from), in[0].shape[1], func(within, alone, n int) {
		copy(out[within:within+n], in[0].values[alone:])
	})
	return nil
}

// Join returns the rows of texts, of which each x has some: those of a text one after the other.
func (c Compute) Join(texts int, x ...*gorgonia.Node) (*gorgonia.Node, error) {
	return apply(&join{texts, make([]cut, len(x))}, x...)
}

type join struct {
	texts  int
	pieces []cut // of each input
}

func (*join) String() string { return "join" }

func (j *join) shape(in []tensor.Shape) (tensor.Shape, error) {
	n := 0
	for i, s := range in {
		if s.Dims() != 2 || s[1] != in[0][1] || j.texts < 1 || s[0]%j.texts != 0 {
			return nil, fmt.Errorf("rows %v of %d texts", in, j.texts)
		}
		j.pieces[i] = cut{from: n, to: n + s[0]/j.texts}
		n += s[0] / j.texts
	}
	for i := range j.pieces {
		j.pieces[i].length = n
	}
	if n == 0 {
		return nil, fmt.Errorf("no rows")
	}
	return tensor.Shape{j.texts * n, in[0][1]}, nil
}

func (j *join) run(out []float32, in []operand) error {
	for i, k := range j.pieces {
		k.pieces(j.texts, in[i].shape[1], func(within, alone, n int) {
			copy(out[within:within+n], in[i].values[alone:])
		})
	}
	return nil
}

func (j *join) differentiable() []bool {
	return slices.Repeat([]bool{true}, len(j.pieces))
}

func (j *join) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	var all []func() (*gorgonia.Node, error)
	for _, k := range j.pieces {
		all = append(all, lazy(k, grad))
	}
	return collect(in, all...)
}
