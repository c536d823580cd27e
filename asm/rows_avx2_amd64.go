//go:build !purego

package asm

// RowsDot is the product of stored rows with up to three columns of float32:
//
//	for c := range columns {
//		for r := range Count {
//			sum := Dst[c][r] // 0 if not Add
//			for each chunk of RowsDotChunk values {
//				var lanes [8]float32
//				for i in chunk {
//					lanes[i%8] = fma(Rows[r][i], X[c][i], lanes[i%8])
//				}
//				sum += ((lanes[0]+lanes[1]) + (lanes[2]+lanes[3])) + ((lanes[4]+lanes[5]) + (lanes[6]+lanes[7]))
//			}
//			Dst[c][r] = sum
//		}
//	}
//
// All kernels add up in this order, whatever the type of the rows and however many rows and columns there are.
type RowsDot struct {
	Rows      *byte
	RowStride int // in bytes
	Count     int // at least 1
	N         int // values in a row, at least 1
	X         [3]*float32
	Dst       [3]*float32
	Add       bool
}

// RowsDotChunk is the number of values that the lanes of a vector add up before they are added to the sum.
const RowsDotChunk = 512

// DotF32x1AVX2 takes rows of float32 and one column.
//
//go:noescape
func DotF32x1AVX2(t *RowsDot)

// DotF32x2AVX2 takes rows of float32 and two columns.
//
//go:noescape
func DotF32x2AVX2(t *RowsDot)

// DotF32x3AVX2 takes rows of float32 and three columns.
//
//go:noescape
func DotF32x3AVX2(t *RowsDot)

// DotF16x1AVX2 takes rows of binary16 and one column. N must be a multiple of 8.
//
//go:noescape
func DotF16x1AVX2(t *RowsDot)

// DotF16x2AVX2 takes rows of binary16 and two columns. N must be a multiple of 8.
//
//go:noescape
func DotF16x2AVX2(t *RowsDot)
