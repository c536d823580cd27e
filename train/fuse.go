package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
)

// Fusion is how three paths are added up.
type Fusion struct {
	Heads       int
	Length      int  // rows of a text
	Empty       int  // the first rows of each, which have no memory yet
	Renormalize bool // there the first two paths have all the weight
	Zeroed      bool // without a third path there is one all the same: of zeros
}

// Fuse returns λ1·full + λ2·windowed + λ3·memory for rows [rows, heads·dim] of three paths, λ the softmax over the paths of
// weights [3, heads]. memory, which may be nil, is zero where there is none.
func (c Compute) Fuse(weights, full, windowed, memory *gorgonia.Node, f Fusion) (*gorgonia.Node, error) {
	if memory == nil {
		return apply(fuse{c, f}, weights, full, windowed)
	}
	return apply(fuse{c, f}, weights, full, windowed, memory)
}

type fuse struct {
	c Compute
	f Fusion
}

func (fuse) String() string { return "fusion" }

func (f fuse) shape(in []tensor.Shape) (tensor.Shape, error) {
	dims := []int{2, 2, 2, 2}
	if len(in) == 3 {
		dims = dims[:3]
	}
	if err := wantDims(in, dims...); err != nil {
		return nil, err
	}
	for _, path := range in[2:] {
		if !path.Eq(in[1]) {
			return nil, fmt.Errorf("paths of shapes %v", in[1:])
		}
	}
	switch {
	case f.f.Heads < 1 || in[1][1]%f.f.Heads != 0 || !in[0].Eq(tensor.Shape{3, f.f.Heads}):
		return nil, fmt.Errorf("weights %v for %d heads of rows of %d values", in[0], f.f.Heads, in[1][1])
	case f.f.Length < 1 || in[1][0]%f.f.Length != 0 || f.f.Empty < 0:
		return nil, fmt.Errorf("%d rows of texts of %d, of which %d have no memory", in[1][0], f.f.Length, f.f.Empty)
	}
	return in[1], nil
}

// empty says whether a row has no memory yet. With two paths none has, unless it counts as zeros.
func (f fuse) empty(row, paths int) bool {
	return paths < 3 && !f.f.Zeroed || row%f.f.Length < f.f.Empty
}

// lambda returns the weights of a head's paths, which it multiplies in a row.
func (f fuse) lambda(w *fifo.Fusion, head int, empty bool) [3]float32 {
	l := w.Lambda(head)
	if empty && f.f.Renormalize {
		sum := l[0] + l[1]
		l = [3]float32{l[0] / sum, l[1] / sum}
	}
	return l
}

func (f fuse) run(out []float32, in []operand) error {
	w, err := fifo.NewFusion(in[0].values, f.f.Heads, f.f.Renormalize)
	if err != nil {
		return err
	}
	n := in[1].shape[1]
	dim := n / f.f.Heads
	return f.c.each(in[1].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		for row := from; row < to; row++ {
			empty := f.empty(row, len(in)-1)
			for h := range f.f.Heads {
				at := row*n + h*dim
				var memory []float32
				if !empty && len(in) > 3 {
					memory = in[3].values[at:][:dim]
				}
				w.Mix(out[at:at+dim], in[1].values[at:], in[2].values[at:], memory, h, empty)
			}
		}
	})
}

func (fuse) differentiable() []bool { return []bool{true, true, true, true} }

func (f fuse) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	with := append(append(gorgonia.Nodes{}, in...), grad)
	all := []func() (*gorgonia.Node, error){lazy(&fuseToWeights{of: f}, with...)}
	for path := range in[1:] {
		all = append(all, lazy(fuseToPath{of: f, path: path, paths: len(in) - 1}, in[0], grad))
	}
	return collect(in, all...)
}

// fuseToPath is the gradient multiplied by the path's λ.
type fuseToPath struct {
	terminal
	of          fuse
	path, paths int
}

func (fuseToPath) String() string { return "fusion to a path" }

func (fuseToPath) shape(in []tensor.Shape) (tensor.Shape, error) { return in[1], nil }

func (p fuseToPath) run(out []float32, in []operand) error {
	f := p.of
	w, err := fifo.NewFusion(in[0].values, f.f.Heads, f.f.Renormalize)
	if err != nil {
		return err
	}
	n := in[1].shape[1]
	dim := n / f.f.Heads
	return f.c.each(in[1].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		for row := from; row < to; row++ {
			empty := f.empty(row, p.paths)
			for h := range f.f.Heads {
				by := f.lambda(w, h, empty)[p.path]
				if empty && p.path == 2 {
					by = 0
				}
				at := row*n + h*dim
				for j, g := range in[1].values[at : at+dim] {
					out[at+j] = by * g
				}
			}
		}
	})
}

// fuseToWeights has, for the products s of paths and gradients, λ∘(s − Σ λ∘s), from weights, paths and grad: for rows with a
// memory and those without.
type fuseToWeights struct {
	terminal
	of    fuse
	parts []float32
	sums  []float32 // [2, heads, 3], first of rows with a memory
}

func (*fuseToWeights) String() string { return "fusion to its weights" }

func (*fuseToWeights) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (t *fuseToWeights) run(out []float32, in []operand) error {
	f := t.of
	heads, n := f.f.Heads, in[1].shape[1]
	w, err := fifo.NewFusion(in[0].values, heads, f.f.Renormalize)
	if err != nil {
		return err
	}
	if t.sums == nil {
		t.sums = make([]float32, 2*heads*3)
	}
	paths, grad, dim := in[1:len(in)-1], in[len(in)-1].values, n/heads
	err = f.c.sums(t.sums, in[1].shape[0], &t.parts, func(part []float32, from, to int) {
		for row := from; row < to; row++ {
			to, read := part, paths
			if f.empty(row, len(paths)) {
				to, read = part[heads*3:], paths[:2]
			}
			for h := range heads {
				at := row*n + h*dim
				for k, path := range read {
					to[h*3+k] += f.c.Impl.Dot(path.values[at:at+dim], grad[at:at+dim])
				}
			}
		}
	})
	clear(out)
	for i := range 2 * heads {
		h, sums := i%heads, t.sums[i*3:]
		l, mean := f.lambda(w, h, i >= heads), float32(0)
		for k, by := range l {
			mean += by * sums[k]
		}
		for k, by := range l {
			out[k*heads+h] += by * (sums[k] - mean)
		}
	}
	return err
}
