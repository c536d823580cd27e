//go:build !purego

package asm

// TransposeNEON makes columns of four rows, of 4·n values:
//
//	for c := range 4 * n {
//		for r := range 4 {
//			dst[dstStride/4*c+r] = src[srcStride/4*r+c]
//		}
//	}
//
//go:noescape
func TransposeNEON(dst *float32, dstStride int, src *float32, srcStride, n int)
