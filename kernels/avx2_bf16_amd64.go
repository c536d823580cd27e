//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
)

var bf16Dots = [3]func(*asm.BF16Dots){asm.DotBF16x1AVX2, asm.DotBF16x2AVX2, asm.DotBF16x3AVX2}

// mulBF16AVX2 adds up like the reference.
func mulBF16AVX2(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	if w.Cols == 0 || n == 0 || from >= to {
		mulBF16(dst, stride, w, from, to, x, pick, s)
		return
	}
	p := &s.native.bf16Dots
	blocks := (w.Cols + bf16Block - 1) / bf16Block
	*p = asm.BF16Dots{Blocks: blocks}
	if w.Cols%bf16Block == 0 {
		p.Rows, p.RowStride, p.Count = &w.Data[from*w.RowBytes], w.RowBytes, to-from
		dotBF16Columns(p, dst, stride, from, x, pick, nil, s.Floats(len(bf16Dots)*w.Cols))
	} else {
		mulBF16Padded(p, dst, stride, w, from, to, x, pick, s)
	}
	*p = asm.BF16Dots{}
}

// dotBF16Columns multiplies p's rows, of which the first is row from of the matrix, with all columns. floats is room for
// as many columns as the kernels take at once; padded, for a column with zeros up to a whole block.
func dotBF16Columns(p *asm.BF16Dots, dst []float32, stride, from int, x *Activations, pick []int32, padded []uint16, floats []float32) {
	n, size := columns(x, pick), p.Blocks*bf16Block
	for c := 0; c < n; {
		some := share(n-c, len(bf16Dots))
		for i := range some {
			column := x.bf16(picked(pick, c+i))
			if padded != nil {
				copy(padded, column)
				column = padded
			}
			asm.SplitBF16AVX2(&floats[i*size], &column[0], p.Blocks)
			p.X[i], p.Dst[i] = &floats[i*size], &dst[(c+i)*stride+from]
		}
		bf16Dots[some-1](p)
		c += some
	}
}

// paddedRows is the number of rows that are copied at a time: as many as a thread takes of a matrix, so that columns are
// split once for all of them.
const paddedRows = 32

// mulBF16Padded copies some rows at a time to where zeros follow them, up to a whole block. Rows of models are seldom
// of such a length.
func mulBF16Padded(p *asm.BF16Dots, dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	size := p.Blocks * bf16Block
	room := s.Floats(len(bf16Dots)*size + (1+paddedRows)*size/2)
	floats, room := room[:len(bf16Dots)*size], room[len(bf16Dots)*size:]
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(&room[0])), 2*len(room))
	padded, strip := halves[:size], halves[size:]
	clear(padded)
	p.RowStride = 2 * size
	p.Rows = (*byte)(unsafe.Pointer(&strip[0]))
	bytes := unsafe.Slice(p.Rows, paddedRows*p.RowStride)
	clear(bytes)
	for r := from; r < to; r += paddedRows {
		p.Count = min(paddedRows, to-r)
		for i := range p.Count {
			copy(bytes[i*p.RowStride:], w.Row(r+i))
		}
		dotBF16Columns(p, dst, stride, r, x, pick, padded, floats)
	}
}
