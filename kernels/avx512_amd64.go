//go:build !purego

package kernels

import (
	"maps"
	"unsafe"

	"github.com/klauspost/cpuid/v2"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// newAVX512 is for processors with AVX-512 F, BW, DQ, VL, VNNI and VBMI: Intel since Ice Lake, AMD since Zen 4. It is the
// AVX2 implementation with products of its own for the block types that models are mostly kept in, and for BF16 where
// there are instructions for that, as there are from Zen 4 and Sapphire Rapids on.
func newAVX512() *Implementation {
	impl := *newAVX2()
	impl.Name = "avx512"
	impl.Limits = limitsAVX512
	rows := cachedRows{gemm: asm.Gemm32AVX512, widen: widen, widenKeys: widenKeysAVX2}
	impl.Scores, impl.AddValues = rows.scores, rows.addValues
	impl.Mul = maps.Clone(impl.Mul)
	for t := range dotKernels {
		impl.Mul[t] = mulAVX512
	}
	if cpuid.CPU.Supports(cpuid.AVX512BF16) {
		impl.Mul[quant.BF16] = mulBF16AVX512
	}
	impl.Convert = func(x *Activations, r, from, to int) {
		convertAVX2(x, r, from, to)
		if x.forms&FormQ8 != 0 {
			fillHalves(x, r, from/Q8Block, to/Q8Block)
		}
	}
	return &impl
}

// fillHalves makes, of blocks [first, end) of the quantized form, what kernels for halves of blocks read beside it.
func fillHalves(x *Activations, r, first, end int) {
	_, scales, sums := x.q8(r)
	at := 2 * r * len(scales)
	for h := 2 * first; h < 2*end; h++ {
		x.HalfStarts[at+h] = -128 * int32(sums[h])
		x.HalfScales[at+h] = scales[h/2]
	}
}

// dotKernel multiplies four rows as they are stored.
type dotKernel struct {
	run  func(*asm.Dot4)
	step int  // weights
	sums bool // it reads the scaled sums of blocks, not their starts
}

var dotKernels = map[quant.Type]dotKernel{
	quant.Q4_0: {asm.DotQ4_0AVX512, 128, false},
	quant.Q8_0: {asm.DotQ8_0AVX512, 128, false},
	quant.Q4_K: {asm.DotQ4_KAVX512, 256, true},
	quant.Q6_K: {asm.DotQ6_KAVX512, 256, false},
}

// dotColumns is the number of activation rows up to which rows are multiplied as they are stored; for more it pays to
// unpack them into a tile first.
const dotColumns = 4

// dotAhead is how many bytes beyond the next four rows are asked for while these are multiplied: with pages of 4 KiB,
// as files are mapped, enough for the next one's address to be translated in time.
const dotAhead = 4096

func mulAVX512(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	if columns(x, pick) == 0 || w.Cols == 0 || from >= to {
		generic.Mul[w.Type](dst, stride, w, from, to, x, pick, s)
		return
	}
	d, ok := dotKernels[w.Type]
	if !ok || w.Cols%d.step != 0 || columns(x, pick) > dotColumns {
		mulTiles(dst, stride, w, from, to, x, pick, s)
		return
	}
	for c := range columns(x, pick) {
		mulDots(d, dst[c*stride:], w, from, to, x, picked(pick, c), s)
	}
}

// mulDots multiplies weight rows by one activation row.
func mulDots(d dotKernel, dst []float32, w *Matrix, from, to int, x *Activations, column int, s *Scratch) {
	t := &s.native.dot
	block := column * w.Cols / Q8Block
	t.Steps, t.Ahead = w.Cols/d.step, len(t.Rows)*w.RowBytes+dotAhead
	t.Q, t.ColumnScales = &x.Q[column*w.Cols], &x.Scales[block]
	switch {
	case d.sums:
		t.Column = unsafe.Pointer(&x.BlockSums[block])
	case groupOf(w.Type) == groupLen:
		t.ColumnScales, t.Column = &x.HalfScales[2*block], unsafe.Pointer(&x.HalfStarts[2*block])
	default:
		t.Column = unsafe.Pointer(&x.Starts[block])
	}
	for r := from; r < to; r += len(t.Rows) {
		for i := range t.Rows {
			t.Rows[i] = &w.Data[min(r+i, to-1)*w.RowBytes] // the last row stands in for those beyond it
		}
		d.run(t)
		copy(dst[r:to], t.Out[:])
	}
	*t = asm.Dot4{}
}
