//go:build !purego

package asm

// BlockDot is the product of four stored weight rows with one row of 8-bit activations. For a format with a scale for
// every 32 weights or more:
//
//	for r := range 4 {
//		acc := 0
//		for g := range 32-weight groups of the row {
//			dot := Σ_k code_r[g, k] · Q[32·g+k] // of codes less their zero, a signed integer
//			acc = fma(float32(dot), Scale_r[g]·Scales[g], acc)
//			acc = fma(−Min_r[g], BlockSums[g], acc) // if the format has minimums
//		}
//		Out[r] = acc
//	}
//
// For Q2_K, Q3_K and Q6_K, whose halves h of a group have whole numbers as scales and minimums:
//
//	dot := Σ_h scale_r[g, h] · Σ_k code_r[g, h, k] · Q[32·g+16·h+k]
//	acc = fma(float32(dot), D_r·Scales[g], acc)
//	acc = fma(−float32(Σ_h min_r[g, h]·Sums[2·g+h]), Dmin_r·Scales[g], acc)
//
// The kernels prefetch the rows that come next, which follow one another, but do not read them.
type BlockDot struct {
	Rows      [4]*byte
	Blocks    int      // of 32 weights, or 256 for the K formats and IQ4_XS; at least 1
	Q         *int8    // the activations
	Scales    *float32 // one for each 32
	Starts    *int32   // one for each 32: −128·Σq
	BlockSums *float32 // one for each 32: the scale times Σq
	Sums      *int16   // one for each 16: Σq
	Ahead     int      // how many bytes from the first row those begin that are multiplied next
	Out       [4]float32
}

// DotQ4_0AVX2 multiplies rows of Q4_0. It reads Starts.
//
//go:noescape
func DotQ4_0AVX2(t *BlockDot)

// DotQ4_1AVX2 multiplies rows of Q4_1. It reads BlockSums.
//
//go:noescape
func DotQ4_1AVX2(t *BlockDot)

// DotQ5_0AVX2 multiplies rows of Q5_0. It reads Starts.
//
//go:noescape
func DotQ5_0AVX2(t *BlockDot)

// DotQ5_1AVX2 multiplies rows of Q5_1. It reads BlockSums.
//
//go:noescape
func DotQ5_1AVX2(t *BlockDot)

// DotQ8_0AVX2 multiplies rows of Q8_0.
//
//go:noescape
func DotQ8_0AVX2(t *BlockDot)

// DotIQ4_NLAVX2 multiplies rows of IQ4_NL.
//
//go:noescape
func DotIQ4_NLAVX2(t *BlockDot)

// DotIQ4_XSAVX2 multiplies rows of IQ4_XS.
//
//go:noescape
func DotIQ4_XSAVX2(t *BlockDot)

// DotQ2_KAVX2 multiplies rows of Q2_K. It reads Sums.
//
//go:noescape
func DotQ2_KAVX2(t *BlockDot)

// DotQ3_KAVX2 multiplies rows of Q3_K.
//
//go:noescape
func DotQ3_KAVX2(t *BlockDot)

// DotQ4_KAVX2 multiplies rows of Q4_K. It reads BlockSums.
//
//go:noescape
func DotQ4_KAVX2(t *BlockDot)

// DotQ5_KAVX2 multiplies rows of Q5_K. It reads BlockSums.
//
//go:noescape
func DotQ5_KAVX2(t *BlockDot)

// DotQ6_KAVX2 multiplies rows of Q6_K.
//
//go:noescape
func DotQ6_KAVX2(t *BlockDot)
