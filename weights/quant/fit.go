package quant

import (
	"encoding/binary"
	"math"
)

// Encoding is a search for the scales (and offsets) that leave the least squared error once every value takes its
// nearest code. Given the codes, the best scale is a least-squares solution; given the scale, the best codes are
// rounded quotients. A fit tries some scales near the one that maps the largest value to the largest code, solves for
// the best scale with the codes of each, and alternates the two steps from the best of them.
//
// The arithmetic is float64, so that sums of squares of float32 values neither overflow nor underflow, and the error of
// a candidate follows from a few sums without visible cancellation.
//
// The formats of 32 values but IQ4_NL minimize the plain squared error. Where ggml weighs the error of a value by a
// function of its magnitude (Q2_K … Q6_K, IQ4_NL, IQ4_XS), so do we, with a constant added, such that for weight matrices
// both the plain error and ggml's measure come out below ggml's.

const (
	maxHalf  = 65504.0         // the largest finite float16
	tinyHalf = 1.0 / (1 << 24) // the smallest positive float16

	// negligible values are nearer to zero than to any code with a nonzero scale.
	negligible = tinyHalf / 2
)

// halfOf returns the float16 nearest to v, as a number. Magnitudes beyond the largest finite one become that one.
func halfOf(v float64) float64 {
	return float64(F16ToF32(F32ToF16(float32(max(-maxHalf, min(maxHalf, v))))))
}

// scaleOf is halfOf for a scale: only zero becomes zero, and smaller magnitudes than the smallest one become that one.
func scaleOf(v float64) float64 {
	if h := halfOf(v); h != 0 || v == 0 {
		return h
	}
	return math.Copysign(tinyHalf, v)
}

// nextScale returns the float16 next to d that is farther from zero. Among the subnormal numbers, where neighbours may
// differ by half, a scale that was rounded down may clip so much that the next one serves better.
func nextScale(d float64) float64 { return float64(F16ToF32(F32ToF16(float32(d)) + 1)) }

// isCoarse reports whether d is a subnormal float16, but not zero.
func isCoarse(d float64) bool { return math.Abs(d) < 1.0/(1<<14) && d != 0 }

// scaleAbove returns the smallest float16 not below v, for 0 < v <= 65504.
func scaleAbove(v float64) float64 {
	bits := F32ToF16(float32(v))
	if float64(F16ToF32(bits)) < v {
		bits++ // the next larger one, for positive numbers
	}
	return float64(F16ToF32(bits))
}

// halfBelow returns the largest float16 not above v, for -65504 <= v <= 65504.
func halfBelow(v float64) float64 {
	if h := halfOf(v); h <= v {
		return h
	}
	if v < 0 {
		return -scaleAbove(-v)
	}
	return float64(F16ToF32(F32ToF16(float32(v)) - 1)) // v is positive and was rounded up
}

// putHalf stores a number that is a float16 already.
func putHalf(b []byte, v float64) { binary.LittleEndian.PutUint16(b, F32ToF16(float32(v))) }

// inverse returns 1/v, or 0 for 0, so that a scale of zero gives every value the code zero.
func inverse(v float64) float64 {
	if v == 0 {
		return 0
	}
	return 1 / v
}

// nearest rounds to the nearest integer, ties to even, and clamps to low … high, like the loops of project. The
// conversion keeps a product in the argument from being fused with the addition.
func nearest(v float64, low, high int) int {
	return min(max(int(float64(v)+roundMagic-roundMagic), low), high)
}

func widen(dst []float64, src []float32) {
	src = src[:len(dst)]
	for i := range dst {
		dst[i] = float64(src[i])
	}
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

// extremes returns the smallest and the largest value. It compares integers in the order of the numbers: that compiles
// to conditional moves, where a comparison of floats is a branch that goes wrong at each new record.
func extremes(x []float64) (low, high float64) {
	least, most := orderOf(x[0]), orderOf(x[0])
	for _, v := range x[1:] {
		o := orderOf(v)
		least, most = min(least, o), max(most, o)
	}
	return numberOf(least), numberOf(most)
}

// orderOf maps numbers to integers of the same order.
func orderOf(v float64) int64 {
	i := int64(math.Float64bits(v))
	return i ^ int64(uint64(i>>63)>>1)
}

// numberOf is the inverse of orderOf.
func numberOf(i int64) float64 {
	return math.Float64frombits(uint64(i ^ int64(uint64(i>>63)>>1)))
}

// peak returns the value of largest magnitude.
func peak(x []float64) float64 {
	low, high := extremes(x)
	if -low > high {
		return low
	}
	return high
}

// weights holds a super-block of samples.
type weights struct{ x, w, wx [superBlock]float64 }

// load sets the values.
func (s *weights) load(x []float32) { widen(s.x[:len(x)], x) }

// bySquare weighs the first n values by the square of their magnitude plus base times the mean square.
func (s *weights) bySquare(n int, base float64) sample {
	total := 0.0
	for i, v := range s.x[:n] {
		s.w[i] = float64(v * v)
		total += s.w[i]
	}
	return s.raise(n, base*total/float64(n))
}

// byMagnitude weighs the first n values by their magnitude plus base times the mean magnitude.
func (s *weights) byMagnitude(n int, base float64) sample {
	total := 0.0
	for i, v := range s.x[:n] {
		s.w[i] = math.Abs(v)
		total += s.w[i]
	}
	return s.raise(n, base*total/float64(n))
}

func (s *weights) raise(n int, base float64) sample {
	for i := range n {
		s.w[i] += base
		s.wx[i] = float64(s.w[i] * s.x[i])
	}
	return sample{s.x[:n], s.w[:n], s.wx[:n]}
}
