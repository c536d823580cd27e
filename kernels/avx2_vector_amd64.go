//go:build !purego

package kernels

import (
	"math"

	"github.com/mneme-lm/mneme/asm"
)

// The wrappers hold slices to the lengths that the kernels take, and spare them empty ones.

func dotAVX2(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	return asm.DotAVX2(&a[0], &b[:len(a)][0], len(a))
}

func axpyAVX2(alpha float32, x, y []float32) {
	if len(x) > 0 {
		asm.AxpyAVX2(alpha, &x[0], &y[:len(x)][0], len(x))
	}
}

func rmsNormAVX2(dst, x, w []float32, eps float32) {
	n := len(x)
	if n == 0 {
		return
	}
	mean := asm.SquaresAVX2(&x[0], n) / float64(n)
	scale := float32(1 / math.Sqrt(mean+float64(eps)))
	scaleAVX2(dst, x, w, scale)
}

func scaleAVX2(dst, x, w []float32, by float32) {
	if n := len(x); n > 0 {
		asm.ScaleAVX2(&dst[:n][0], &x[0], &w[:n][0], n, by)
	}
}

func softmaxAVX2(x []float32, scale, most float32) (m, sum float32) {
	if len(x) == 0 {
		return most, 0
	}
	return asm.SoftmaxAVX2(&x[0], len(x)/KeyGroup*KeyGroup, scale, most)
}

func softcapAVX2(x []float32, limit float32) {
	if len(x) > 0 {
		asm.SoftcapAVX2(&x[0], len(x), limit)
	}
}

func swiGLUAVX2(dst, gate, up []float32) {
	if n := len(gate); n > 0 {
		asm.SwiGLUAVX2(&dst[:n][0], &gate[0], &up[:n][0], n)
	}
}

func geGLUAVX2(dst, gate, up []float32) {
	if n := len(gate); n > 0 {
		asm.GeGLUAVX2(&dst[:n][0], &gate[0], &up[:n][0], n)
	}
}

func ropeHalvesAVX2(x, cos, sin []float32) {
	if n := len(cos); n > 0 {
		asm.RopeHalvesAVX2(&x[:2*n][0], &cos[0], &sin[:n][0], n)
	}
}

func ropePairsAVX2(x, cos, sin []float32) {
	if n := len(cos); n > 0 {
		asm.RopePairsAVX2(&x[:2*n][0], &cos[0], &sin[:n][0], n)
	}
}
