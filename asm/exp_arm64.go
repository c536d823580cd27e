//go:build !purego

package asm

// The kernels of this file work on whole vectors of four; what is left over passes through a vector of its own.

// ExpSumNEON replaces each value by its exponential and returns the sum:
//
//	for i := range x {
//		x[i] = exp(x[i] - shift)
//		sum += x[i]
//	}
func ExpSumNEON(x []float32, shift float32) (sum float32) {
	whole := len(x) &^ 3
	if whole > 0 {
		sum = expSum4(&x[0], whole/4, shift)
	}
	if whole < len(x) {
		var rest [4]float32
		copy(rest[:], x[whole:])
		expSum4(&rest[0], 1, shift)
		copy(x[whole:], rest[:])
		for _, v := range x[whole:] {
			sum += v
		}
	}
	return sum
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

// expSum4 is ExpSumNEON for n vectors of four.
//
//go:noescape
func expSum4(x *float32, n int, shift float32) (sum float32)

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
