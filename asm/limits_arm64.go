//go:build !purego

package asm

// What the kernels here do is of no use but to find out how fast a processor can do it.

// XorNEON sets lanes to the exclusive or of n bytes, a multiple of 128, taken as 64-bit words:
//
//	for i := range n / 8 {
//		lanes[i%2] ^= words[i]
//	}
//
// It prefetches beyond them, but does not read there.
//
//go:noescape
func XorNEON(lanes *[2]uint64, p *byte, n int)

// The multiply-adds that the kernels below do in a round.
const (
	MulAddsNEON  = 24 * 4
	Dot8sNEON    = 12 * 16 * 8
	Dot8sDotProd = 24 * 16
	Dot8sI8MM    = 24 * 32
)

// MulAddNEON does independent multiply-adds in registers:
//
//	for range rounds {
//		for i := range MulAddsNEON {
//			lanes[i%4] = fma(0.5, 0.25, lanes[i%4])
//		}
//	}
//
// rounds ≥ 1. Each of 24 sums of four lanes is kept on its own until the end.
//
//go:noescape
func MulAddNEON(lanes *[4]float32, rounds int)

// Dot8NEON does the same with 8-bit integers, in 12 sums, as products with 4-bit codes can: sixteen products are added
// up in 16 bits (SMULL, SMLAL) before they are widened (SADALP).
//
//	for range rounds {
//		for i := range Dot8sNEON {
//			lanes[i/2%4] += int32(int8(3)) * int32(int8(5))
//		}
//	}
//
//go:noescape
func Dot8NEON(lanes *[4]int32, rounds int)

// Dot8DotProd does Dot8sDotProd in a round, in 24 sums, four products for a lane at a time (SDOT).
//
//go:noescape
func Dot8DotProd(lanes *[4]int32, rounds int)

// Dot8I8MM does Dot8sI8MM in a round, in 24 sums, eight products for a lane at a time (SMMLA).
//
//go:noescape
func Dot8I8MM(lanes *[4]int32, rounds int)
