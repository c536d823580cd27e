//go:build !purego

package asm

import "unsafe"

// PackedRows is the number of weight rows that lie interleaved in a packed matrix: a 32-bit lane for each.
const PackedRows = 16

// The bytes of a step of sixteen packed rows. In all of them, [16] counts rows, and a row's four bytes are those that its
// lane multiplies by four neighbours among the activations.
const (
	// PackedQ4_0 is 128 weights of each row: scales [4][16] binary16, then for each of the four blocks nibbles [4][16][4],
	// of which the low ones are weights 4·i to 4·i+3 and the high ones those 16 further on.
	PackedQ4_0 = 128 + 4*256
	// PackedQ8_0 is 128 weights of each row: scales [4][16] binary16, then for each of the four blocks weights [8][16][4],
	// each with 128 added.
	PackedQ8_0 = 128 + 4*512
	// PackedQ4_K is 256 weights of each row: d [16] and dmin [16] as binary16, the twelve bytes of scales and minimums as
	// they are stored [3][16][4], then for every two sub-blocks nibbles [8][16][4]: low ones for the first, high ones for
	// the second.
	PackedQ4_K = 64 + 192 + 4*512
	// PackedQ6_K is 256 weights of each row: d [16] as float32, then four times four groups of 16 weights: first groups 0, 2,
	// 4 and 6, then 1, 3, 5 and 7, and the same of the second half. Each begins with the groups' scales [4][16] int8. Then
	// come [4][3][16][4] bytes, of which the lower six bits are weights 4·i to 4·i+3 of the first, second and third group, and
	// the upper two bits those of the fourth, highest first.
	PackedQ6_K = 64 + 4*(64+4*192)
)

// Dot16 is the product of sixteen packed weight rows with one row of 8-bit activations:
//
//	for r := range 16 {
//		Out[r] = Σ_g Scales_r[g]·ColumnScales[g]·float32(Σ_{k in g} Q[k]·W_r[k]) − Mins_r[g]·ColumnSums[g]
//	}
//
// bit for bit as [Dot4] has it.
type Dot16 struct {
	Rows         *byte          // [Steps] of the bytes that the type takes
	Steps        int            // each of 128 weights; of 256 for the K formats
	Q            *int8          // [128·Steps] or [256·Steps]
	ColumnScales *float32       // one for each group
	Column       unsafe.Pointer // Starts or Sums of [Gemm8], as the kernel says, one for each group
	Out          [PackedRows]float32
}

//go:noescape
func dotQ4_0x16AVX512(t *Dot16)

//go:noescape
func dotQ8_0x16AVX512(t *Dot16)

//go:noescape
func dotQ4_Kx16AVX512(t *Dot16)

//go:noescape
func dotQ6_Kx16AVX512(t *Dot16)

// DotPackedQ4_0AVX512 reads Starts.
func DotPackedQ4_0AVX512(t *Dot16) { dotQ4_0x16AVX512(t) }

// DotPackedQ8_0AVX512 reads Starts.
func DotPackedQ8_0AVX512(t *Dot16) { dotQ8_0x16AVX512(t) }

// DotPackedQ4_KAVX512 reads Sums.
func DotPackedQ4_KAVX512(t *Dot16) { dotQ4_Kx16AVX512(t) }

// DotPackedQ6_KAVX512 reads Starts, of groups of 16.
func DotPackedQ6_KAVX512(t *Dot16) { dotQ6_Kx16AVX512(t) }

// Packed16 are sixteen packed rows on their way into one half of a tile of [Gemm8]: weights, plus 128, scales and minimums.
type Packed16 struct {
	Rows    *byte
	Steps   int
	Weights *uint8   // [weights/4, 32, 4], of which the first sixteen rows are written
	Scales  *float32 // [groups, 32], likewise
	Mins    *float32 // [groups, 32], likewise; of types that have them
}

//go:noescape
func tileQ4_0x16AVX512(t *Packed16)

//go:noescape
func tileQ8_0x16AVX512(t *Packed16)

//go:noescape
func tileQ4_Kx16AVX512(t *Packed16)

//go:noescape
func tileQ6_Kx16AVX512(t *Packed16)

// TilePackedQ4_0AVX512 unpacks steps of 128 weights.
func TilePackedQ4_0AVX512(t *Packed16) { tileQ4_0x16AVX512(t) }

// TilePackedQ8_0AVX512 unpacks steps of 128 weights.
func TilePackedQ8_0AVX512(t *Packed16) { tileQ8_0x16AVX512(t) }

// TilePackedQ4_KAVX512 unpacks steps of 256 weights.
func TilePackedQ4_KAVX512(t *Packed16) { tileQ4_Kx16AVX512(t) }

// TilePackedQ6_KAVX512 unpacks steps of 256 weights, with a scale for each 16.
func TilePackedQ6_KAVX512(t *Packed16) { tileQ6_Kx16AVX512(t) }
