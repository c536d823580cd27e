//go:build !purego

package asm

import "unsafe"

// Dot4 is the product of four stored weight rows with one row of 8-bit activations:
//
//	for r := range 4 {
//		Out[r] += Σ_g Scales_r[g]·ColumnScales[g]·float32(Σ_{k in g} Q[k]·W_r[k]) − Mins_r[g]·ColumnSums[g]
//	}
//
// over groups g of as many weights as the format gives a scale of their own, in the order that [Dot4Chunk] states.
// The kernels do not read beyond the rows, but prefetch there.
type Dot4 struct {
	Rows         [4]*byte
	Steps        int            // each of 128 weights; of 256 for the K formats and IQ4_XS
	Q            *int8          // [128·Steps] or [256·Steps]
	ColumnScales *float32       // one for each group
	Column       unsafe.Pointer // Starts or Sums of [Gemm8], as the kernel says, one for each group
	Out          [4]float32
	Ahead        int // how many bytes after the first row's beginning to prefetch, in ascending order
}

// Dot4Chunk is the number of weights over which the groups of each residue modulo 4 are added up on their own:
//
//	for each chunk of Dot4Chunk weights {
//		for i := range 4 {
//			acc := 0
//			for g in chunk, g%4 == i {
//				acc = fma(float32(integer sum of g), Scales[g]·ColumnScales[g], acc)
//				acc = fma(−Mins[g], ColumnSums[g], acc)
//			}
//			Out += acc
//		}
//	}
const Dot4Chunk = 1024

//go:noescape
func dotQ4_0x4AVX512(t *Dot4)

//go:noescape
func dotQ8_0x4AVX512(t *Dot4)

//go:noescape
func dotQ4_Kx4AVX512(t *Dot4)

//go:noescape
func dotQ6_Kx4AVX512(t *Dot4)

//go:noescape
func dotQ4_1x4AVX512(t *Dot4)

//go:noescape
func dotQ5_0x4AVX512(t *Dot4)

//go:noescape
func dotQ5_1x4AVX512(t *Dot4)

//go:noescape
func dotQ2_Kx4AVX512(t *Dot4)

//go:noescape
func dotQ3_Kx4AVX512(t *Dot4)

//go:noescape
func dotQ5_Kx4AVX512(t *Dot4)

//go:noescape
func dotIQ4_NLx4AVX512(t *Dot4)

//go:noescape
func dotIQ4_XSx4AVX512(t *Dot4)

// DotQ4_0AVX512 reads Starts.
func DotQ4_0AVX512(t *Dot4) { dotQ4_0x4AVX512(t) }

// DotQ8_0AVX512 reads Starts.
func DotQ8_0AVX512(t *Dot4) { dotQ8_0x4AVX512(t) }

// DotQ4_KAVX512 reads Sums.
func DotQ4_KAVX512(t *Dot4) { dotQ4_Kx4AVX512(t) }

// DotQ6_KAVX512 reads Starts, of groups of 16.
func DotQ6_KAVX512(t *Dot4) { dotQ6_Kx4AVX512(t) }

// DotQ4_1AVX512 reads Sums.
func DotQ4_1AVX512(t *Dot4) { dotQ4_1x4AVX512(t) }

// DotQ5_0AVX512 reads Starts.
func DotQ5_0AVX512(t *Dot4) { dotQ5_0x4AVX512(t) }

// DotQ5_1AVX512 reads Sums.
func DotQ5_1AVX512(t *Dot4) { dotQ5_1x4AVX512(t) }

// DotQ2_KAVX512 reads Sums, of groups of 16.
func DotQ2_KAVX512(t *Dot4) { dotQ2_Kx4AVX512(t) }

// DotQ3_KAVX512 reads Starts, of groups of 16.
func DotQ3_KAVX512(t *Dot4) { dotQ3_Kx4AVX512(t) }

// DotQ5_KAVX512 reads Sums.
func DotQ5_KAVX512(t *Dot4) { dotQ5_Kx4AVX512(t) }

// DotIQ4_NLAVX512 reads Starts.
func DotIQ4_NLAVX512(t *Dot4) { dotIQ4_NLx4AVX512(t) }

// DotIQ4_XSAVX512 reads Starts.
func DotIQ4_XSAVX512(t *Dot4) { dotIQ4_XSx4AVX512(t) }
