//go:build !purego

package asm

// Q8Row describes a row of values that becomes one of 8-bit integers in blocks of 32.
type Q8Row struct {
	Float  *float32
	Blocks int
	Q      *int8    // [blocks, 32]
	Scales *float32 // [blocks]: the largest magnitude of a block over 127
	Sums   *int16   // [blocks, 2]: sums of 16 neighbours in Q
	// For kernels whose weights have a minimum, or a scale for each 16 of them:
	BlockSums  *float32 // [blocks]: the scale times the sum of the block
	HalfSums   *float32 // [blocks, 2]: the scale times each sum
	HalfScales *float32 // [blocks, 2]: the scale, twice
}

// QuantizeQ8NEON rounds each block to the nearest multiples of its scale, ties to even:
//
//	for b := range Blocks {
//		most := max over k of abs(Float[32*b+k]) // NaN if one is
//		inverse := most > 127*0x1p-128 ? 127 / most : 0
//		Scales[b] = most / 127
//		for k := range 32 {
//			Q[32*b+k] = int8(roundToEven(Float[32*b+k] * inverse)) // 0 if that is a NaN
//			Sums[2*b+k/16] += int16(Q[32*b+k])
//		}
//	}
//
//go:noescape
func QuantizeQ8NEON(r *Q8Row)

// RoundBF16NEON rounds n values, a multiple of 8, to the nearest bfloat16, ties to even. NaNs keep the upper bits of
// their payload, or get the highest bit of it if those are zero.
//
//	for i := range n {
//		dst[i] = bfloat16(x[i])
//	}
//
//go:noescape
func RoundBF16NEON(dst *uint16, x *float32, n int)
