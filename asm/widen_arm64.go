//go:build !purego

package asm

// WidenF16NEON converts n float16 values, a multiple of 8:
//
//	for i := range n {
//		dst[i] = float32(src[i])
//	}
//
//go:noescape
func WidenF16NEON(dst *float32, src *byte, n int)

// WidenQ8_0NEON converts blocks of 32 values, each a float16 scale and 32 bytes:
//
//	for b := range blocks {
//		for i := range 32 {
//			dst[32*b+i] = src[b].scale * float32(src[b].q[i])
//		}
//	}
//
//go:noescape
func WidenQ8_0NEON(dst *float32, src *byte, blocks int)

// WidenKeysQ8_0NEON decodes blocks of 32 dimensions of sixteen interleaved keys:
//
//	for b := range blocks {
//		for i := range 32 {
//			for lane := range 16 {
//				dst[512*b+16*i+lane] = float32(src[b].scales[lane]) * float32(src[b].q[i][lane])
//			}
//		}
//	}
//
//go:noescape
func WidenKeysQ8_0NEON(dst *float32, src *byte, blocks int)
