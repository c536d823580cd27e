//go:build !purego

package asm

// TransposeAVX2 makes columns of eight rows, of 8·n values:
//
//	for c := range 8 * n {
//		for r := range 8 {
//			dst[dstStride/4*c+r] = src[srcStride/4*r+c]
//		}
//	}
//
//go:noescape
func TransposeAVX2(dst *float32, dstStride int, src *float32, srcStride, n int)
