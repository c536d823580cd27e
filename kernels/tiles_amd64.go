//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// tileCols is the number of weights of a row in a tile. 32 rows of 1024 bytes leave room in a first-level cache for the
// activations that meet them.
const tileCols = 1024

// scaleWidth is the most scales of a row in a tile.
const scaleWidth = tileCols / groupLen

// tile is one thread's memory for a tile of weights: 32 rows unpacked one after the other, and then interleaved as
// asm.Gemm8 reads them.
type tile struct {
	rows      [asm.TileRows * tileCols]int8
	rowScales [asm.TileRows * scaleWidth]float32
	rowMins   [asm.TileRows * scaleWidth]float32
	weights   [asm.TileRows * tileCols]uint8
	scales    [asm.TileRows * scaleWidth]float32
	mins      [asm.TileRows * scaleWidth]float32
	gathered  gathered
	product   asm.Gemm8
}

// gathered are the activations of picked rows, side by side.
type gathered struct {
	q                 [gatherColumns * tileCols]int8
	scales, blockSums [gatherColumns * scaleWidth]float32
	starts            [gatherColumns * scaleWidth]int32
}

// gatherColumns is how many picked rows are brought together at a time.
const gatherColumns = 6

// groupOf is the number of weights with a scale of their own.
func groupOf(t quant.Type) int {
	if t == quant.Q6_K {
		return groupLen
	}
	return Q8Block
}

// hasMins reports whether weights have a minimum beside the scale.
func hasMins(t quant.Type) bool { return t == quant.Q4_K }

// mulTiles unpacks 32 rows at a time, 1024 weights of each, and multiplies them with all columns.
func mulTiles(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	if s.native.tile == nil {
		s.native.tile = new(tile)
	}
	t := s.native.tile
	for r := from; r < to; r += asm.TileRows {
		rows := min(asm.TileRows, to-r)
		for c := range columns(x, pick) {
			clear(dst[c*stride+r : c*stride+r+rows])
		}
		for first := 0; first < w.Cols; first += tileCols {
			n := min(tileCols, w.Cols-first)
			t.load(w, r, rows, first, n)
			if pick == nil {
				t.multiply(dst[r:], stride, x, first, n, rows, w.Type)
			} else {
				t.multiplyPicked(dst[r:], stride, x, pick, first, n, rows, w.Type)
			}
		}
	}
	t.product = asm.Gemm8{}
}

// load unpacks weights [first, first+n) of some rows and interleaves them.
func (t *tile) load(w *Matrix, r, rows, first, n int) {
	length, size := w.Type.BlockLen(), w.Type.BlockBytes()
	unpack := blockKernels[w.Type].unpack
	for i := range rows {
		row := w.Row(r + i)[first/length*size : (first+n)/length*size]
		unpack(&t.rows[i*tileCols], &row[0], n/length)
		t.loadScales(w.Type, i, row)
	}
	group := groupOf(w.Type)
	for half := 0; half < rows; half += 16 {
		interleave(unsafe.Pointer(&t.weights[4*half]), unsafe.Pointer(&t.rows[half*tileCols]), tileCols, n, 0x80808080)
		interleave(unsafe.Pointer(&t.scales[half]), unsafe.Pointer(&t.rowScales[half*scaleWidth]), 4*scaleWidth, 4*n/group, 0)
		if hasMins(w.Type) {
			interleave(unsafe.Pointer(&t.mins[half]), unsafe.Pointer(&t.rowMins[half*scaleWidth]), 4*scaleWidth, 4*n/group, 0)
		}
	}
}

// loadScales collects the scales of a row.
func (t *tile) loadScales(typ quant.Type, i int, row []byte) {
	scales, size := t.rowScales[i*scaleWidth:(i+1)*scaleWidth], typ.BlockBytes()
	blocks := len(row) / size
	switch typ {
	case quant.Q4_K:
		asm.ScalesK4AVX2(&scales[0], &t.rowMins[i*scaleWidth], &row[0], size, blocks)
	case quant.Q6_K:
		for b := range blocks {
			block := row[b*size : (b+1)*size]
			d := half(block[208:])
			for g, s := range block[192:208] {
				scales[16*b+g] = d * float32(int8(s))
			}
		}
	default:
		asm.HalvesAVX2(&scales[0], &row[0], size, blocks, 0)
	}
}

// interleave brings 16 rows of so many bytes, rounded up to 64, into tile order.
func interleave(dst, src unsafe.Pointer, stride, bytes int, flip uint32) {
	asm.TileAVX512(dst, src, stride, (bytes+63)/64, flip)
}

// describe fills in what does not depend on the columns.
func (t *tile) describe(n, rows int, typ quant.Type) *asm.Gemm8 {
	p := &t.product
	*p = asm.Gemm8{GroupLen: groupOf(typ), Mask: uint32(1<<rows - 1), Weights: &t.weights[0], Scales: &t.scales[0]}
	p.Groups = n / p.GroupLen
	if hasMins(typ) {
		p.Mins = &t.mins[0]
	}
	return p
}

// multiply adds the tile's product with all activation rows.
func (t *tile) multiply(dst []float32, stride int, x *Activations, first, n, rows int, typ quant.Type) {
	p := t.describe(n, rows, typ)
	p.Dst, p.DstStride = &dst[0], 4*stride
	p.Q, p.QStride = &x.Q[first], x.Cols
	if at := first / p.GroupLen; p.GroupLen == Q8Block {
		p.ColumnScales, p.Starts, p.Sums = &x.Scales[at], &x.Starts[at], &x.BlockSums[at]
	} else {
		p.ColumnScales, p.Starts = &x.HalfScales[at], &x.HalfStarts[at]
	}
	p.GroupStride = 4 * (x.Cols / p.GroupLen)
	asm.Gemm8AVX512(p, x.Rows)
}

// multiplyPicked adds the tile's product with some activation rows, which it brings together first.
func (t *tile) multiplyPicked(dst []float32, stride int, x *Activations, pick []int32, first, n, rows int, typ quant.Type) {
	p, g := t.describe(n, rows, typ), &t.gathered
	p.DstStride = 4 * stride
	p.Q, p.QStride = &g.q[0], tileCols
	p.ColumnScales, p.Starts, p.Sums = &g.scales[0], &g.starts[0], &g.blockSums[0]
	p.GroupStride = 4 * scaleWidth
	for c := 0; c < len(pick); c += gatherColumns {
		some := pick[c:min(c+gatherColumns, len(pick))]
		for i, r := range some {
			copy(g.q[i*tileCols:(i+1)*tileCols], x.Q[int(r)*x.Cols+first:][:n])
			at := (int(r)*x.Cols + first) / p.GroupLen
			scales, starts := x.Scales, x.Starts
			if p.GroupLen == groupLen {
				scales, starts = x.HalfScales, x.HalfStarts
			}
			copy(g.scales[i*scaleWidth:(i+1)*scaleWidth], scales[at:][:p.Groups])
			copy(g.starts[i*scaleWidth:(i+1)*scaleWidth], starts[at:][:p.Groups])
			if hasMins(typ) {
				copy(g.blockSums[i*scaleWidth:(i+1)*scaleWidth], x.BlockSums[at:][:p.Groups])
			}
		}
		p.Dst = &dst[c*stride]
		asm.Gemm8AVX512(p, len(some))
	}
}
