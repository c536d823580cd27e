//go:build !purego

package asm

// BlockTile is the product of a tile of 16 weight rows with columns of 8-bit activations, in groups of 32 weights:
//
//	for c := range Columns {
//		x := c
//		if Pick != nil {
//			x = Pick[c]
//		}
//		for r := range Rows {
//			acc := Dst[c, r] // 0 if First
//			for g := range Groups {
//				dot := Σ_k code[g, k, r] · Q[x, 32·g+k], less the codes' zero, as the kernel says
//				acc = fma(float32(dot), Scales[g, r]·ColumnScales[x, g], acc)
//				if Mins != nil {
//					acc = fma(−Mins[g, r], BlockSums[x, g], acc)
//				}
//			}
//			Dst[c, r] = acc
//		}
//	}
//
// This is the order of [BlockDot]: both give the same bits, and so do tiles that continue one another. A tile must have
// all 16 rows; of those from Rows on, anything may be read and nothing is written.
type BlockTile struct {
	Weights      *uint8   // the codes; see the kernels
	Scales       *float32 // [Groups, 16]
	Mins         *float32 // [Groups, 16], or nil
	Factors      *uint32  // [2·Groups, 16], for [GemmFactorsAVX2] only, like the next two
	Zeros        *uint32  // [Groups, 16]
	MinFactors   *uint32  // [Groups, 16], or nil
	Groups       int      // at least 1
	Q            *int8    // [columns, QStride]
	QStride      int      // in bytes
	ColumnScales *float32 // [columns, GroupStride bytes]; Starts, BlockSums and Sums are as far apart
	Starts       *int32   // −128·Σq
	BlockSums    *float32 // the scale times Σq
	Sums         *int16   // Σq of 16
	GroupStride  int      // in bytes
	Pick         *int32   // [Columns], or nil
	Columns      int      // at least 1
	Dst          *float32 // [Columns, DstStride bytes]
	DstStride    int      // in bytes
	Rows         int      // 1 to 16
	First        bool
}

// GemmNibblesAVX2 takes codes of 4 bits: Weights is [Groups, 8, 16, 4]. Without Mins, their zero is 8 and Starts is
// read; with, it is 0.
//
//go:noescape
func GemmNibblesAVX2(t *BlockTile)

// GemmBytesAVX2 takes signed bytes w, the two halves of w+128 apart: Weights is [Groups, 8, 2, 16, 4], with the lower
// half of the byte before the upper. There are no Mins; Starts is read.
//
//go:noescape
func GemmBytesAVX2(t *BlockTile)

// GemmFactorsAVX2 takes codes of up to 6 bits, Weights as [Groups, 8, 16, 4], and two 16-bit integers each that multiply
// the codes of a half h of a group, twice the same; the codes' zero times both factors; and both halves' minimums. The
// first of two is the lower word.
//
//	dot := Σ_h (Factor[g, h, r] · Σ_k code[g, h, k, r] · Q[x, g, h, k] + Zero[g, h, r] · Sums[x, g, h])
//	acc = fma(float32(dot), Scales[g, r]·ColumnScales[x, g], acc)
//	if MinFactors != nil { // in place of Mins alone
//		acc = fma(−float32(Σ_h MinFactor[g, h, r] · Sums[x, g, h]), Mins[g, r]·ColumnScales[x, g], acc)
//	}
//
//go:noescape
func GemmFactorsAVX2(t *BlockTile)

// TileAVX2 lays 16 rows of 32·n bytes, stride bytes apart, out as tiles are, and adds the four bytes of add to every
// four:
//
//	for k := range 8 * n {
//		for r := range 16 {
//			for i := range 4 {
//				dst[64*k+4*r+i] = src[stride*r+4*k+i] + byte(add>>(8*i))
//			}
//		}
//	}
//
//go:noescape
func TileAVX2(dst, src *byte, stride, n int, add uint32)

// TileHalvesAVX2 does the same for [GemmBytesAVX2]:
//
//	w := src[stride*r+4*k+i] + 128
//	dst[128*k+4*r+i], dst[128*k+64+4*r+i] = w&15, w>>4
//
//go:noescape
func TileHalvesAVX2(dst *uint8, src *int8, stride, n int)
