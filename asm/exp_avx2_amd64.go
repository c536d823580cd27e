//go:build !purego

package asm

// The exponential is 2ⁿ·e^r with r in ±ln(2)/2 and a polynomial for e^r: within 1 unit in the last place. Below
// −87.3365, where results would not be normal numbers any more, it is 0; above 88.7228 it is +Inf. NaN stays NaN.

// SoftmaxAVX2 replaces n values, a multiple of 16 and at least that many, by exponentials, and adds these up:
//
//	m = max(most, scale*x[0], scale*x[1], …)
//	for i := range n {
//		x[i] = exp(scale*x[i] - m)
//		sum += x[i]
//	}
//
//go:noescape
func SoftmaxAVX2(x *float32, n int, scale, most float32) (m, sum float32)

// SoftcapAVX2 bounds values:
//
//	for i := range n {
//		x[i] = limit * tanh(x[i]/limit)
//	}
//
//go:noescape
func SoftcapAVX2(x *float32, n int, limit float32)

// SwiGLUAVX2 is
//
//	for i := range n {
//		dst[i] = gate[i] / (1 + exp(-gate[i])) * up[i]
//	}
//
//go:noescape
func SwiGLUAVX2(dst, gate, up *float32, n int)

// GeGLUAVX2 is the form of GELU with a hyperbolic tangent, of which (1 + tanh u)/2 is a logistic function:
//
//	for i := range n {
//		u := √(2/π) * (gate[i] + 0.044715*gate[i]*gate[i]*gate[i])
//		dst[i] = gate[i] / (1 + exp(-2*u)) * up[i]
//	}
//
//go:noescape
func GeGLUAVX2(dst, gate, up *float32, n int)
