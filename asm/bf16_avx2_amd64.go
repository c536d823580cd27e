//go:build !purego

package asm

// BF16Dots is the product of rows of bfloat16 with up to three columns:
//
//	for c := range columns {
//		for r := range Count {
//			var lanes [16]float32
//			for b := range Blocks {
//				for j := range lanes {
//					lanes[j] = fma(Rows[r][32*b+2*j+1], x[c][32*b+2*j+1], lanes[j])
//					lanes[j] = fma(Rows[r][32*b+2*j], x[c][32*b+2*j], lanes[j])
//				}
//			}
//			for n := 8; n > 0; n /= 2 {
//				for j := range n {
//					lanes[j] += lanes[j+n]
//				}
//			}
//			Dst[c][r] = lanes[0]
//		}
//	}
//
// This is what VDPBF16PS does: products of two bfloat16 are exact in float32, so that it makes no difference whether
// they are rounded before they are added. X has the columns as [SplitBF16AVX2] leaves them.
type BF16Dots struct {
	Rows      *byte
	RowStride int // in bytes
	Count     int // at least 1
	Blocks    int // of 32 values in a row, at least 1
	X         [3]*float32
	Dst       [3]*float32
}

// DotBF16x1AVX2 takes one column.
//
//go:noescape
func DotBF16x1AVX2(t *BF16Dots)

// DotBF16x2AVX2 takes two columns.
//
//go:noescape
func DotBF16x2AVX2(t *BF16Dots)

// DotBF16x3AVX2 takes three columns.
//
//go:noescape
func DotBF16x3AVX2(t *BF16Dots)

// SplitBF16AVX2 converts blocks of 32 bfloat16 numbers, eight odd ones and eight even ones in turn, those of the blocks'
// first halves before those of the second:
//
//	for b := range n {
//		for j := range 8 {
//			dst[16*b+j], dst[16*b+8+j] = src[32*b+2*j+1], src[32*b+2*j]
//			dst[16*(n+b)+j], dst[16*(n+b)+8+j] = src[32*b+16+2*j+1], src[32*b+16+2*j]
//		}
//	}
//
//go:noescape
func SplitBF16AVX2(dst *float32, src *uint16, n int)
