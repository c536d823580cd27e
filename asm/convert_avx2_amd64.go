//go:build !purego

package asm

// QuantizeQ8AVX2 rounds blocks of 32 values to 8 bits:
//
//	for b := range blocks {
//		most := max_i |x[32*b+i]| // NaN if one is
//		scales[b] = most / 127
//		inverse := 127 / most // 0 if most is 0 or not a number
//		for i := range 32 {
//			q[32*b+i] = int8(round to even(x[32*b+i] * inverse)) // 0 if that is not a finite number
//		}
//		sums[2*b], sums[2*b+1] = Σ_{i<16} q[32*b+i], Σ_{i≥16} q[32*b+i]
//		starts[b] = -128 * Σ_i q[32*b+i]
//		blockSums[b] = scales[b] * float32(Σ_i q[32*b+i])
//	}
//
//go:noescape
func QuantizeQ8AVX2(q *int8, scales *float32, sums *int16, starts *int32, blockSums *float32, x *float32, blocks int)

// RoundBF16AVX2 rounds 8·n values to bfloat16, ties to even; a NaN keeps the upper part of its payload, or becomes
// quiet if that is zero.
//
//	for i := range 8 * n {
//		dst[i] = quant.F32ToBF16(x[i])
//	}
//
//go:noescape
func RoundBF16AVX2(dst *uint16, x *float32, n int)

// WidenF16AVX2 converts 8·n binary16 numbers:
//
//	for i := range 8 * n {
//		dst[i] = quant.F16ToF32(src[2*i:])
//	}
//
//go:noescape
func WidenF16AVX2(dst *float32, src *byte, n int)

// WidenQ8_0AVX2 decodes n blocks of Q8_0:
//
//	for b := range n {
//		for i := range 32 {
//			dst[32*b+i] = quant.F16ToF32(src[34*b:]) * float32(int8(src[34*b+2+i]))
//		}
//	}
//
//go:noescape
func WidenQ8_0AVX2(dst *float32, src *byte, n int)

// WidenKeysQ8_0AVX2 decodes n blocks of 32 dimensions of sixteen interleaved keys:
//
//	for b := range n {
//		for i := range 32 {
//			for lane := range 16 {
//				dst[512*b+16*i+lane] = quant.F16ToF32(src[544*b+2*lane:]) * float32(int8(src[544*b+32+16*i+lane]))
//			}
//		}
//	}
//
//go:noescape
func WidenKeysQ8_0AVX2(dst *float32, src *byte, n int)
