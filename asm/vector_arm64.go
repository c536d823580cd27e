//go:build !purego

package asm

// DotNEON returns the inner product:
//
//	for i := range a {
//		sum += a[i] * b[i]
//	}
//
//go:noescape
func DotNEON(a, b []float32) (sum float32)

// AxpyNEON adds a multiple of x to y:
//
//	for i := range x {
//		y[i] += alpha * x[i]
//	}
//
//go:noescape
func AxpyNEON(alpha float32, x, y []float32)

// SumSquaresNEON returns the inner product of x with itself:
//
//	for i := range x {
//		sum += float64(x[i]) * float64(x[i])
//	}
//
//go:noescape
func SumSquaresNEON(x []float32) (sum float64)

// ScaleNEON multiplies by a number and a vector:
//
//	for i := range x {
//		dst[i] = w[i] * (x[i] * scale)
//	}
//
//go:noescape
func ScaleNEON(dst, x, w []float32, scale float32)

// RopeHalvesNEON rotates pairs that lie n = len(cos) apart:
//
//	for i := range cos {
//		a, b := x[i], x[i+n]
//		x[i], x[i+n] = a*cos[i]-b*sin[i], a*sin[i]+b*cos[i]
//	}
//
//go:noescape
func RopeHalvesNEON(x, cos, sin []float32)

// RopePairsNEON rotates neighbours:
//
//	for i := range cos {
//		a, b := x[2*i], x[2*i+1]
//		x[2*i], x[2*i+1] = a*cos[i]-b*sin[i], a*sin[i]+b*cos[i]
//	}
//
//go:noescape
func RopePairsNEON(x, cos, sin []float32)
