//go:build !purego

package kernels

import (
	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// blockKernels are the products of block types with the instructions of one kind of processor.
type blockKernels struct {
	dots map[quant.Type]func(*asm.StoredDots)
	// dotColumns is the number of activation rows up to which rows are multiplied as they are stored. For more it pays
	// to unpack them first: that takes about eight vector instructions for sixteen weights, and saves three to four of
	// those for each column.
	dotColumns     int
	order          *stripOrder
	gemm32, gemm16 gemmKernels
}

var neonBlocks = &blockKernels{
	dots: map[quant.Type]func(*asm.StoredDots){
		quant.Q4_0:   asm.DotQ4_0NEON,
		quant.Q4_1:   asm.DotQ4_1NEON,
		quant.Q5_0:   asm.DotQ5_0NEON,
		quant.Q5_1:   asm.DotQ5_1NEON,
		quant.Q8_0:   asm.DotQ8_0NEON,
		quant.IQ4_NL: asm.DotIQ4_NLNEON,
		quant.Q4_K:   asm.DotQ4_KNEON,
		quant.Q5_K:   asm.DotQ5_KNEON,
		quant.IQ4_XS: asm.DotIQ4_XSNEON,
		quant.Q2_K:   asm.DotQ2_KNEON,
		quant.Q3_K:   asm.DotQ3_KNEON,
		quant.Q6_K:   asm.DotQ6_KNEON,
	},
	dotColumns: 3,
	order:      &stripOrder{scales: asm.WordsNEON, scaleCopies: 1},
	gemm32:     gemmKernels{four: asm.Gemm32x4NEON, few: asm.Gemm32x1NEON},
	gemm16:     gemmKernels{four: asm.Gemm16x4NEON, few: asm.Gemm16x1NEON},
}

var dotProdDots = map[quant.Type]func(*asm.StoredDots){
	quant.Q4_0:   asm.DotQ4_0DotProd,
	quant.Q4_1:   asm.DotQ4_1DotProd,
	quant.Q5_0:   asm.DotQ5_0DotProd,
	quant.Q5_1:   asm.DotQ5_1DotProd,
	quant.Q8_0:   asm.DotQ8_0DotProd,
	quant.IQ4_NL: asm.DotIQ4_NLDotProd,
	quant.Q4_K:   asm.DotQ4_KDotProd,
	quant.Q5_K:   asm.DotQ5_KDotProd,
	quant.IQ4_XS: asm.DotIQ4_XSDotProd,
	quant.Q2_K:   asm.DotQ2_KDotProd,
	quant.Q3_K:   asm.DotQ3_KDotProd,
	quant.Q6_K:   asm.DotQ6_KDotProd,
}

var dotProdBlocks = &blockKernels{
	dots:       dotProdDots,
	dotColumns: 3,
	order:      &stripOrder{weights: wordsOfBytes, scales: asm.WordsNEON, scaleCopies: 1},
	gemm32:     gemmKernels{four: asm.Gemm32x4DotProd, few: asm.Gemm32x1DotProd},
	gemm16:     gemmKernels{four: asm.Gemm16x4DotProd, few: asm.Gemm16x1DotProd},
}

var i8mmBlocks = &blockKernels{
	dots:       dotProdDots,
	dotColumns: 2,
	order:      &stripOrder{weights: eightsOfBytes, scales: asm.WordsTwiceNEON, scaleCopies: 2, columnPairs: true},
	gemm32:     gemmKernels{four: asm.Gemm32x4I8MM, few: asm.Gemm32x2I8MM},
	gemm16:     gemmKernels{four: asm.Gemm16x4I8MM, few: asm.Gemm16x2I8MM},
}

// blockProduct is the product of one block type. An element of it is Σ (dot·scale)·columnScale over the groups of a row,
// less Σ minimum·sum, each summed in the order that asm.Gemm and asm.RowDots describe, in every kernel: it does not
// depend on the number of columns.
type blockProduct struct {
	dot        func(*asm.StoredDots)
	dotColumns int
	unpack     func(*asm.Unpacked)
	order      *stripOrder
	gemm       gemmKernels
	group      int  // the number of weights that share a scale, 32 or 16
	mins       bool // whether they have a minimum beside it
}

func newBlockProduct(t quant.Type, b *blockKernels) *blockProduct {
	p := &blockProduct{b.dots[t], b.dotColumns, stripUnpackers[t], b.order, b.gemm32, Q8Block, hasMins(t)}
	if inHalves(t) {
		p.gemm, p.group = b.gemm16, groupLen
	}
	return p
}

// hasMins reports whether weights have a minimum beside the scale.
func hasMins(t quant.Type) bool {
	switch t {
	case quant.Q4_1, quant.Q5_1, quant.Q2_K, quant.Q4_K, quant.Q5_K:
		return true
	}
	return false
}

// cachedBytes is how much of the weights is multiplied with one column before the next takes its turn: it should still be
// in the first or second level of cache.
const cachedBytes = 64 << 10

func (p *blockProduct) mul(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	switch {
	case from >= to || n == 0:
	case w.Cols == 0:
		clearRows(dst, stride, from, to, n)
	case n <= p.dotColumns:
		p.mulStored(dst, stride, w, from, to, x, pick, s)
	default:
		p.mulStrips(dst, stride, w, from, to, x, pick, s)
	}
}

// mulStored multiplies rows as they are stored.
func (p *blockProduct) mulStored(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	t := &s.native.stored
	t.RowBytes, t.Blocks = w.RowBytes, w.Cols/w.Type.BlockLen()
	n := columns(x, pick)
	rows := to - from
	if n > 1 {
		rows = max(4, cachedBytes/w.RowBytes&^3)
	}
	for r := from; r < to; r += rows {
		t.Rows, t.Count = &w.Data[r*w.RowBytes], min(rows, to-r)
		for c := range n {
			column := picked(pick, c)
			t.Q, t.Scales, t.Sums = p.column(x, column, 0)
			t.HalfSums = &x.Sums[column*x.Cols/groupLen]
			t.Out = &dst[c*stride+r : c*stride+r+t.Count][0]
			p.dot(t)
		}
	}
	*t = asm.StoredDots{}
}

// column returns what products read of activation row r, from value first on.
func (p *blockProduct) column(x *Activations, r, first int) (q *int8, scales, sums *float32) {
	at := r*x.Cols + first
	if p.group == groupLen {
		return &x.Q[at], &x.HalfScales[at/groupLen], &x.HalfSums[at/groupLen]
	}
	return &x.Q[at], &x.Scales[at/Q8Block], &x.BlockSums[at/Q8Block]
}
