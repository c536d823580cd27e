//go:build !purego

package kernels

import (
	"maps"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// newAVX2 is for processors with AVX2, FMA and F16C: Intel since Haswell, AMD since Excavator.
func newAVX2() *Implementation {
	impl := generic
	impl.Name = "avx2"
	impl.Limits = limitsAVX2
	impl.Fetch = fetch
	impl.Convert = convertAVX2
	impl.Dot = dotAVX2
	impl.Axpy = axpyAVX2
	impl.Scale = scaleAVX2
	impl.RMSNorm = rmsNormAVX2
	impl.Softmax = softmaxAVX2
	impl.Softcap = softcapAVX2
	impl.SwiGLU = swiGLUAVX2
	impl.GeGLU = geGLUAVX2
	impl.RopeHalves = ropeHalvesAVX2
	impl.RopePairs = ropePairsAVX2
	rows := cachedRows{
		gemm: asm.Gemm32AVX2, widen: widen, widenKeys: widenKeysAVX2, turnF32: asm.TurnF32AVX2, turnF16: asm.TurnF16AVX2,
		turnDots: &turnDotsAVX2,
		halves:   asm.GemmHalvesAVX2, halvesRows: 1,
	}
	impl.Scores, impl.AddValues, impl.WidenKeys = rows.scores, rows.addValues, rows.widenAll
	impl.Gemm = gemm{kernel: asm.Gemm32AVX2, vectors: 1, unpacked: 32, transpose: asm.TransposeAVX2, side: 8, scale: scaleAVX2}.mul
	impl.Mul = maps.Clone(generic.Mul)
	impl.Mul[quant.BF16] = mulBF16AVX2
	for _, t := range []quant.Type{quant.F32, quant.F16} {
		impl.Mul[t] = mulFloatsAVX2
	}
	for t, k := range blockKernels {
		impl.Mul[t] = k.mul
	}
	return &impl
}

// convertAVX2 makes the forms that x has room for, and what block kernels read beside the quantized one.
func convertAVX2(x *Activations, r, from, to int) {
	row := x.Row(r)[from:to]
	if x.forms&FormQ8 != 0 && len(row) >= Q8Block {
		at := r*x.Cols + from
		b := r*(x.Cols/Q8Block) + from/Q8Block
		asm.QuantizeQ8AVX2(&x.Q[at], &x.Scales[b], &x.Sums[r*(x.Cols/groupLen)+from/groupLen], &x.Starts[b], &x.BlockSums[b], &row[0], len(row)/Q8Block)
	}
	if x.forms&FormBF16 != 0 {
		roundBF16(x.bf16(r)[from:to], row)
	}
}

func roundBF16(dst []uint16, x []float32) {
	whole := len(x) &^ 7
	if whole > 0 {
		asm.RoundBF16AVX2(&dst[0], &x[0], whole/8)
	}
	for i := whole; i < len(x); i++ {
		dst[i] = quant.F32ToBF16(x[i])
	}
}

var turnDotsAVX2 = [maxTurnDots + 1]*turnDots{
	1: {asm.TurnDotHalvesF32x1AVX2, asm.TurnDotHalvesF16x1AVX2, asm.TurnDotPairsF32x1AVX2, asm.TurnDotPairsF16x1AVX2},
}
