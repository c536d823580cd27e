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
