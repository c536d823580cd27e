package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Heads is the layout of rows that hold queries, keys and values side by side, each Count heads of Dim values, and of the texts
// that these rows are of: each has Length rows.
type Heads struct{ Count, Dim, Length int }

// width is that of queries, keys or values.
func (h Heads) width() int { return h.Count * h.Dim }

// check returns an error unless rows have that layout.
func (h Heads) check(s tensor.Shape) error {
	switch {
	case h.Count < 1 || h.Dim < 2 || h.Dim%2 != 0 || h.Length < 1:
		return fmt.Errorf("%d heads of %d values in texts of %d rows", h.Count, h.Dim, h.Length)
	case s[1] != 3*h.width():
		return fmt.Errorf("rows have %d values, want queries, keys and values of %d heads with %d", s[1], h.Count, h.Dim)
	case s[0]%h.Length != 0:
		return fmt.Errorf("%d rows are no whole texts of %d", s[0], h.Length)
	}
	return nil
}

// RoPE rotates the queries and keys of rows qkv [rows, 3·heads·dim] by their positions in the text, first halves of heads with
// second halves, at the frequencies base^(−2i/dim).
func (c Compute) RoPE(qkv *gorgonia.Node, h Heads, base float64) (*gorgonia.Node, error) {
	r := rope{c: c, h: h}
	half := h.Dim / 2
	for i := range max(h.Length, 0) * half {
		sin, cos := math.Sincos(float64(i/half) * math.Pow(base, -2*float64(i%half)/float64(h.Dim)))
		r.cos, r.sin, r.back = append(r.cos, float32(cos)), append(r.sin, float32(sin)), append(r.back, float32(-sin))
	}
	return apply(r, qkv)
}

type rope struct {
	c              Compute
	h              Heads
	cos, sin, back []float32 // [Length, Dim/2]; back is the sine of the angle back
}

func (rope) String() string { return "RoPE" }

func (r rope) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	return in[0], r.h.check(in[0])
}

func (r rope) run(out []float32, in []operand) error {
	n, half := 3*r.h.width(), r.h.Dim/2
	return r.c.each(in[0].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		copy(out[from*n:to*n], in[0].values[from*n:])
		for i := from; i < to; i++ {
			at := i % r.h.Length * half
			for head := range 2 * r.h.Count {
				r.c.Impl.RopeHalves(out[i*n+head*r.h.Dim:][:r.h.Dim], r.cos[at:at+half], r.sin[at:at+half])
			}
		}
	})
}

func (rope) differentiable() []bool { return []bool{true} }

// gradients rotates the gradient back: a rotation's transpose is its inverse.
func (r rope) gradients(_ gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(lazy(rope{c: r.c, h: r.h, cos: r.cos, sin: r.back, back: r.sin}, grad))
}
