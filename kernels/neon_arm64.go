//go:build !purego

package kernels

import (
	"math"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// newNEON is for all 64-bit Arm processors: what every one of them can do.
func newNEON() *Implementation {
	impl := generic
	impl.Name = "neon"
	impl.Dot = asm.DotNEON
	impl.Axpy = asm.AxpyNEON
	impl.Scale = asm.ScaleNEON
	impl.RMSNorm = rmsNormNEON
	impl.Softmax = asm.SoftmaxNEON
	impl.Softcap = asm.SoftcapNEON
	impl.SwiGLU = asm.SwiGLUNEON
	impl.GeGLU = asm.GeGLUNEON
	impl.RopeHalves = asm.RopeHalvesNEON
	impl.RopePairs = asm.RopePairsNEON
	impl.Convert = convertNEON
	rows := cachedRows{gemm: asm.Gemm32NEON, widen: widenNEON, widenKeys: widenKeysNEON, turnF32: asm.TurnF32NEON, turnF16: asm.TurnF16NEON}
	impl.Scores, impl.AddValues, impl.WidenKeys = rows.scores, rows.addValues, rows.widenAll
	impl.Gemm = gemm{kernel: asm.Gemm32NEON, vectors: 1, unpacked: 32, transpose: asm.TransposeNEON, side: 4, scale: asm.ScaleNEON}.mul
	impl.Mul = map[quant.Type]MulFunc{}
	for _, p := range floatProducts {
		impl.Mul[p.typ] = p.mul
	}
	impl.Mul[quant.BF16] = mulBF16NEON
	impl.Limits = limitsNEON
	impl.Fetch = fetch
	return impl.withBlocks(neonBlocks)
}

// newDotProd is for processors with the dot products of Armv8.2 (FEAT_DotProd): Cortex-A55 and A76, Neoverse N1, Apple M1
// and all later ones.
func newDotProd() *Implementation {
	impl := *newNEON()
	impl.Name = "dotprod"
	impl.Limits = limitsDotProd
	return impl.withBlocks(dotProdBlocks)
}

// newI8MM is for processors with the matrix products of Armv8.6 (FEAT_I8MM): Cortex-A510 and A710, Neoverse V1 and N2,
// Apple M2 and later ones. One or two columns are multiplied by dot products: there it would take as many instructions
// to bring the rows of a matrix product together as it saves.
func newI8MM() *Implementation {
	impl := *newDotProd()
	impl.Name = "i8mm"
	impl.Limits = limitsI8MM
	return impl.withBlocks(i8mmBlocks)
}

// withBlocks returns the implementation with products of block types by the given kernels.
func (impl Implementation) withBlocks(b *blockKernels) *Implementation {
	products := map[quant.Type]MulFunc{}
	for t, f := range impl.Mul {
		products[t] = f
	}
	for t := range unpackers {
		products[t] = newBlockProduct(t, b).mul
	}
	impl.Mul = products
	return &impl
}

func rmsNormNEON(dst, x, w []float32, eps float32) {
	mean := asm.SumSquaresNEON(x) / float64(len(x))
	asm.ScaleNEON(dst, x, w, float32(1/math.Sqrt(mean+float64(eps))))
}

func convertNEON(x *Activations, r, from, to int) {
	if x.forms&FormQ8 != 0 {
		quantizeNEON(x, r, from/Q8Block, to/Q8Block)
	}
	if x.forms&FormBF16 != 0 {
		row, out := x.Row(r)[from:to], x.bf16(r)[from:to]
		whole := len(row) &^ 7
		if whole > 0 {
			asm.RoundBF16NEON(&out[0], &row[0], whole)
		}
		for i := whole; i < len(row); i++ {
			out[i] = quant.F32ToBF16(row[i])
		}
	}
}

// quantizeNEON makes blocks [first, end) of a row.
func quantizeNEON(x *Activations, r, first, end int) {
	if first >= end {
		return
	}
	b := r*(x.Cols/Q8Block) + first
	h := 2 * b
	asm.QuantizeQ8NEON(&asm.Q8Row{
		Float: &x.Row(r)[first*Q8Block], Blocks: end - first,
		Q: &x.Q[r*x.Cols+first*Q8Block], Scales: &x.Scales[b], Sums: &x.Sums[h],
		BlockSums: &x.BlockSums[b], HalfSums: &x.HalfSums[h], HalfScales: &x.HalfScales[h],
	})
}
