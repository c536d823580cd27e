//go:build !purego

package asm

//go:noescape
func gemm32x6x1NEON(t *Gemm32)

//go:noescape
func gemm32x4x1NEON(t *Gemm32)

//go:noescape
func gemm32x2x1NEON(t *Gemm32)

//go:noescape
func gemm32x1x4NEON(t *Gemm32)

//go:noescape
func gemm32x1x1NEON(t *Gemm32)

// Gemm32NEON computes the product for so many rows and vectors, at least one of each.
func Gemm32NEON(t *Gemm32, rows, vectors int) {
	part := *t
	for {
		n := rowsAtATime(rows)
		part.vectorsNEON(n, vectors)
		if rows -= n; rows == 0 {
			return
		}
		part.nextRows(n)
	}
}

// vectorsNEON computes the product of 6, 4 or 2 rows, or one, with all vectors.
func (t *Gemm32) vectorsNEON(rows, vectors int) {
	part := *t
	for {
		n := 1
		switch {
		case rows == 6:
			gemm32x6x1NEON(&part)
		case rows == 4:
			gemm32x4x1NEON(&part)
		case rows == 2:
			gemm32x2x1NEON(&part)
		case vectors >= 4:
			gemm32x1x4NEON(&part)
			n = 4
		default:
			gemm32x1x1NEON(&part)
		}
		if vectors -= n; vectors == 0 {
			return
		}
		part.nextVectors(n)
	}
}
