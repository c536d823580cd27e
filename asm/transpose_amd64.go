//go:build !purego

package asm

import "unsafe"

// TileAVX512 lays the 32-bit words of 16 rows, stride bytes apart, out as the rows of a tile of [Gemm8]: one half of
// it, to whose first row dst points. Each row has n·16 words, of which the bits of flip are flipped.
//
//	for k := range 16 * n {
//		for r := range 16 {
//			dst[32*k+r] = src[stride/4*r+k] ^ flip
//		}
//	}
func TileAVX512(dst, src unsafe.Pointer, stride, n int, flip uint32) {
	tileAVX512(dst, src, stride, n, flip)
}

//go:noescape
func tileAVX512(dst, src unsafe.Pointer, stride, n int, flip uint32)
