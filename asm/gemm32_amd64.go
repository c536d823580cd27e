//go:build !purego

package asm

//go:noescape
func gemm32x6x4AVX512(t *Gemm32)

//go:noescape
func gemm32x4x4AVX512(t *Gemm32)

//go:noescape
func gemm32x2x4AVX512(t *Gemm32)

//go:noescape
func gemm32x1x4AVX512(t *Gemm32)

//go:noescape
func gemm32x6x1AVX512(t *Gemm32)

//go:noescape
func gemm32x4x1AVX512(t *Gemm32)

//go:noescape
func gemm32x2x1AVX512(t *Gemm32)

//go:noescape
func gemm32x1x1AVX512(t *Gemm32)

//go:noescape
func gemm32x6x1AVX2(t *Gemm32)

//go:noescape
func gemm32x4x1AVX2(t *Gemm32)

//go:noescape
func gemm32x2x1AVX2(t *Gemm32)

//go:noescape
func gemm32x1x4AVX2(t *Gemm32)

//go:noescape
func gemm32x1x1AVX2(t *Gemm32)

//go:noescape
func gemmHalvesx1x4AVX512(t *Gemm32)

//go:noescape
func gemmHalvesx2x4AVX512(t *Gemm32)

//go:noescape
func gemmHalvesx1x4AVX2(t *Gemm32)

// GemmHalvesAVX512 computes the product with a B of halves for one or two rows and a multiple of four vectors.
func GemmHalvesAVX512(t *Gemm32, rows, vectors int) {
	part := *t
	for {
		if rows == 2 {
			gemmHalvesx2x4AVX512(&part)
		} else {
			gemmHalvesx1x4AVX512(&part)
		}
		if vectors -= 4; vectors == 0 {
			return
		}
		part.nextVectors(4)
	}
}

// GemmHalvesAVX2 computes the product with a B of halves for one row and a multiple of four vectors.
func GemmHalvesAVX2(t *Gemm32, _, vectors int) {
	part := *t
	for {
		gemmHalvesx1x4AVX2(&part)
		if vectors -= 4; vectors == 0 {
			return
		}
		part.nextVectors(4)
	}
}

// Gemm32AVX512 computes the product for so many rows and vectors, at least one of each.
func Gemm32AVX512(t *Gemm32, rows, vectors int) {
	part := *t
	for {
		n := 1
		if vectors >= 4 {
			n = 4
		}
		part.rowsAVX512(rows, n)
		if vectors -= n; vectors == 0 {
			return
		}
		part.nextVectors(n)
	}
}

// rowsAVX512 computes the product of all rows with four vectors, or one.
func (t *Gemm32) rowsAVX512(rows, vectors int) {
	part := *t
	for {
		n := rowsAtATime(rows)
		switch {
		case n == 6 && vectors == 4:
			gemm32x6x4AVX512(&part)
		case n == 4 && vectors == 4:
			gemm32x4x4AVX512(&part)
		case n == 2 && vectors == 4:
			gemm32x2x4AVX512(&part)
		case vectors == 4:
			gemm32x1x4AVX512(&part)
		case n == 6:
			gemm32x6x1AVX512(&part)
		case n == 4:
			gemm32x4x1AVX512(&part)
		case n == 2:
			gemm32x2x1AVX512(&part)
		default:
			gemm32x1x1AVX512(&part)
		}
		if rows -= n; rows == 0 {
			return
		}
		part.nextRows(n)
	}
}

// Gemm32AVX2 computes the product for so many rows and vectors, at least one of each.
func Gemm32AVX2(t *Gemm32, rows, vectors int) {
	part := *t
	for {
		n := rowsAtATime(rows)
		part.vectorsAVX2(n, vectors)
		if rows -= n; rows == 0 {
			return
		}
		part.nextRows(n)
	}
}

// vectorsAVX2 computes the product of 6, 4 or 2 rows, or one, with all vectors.
func (t *Gemm32) vectorsAVX2(rows, vectors int) {
	part := *t
	for {
		n := 1
		switch {
		case rows == 6:
			gemm32x6x1AVX2(&part)
		case rows == 4:
			gemm32x4x1AVX2(&part)
		case rows == 2:
			gemm32x2x1AVX2(&part)
		case vectors >= 4:
			gemm32x1x4AVX2(&part)
			n = 4
		default:
			gemm32x1x1AVX2(&part)
		}
		if vectors -= n; vectors == 0 {
			return
		}
		part.nextVectors(n)
	}
}
