//go:build !purego

package kernels

import (
	"encoding/binary"
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
)

const (
	blockTileRows = 16
	// blockTileCols is the number of weights of a row in a tile: with 16 rows half a first-level cache of 32 KiB. Of
	// those in two halves of a byte, half as many.
	blockTileCols = 1024
	tileGroups    = blockTileCols / Q8Block
)

// blockTile is one thread's memory for a tile of weights: rows unpacked one after the other, with their scales, and
// the same interleaved as asm.BlockTile has them.
type blockTile struct {
	rows          [blockTileRows][blockTileCols]int8
	rowScales     [blockTileRows][tileGroups]float32
	rowMins       [blockTileRows][tileGroups]float32
	rowFactors    [blockTileRows][2 * tileGroups]uint32
	rowZeros      [blockTileRows][tileGroups]uint32
	rowMinFactors [blockTileRows][tileGroups]uint32

	weights    [blockTileRows * blockTileCols]uint8
	scales     [blockTileRows * tileGroups]float32
	mins       [blockTileRows * tileGroups]float32
	factors    [blockTileRows * 2 * tileGroups]uint32
	zeros      [blockTileRows * tileGroups]uint32
	minFactors [blockTileRows * tileGroups]uint32

	product asm.BlockTile
	kernel  *blockKernel // whose factors and zeros, if they are the same for all rows, the tile has
}

// mulTiles unpacks 16 rows at a time, some weights of each, and multiplies them with all columns.
func (k *blockKernel) mulTiles(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	if s.native.blockTile == nil {
		s.native.blockTile = new(blockTile)
	}
	t := s.native.blockTile
	p := &t.product
	t.describe(k, x, pick)
	p.Columns, p.DstStride = columns(x, pick), 4*stride
	cols := blockTileCols
	if k.split {
		cols /= 2
	}
	for r := from; r < to; r += blockTileRows {
		p.Rows = min(blockTileRows, to-r)
		p.Dst = &dst[r]
		for first := 0; first < w.Cols; first += cols {
			n := min(cols, w.Cols-first)
			t.load(k, w, r, p.Rows, first, n)
			group := first / Q8Block
			p.Groups, p.First = n/Q8Block, first == 0
			p.Q, p.ColumnScales, p.Starts = &x.Q[first], &x.Scales[group], &x.Starts[group]
			p.BlockSums, p.Sums = &x.BlockSums[group], &x.Sums[2*group]
			k.gemm(p)
		}
	}
	*p = asm.BlockTile{}
}

// describe fills in what is the same for all tiles of a product.
func (t *blockTile) describe(k *blockKernel, x *Activations, pick []int32) {
	p := &t.product
	p.Weights, p.Scales = &t.weights[0], &t.scales[0]
	p.Factors, p.Zeros = &t.factors[0], &t.zeros[0]
	if k.mins {
		p.Mins = &t.mins[0]
	}
	if k.minFactors {
		p.MinFactors = &t.minFactors[0]
	}
	if t.kernel != k && !k.perRow {
		fill(t.factors[:], k.factor)
	}
	if t.kernel != k && (!k.perRow || k.add == 0) {
		fill(t.zeros[:], k.zero)
	}
	t.kernel = k
	p.QStride, p.GroupStride = x.Cols, 4*(x.Cols/Q8Block)
	if pick != nil {
		p.Pick = &pick[0]
	}
}

func fill(x []uint32, v uint32) {
	for i := range x {
		x[i] = v
	}
}

// load unpacks weights [first, first+n) of some rows and interleaves them. What it leaves in further rows does not
// matter.
func (t *blockTile) load(k *blockKernel, w *Matrix, r, rows, first, n int) {
	length, size := w.Type.BlockLen(), w.Type.BlockBytes()
	for i := range rows {
		row := w.Row(r + i)[first/length*size : (first+n)/length*size]
		k.unpack(&t.rows[i][0], &row[0], n/length)
		k.scales(t, i, row)
	}
	if k.split {
		asm.TileHalvesAVX2(&t.weights[0], &t.rows[0][0], blockTileCols, n/32)
	} else {
		asm.TileAVX2(&t.weights[0], (*byte)(unsafe.Pointer(&t.rows[0][0])), blockTileCols, n/32, k.add)
	}
	groups := n / Q8Block
	interleave16(&t.scales[0], &t.rowScales[0][0], tileGroups, groups)
	if k.mins {
		interleave16(&t.mins[0], &t.rowMins[0][0], tileGroups, groups)
	}
	if k.perRow {
		interleave16(&t.factors[0], &t.rowFactors[0][0], 2*tileGroups, 2*groups)
	}
	if k.perRow && k.add != 0 {
		interleave16(&t.zeros[0], &t.rowZeros[0][0], tileGroups, groups)
	}
	if k.minFactors {
		interleave16(&t.minFactors[0], &t.rowMinFactors[0][0], tileGroups, groups)
	}
}

// interleave16 transposes sixteen rows of n numbers, width apart: dst[16·i+r] = src[width·r+i]. It reads and writes up
// to the next multiple of 8.
func interleave16[T float32 | uint32](dst, src *T, width, n int) {
	asm.TileAVX2((*byte)(unsafe.Pointer(dst)), (*byte)(unsafe.Pointer(src)), 4*width, (n+7)/8, 0)
}

// scalesOf is for blocks of 32 that begin with their scale.
func scalesOf(size int) func(*blockTile, int, []byte) {
	return func(t *blockTile, r int, row []byte) {
		asm.HalvesAVX2(&t.rowScales[r][0], &row[0], size, len(row)/size, 0)
	}
}

// scalesAndOffsetsOf is for blocks of 32 that begin with their scale and an offset, the negative of a minimum.
func scalesAndOffsetsOf(size int) func(*blockTile, int, []byte) {
	return func(t *blockTile, r int, row []byte) {
		asm.HalvesAVX2(&t.rowScales[r][0], &row[0], size, len(row)/size, 0)
		asm.HalvesAVX2(&t.rowMins[r][0], &row[2], size, len(row)/size, 1<<31)
	}
}

// scalesAndMinsOf is for Q4_K and Q5_K.
func scalesAndMinsOf(size int) func(*blockTile, int, []byte) {
	return func(t *blockTile, r int, row []byte) {
		asm.ScalesK4AVX2(&t.rowScales[r][0], &t.rowMins[r][0], &row[0], size, len(row)/size)
	}
}

func scalesIQ4_XS(t *blockTile, r int, row []byte) {
	for i := range len(row) / 136 {
		b, scales := row[136*i:], t.rowScales[r][8*i:8*i+8]
		d, high := half(b), binary.LittleEndian.Uint16(b[2:])
		for g := range scales {
			s := int(b[4+g/2]>>(g%2*4)&15) | int(high>>(2*g)&3)<<4
			scales[g] = d * float32(s-32)
		}
	}
}

// setEight sets the eight numbers of super-block i of a row.
func setEight(row []float32, i int, v float32) {
	eight := (*[8]float32)(row[8*i:])
	for g := range eight {
		eight[g] = v
	}
}

func scalesQ6_K(t *blockTile, r int, row []byte) {
	for i := range len(row) / 210 {
		b := row[210*i : 210*i+210]
		setEight(t.rowScales[r][:], i, half(b[208:]))
		asm.FactorsAVX2(&t.rowFactors[r][16*i], &t.rowZeros[r][8*i], (*int8)(unsafe.Pointer(&b[192])), 32)
	}
}

// scalesQ3_K unpacks scales of six bits, four at a time: the lower four bits are in the halves of the first eight bytes,
// the upper two in the last four; 32 is subtracted.
func scalesQ3_K(t *blockTile, r int, row []byte) {
	for i := range len(row) / 110 {
		b := row[110*i : 110*i+110]
		setEight(t.rowScales[r][:], i, half(b[108:]))
		low0, low1 := binary.LittleEndian.Uint32(b[96:]), binary.LittleEndian.Uint32(b[100:])
		high := binary.LittleEndian.Uint32(b[104:])
		s := [4]uint32{
			low0&0x0f0f0f0f | high<<4&0x30303030,
			low1&0x0f0f0f0f | high<<2&0x30303030,
			low0>>4&0x0f0f0f0f | high&0x30303030,
			low1>>4&0x0f0f0f0f | high>>2&0x30303030,
		}
		for j := range s {
			s[j] = (s[j] | 0x80808080) - 0x20202020 ^ 0x80808080 // no byte borrows from the next
		}
		asm.FactorsAVX2(&t.rowFactors[r][16*i], &t.rowZeros[r][8*i], (*int8)(unsafe.Pointer(&s)), 4)
	}
}

func scalesQ2_K(t *blockTile, r int, row []byte) {
	for i := range len(row) / 84 {
		b := row[84*i : 84*i+84]
		setEight(t.rowScales[r][:], i, half(b[80:]))
		setEight(t.rowMins[r][:], i, half(b[82:]))
		asm.FactorsQ2_KAVX2(&t.rowFactors[r][16*i], &t.rowMinFactors[r][8*i], &b[0])
	}
}
