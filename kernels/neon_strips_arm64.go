//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// A strip is so many rows and columns of weights, unpacked to bytes: 16 KB, which leave room in the first level of cache
// for their scales and for the activations that meet them.
const (
	stripRows = 32
	stripCols = 512
	// stripGroups is the number of groups of a row, if they have 16 weights.
	stripGroups = stripCols / groupLen
	// gemmColumns is the number of columns that a kernel takes at once.
	gemmColumns = 4
)

// strip is one thread's memory for the weights of a strip, and for the activations of a few columns.
type strip struct {
	// Row by row.
	rows      [stripRows * stripCols]int8
	rowScales [stripRows * stripGroups]float32
	// In the order of the kernels: four rows side by side.
	weights [stripRows * stripCols]int8
	scales  [2 * stripRows * stripGroups]float32
	// Columns side by side, for kernels that want them so.
	columns      [gemmColumns * stripCols]int8
	columnScales [2 * gemmColumns * stripGroups]float32
	// Where kernels put results some of which belong to rows or columns that are not there.
	results [gemmColumns][stripRows]float32

	gemm     asm.Gemm
	unpacked asm.Unpacked
	quad     asm.Quad
}

// stripOrder is how the kernels of one kind of processor want weights and activations to lie.
type stripOrder struct {
	// weights brings n bytes of four rows together; nil leaves rows as they are.
	weights func(dst unsafe.Pointer, rows *asm.Quad, n int)
	// scales does the same for numbers, of which it makes so many copies.
	scales      func(dst unsafe.Pointer, rows *asm.Quad, n int)
	scaleCopies int
	// columnPairs says that activations are brought together as well, by twos.
	columnPairs bool
}

// wordsOfBytes brings four bytes of each row together.
func wordsOfBytes(dst unsafe.Pointer, rows *asm.Quad, n int) { asm.WordsNEON(dst, rows, n/4) }

// eightsOfBytes brings eight bytes of each row together.
func eightsOfBytes(dst unsafe.Pointer, rows *asm.Quad, n int) { asm.EightsNEON(dst, rows, n/8) }

// gemmKernels multiply four columns, or fewer: two where columns lie in pairs, else one.
type gemmKernels struct{ four, few func(*asm.Gemm) }

var stripUnpackers = map[quant.Type]func(*asm.Unpacked){
	quant.Q4_0:   asm.UnpackQ4_0NEON,
	quant.Q4_1:   asm.UnpackQ4_1NEON,
	quant.Q5_0:   asm.UnpackQ5_0NEON,
	quant.Q5_1:   asm.UnpackQ5_1NEON,
	quant.Q8_0:   asm.UnpackQ8_0NEON,
	quant.IQ4_NL: asm.UnpackIQ4_NLNEON,
	quant.Q4_K:   asm.UnpackQ4_KNEON,
	quant.Q5_K:   asm.UnpackQ5_KNEON,
	quant.IQ4_XS: asm.UnpackIQ4_XSNEON,
	quant.Q2_K:   asm.UnpackQ2_KNEON,
	quant.Q3_K:   asm.UnpackQ3_KNEON,
	quant.Q6_K:   asm.UnpackQ6_KNEON,
}

// mulStrips unpacks a strip of weights at a time and multiplies it with all columns.
func (p *blockProduct) mulStrips(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	if s.native.strip == nil {
		s.native.strip = new(strip)
	}
	t, n := s.native.strip, columns(x, pick)
	mins := p.minsRoom(w, s)
	for r := from; r < to; r += stripRows {
		rows := min(stripRows, to-r)
		clearRows(dst, stride, r, r+rows, n)
		for first := 0; first < w.Cols; first += stripCols {
			length := min(stripCols, w.Cols-first)
			p.unpackStrip(t, mins, w, r, rows, first, length)
			p.arrange(t, rows, length)
			for c := 0; c < n; c += gemmColumns {
				p.multiply(t, dst[r:], stride, rows, x, pick, c, min(gemmColumns, n-c), first, length)
			}
		}
		if p.mins {
			p.subtractMins(mins, dst[r:], stride, rows, x, pick, n, s)
		}
	}
	t.gemm, t.unpacked, t.quad = asm.Gemm{}, asm.Unpacked{}, asm.Quad{}
}

// minsRoom returns room for the minimums of stripRows whole rows.
func (p *blockProduct) minsRoom(w *Matrix, s *Scratch) []float32 {
	if !p.mins {
		return nil
	}
	n := stripRows * (w.Cols / p.group)
	if cap(s.native.mins) < n {
		s.native.mins = make([]float32, n)
	}
	return s.native.mins[:n]
}

// unpackStrip unpacks weights [first, first+n) of some rows.
func (p *blockProduct) unpackStrip(t *strip, mins []float32, w *Matrix, r, rows, first, n int) {
	at := first / w.Type.BlockLen() * w.Type.BlockBytes()
	u := &t.unpacked
	u.Blocks = n / w.Type.BlockLen()
	for i := range rows {
		u.Row, u.Q, u.Scales = &w.Row(r + i)[at], &t.rows[i*stripCols], &t.rowScales[i*stripGroups]
		if p.mins {
			u.Mins = &mins[(i*w.Cols+first)/p.group]
		}
		p.unpack(u)
	}
}

// arrange brings the unpacked weights into the order of the kernels, which take two quads at a time. Rows that are not
// there are whatever they were.
func (p *blockProduct) arrange(t *strip, rows, n int) {
	g, o := &t.gemm, p.order
	g.Quads, g.Groups = (rows+7)/8*2, n/p.group
	g.Weights, g.WeightStride = unsafe.Pointer(&t.rows[0]), 4*stripCols
	g.Scales, g.ScaleStride = &t.scales[0], 4*4*stripGroups*o.scaleCopies
	for q := range g.Quads {
		if o.weights != nil {
			for i := range t.quad {
				t.quad[i] = unsafe.Pointer(&t.rows[(4*q+i)*stripCols])
			}
			o.weights(unsafe.Pointer(&t.weights[4*q*stripCols]), &t.quad, n)
		}
		for i := range t.quad {
			t.quad[i] = unsafe.Pointer(&t.rowScales[(4*q+i)*stripGroups])
		}
		o.scales(unsafe.Pointer(&t.scales[4*q*stripGroups*o.scaleCopies]), &t.quad, g.Groups)
	}
	if o.weights != nil {
		g.Weights = unsafe.Pointer(&t.weights[0])
	}
}

// multiply adds the products of a strip with n columns, at most four, from the c-th on.
func (p *blockProduct) multiply(t *strip, dst []float32, stride, rows int, x *Activations, pick []int32, c, n, first, length int) {
	g := &t.gemm
	whole := rows%8 == 0
	for i := range gemmColumns {
		column := c + min(i, n-1) // the last stands in for those that are not there
		at := picked(pick, column)*x.Cols + first
		g.Q[i], g.ColumnScales[i] = &x.Q[at], &x.Scales[at/Q8Block]
		if g.Dst[i] = &dst[column*stride]; i >= n || !whole {
			copy(t.results[i][:rows], dst[column*stride:])
			g.Dst[i] = &t.results[i][0]
		}
	}
	switch {
	case p.order.columnPairs:
		t.pairColumns(length)
		if n > 2 {
			p.gemm.four(g)
		} else {
			p.gemm.few(g)
		}
	case n == gemmColumns:
		p.gemm.four(g)
	default:
		for i := range n {
			g.Q[0], g.ColumnScales[0], g.Dst[0] = g.Q[i], g.ColumnScales[i], g.Dst[i]
			p.gemm.few(g)
		}
	}
	if !whole {
		for i := range n {
			copy(dst[(c+i)*stride:], t.results[i][:rows])
		}
	}
}

// pairColumns brings four columns together.
func (t *strip) pairColumns(length int) {
	g := &t.gemm
	for i := range t.quad {
		t.quad[i] = unsafe.Pointer(g.Q[i])
	}
	asm.EightsNEON(unsafe.Pointer(&t.columns[0]), &t.quad, length/8)
	for i := range t.quad {
		t.quad[i] = unsafe.Pointer(g.ColumnScales[i])
	}
	asm.WordsPairsNEON(unsafe.Pointer(&t.columnScales[0]), &t.quad, length/Q8Block)
	g.Q[0], g.ColumnScales[0] = &t.columns[0], &t.columnScales[0]
}

// subtractMins takes from the products of some rows what their minimums come to.
func (p *blockProduct) subtractMins(mins []float32, dst []float32, stride, rows int, x *Activations, pick []int32, n int, s *Scratch) {
	groups := x.Cols / p.group
	d := &s.native.floats.dots
	*d = asm.RowDots{Rows: (*byte)(unsafe.Pointer(&mins[0])), RowBytes: 4 * groups, Count: rows, Dim: groups}
	results := &s.native.strip.results
	for c := 0; c < n; c += dotVectors {
		some := min(dotVectors, n-c)
		for i := range some {
			_, _, d.Q[i] = p.column(x, picked(pick, c+i), 0)
			d.Out[i] = &results[i][0]
		}
		if some == dotVectors {
			asm.DotRowsF32x4NEON(d)
		}
		for i := range some {
			if some < dotVectors {
				d.Q[0], d.Out[0] = d.Q[i], d.Out[i]
				asm.DotRowsF32x1NEON(d)
			}
			asm.AxpyNEON(-1, results[i][:rows], dst[(c+i)*stride:])
		}
	}
	*d = asm.RowDots{}
}
