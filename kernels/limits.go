package kernels

import "encoding/binary"

// Limits does work that is of no use but to find out how fast the processor can do it: what it reads, multiplies and
// adds with nothing else to wait for. The result tells a test that all of it was done.
type Limits struct {
	// Read returns the exclusive or of p's 64-bit little-endian words, the last of which is filled up with zeros.
	Read func(p []byte) uint64
	// MulAdd adds 1/2·1/4 to float32 sums, so often in each round that the processor is busy. It returns the number of
	// operations, two for each multiply-add, and the total of the sums, in which rounding shows beyond 2²⁴ such steps.
	MulAdd func(rounds int) (ops int, sum float32)
	// Dot8 adds products of 8-bit integers, 3·5, to 32-bit sums, which wrap.
	Dot8 func(rounds int) (ops int, sum int32)
}

var limitsGeneric = Limits{Read: readGeneric, MulAdd: mulAddGeneric, Dot8: dot8Generic}

func readGeneric(p []byte) uint64 {
	var a, b, c, d uint64
	for len(p) >= 32 {
		a ^= binary.LittleEndian.Uint64(p)
		b ^= binary.LittleEndian.Uint64(p[8:])
		c ^= binary.LittleEndian.Uint64(p[16:])
		d ^= binary.LittleEndian.Uint64(p[24:])
		p = p[32:]
	}
	a ^= b ^ c ^ d
	for len(p) >= 8 {
		a ^= binary.LittleEndian.Uint64(p)
		p = p[8:]
	}
	var last [8]byte
	copy(last[:], p)
	return a ^ binary.LittleEndian.Uint64(last[:])
}

// limitLength is the number of products in a round of the reference.
const limitLength = 256

var limitFloats = func() (x [2][limitLength]float32) {
	for i := range limitLength {
		x[0][i], x[1][i] = 0.5, 0.25
	}
	return x
}()

var limitBytes = func() (x [2][limitLength]int8) {
	for i := range limitLength {
		x[0][i], x[1][i] = 3, 5
	}
	return x
}()

func mulAddGeneric(rounds int) (ops int, sum float32) {
	for range rounds {
		sum += dotGeneric(limitFloats[0][:], limitFloats[1][:])
	}
	return 2 * limitLength * max(rounds, 0), sum
}

func dot8Generic(rounds int) (ops int, sum int32) {
	for range rounds {
		sum += dot8(limitBytes[0][:], limitBytes[1][:])
	}
	return 2 * limitLength * max(rounds, 0), sum
}

// dot8 adds up as dotQ8 does within a group.
func dot8(a, b []int8) (sum int32) {
	b = b[:len(a)]
	for i, v := range a {
		sum += int32(v) * int32(b[i])
	}
	return sum
}
