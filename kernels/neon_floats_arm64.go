//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// dotVectors is the number of vectors that a kernel for rows of floats takes at once; for fewer there is one that takes
// one.
const dotVectors = 4

// floatRows are the kernels for rows of one float type.
type floatRows struct {
	dot4, dot1 func(*asm.RowDots)
	widen      func(dst *float32, src *byte, n int) // n is a multiple of 8
}

var (
	rowsF32 = floatRows{asm.DotRowsF32x4NEON, asm.DotRowsF32x1NEON, nil}
	rowsF16 = floatRows{asm.DotRowsF16x4NEON, asm.DotRowsF16x1NEON, asm.WidenF16NEON}
)

// floatProduct is the product of one float type.
type floatProduct struct {
	typ  quant.Type
	rows *floatRows
}

var floatProducts = []*floatProduct{{quant.F32, &rowsF32}, {quant.F16, &rowsF16}}

// Rows of floats are multiplied with four columns at a time. floatBytes is how much of them, as float32, meets one set of
// columns before the next takes its turn: it should still be in the second level of cache.
const floatBytes = 256 << 10

func (p *floatProduct) mul(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	if w.Cols == 0 {
		clearRows(dst, stride, from, to, n)
	}
	if from >= to || n == 0 || w.Cols == 0 {
		return
	}
	rows := to - from
	if n > 1 {
		rows = min(rows, max(8, floatBytes/(4*w.Cols)&^7))
	}
	// With more than four columns it pays to convert rows once, before the first.
	wide := n > dotVectors && p.rows.widen != nil && w.Cols%8 == 0
	d := p.prepare(w, x, pick, n, rows, wide, s)
	for r := from; r < to; r += rows {
		count := min(rows, to-r)
		d.dots.Rows, d.dots.Count = &w.Data[r*w.RowBytes], count
		if wide {
			d.dots.Rows = (*byte)(unsafe.Pointer(&d.wide[0]))
			p.rows.widen(&d.wide[0], &w.Data[r*w.RowBytes], count*w.Cols)
		}
		d.multiply(dst[r:], stride, n)
	}
	d.clear()
}

// floatDots is what a product of floats keeps from one block of rows to the next.
type floatDots struct {
	dots asm.RowDots
	rows *floatRows
	wide []float32 // a block of rows as float32
	x    *Activations
	pick []int32
}

func (p *floatProduct) prepare(w *Matrix, x *Activations, pick []int32, n, rows int, wide bool, s *Scratch) *floatDots {
	d := &s.native.floats
	d.rows, d.x, d.pick = p.rows, x, pick
	d.dots.RowBytes, d.dots.Dim = w.RowBytes, w.Cols
	size := 0
	if wide {
		d.rows, d.dots.RowBytes = &rowsF32, 4*w.Cols
		size = rows * w.Cols
	}
	d.wide = s.Floats(size)
	return d
}

// column returns the values of column c.
func (d *floatDots) column(c int) *float32 {
	return &d.x.Row(picked(d.pick, c))[0]
}

// multiply computes a block of rows with n columns.
func (d *floatDots) multiply(dst []float32, stride, n int) {
	c := 0
	for ; c+dotVectors <= n; c += dotVectors {
		for i := range dotVectors {
			d.dots.Q[i], d.dots.Out[i] = d.column(c+i), &dst[(c+i)*stride : (c+i)*stride+d.dots.Count][0]
		}
		d.rows.dot4(&d.dots)
	}
	for ; c < n; c++ {
		d.dots.Q[0], d.dots.Out[0] = d.column(c), &dst[c*stride : c*stride+d.dots.Count][0]
		d.rows.dot1(&d.dots)
	}
}

// clear lets go of what belongs to others.
func (d *floatDots) clear() { *d = floatDots{} }

// clearRows sets a product's results to zero.
func clearRows(dst []float32, stride, from, to, n int) {
	for c := range n {
		clear(dst[c*stride+from : c*stride+to])
	}
}
