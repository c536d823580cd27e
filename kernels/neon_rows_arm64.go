//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// rowBlock is the number of cached rows that all queries visit together: 16 KB of a head of 128 as float32.
const rowBlock = 32

// addVectors is the number of outputs that the kernel for sums of rows takes at once; for fewer there is one that takes
// one.
const addVectors = 4

// cachedRows reports whether there are kernels for rows of this type and length.
func cachedRows(t quant.Type, dim, n int) bool {
	return dim > 0 && n > 0 && (t == quant.F32 || t == quant.F16 || t == quant.Q8_0 && dim%Q8Block == 0)
}

// cacheBlock is some cached rows, converted to float32 if that was asked for.
type cacheBlock struct {
	first, count int
	rows         *byte
	size         int
}

// block returns the rows from the given one on.
func block(dim int, rows []byte, t quant.Type, n, first int, wide bool, s *Scratch) cacheBlock {
	size := len(rows) / n
	b := cacheBlock{first, min(rowBlock, n-first), &rows[first*size], size}
	if !wide {
		return b
	}
	room := s.Floats(rowBlock * dim)
	if t == quant.F16 {
		asm.WidenF16NEON(&room[0], b.rows, b.count*dim)
	} else {
		asm.WidenQ8_0NEON(&room[0], b.rows, b.count*dim/Q8Block)
	}
	b.rows, b.size = (*byte)(unsafe.Pointer(&room[0])), 4*dim
	return b
}

func dotRowsNEON(dst, q []float32, dim int, rows []byte, t quant.Type, n int, s *Scratch) {
	if !cachedRows(t, dim, n) {
		dotRowsGeneric(dst, q, dim, rows, t, n, s)
		return
	}
	heads := len(q) / dim
	// It costs as much to convert rows to float32 and back from memory as to convert them twice in passing.
	wide := t == quant.Q8_0 || t == quant.F16 && heads > dotVectors && dim%8 == 0
	kernels := &rowsF32
	if t == quant.F16 && !wide {
		kernels = &rowsF16
	}
	d := &s.native.floats.dots
	for first := 0; first < n; first += rowBlock {
		b := block(dim, rows, t, n, first, wide, s)
		d.Rows, d.RowBytes, d.Count, d.Dim = b.rows, b.size, b.count, dim
		g := 0
		for ; g+dotVectors <= heads; g += dotVectors {
			for i := range dotVectors {
				d.Q[i], d.Out[i] = &q[(g+i)*dim], &dst[(g+i)*n+first : (g+i)*n+first+b.count][0]
			}
			kernels.dot4(d)
		}
		for ; g < heads; g++ {
			d.Q[0], d.Out[0] = &q[g*dim], &dst[g*n+first : g*n+first+b.count][0]
			kernels.dot1(d)
		}
	}
	*d = asm.RowDots{}
}

func addRowsNEON(out, w []float32, dim int, rows []byte, t quant.Type, n int, s *Scratch) {
	if !cachedRows(t, dim, n) {
		addRowsGeneric(out, w, dim, rows, t, n, s)
		return
	}
	heads := len(out) / dim
	wide := t == quant.Q8_0 || t == quant.F16 && heads > 1 && dim%8 == 0
	add1, vectors := asm.AddRowsF32x1NEON, addVectors
	if t == quant.F16 && !wide {
		add1, vectors = asm.AddRowsF16x1NEON, 1
	}
	a := &s.native.sums
	for first := 0; first < n; first += rowBlock {
		b := block(dim, rows, t, n, first, wide, s)
		a.Rows, a.RowBytes, a.Count, a.Dim = b.rows, b.size, b.count, dim
		g := 0
		for ; vectors > 1 && g+vectors <= heads; g += vectors {
			for i := range vectors {
				a.W[i], a.Out[i] = &w[(g+i)*n+first], &out[(g+i)*dim : (g+i+1)*dim][0]
			}
			asm.AddRowsF32x4NEON(a)
		}
		for ; g < heads; g++ {
			a.W[0], a.Out[0] = &w[g*n+first], &out[g*dim : (g+1)*dim][0]
			add1(a)
		}
	}
	*a = asm.RowSums{}
}
