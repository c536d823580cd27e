//go:build !purego

package asm

// TileRows is the number of weight rows in a tile of [Gemm8].
const TileRows = 32

// Gemm8 is a product of a tile of 32 weight rows with columns of activations, both as 8-bit integers in groups of
// GroupLen, 32 or 16, that share a scale:
//
//	for c := range columns {
//		for r := range 32 where mask has bit r {
//			for residue := range min(4, Groups) {
//				acc := 0
//				for g := residue; g < Groups; g += 4 {
//					sum := starts[c, g]
//					for k := range GroupLen {
//						sum += int32(weights[g, k/4, r, k%4]) * int32(q[c, GroupLen*g+k])
//					}
//					acc = fma(float32(sum), scales[g, r]*columnScales[c, g], acc)
//					if mins != nil {
//						acc = fma(−mins[g, r], sums[c, g], acc)
//					}
//				}
//				dst[c, r] += acc
//			}
//		}
//	}
//
// That is the order in which [Dot4] adds up a chunk. Weights are unsigned: signed ones w are stored as w+128, and starts is −128·Σq of the group to make up for it.
type Gemm8 struct {
	Weights      *uint8   // [Groups, GroupLen/4, 32, 4]
	Scales       *float32 // [Groups, 32]
	Mins         *float32 // [Groups, 32], or nil
	Groups       int      // at least 1
	Q            *int8    // [columns, QStride]
	QStride      int      // in bytes
	ColumnScales *float32 // [columns, GroupStride bytes]
	Starts       *int32   // [columns, GroupStride bytes]
	Sums         *float32 // [columns, GroupStride bytes]: the scale times Σq of the group; read if there are Mins
	GroupStride  int      // in bytes
	Dst          *float32 // [columns, DstStride bytes]
	DstStride    int      // in bytes
	Mask         uint32   // the rows to compute
	GroupLen     int      // 32 or 16
}

//go:noescape
func gemm32x6AVX512(t *Gemm8)

//go:noescape
func gemm32x1AVX512(t *Gemm8)

//go:noescape
func gemm16x6AVX512(t *Gemm8)

//go:noescape
func gemm16x1AVX512(t *Gemm8)

// Gemm8AVX512 computes the product for the given number of columns.
func Gemm8AVX512(t *Gemm8, columns int) {
	part := *t
	for columns > 0 {
		n := part.step(columns)
		if columns -= n; columns > 0 { // a pointer beyond the last column must not exist, not even unused
			part.skip(n)
		}
	}
}

// step computes the next columns, six or one, and returns how many.
func (t *Gemm8) step(columns int) int {
	switch {
	case columns >= 6 && t.GroupLen == 16:
		gemm16x6AVX512(t)
	case columns >= 6:
		gemm32x6AVX512(t)
	case t.GroupLen == 16:
		gemm16x1AVX512(t)
		return 1
	default:
		gemm32x1AVX512(t)
		return 1
	}
	return 6
}

// skip moves on by n columns.
func (t *Gemm8) skip(n int) {
	t.Q = advance(t.Q, n*t.QStride)
	t.ColumnScales = advance(t.ColumnScales, n*t.GroupStride)
	t.Starts = advance(t.Starts, n*t.GroupStride)
	if t.Mins != nil {
		t.Sums = advance(t.Sums, n*t.GroupStride)
	}
	t.Dst = advance(t.Dst, n*t.DstStride)
}
