//go:build !purego

package kernels

import (
	"maps"

	"github.com/klauspost/cpuid/v2"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// newAVX512 is for processors with AVX-512 F, BW, DQ, VL, VNNI and VBMI: Intel since Ice Lake, AMD since Zen 4. It is the
// AVX2 implementation with products of its own for the block types, and for BF16 where there are instructions for that,
// as there are from Zen 4 and Sapphire Rapids on.
func newAVX512() *Implementation {
	impl := *newAVX2()
	impl.Name = "avx512"
	impl.Limits = limitsAVX512
	rows := cachedRows{
		gemm: asm.Gemm32AVX512, widen: widen, widenKeys: widenKeysAVX2, turnF32: asm.TurnF32AVX512, turnF16: asm.TurnF16AVX512,
		turnDots: &turnDotsAVX512,
		halves:   asm.GemmHalvesAVX512, halvesRows: 2,
	}
	impl.Scores, impl.AddValues, impl.WidenKeys = rows.scores, rows.addValues, rows.widenAll
	impl.Gemm = gemm{kernel: asm.Gemm32AVX512, vectors: 4, unpacked: 96, transpose: asm.TransposeAVX2, side: 8, scale: scaleAVX2}.mul
	impl.Mul = maps.Clone(impl.Mul)
	for t, k := range tileKernels {
		impl.Mul[t] = k.mul
	}
	if cpuid.CPU.Supports(cpuid.AVX512BF16) {
		impl.Mul[quant.BF16] = mulBF16AVX512
	}
	impl.Packings = packingsAVX512
	impl.Convert = func(x *Activations, r, from, to int) {
		convertAVX2(x, r, from, to)
		if x.forms&FormQ8Halves != 0 {
			fillHalves(x, r, from/Q8Block, to/Q8Block)
		}
	}
	return &impl
}

// fillHalves makes, of blocks [first, end) of the quantized form, what kernels for halves of blocks read beside it.
func fillHalves(x *Activations, r, first, end int) {
	if first >= end {
		return
	}
	block := r*(x.Cols/Q8Block) + first
	half := 2 * block
	asm.HalvesQ8AVX512(&x.HalfStarts[half], &x.HalfScales[half], &x.HalfSums[half], &x.Sums[half], &x.Scales[block], end-first)
}

// dotColumns is the number of activation rows up to which rows are multiplied as they are stored; for more it pays to
// unpack them into a tile first.
const dotColumns = 4

// dotAhead is how many bytes beyond the next four rows are asked for while these are multiplied: with pages of 4 KiB,
// as files are mapped, enough for the next one's address to be translated in time.
const dotAhead = 4096

// mul is the MulFunc of the type.
func (k *tileKernel) mul(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	switch {
	case n == 0 || w.Cols == 0 || from >= to:
		generic.Mul[w.Type](dst, stride, w, from, to, x, pick, s)
	case n > dotColumns:
		k.mulTiles(dst, stride, w, from, to, x, pick, s)
	default:
		for c := range n {
			k.dotRows(dst[c*stride:], w, from, to, x, picked(pick, c), s)
		}
	}
}

// dotRows multiplies weight rows by one activation row. Where a row's last step is not a whole one, what is left of it
// after whole chunks is multiplied in a copy that is filled up with zeros.
func (k *tileKernel) dotRows(dst []float32, w *Matrix, from, to int, x *Activations, column int, s *Scratch) {
	t, whole := &s.native.dot, w.Cols
	if w.Cols%k.step != 0 {
		whole = w.Cols / asm.Dot4Chunk * asm.Dot4Chunk
		s.native.takeEnd(k, x, column, whole)
	}
	k.describe(t, w, x, column, whole)
	for r := from; r < to; r += len(t.Rows) {
		t.Out = [4]float32{}
		if whole > 0 {
			for i := range t.Rows {
				t.Rows[i] = &w.Data[min(r+i, to-1)*w.RowBytes] // the last row stands in for those beyond it
			}
			k.dot(t)
		}
		if whole < w.Cols {
			s.native.end.dot(k, w, r, to, whole, t)
			k.describe(t, w, x, column, whole)
		}
		copy(dst[r:to], t.Out[:])
	}
	*t = asm.Dot4{}
}

// describe fills in what is the same for all rows, of which whole weights are multiplied as they are stored.
func (k *tileKernel) describe(t *asm.Dot4, w *Matrix, x *Activations, column, whole int) {
	t.Steps, t.Ahead = whole/k.step, len(t.Rows)*w.RowBytes+dotAhead
	t.Q = &x.Q[column*w.Cols]
	t.ColumnScales, t.Column = k.dotColumn(x, column*w.Cols)
}

var turnDotsAVX512 = [maxTurnDots + 1]*turnDots{
	1: {asm.TurnDotHalvesF32x1AVX512, asm.TurnDotHalvesF16x1AVX512, asm.TurnDotPairsF32x1AVX512, asm.TurnDotPairsF16x1AVX512},
	2: {asm.TurnDotHalvesF32x2AVX512, asm.TurnDotHalvesF16x2AVX512, asm.TurnDotPairsF32x2AVX512, asm.TurnDotPairsF16x2AVX512},
	4: {asm.TurnDotHalvesF32x4AVX512, asm.TurnDotHalvesF16x4AVX512, asm.TurnDotPairsF32x4AVX512, asm.TurnDotPairsF16x4AVX512},
}
