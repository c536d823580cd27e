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
// All kernels add up in this order, whatever the type of the rows and however many rows and columns there are. Those of
// Q8_0 prefetch beyond the rows.
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

// DotBF16x1AVX2 takes rows of bfloat16 and one column. N must be a multiple of 8.
//
//go:noescape
func DotBF16x1AVX2(t *RowsDot)

// DotBF16x2AVX2 takes rows of bfloat16 and two columns. N must be a multiple of 8.
//
//go:noescape
func DotBF16x2AVX2(t *RowsDot)

// DotQ8_0x1AVX2 takes rows of Q8_0 and one column of floats. N must be a multiple of 32.
//
//go:noescape
func DotQ8_0x1AVX2(t *RowsDot)

// DotQ8_0x2AVX2 takes rows of Q8_0 and two columns of floats. N must be a multiple of 32.
//
//go:noescape
func DotQ8_0x2AVX2(t *RowsDot)

// RowsAdd adds stored rows, weighted, to up to three outputs:
//
//	for c := range outputs {
//		for i := range N {
//			for r := range Count {
//				Out[c][i] = fma(W[c][r], Rows[r][i], Out[c][i])
//			}
//		}
//	}
type RowsAdd struct {
	Rows      *byte
	RowStride int // in bytes
	Count     int // at least 1
	N         int // values in a row
	W         [3]*float32
	Out       [3]*float32
}

// AddF32x1AVX2 takes rows of float32 and one output.
//
//go:noescape
func AddF32x1AVX2(t *RowsAdd)

// AddF32x2AVX2 takes rows of float32 and two outputs.
//
//go:noescape
func AddF32x2AVX2(t *RowsAdd)

// AddF32x3AVX2 takes rows of float32 and three outputs.
//
//go:noescape
func AddF32x3AVX2(t *RowsAdd)

// AddF16x1AVX2 takes rows of binary16 and one output. N must be a multiple of 8.
//
//go:noescape
func AddF16x1AVX2(t *RowsAdd)

// AddF16x2AVX2 takes rows of binary16 and two outputs. N must be a multiple of 8.
//
//go:noescape
func AddF16x2AVX2(t *RowsAdd)

// AddQ8_0x1AVX2 takes rows of Q8_0 and one output. N must be a multiple of 32.
//
//go:noescape
func AddQ8_0x1AVX2(t *RowsAdd)

// AddQ8_0x2AVX2 takes rows of Q8_0 and two outputs. N must be a multiple of 32.
//
//go:noescape
func AddQ8_0x2AVX2(t *RowsAdd)
