//go:build !purego

package asm

// What the kernels here do is of no use but to find out how fast a processor can do it.

// XorAVX512 sets lanes to the exclusive or of n bytes, a multiple of 512, taken as 64-bit words:
//
//	for i := range n / 8 {
//		lanes[i%8] ^= words[i]
//	}
//
// It prefetches beyond them, but does not read there.
//
//go:noescape
func XorAVX512(lanes *[8]uint64, p *byte, n int)

// XorAVX2 is the same for four lanes and a multiple of 256 bytes.
//
//go:noescape
func XorAVX2(lanes *[4]uint64, p *byte, n int)

// The multiply-adds that the kernels below do in a round.
const (
	MulAddsAVX512 = 24 * 16
	Dot8sAVX512   = 24 * 64
	MulAddsAVX2   = 12 * 8
	Dot8sAVX2     = 6 * 8 * 32
)

// MulAddAVX512 does independent multiply-adds in registers:
//
//	for range rounds {
//		for i := range MulAddsAVX512 {
//			lanes[i%16] = fma(0.5, 0.25, lanes[i%16])
//		}
//	}
//
// rounds ≥ 1. Each of 24 sums of 16 lanes is kept on its own until the end.
//
//go:noescape
func MulAddAVX512(lanes *[16]float32, rounds int)

// Dot8AVX512 does the same with 8-bit integers, four products for a lane at a time (VPDPBUSD):
//
//	for range rounds {
//		for i := range Dot8sAVX512 {
//			lanes[i/4%16] += int32(uint8(3)) * int32(int8(5))
//		}
//	}
//
//go:noescape
func Dot8AVX512(lanes *[16]int32, rounds int)

// MulAddAVX2 does MulAddsAVX2 multiply-adds in a round, in 12 sums of eight lanes.
//
//go:noescape
func MulAddAVX2(lanes *[8]float32, rounds int)

// Dot8AVX2 does Dot8sAVX2 in a round, in 6 sums of eight lanes, as products with 4-bit codes can: eight pairs of
// products are added up in 16 bits (VPMADDUBSW, VPADDW) before they are widened (VPMADDWD).
//
//go:noescape
func Dot8AVX2(lanes *[8]int32, rounds int)
