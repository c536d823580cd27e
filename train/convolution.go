package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Convolution returns Σ_j taps[c, j]·x[i−width+1+j, c] for rows x [rows, channels] of texts that have length rows each, and
// taps [channels, width], of which the last is for the row itself. Before a text's first row are zeros.
func (c Compute) Convolution(x, taps *gorgonia.Node, length int) (*gorgonia.Node, error) {
	return apply(&convolution{c: c, length: length}, x, taps)
}

type convolution struct {
	c      Compute
	length int
	taps   []float32
}

func (*convolution) String() string { return "convolution" }

func (k *convolution) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 2); err != nil {
		return nil, err
	}
	if k.length < 1 || in[0][0]%k.length != 0 {
		return nil, fmt.Errorf("%d rows are no whole texts of %d", in[0][0], k.length)
	}
	if in[0][1] != in[1][0] {
		return nil, fmt.Errorf("taps for %d channels of %d", in[1][0], in[0][1])
	}
	return in[0], nil
}

// transposed returns taps [channels, width] as [width, channels], in memory that is reused.
func transposed(memory *[]float32, taps []float32, width int) []float32 {
	if *memory == nil {
		*memory = make([]float32, len(taps))
	}
	channels := len(taps) / width
	for i, tap := range taps {
		(*memory)[i%width*channels+i/width] = tap
	}
	return *memory
}

// multiplyAdd adds a∘b to to.
func multiplyAdd(to, a, b []float32) {
	a, b = a[:len(to)], b[:len(to)]
	for i := range to {
		to[i] += a[i] * b[i]
	}
}

func (k *convolution) run(out []float32, in []operand) error {
	n, width, x := in[0].shape[1], in[1].shape[1], in[0].values
	taps := transposed(&k.taps, in[1].values, width)
	return k.c.each(in[0].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		clear(out[from*n : to*n])
		for i := from; i < to; i++ {
			for back := range min(width, i%k.length+1) {
				multiplyAdd(out[i*n:(i+1)*n], x[(i-back)*n:], taps[(width-1-back)*n:])
			}
		}
	})
}

func (*convolution) differentiable() []bool { return []bool{true, true} }

func (k *convolution) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in,
		lazy(&convolutionToInput{c: k.c, length: k.length}, grad, in[1]),
		lazy(&convolutionToTaps{c: k.c, length: k.length, width: in[1].Shape()[1]}, in[0], grad),
	)
}

// convolutionToInput is, for a row, the sum of the gradients of the rows that it is in, each by its tap.
type convolutionToInput struct {
	terminal
	c      Compute
	length int
	taps   []float32
}

func (*convolutionToInput) String() string { return "convolution to its input" }

func (*convolutionToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (k *convolutionToInput) run(out []float32, in []operand) error {
	n, width, grad := in[0].shape[1], in[1].shape[1], in[0].values
	taps := transposed(&k.taps, in[1].values, width)
	return k.c.each(in[0].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		clear(out[from*n : to*n])
		for i := from; i < to; i++ {
			for ahead := range min(width, k.length-i%k.length) {
				multiplyAdd(out[i*n:(i+1)*n], grad[(i+ahead)*n:], taps[(width-1-ahead)*n:])
			}
		}
	})
}

// convolutionToTaps is the sum over the rows of grad by the row that a tap is for.
type convolutionToTaps struct {
	terminal
	c             Compute
	length, width int
	sum, parts    []float32
}

func (*convolutionToTaps) String() string { return "convolution to its taps" }

func (k *convolutionToTaps) shape(in []tensor.Shape) (tensor.Shape, error) {
	return tensor.Shape{in[0][1], k.width}, nil
}

func (k *convolutionToTaps) run(out []float32, in []operand) error {
	n, x, grad := in[0].shape[1], in[0].values, in[1].values
	if k.sum == nil {
		k.sum = make([]float32, len(out))
	}
	err := k.c.sums(k.sum, in[0].shape[0], &k.parts, func(part []float32, from, to int) {
		for i := from; i < to; i++ {
			for back := range min(k.width, i%k.length+1) {
				at := (k.width - 1 - back) * n
				multiplyAdd(part[at:at+n], x[(i-back)*n:], grad[i*n:])
			}
		}
	})
	for i := range out {
		out[i] = k.sum[i%k.width*n+i/k.width]
	}
	return err
}
