//go:build !purego

package asm

// DotAVX2 returns Σ_{i<n} a[i]·b[i].
//
//go:noescape
func DotAVX2(a, b *float32, n int) float32

// AxpyAVX2 adds a multiple of x to y:
//
//	for i := range n {
//		y[i] = fma(alpha, x[i], y[i])
//	}
//
//go:noescape
func AxpyAVX2(alpha float32, x, y *float32, n int)

// SquaresAVX2 returns Σ_{i<n} float64(x[i])·float64(x[i]).
//
//go:noescape
func SquaresAVX2(x *float32, n int) float64

// ScaleAVX2 is
//
//	for i := range n {
//		dst[i] = w[i] * (x[i] * scale)
//	}
//
//go:noescape
func ScaleAVX2(dst, x, w *float32, n int, scale float32)

// RopeHalvesAVX2 rotates pairs n values apart:
//
//	for i := range n {
//		x[i], x[n+i] = x[i]*cos[i] - x[n+i]*sin[i], x[i]*sin[i] + x[n+i]*cos[i]
//	}
//
//go:noescape
func RopeHalvesAVX2(x, cos, sin *float32, n int)

// RopePairsAVX2 rotates pairs of neighbours:
//
//	for i := range n {
//		x[2*i], x[2*i+1] = x[2*i]*cos[i] - x[2*i+1]*sin[i], x[2*i]*sin[i] + x[2*i+1]*cos[i]
//	}
//
//go:noescape
func RopePairsAVX2(x, cos, sin *float32, n int)
