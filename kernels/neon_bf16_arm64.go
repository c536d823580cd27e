//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
)

// bf16Product is what a product of bfloat16 keeps from one block of rows to the next.
type bf16Product struct {
	dots    asm.BF16RowDots
	run4    func(*asm.BF16RowDots)
	size    int       // values in a row, zeros included that make it whole blocks
	columns []float32 // split
	wide    []float32 // a block of rows, split, if it meets more than four columns
	padded  []byte    // a block of rows with zeros behind them, if they are not whole blocks
}

// mulBF16NEON adds up like the reference.
func mulBF16NEON(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	if w.Cols == 0 || n == 0 || from >= to {
		mulBF16(dst, stride, w, from, to, x, pick, s)
		return
	}
	p := &s.native.bf16
	rows := p.prepare(w, to-from, x, pick, s)
	for r := from; r < to; r += rows {
		p.dots.Count = min(rows, to-r)
		p.load(w, r)
		p.multiply(dst[r:], stride, n)
	}
	*p = bf16Product{}
}

// prepare splits the columns, and returns how many rows to take at a time.
func (p *bf16Product) prepare(w *Matrix, rows int, x *Activations, pick []int32, s *Scratch) int {
	n := columns(x, pick)
	p.dots.Blocks = (w.Cols + bf16Block - 1) / bf16Block
	p.size = p.dots.Blocks * bf16Block
	whole := p.size == w.Cols
	if n > 1 || !whole {
		rows = min(rows, max(8, floatBytes/(4*p.size)&^7))
	}
	split, padded := 0, 0
	if n > dotVectors {
		split = rows * p.size
	}
	if !whole {
		padded = rows * p.size / 2
	}
	room := s.Floats(n*p.size + split + padded)
	p.columns, room = room[:n*p.size], room[n*p.size:]
	p.wide, room = room[:split], room[split:]
	p.run4 = asm.DotBF16x4NEON
	if split > 0 {
		p.run4 = asm.DotSplitx4NEON
	}
	p.padded = nil
	if padded > 0 {
		p.padded = unsafe.Slice((*byte)(unsafe.Pointer(&room[0])), 4*padded)
		clear(p.padded)
	}
	for c := range n {
		column := unsafe.Pointer(&x.bf16(picked(pick, c))[0])
		if padded > 0 {
			copy(p.padded, unsafe.Slice((*byte)(column), 2*w.Cols))
			column = unsafe.Pointer(&p.padded[0])
		}
		asm.SplitBF16NEON(&p.columns[c*p.size], (*byte)(column), p.dots.Blocks)
	}
	return rows
}

// load brings the next rows, from r on, into the form that the kernels take.
func (p *bf16Product) load(w *Matrix, r int) {
	p.dots.Rows, p.dots.RowBytes = &w.Data[r*w.RowBytes], w.RowBytes
	if p.padded != nil {
		for i := range p.dots.Count {
			copy(p.padded[2*p.size*i:], w.Row(r+i))
		}
		p.dots.Rows, p.dots.RowBytes = &p.padded[0], 2*p.size
	}
	if len(p.wide) == 0 {
		return
	}
	for i := range p.dots.Count {
		row := unsafe.Pointer(p.dots.Rows)
		asm.SplitBF16NEON(&p.wide[i*p.size], (*byte)(unsafe.Add(row, i*p.dots.RowBytes)), p.dots.Blocks)
	}
}

// multiply computes the rows with n columns. The last few take the rows as they are stored.
func (p *bf16Product) multiply(dst []float32, stride, n int) {
	stored, bytes := p.dots.Rows, p.dots.RowBytes
	if len(p.wide) > 0 {
		p.dots.Rows, p.dots.RowBytes = (*byte)(unsafe.Pointer(&p.wide[0])), 4*p.size
	}
	c := 0
	for ; c+dotVectors <= n; c += dotVectors {
		for i := range dotVectors {
			p.column(i, c+i, dst, stride)
		}
		p.run4(&p.dots)
	}
	p.dots.Rows, p.dots.RowBytes = stored, bytes
	for ; c < n; c++ {
		p.column(0, c, dst, stride)
		asm.DotBF16x1NEON(&p.dots)
	}
}

// column makes column c the kernel's number i.
func (p *bf16Product) column(i, c int, dst []float32, stride int) {
	p.dots.X[i], p.dots.Out[i] = &p.columns[c*p.size], &dst[c*stride : c*stride+p.dots.Count][0]
}
