//go:build !purego

package kernels

import (
	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// packedKernel multiplies sixteen packed rows, or brings them into a tile.
type packedKernel struct {
	dot  func(*asm.Dot16)
	tile func(*asm.Packed16)
	// columns is the number of activation rows up to which packed rows are multiplied as they lie. It is where, measured
	// with rows of 2048 weights, it began to pay to bring them into a tile first.
	columns int
}

var packedKernels = map[quant.Type]packedKernel{
	quant.Q4_0: {asm.DotPackedQ4_0AVX512, asm.TilePackedQ4_0AVX512, 32},
	quant.Q8_0: {asm.DotPackedQ8_0AVX512, asm.TilePackedQ8_0AVX512, 16},
	quant.Q4_K: {asm.DotPackedQ4_KAVX512, asm.TilePackedQ4_KAVX512, 16},
	quant.Q6_K: {asm.DotPackedQ6_KAVX512, asm.TilePackedQ6_KAVX512, 12},
}

var packingsAVX512 = map[quant.Type]*Packing{
	quant.Q4_0: {Rows: asm.PackedRows, Step: 128, Mul: mulPacked, stepBytes: asm.PackedQ4_0, pack: packQ4_0},
	quant.Q8_0: {Rows: asm.PackedRows, Step: 128, Mul: mulPacked, stepBytes: asm.PackedQ8_0, pack: packQ8_0},
	quant.Q4_K: {Rows: asm.PackedRows, Step: 256, Mul: mulPacked, stepBytes: asm.PackedQ4_K, pack: packQ4_K},
	quant.Q6_K: {Rows: asm.PackedRows, Step: 256, Mul: mulPacked, stepBytes: asm.PackedQ6_K, pack: packQ6_K},
}

func mulPacked(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	if columns(x, pick) == 0 || from >= to {
		return
	}
	if w.Cols == 0 {
		for c := range columns(x, pick) {
			clear(dst[c*stride+from : c*stride+to])
		}
		return
	}
	if columns(x, pick) <= packedKernels[w.Type].columns {
		mulPackedDots(dst, stride, w, from, to, x, pick, s)
		return
	}
	if first := from % asm.PackedRows; first != 0 { // a tile begins with a group of rows
		middle := min(from-first+asm.PackedRows, to)
		mulPackedDots(dst, stride, w, from, middle, x, pick, s)
		from = middle
	}
	tileKernels[w.Type].mulTiles(dst, stride, w, from, to, x, pick, s)
}

// mulPackedDots multiplies group by group, each with all columns while it is in the cache.
func mulPackedDots(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	k, tiles, p, t := packedKernels[w.Type], tileKernels[w.Type], w.Packing, &s.native.dot16
	size, n := p.groupBytes(w.Cols), columns(x, pick)
	t.Steps = w.Cols / p.Step
	take := func(c int) {
		column := picked(pick, c)
		t.Q = &x.Q[column*w.Cols]
		t.ColumnScales, t.Column = tiles.dotColumn(x, column*w.Cols)
	}
	take(0)
	for r := from; r < to; {
		group := r / asm.PackedRows
		first, end := r-group*asm.PackedRows, min(asm.PackedRows, to-group*asm.PackedRows)
		t.Rows = &w.Data[group*size]
		for c := range n {
			if n > 1 {
				take(c)
			}
			k.dot(t)
			copy(dst[c*stride+r:], t.Out[first:end])
		}
		r += end - first
	}
	*t = asm.Dot16{}
}

// loadPacked is load for packed rows, of which r is the first of a group.
func (t *tile) loadPacked(w *Matrix, r, rows, first, n int) {
	p := w.Packing
	size := p.groupBytes(w.Cols)
	for half := 0; half < rows; half += asm.PackedRows {
		at := (r+half)/asm.PackedRows*size + first/p.Step*p.stepBytes
		t.packed = asm.Packed16{
			Rows: &w.Data[at], Steps: n / p.Step,
			Weights: &t.weights[4*half], Scales: &t.scales[half], Mins: &t.mins[half],
		}
		packedKernels[w.Type].tile(&t.packed)
	}
}
