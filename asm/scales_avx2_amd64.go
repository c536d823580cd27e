//go:build !purego

package asm

// HalvesAVX2 collects binary16 numbers that lie stride bytes apart, and flips bits of the results:
//
//	for i := range n {
//		dst[i] = math.Float32frombits(math.Float32bits(quant.F16ToF32(src[stride*i:])) ^ flip)
//	}
//
//go:noescape
func HalvesAVX2(dst *float32, src *byte, stride, n int, flip uint32)

// ScalesK4AVX2 collects the scales and minimums of blocks of Q4_K or Q5_K, stride bytes each, multiplied by d and dmin:
//
//	for b := range blocks {
//		for g := range 8 {
//			scales[8*b+g] = d(b) * float32(scale(b, g))
//			mins[8*b+g] = dmin(b) * float32(minimum(b, g))
//		}
//	}
//
//go:noescape
func ScalesK4AVX2(scales, mins *float32, src *byte, stride, blocks int)

// FactorsAVX2 widens the sixteen scales of a super-block for [GemmFactorsAVX2]:
//
//	for i := range 16 {
//		s := uint32(uint16(scales[i]))
//		factors[i] = s | s<<16
//	}
//	for g := range 8 {
//		zeros[g] = uint32(uint16(-zero*scales[2*g])) | uint32(uint16(-zero*scales[2*g+1]))<<16
//	}
//
//go:noescape
func FactorsAVX2(factors, zeros *uint32, scales *int8, zero int)

// FactorsQ2_KAVX2 widens the scales and minimums of a super-block of Q2_K, the lower and the upper halves of sixteen
// bytes:
//
//	for i := range 16 {
//		s := uint32(src[i] & 15)
//		factors[i] = s | s<<16
//	}
//	for g := range 8 {
//		minFactors[g] = uint32(src[2*g]>>4) | uint32(src[2*g+1]>>4)<<16
//	}
//
//go:noescape
func FactorsQ2_KAVX2(factors, minFactors *uint32, src *byte)
