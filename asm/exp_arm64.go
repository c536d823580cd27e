//go:build !purego

package asm

// The kernels of this file work on whole vectors of four; where any number of values is taken, what is left over passes
// through a vector of its own.

// SoftmaxNEON replaces values, a multiple of 16, by exponentials, and adds these up:
//
//	m = max(most, scale*x[0], scale*x[1], …)
//	for i := range x {
//		x[i] = exp(scale*x[i] - m)
//		sum += x[i]
//	}
//
// scale*x[i] is rounded before m is taken away, so that the largest becomes 1.
func SoftmaxNEON(x []float32, scale, most float32) (m, sum float32) {
	n := len(x) / 16
	if n == 0 {
		return most, 0
	}
	return softmax16(&x[0], n, scale, most)
}

// SoftcapNEON bounds values smoothly:
//
//	for i := range x {
//		x[i] = limit * tanh(x[i]/limit)
//	}
func SoftcapNEON(x []float32, limit float32) {
	whole := len(x) &^ 3
	if whole > 0 {
		softcap4(&x[0], whole/4, limit)
	}
	if whole < len(x) {
		var rest [4]float32
		copy(rest[:], x[whole:])
		softcap4(&rest[0], 1, limit)
		copy(x[whole:], rest[:])
	}
}

// SwiGLUNEON multiplies by the SiLU of the gate:
//
//	for i := range gate {
//		dst[i] = gate[i] / (1 + exp(-gate[i])) * up[i]
//	}
func SwiGLUNEON(dst, gate, up []float32) {
	whole := len(gate) &^ 3
	if whole > 0 {
		swiGLU4(&dst[0], &gate[0], &up[0], whole/4)
	}
	if whole < len(gate) {
		var a, b [4]float32
		copy(a[:], gate[whole:])
		copy(b[:], up[whole:])
		swiGLU4(&a[0], &a[0], &b[0], 1)
		copy(dst[whole:len(gate)], a[:])
	}
}

// GeGLUNEON multiplies by the GELU of the gate, in its tanh form, of which ½(1+tanh(u)) = 1/(1+exp(−2u)):
//
//	for i, x := range gate {
//		dst[i] = x / (1 + exp(-2*sqrt(2/π)*(x+0.044715*x*x*x))) * up[i]
//	}
func GeGLUNEON(dst, gate, up []float32) {
	whole := len(gate) &^ 3
	if whole > 0 {
		geGLU4(&dst[0], &gate[0], &up[0], whole/4)
	}
	if whole < len(gate) {
		var a, b [4]float32
		copy(a[:], gate[whole:])
		copy(b[:], up[whole:])
		geGLU4(&a[0], &a[0], &b[0], 1)
		copy(dst[whole:len(gate)], a[:])
	}
}

// softmax16 is SoftmaxNEON for n groups of sixteen, at least one.
//
//go:noescape
func softmax16(x *float32, n int, scale, most float32) (m, sum float32)

// softcap4 is SoftcapNEON for n vectors of four.
//
//go:noescape
func softcap4(x *float32, n int, limit float32)

// swiGLU4 is SwiGLUNEON for n vectors of four.
//
//go:noescape
func swiGLU4(dst, gate, up *float32, n int)

// geGLU4 is GeGLUNEON for n vectors of four.
//
//go:noescape
func geGLU4(dst, gate, up *float32, n int)
