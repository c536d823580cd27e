//go:build !purego

package kernels

import (
	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// blockKernel is how a block type is multiplied: few activation rows by weight rows as they are stored, many by tiles.
// Both add up in the same order, so that a result does not depend on how many there are.
type blockKernel struct {
	dot    func(*asm.BlockDot)
	unpack func(q *int8, src *byte, blocks int)
	gemm   func(*asm.BlockTile)
	// scales fills in the scales of one row of a tile.
	scales func(t *blockTile, r int, row []byte)
	// add is what makes the codes of an unpacked row unsigned, in each of four bytes.
	add uint32
	// split: the tile keeps the two halves of a byte apart.
	split bool
	// mins: groups have minimums; minFactors: their halves have.
	mins, minFactors bool
	// perRow: each half of a group has a factor; otherwise, all have factor and zero, if the tile has any.
	perRow       bool
	factor, zero uint32
}

var blockKernels = map[quant.Type]*blockKernel{
	quant.Q4_0: {dot: asm.DotQ4_0AVX2, unpack: asm.UnpackQ4_0AVX2, gemm: asm.GemmNibblesAVX2,
		scales: scalesOf(18), add: 0x08080808},
	quant.Q4_1: {dot: asm.DotQ4_1AVX2, unpack: asm.UnpackQ4_1AVX2, gemm: asm.GemmNibblesAVX2,
		scales: scalesAndOffsetsOf(20), mins: true},
	quant.Q4_K: {dot: asm.DotQ4_KAVX2, unpack: asm.UnpackQ4_KAVX2, gemm: asm.GemmNibblesAVX2,
		scales: scalesAndMinsOf(144), mins: true},
	quant.Q8_0: {dot: asm.DotQ8_0AVX2, unpack: asm.UnpackQ8_0AVX2, gemm: asm.GemmBytesAVX2,
		scales: scalesOf(34), split: true},
	quant.IQ4_NL: {dot: asm.DotIQ4_NLAVX2, unpack: asm.UnpackIQ4_NLAVX2, gemm: asm.GemmBytesAVX2,
		scales: scalesOf(18), split: true},
	quant.IQ4_XS: {dot: asm.DotIQ4_XSAVX2, unpack: asm.UnpackIQ4_XSAVX2, gemm: asm.GemmBytesAVX2,
		scales: scalesIQ4_XS, split: true},
	quant.Q5_0: {dot: asm.DotQ5_0AVX2, unpack: asm.UnpackQ5_0AVX2, gemm: asm.GemmFactorsAVX2,
		scales: scalesOf(22), add: 0x10101010, factor: 0x00010001, zero: 0xfff0fff0},
	quant.Q5_1: {dot: asm.DotQ5_1AVX2, unpack: asm.UnpackQ5_1AVX2, gemm: asm.GemmFactorsAVX2,
		scales: scalesAndOffsetsOf(24), factor: 0x00010001, mins: true},
	quant.Q5_K: {dot: asm.DotQ5_KAVX2, unpack: asm.UnpackQ5_KAVX2, gemm: asm.GemmFactorsAVX2,
		scales: scalesAndMinsOf(176), factor: 0x00010001, mins: true},
	quant.Q2_K: {dot: asm.DotQ2_KAVX2, unpack: asm.UnpackQ2_KAVX2, gemm: asm.GemmFactorsAVX2,
		scales: scalesQ2_K, perRow: true, mins: true, minFactors: true},
	quant.Q3_K: {dot: asm.DotQ3_KAVX2, unpack: asm.UnpackQ3_KAVX2, gemm: asm.GemmFactorsAVX2,
		scales: scalesQ3_K, add: 0x04040404, perRow: true},
	quant.Q6_K: {dot: asm.DotQ6_KAVX2, unpack: asm.UnpackQ6_KAVX2, gemm: asm.GemmFactorsAVX2,
		scales: scalesQ6_K, add: 0x20202020, perRow: true},
}

// tileColumns is the number of activation rows from which it pays to unpack weights into a tile. Measured with 512 rows
// of 2048 weights: tiles are 1.35 times as fast as rows as they are stored with 5 columns for Q4_0, 1.4 times for Q5_K,
// and no slower for any type; with 4 they are 0.9 times as fast for Q8_0 and Q2_K.
const tileColumns = 5

// mul is the MulFunc of the type.
func (k *blockKernel) mul(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	switch {
	case w.Cols == 0 || n == 0 || from >= to:
		generic.Mul[w.Type](dst, stride, w, from, to, x, pick, s)
	case n >= tileColumns:
		k.mulTiles(dst, stride, w, from, to, x, pick, s)
	default:
		for c := range n {
			k.dotRows(dst[c*stride:], w, from, to, x, picked(pick, c), &s.native.blockDot)
		}
	}
}

// dotRows multiplies weight rows by one activation row.
func (k *blockKernel) dotRows(dst []float32, w *Matrix, from, to int, x *Activations, column int, t *asm.BlockDot) {
	block := column * (w.Cols / Q8Block)
	t.Blocks = w.Cols / w.Type.BlockLen()
	t.Q, t.Scales = &x.Q[column*w.Cols], &x.Scales[block]
	t.Starts, t.BlockSums, t.Sums = &x.Starts[block], &x.BlockSums[block], &x.Sums[2*block]
	t.Ahead = len(t.Rows) * w.RowBytes
	for r := from; r < to; r += len(t.Rows) {
		for i := range t.Rows {
			t.Rows[i] = &w.Data[min(r+i, to-1)*w.RowBytes] // the last row stands in for those beyond it
		}
		if r+len(t.Rows) >= to {
			t.Ahead = 0
		}
		k.dot(t)
		copy(dst[r:to], t.Out[:])
	}
	*t = asm.BlockDot{}
}
