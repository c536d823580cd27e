//go:build !purego

package asm

// StoredDots is the products of weight rows, as they are stored, with one row of 8-bit activations:
//
//	for r := range Count {
//		Out[r] = Σ_i row_r[i] · Scales[i/group] · Q[i]
//	}
//
// Row r begins RowBytes·r behind Rows and has so many blocks. A group is 32 activations or, for Q2_K, Q3_K and Q6_K,
// 16; Sums are their scales times the sum of Q in the group. The kernels prefetch beyond the rows, but do not read there.
//
// Each product is summed in the same order, which is that of [Gemm]: Σ_g (dot·rowScale)·columnScale over groups g, less
// the minimums times the sums, which are added up as [RowDots] does.
type StoredDots struct {
	Rows     *byte
	RowBytes int
	Count    int
	Blocks   int
	Q        *int8
	Scales   *float32
	Sums     *float32
	Out      *float32

	minSums [4][4]float32  // of four rows, until the lanes are added up
	terms   [4][16]float32 // of four rows and a block

	// HalfSums are sums of 16 neighbours in Q, for Q4_0.
	HalfSums *int16
}

//go:noescape
func DotQ4_0NEON(t *StoredDots)

//go:noescape
func DotQ4_1NEON(t *StoredDots)

//go:noescape
func DotQ5_0NEON(t *StoredDots)

//go:noescape
func DotQ5_1NEON(t *StoredDots)

//go:noescape
func DotQ8_0NEON(t *StoredDots)

//go:noescape
func DotIQ4_NLNEON(t *StoredDots)

//go:noescape
func DotQ4_KNEON(t *StoredDots)

//go:noescape
func DotQ5_KNEON(t *StoredDots)

//go:noescape
func DotIQ4_XSNEON(t *StoredDots)

//go:noescape
func DotQ2_KNEON(t *StoredDots)

//go:noescape
func DotQ3_KNEON(t *StoredDots)

//go:noescape
func DotQ6_KNEON(t *StoredDots)

//go:noescape
func DotQ4_0DotProd(t *StoredDots)

//go:noescape
func DotQ4_1DotProd(t *StoredDots)

//go:noescape
func DotQ5_0DotProd(t *StoredDots)

//go:noescape
func DotQ5_1DotProd(t *StoredDots)

//go:noescape
func DotQ8_0DotProd(t *StoredDots)

//go:noescape
func DotIQ4_NLDotProd(t *StoredDots)

//go:noescape
func DotQ4_KDotProd(t *StoredDots)

//go:noescape
func DotQ5_KDotProd(t *StoredDots)

//go:noescape
func DotIQ4_XSDotProd(t *StoredDots)

//go:noescape
func DotQ2_KDotProd(t *StoredDots)

//go:noescape
func DotQ3_KDotProd(t *StoredDots)

//go:noescape
func DotQ6_KDotProd(t *StoredDots)
