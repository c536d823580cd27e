//go:build !purego

package asm

// RowDots is the inner products of stored rows with one or four vectors:
//
//	for g := range vectors {
//		for j := range Count {
//			var sums [4]float32
//			for i := range Dim &^ 3 {
//				sums[i%4] = fma(row_j[i], Q[g][i], sums[i%4])
//			}
//			for i := Dim &^ 3; i < Dim; i++ {
//				sums[0] = fma(row_j[i], Q[g][i], sums[0])
//			}
//			Out[g][j] = (sums[0] + sums[1]) + (sums[2] + sums[3])
//		}
//	}
//
// Row j begins RowBytes·j behind Rows.
type RowDots struct {
	Rows     *byte
	RowBytes int
	Count    int
	Dim      int
	Q        [4]*float32
	Out      [4]*float32
}

// DotRowsF32x4NEON is for rows of float32 and four vectors.
//
//go:noescape
func DotRowsF32x4NEON(t *RowDots)

// DotRowsF32x1NEON is for rows of float32 and one vector.
//
//go:noescape
func DotRowsF32x1NEON(t *RowDots)

// DotRowsF16x4NEON is for rows of float16 and four vectors.
//
//go:noescape
func DotRowsF16x4NEON(t *RowDots)

// DotRowsF16x1NEON is for rows of float16 and one vector.
//
//go:noescape
func DotRowsF16x1NEON(t *RowDots)
