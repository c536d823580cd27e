//go:build !purego

package asm

// ScalesQ2_KAVX512 collects the scales and minimums of blocks of Q2_K, multiplied by d and dmin:
//
//	for b := range blocks {
//		for g := range 16 {
//			scales[16*b+g] = d(b) * float32(src[84*b+g]&15)
//			mins[16*b+g] = dmin(b) * float32(src[84*b+g]>>4)
//		}
//	}
//
//go:noescape
func ScalesQ2_KAVX512(scales, mins *float32, src *byte, blocks int)

// ScalesQ3_KAVX512 collects the scales of blocks of Q3_K, multiplied by d:
//
//	for b := range blocks {
//		for g := range 16 {
//			scales[16*b+g] = d(b) * float32(scale(b, g)-32)
//		}
//	}
//
//go:noescape
func ScalesQ3_KAVX512(scales *float32, src *byte, blocks int)

// ScalesQ6_KAVX512 collects the scales of blocks of Q6_K, multiplied by d:
//
//	for b := range blocks {
//		for g := range 16 {
//			scales[16*b+g] = d(b) * float32(int8(src[210*b+192+g]))
//		}
//	}
//
//go:noescape
func ScalesQ6_KAVX512(scales *float32, src *byte, blocks int)

// ScalesIQ4_XSAVX512 collects the scales of blocks of IQ4_XS, multiplied by d:
//
//	for b := range blocks {
//		for g := range 8 {
//			scales[8*b+g] = d(b) * float32(scale(b, g)-32)
//		}
//	}
//
//go:noescape
func ScalesIQ4_XSAVX512(scales *float32, src *byte, blocks int)

// HalvesQ8AVX512 makes, of the sums of halves of blocks of 32 activations and of the blocks' scales, what kernels for
// weights in groups of 16 read:
//
//	for h := range 2 * blocks {
//		starts[h] = -128 * int32(q8Sums[h])
//		scales[h] = q8Scales[h/2]
//		sums[h] = q8Scales[h/2] * float32(q8Sums[h])
//	}
//
//go:noescape
func HalvesQ8AVX512(starts *int32, scales, sums *float32, q8Sums *int16, q8Scales *float32, blocks int)
