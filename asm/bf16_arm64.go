//go:build !purego

package asm

// BF16RowDots is the product of rows of bfloat16 with one or four columns:
//
//	for c := range columns {
//		for r := range Count {
//			var lanes [16]float32
//			for b := range Blocks {
//				for j := range lanes {
//					lanes[j] = fma(row_r[32*b+2*j+1], x_c[32*b+2*j+1], lanes[j])
//					lanes[j] = fma(row_r[32*b+2*j], x_c[32*b+2*j], lanes[j])
//				}
//			}
//			for n := 8; n > 0; n /= 2 {
//				for j := range n {
//					lanes[j] += lanes[j+n]
//				}
//			}
//			Out[c][r] = lanes[0]
//		}
//	}
//
// Products of two bfloat16 are exact in float32, so that it makes no difference whether they are rounded before they are
// added. X has the columns as [SplitBF16NEON] leaves them. Row j begins RowBytes·j behind Rows.
type BF16RowDots struct {
	Rows     *byte
	RowBytes int
	Count    int
	Blocks   int // of 32 values in a row, at least 1
	X        [4]*float32
	Out      [4]*float32
}

// DotBF16x1NEON takes one column.
//
//go:noescape
func DotBF16x1NEON(t *BF16RowDots)

// DotBF16x4NEON takes four columns.
//
//go:noescape
func DotBF16x4NEON(t *BF16RowDots)

// DotSplitx4NEON takes four columns and rows as [SplitBF16NEON] leaves them.
//
//go:noescape
func DotSplitx4NEON(t *BF16RowDots)

// SplitBF16NEON converts blocks of 32 bfloat16 numbers, four odd ones and four even ones in turn, those of the blocks'
// first quarters before those of the second, and so on:
//
//	for b := range n {
//		for q := range 4 {
//			for j := range 4 {
//				dst[8*(q*n+b)+j], dst[8*(q*n+b)+4+j] = src[32*b+8*q+2*j+1], src[32*b+8*q+2*j]
//			}
//		}
//	}
//
//go:noescape
func SplitBF16NEON(dst *float32, src *byte, n int)
