package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Heads is the layout of rows that hold queries, keys and values side by side, each some heads of Dim values, and of the texts
// that these rows are of: each has Length rows.
type Heads struct {
	Count, Dim, Length int
	KV                 int // heads of keys and of values, each of which as many neighbouring heads of queries share; 0: Count
}

// kv is the number of heads of keys, and of values.
func (h Heads) kv() int {
	if h.KV == 0 {
		return h.Count
	}
	return h.KV
}

// width is that of queries, kvWidth that of keys or values, row that of all three.
func (h Heads) width() int   { return h.Count * h.Dim }
func (h Heads) kvWidth() int { return h.kv() * h.Dim }
func (h Heads) row() int     { return h.width() + 2*h.kvWidth() }

// check returns an error unless rows have that layout.
func (h Heads) check(s tensor.Shape) error {
	switch {
	case h.Count < 1 || h.Dim < 2 || h.Dim%2 != 0 || h.Length < 1:
		return fmt.Errorf("%d heads of %d values in texts of %d rows", h.Count, h.Dim, h.Length)
	case h.KV < 0 || h.Count%h.kv() != 0:
		return fmt.Errorf("%d heads of queries cannot share %d of keys", h.Count, h.KV)
	case s[1] != h.row():
		return fmt.Errorf("rows have %d values, want queries of %d heads with %d, keys and values of %d", s[1], h.Count, h.Dim, h.kv())
	case s[0]%h.Length != 0:
		return fmt.Errorf("%d rows are no whole texts of %d", s[0], h.Length)
	}
	return nil
}

// RoPE rotates the queries and keys of rows qkv [rows, 3·heads·dim] by their positions in the text, first halves of heads with
// second halves, at the frequencies base^(−2i/dim).
func (c Compute) RoPE(qkv *gorgonia.Node, h Heads, base float64) (*gorgonia.Node, error) {
	return c.Rotate(qkv, h, rotationFrom(h, base, 0))
}

// rotationFrom is the rotation of texts that begin at a position.
func rotationFrom(h Heads, base float64, first int) (t Rotation) {
	half := h.Dim / 2
	for i := range max(h.Length, 0) * half {
		sin, cos := math.Sincos(float64(first+i/half) * math.Pow(base, -2*float64(i%half)/float64(h.Dim)))
		t.Cos, t.Sin = append(t.Cos, float32(cos)), append(t.Sin, float32(sin))
	}
	return t
}

// Rotation is the cosines and sines of the positions of a text, [Length, pairs]. Of a head the first 2·pairs values are rotated,
// their first half with their second one.
type Rotation struct{ Cos, Sin []float32 }

// Rotate rotates the queries and keys of rows qkv, which h says how they lie, by the angles of their positions in the text.
func (c Compute) Rotate(qkv *gorgonia.Node, h Heads, t Rotation) (*gorgonia.Node, error) {
	r := rope{c: c, h: h, cos: t.Cos, sin: t.Sin, back: make([]float32, len(t.Sin))}
	for i, s := range t.Sin {
		r.back[i] = -s
	}
	return apply(r, qkv)
}

type rope struct {
	c              Compute
	h              Heads
	cos, sin, back []float32 // [Length, pairs]; back is the sine of the angle back
}

func (rope) String() string { return "RoPE" }

func (r rope) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	if err := r.h.check(in[0]); err != nil {
		return nil, err
	}
	if n := len(r.cos); len(r.sin) != n || n%r.h.Length != 0 || n/r.h.Length > r.h.Dim/2 {
		return nil, fmt.Errorf("%d cosines and %d sines for %d positions of heads of %d values", n, len(r.sin), r.h.Length, r.h.Dim)
	}
	return in[0], nil
}

func (r rope) run(out []float32, in []operand) error {
	n, half := r.h.row(), len(r.cos)/r.h.Length
	return r.c.each(in[0].shape[0], 32, func(_ *kernels.Worker, from, to int) {
		copy(out[from*n:to*n], in[0].values[from*n:])
		for i := from; i < to; i++ {
			at := i % r.h.Length * half
			for head := range r.h.Count + r.h.kv() {
				r.c.Impl.RopeHalves(out[i*n+head*r.h.Dim:][:r.h.Dim], r.cos[at:at+half], r.sin[at:at+half])
			}
		}
	})
}

func (rope) differentiable() []bool { return []bool{true} }

// gradients rotates the gradient back: a rotation's transpose is the one by the angle back, however long it makes vectors.
func (r rope) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(rope{c: r.c, h: r.h, cos: r.cos, sin: r.back, back: r.sin}, grad))
}
