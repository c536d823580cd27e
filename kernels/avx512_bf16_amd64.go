//go:build !purego

package kernels

import "github.com/mneme-lm/mneme/asm"

// mulBF16AVX512 is for processors with AVX512_BF16.
func mulBF16AVX512(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	if w.Cols == 0 || n == 0 || from >= to {
		mulBF16(dst, stride, w, from, to, x, pick, s)
		return
	}
	p := &s.native.bf16Columns
	*p = asm.BF16Columns{Rows: &w.Data[from*w.RowBytes], RowStride: w.RowBytes, Count: to - from, N: w.Cols}
	for c := 0; c < n; {
		some, run := 1, asm.DotBF16x1AVX512
		if n-c >= 4 {
			some, run = 4, asm.DotBF16x4AVX512
		} else if n-c >= 2 {
			some, run = 2, asm.DotBF16x2AVX512
		}
		for i := range some {
			p.X[i], p.Dst[i] = &x.bf16(picked(pick, c+i))[0], &dst[(c+i)*stride+from]
		}
		run(p)
		c += some
	}
	*p = asm.BF16Columns{}
}
