//go:build !purego

package asm

// BF16Columns is the product of rows of bfloat16 with up to four columns of bfloat16, by VDPBF16PS. It adds up in the
// order of [BF16Dots], as if zeros followed the rows up to a whole block of 32, and gives the same bits unless numbers
// below 2⁻¹²⁶ come into it: the instruction takes them, and what would become one of them, for zero.
type BF16Columns struct {
	Rows      *byte
	RowStride int // in bytes
	Count     int // at least 1
	N         int // values in a row, at least 1
	X         [4]*uint16
	Dst       [4]*float32
}

// DotBF16x1AVX512 takes one column.
//
//go:noescape
func DotBF16x1AVX512(t *BF16Columns)

// DotBF16x2AVX512 takes two columns.
//
//go:noescape
func DotBF16x2AVX512(t *BF16Columns)

// DotBF16x4AVX512 takes four columns.
//
//go:noescape
func DotBF16x4AVX512(t *BF16Columns)
