//go:build !purego

package asm

import "unsafe"

// Gemm is a product of rows of weights with columns of activations, both as signed bytes in groups of 32 or 16 that
// share a scale:
//
//	for c := range columns {
//		for r := range 4 * Quads {
//			for g := range Groups {
//				sum := Σ_k weight[r, g, k] · Q[c][group*g+k]
//				Dst[c][r] += (float32(sum) * scale[r, g]) * columnScale[c, g]
//			}
//		}
//	}
//
// with one rounding for each *, but for the last, which is fused with +=. Four rows, a quad, lie together, WeightStride
// bytes behind those before, in an order of their own for each set of instructions.
type Gemm struct {
	Weights      unsafe.Pointer
	Scales       *float32
	Quads        int // even
	WeightStride int // bytes
	ScaleStride  int // bytes
	Groups       int // at least 1; even, if of 16
	Q            [4]*int8
	ColumnScales [4]*float32 // of groups of 32
	Dst          [4]*float32
}

// The kernels for NEON read a quad as four rows one after the other, and its scales as [Groups, 4].

// Gemm32x4NEON is for groups of 32 and four columns.
//
//go:noescape
func Gemm32x4NEON(t *Gemm)

// Gemm32x1NEON is for groups of 32 and one column.
//
//go:noescape
func Gemm32x1NEON(t *Gemm)

// Gemm16x4NEON is for groups of 16 and four columns.
//
//go:noescape
func Gemm16x4NEON(t *Gemm)

// Gemm16x1NEON is for groups of 16 and one column.
//
//go:noescape
func Gemm16x1NEON(t *Gemm)

// The kernels for dot products read a quad as WordsNEON lays out four rows, and so its scales.

// Gemm32x4DotProd is for groups of 32 and four columns.
//
//go:noescape
func Gemm32x4DotProd(t *Gemm)

// Gemm32x1DotProd is for groups of 32 and one column.
//
//go:noescape
func Gemm32x1DotProd(t *Gemm)

// Gemm16x4DotProd is for groups of 16 and four columns.
//
//go:noescape
func Gemm16x4DotProd(t *Gemm)

// Gemm16x1DotProd is for groups of 16 and one column.
//
//go:noescape
func Gemm16x1DotProd(t *Gemm)

// The kernels for matrix products read a quad as EightsNEON lays out four rows, and its scales as WordsTwiceNEON does.
// The columns lie together: Q[0] as EightsNEON and ColumnScales[0] as WordsPairsNEON lay out four of them.

// Gemm32x4I8MM is for groups of 32 and four columns.
//
//go:noescape
func Gemm32x4I8MM(t *Gemm)

// Gemm32x2I8MM is for groups of 32 and the first two columns.
//
//go:noescape
func Gemm32x2I8MM(t *Gemm)

// Gemm16x4I8MM is for groups of 16 and four columns.
//
//go:noescape
func Gemm16x4I8MM(t *Gemm)

// Gemm16x2I8MM is for groups of 16 and the first two columns.
//
//go:noescape
func Gemm16x2I8MM(t *Gemm)
