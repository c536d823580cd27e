//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
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
	packed    asm.Packed16
	product   asm.Gemm8
}

// gathered are the activations of picked rows, side by side.
type gathered struct {
	q            [gatherColumns * tileCols]int8
	scales, sums [gatherColumns * scaleWidth]float32
	starts       [gatherColumns * scaleWidth]int32
}

// gatherColumns is how many picked rows are brought together at a time.
const gatherColumns = 6

// mulTiles unpacks 32 rows at a time, 1024 weights of each, and multiplies them with all columns.
func (k *tileKernel) mulTiles(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
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
			t.load(k, w, r, rows, first, n)
			if pick == nil {
				t.multiply(k, dst[r:], stride, x, first, n, rows)
			} else {
				t.multiplyPicked(k, dst[r:], stride, x, pick, first, n, rows)
			}
		}
	}
	t.product, t.packed = asm.Gemm8{}, asm.Packed16{}
}

// load unpacks weights [first, first+n) of some rows and interleaves them.
func (t *tile) load(k *tileKernel, w *Matrix, r, rows, first, n int) {
	if w.Packing != nil {
		t.loadPacked(w, r, rows, first, n)
		return
	}
	length, size := w.Type.BlockLen(), w.Type.BlockBytes()
	unpack := blockKernels[w.Type].unpack
	for i := range rows {
		row := w.Row(r + i)[first/length*size : (first+n)/length*size]
		unpack(&t.rows[i*tileCols], &row[0], n/length)
		k.scales(t.rowScales[i*scaleWidth:], t.rowMins[i*scaleWidth:], row)
	}
	groups := n / k.group
	for half := 0; half < rows; half += 16 {
		interleave(unsafe.Pointer(&t.weights[4*half]), unsafe.Pointer(&t.rows[half*tileCols]), tileCols, n, 0x80808080)
		interleave(unsafe.Pointer(&t.scales[half]), unsafe.Pointer(&t.rowScales[half*scaleWidth]), 4*scaleWidth, 4*groups, 0)
		if k.mins {
			interleave(unsafe.Pointer(&t.mins[half]), unsafe.Pointer(&t.rowMins[half*scaleWidth]), 4*scaleWidth, 4*groups, 0)
		}
	}
}

// interleave brings 16 rows of so many bytes, rounded up to 64, into tile order.
func interleave(dst, src unsafe.Pointer, stride, bytes int, flip uint32) {
	asm.TileAVX512(dst, src, stride, (bytes+63)/64, flip)
}

// describe fills in what does not depend on the columns.
func (t *tile) describe(k *tileKernel, n, rows int) *asm.Gemm8 {
	p := &t.product
	*p = asm.Gemm8{GroupLen: k.group, Mask: uint32(1<<rows - 1), Weights: &t.weights[0], Scales: &t.scales[0]}
	p.Groups = n / k.group
	if k.mins {
		p.Mins = &t.mins[0]
	}
	return p
}

// multiply adds the tile's product with all activation rows.
func (t *tile) multiply(k *tileKernel, dst []float32, stride int, x *Activations, first, n, rows int) {
	p := t.describe(k, n, rows)
	scales, starts, sums := k.column(x)
	at := first / k.group
	p.Dst, p.DstStride = &dst[0], 4*stride
	p.Q, p.QStride = &x.Q[first], x.Cols
	p.ColumnScales, p.Starts, p.Sums = &scales[at], &starts[at], &sums[at]
	p.GroupStride = 4 * (x.Cols / k.group)
	asm.Gemm8AVX512(p, x.Rows)
}

// multiplyPicked adds the tile's product with some activation rows, which it brings together first.
func (t *tile) multiplyPicked(k *tileKernel, dst []float32, stride int, x *Activations, pick []int32, first, n, rows int) {
	p, g := t.describe(k, n, rows), &t.gathered
	scales, starts, sums := k.column(x)
	p.DstStride = 4 * stride
	p.Q, p.QStride = &g.q[0], tileCols
	p.ColumnScales, p.Starts, p.Sums = &g.scales[0], &g.starts[0], &g.sums[0]
	p.GroupStride = 4 * scaleWidth
	for c := 0; c < len(pick); c += gatherColumns {
		some := pick[c:min(c+gatherColumns, len(pick))]
		for i, r := range some {
			copy(g.q[i*tileCols:(i+1)*tileCols], x.Q[int(r)*x.Cols+first:][:n])
			at := (int(r)*x.Cols + first) / k.group
			copy(g.scales[i*scaleWidth:(i+1)*scaleWidth], scales[at:][:p.Groups])
			copy(g.starts[i*scaleWidth:(i+1)*scaleWidth], starts[at:][:p.Groups])
			if k.mins {
				copy(g.sums[i*scaleWidth:(i+1)*scaleWidth], sums[at:][:p.Groups])
			}
		}
		p.Dst = &dst[c*stride]
		asm.Gemm8AVX512(p, len(some))
	}
}
