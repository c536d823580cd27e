//go:build !purego && (amd64 || arm64)

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
)

// gemm is the product of float32 matrices by the kernel that attention has, in blocks (Goto and van de Geijn 2008): a
// block of B, packed into panels as the kernel reads them, meets one block of A's rows after the other. A sum goes on
// from C in the next block of K, so that it has the same bits in whatever blocks it is computed.
type gemm struct {
	kernel  func(t *asm.Gemm32, rows, vectors int)
	vectors int // of a panel: those that the kernel takes at once with six rows
	// unpacked is the number of A's rows up to which it does not pay to pack B, if it lies in the order that the kernel
	// reads anyway.
	unpacked int
	// transpose sets dst[c, r] = src[r, c] for r < side and c < side·n; strides are in bytes.
	transpose func(dst *float32, dstStride int, src *float32, srcStride, n int)
	side      int
	scale     func(dst, x, w []float32, by float32) // dst[i] = w[i]·(x[i]·by)
}

// ones are weights of scale.
var ones = func() (x [512]float32) {
	for i := range x {
		x[i] = 1
	}
	return x
}()

// times multiplies x by a number.
func (k gemm) times(x []float32, by float32) {
	for len(x) > 0 {
		n := min(len(x), len(ones))
		k.scale(x[:n], x[:n], ones[:n], by)
		x = x[n:]
	}
}

// aPadding keeps rows of a transposed block of A, whose beginnings are written side by side, out of each other's way in
// the cache.
const aPadding = 16

// mul is Implementation.Gemm.
func (k gemm) mul(g *Gemm, s *Scratch) {
	if g.scale(k.times) {
		return
	}
	vectors := k.vectors
	if g.M < 6 {
		vectors = 4 // one row is taken with as many vectors
	}
	rows, depth, cols := evenly(g.M, gemmRows, 12), evenly(g.K, gemmDepth, 4), evenly(g.N, gemmCols, KeyGroup*vectors)
	b := gemmBlock{gemm: k, g: g, panel: vectors, packed: g.TransB || g.Alpha != 1 || g.M > k.unpacked}
	memory := s.Floats(depth*cols + rows*(depth+aPadding) + rows*KeyGroup)
	b.b, memory = memory[:depth*cols], memory[depth*cols:]
	b.edge, b.a = memory[:rows*KeyGroup], memory[rows*KeyGroup:]
	for j := 0; j < g.N; j += cols {
		b.j, b.n = j, min(cols, g.N-j)
		for l := 0; l < g.K; l += depth {
			b.l, b.depth = l, min(depth, g.K-l)
			b.pack()
			for i := 0; i < g.M; i += rows {
				b.rows(i, min(rows, g.M-i), &s.native.gemm32)
			}
		}
	}
	s.native.gemm32 = asm.Gemm32{}
}

// gemmBlock is a block of op(B): the rows [l, l+depth) and the columns [j, j+n).
type gemmBlock struct {
	gemm
	g        *Gemm
	j, n     int
	l, depth int
	panel    int       // vectors of a panel
	packed   bool      // all panels are in b, not only the last vector if it is not full
	b        []float32 // panels: [depth, vectors, KeyGroup]
	a        []float32 // [rows, depth + aPadding] of A, if that is to be transposed
	edge     []float32 // [rows, KeyGroup] of C, for a vector that is not full
}

// pack fills the panels.
func (b *gemmBlock) pack() {
	from := 0
	if !b.packed {
		from = b.n / KeyGroup * KeyGroup
	}
	for col := from; col < b.n; col += packCols {
		end := min(col+packCols, b.n)
		if b.g.TransB {
			b.packTransposed(col, end)
		} else {
			b.packRows(col, end)
		}
	}
	vectors := (b.n + KeyGroup - 1) / KeyGroup
	if alpha := b.g.Alpha; alpha != 1 {
		b.times(b.b[:vectors*KeyGroup*b.depth], alpha)
	}
}

// vector returns where vector v is in the panels, and the distance between its rows.
func (b *gemmBlock) vector(v int) (at, step int) {
	vectors := (b.n + KeyGroup - 1) / KeyGroup
	first := v / b.panel * b.panel
	width := min(b.panel, vectors-first)
	return first*KeyGroup*b.depth + (v-first)*KeyGroup, width * KeyGroup
}

// packCols is the number of columns of B that are packed together: long pieces of its rows, into few panels.
const packCols = 16 * KeyGroup

// packRows packs the columns [col, end) of B, and fills the last vector up with zeros.
func (b *gemmBlock) packRows(col, end int) {
	g := b.g
	var at, step [packCols / KeyGroup]int
	for i := range at {
		at[i], step[i] = b.vector(min(col/KeyGroup+i, (end-1)/KeyGroup))
	}
	for l := range b.depth {
		row := g.B[(b.l+l)*g.LDB+b.j+col:][:end-col]
		for i := 0; len(row) > 0; i++ {
			to := b.b[at[i]+l*step[i]:][:KeyGroup]
			if len(row) < KeyGroup {
				clear(to[copy(to, row):])
				break
			}
			*(*[KeyGroup]float32)(to) = *(*[KeyGroup]float32)(row)
			row = row[KeyGroup:]
		}
	}
}

// packTransposed is packRows for the rows [col, end) of a B that is to be transposed.
func (b *gemmBlock) packTransposed(col, end int) {
	g := b.g
	for ; col < end; col += KeyGroup {
		cols := min(KeyGroup, end-col)
		at, step := b.vector(col / KeyGroup)
		b.transposed(b.b[at:], step, g.B[(b.j+col)*g.LDB+b.l:], g.LDB, cols, b.depth)
		for l := 0; l < b.depth && cols < KeyGroup; l++ {
			clear(b.b[at+l*step+cols:][:KeyGroup-cols])
		}
	}
}

// rows multiplies the rows [i, i+m) of op(A) by the block.
func (b *gemmBlock) rows(i, m int, t *asm.Gemm32) {
	g := b.g
	*t = asm.Gemm32{K: b.depth}
	if b.l > 0 || g.Beta != 0 {
		t.Add = 1
	}
	if g.TransA {
		step := b.depth + aPadding
		b.transposed(b.a, step, g.A[b.l*g.LDA+i:], g.LDA, b.depth, m)
		t.A, t.AStride = &b.a[0], 4*step
	} else {
		t.A, t.AStride = &g.A[i*g.LDA+b.l], 4*g.LDA
	}
	whole := b.n / KeyGroup
	t.BVector, t.CStride = 4*KeyGroup, 4*g.LDC
	if !b.packed && whole > 0 {
		t.B, t.BStep, t.C = unsafe.Pointer(&g.B[b.l*g.LDB+b.j]), 4*g.LDB, &g.C[i*g.LDC+b.j]
		b.kernel(t, m, whole)
	}
	for v := 0; b.packed && v < whole; v += b.panel {
		at, step := b.vector(v)
		t.B, t.BStep, t.C = unsafe.Pointer(&b.b[at]), 4*step, &g.C[i*g.LDC+b.j+v*KeyGroup]
		b.kernel(t, m, min(b.panel, whole-v))
	}
	if rest := b.n - whole*KeyGroup; rest > 0 {
		b.last(g.C[i*g.LDC+b.j+whole*KeyGroup:], m, whole, rest, t)
	}
}

// last multiplies by the last vector, of which only some columns are there.
func (b *gemmBlock) last(c []float32, m, v, cols int, t *asm.Gemm32) {
	at, step := b.vector(v)
	if t.Add != 0 {
		for r := range m {
			copy(b.edge[r*KeyGroup:], c[r*b.g.LDC:r*b.g.LDC+cols])
		}
	}
	t.B, t.BStep, t.C, t.CStride = unsafe.Pointer(&b.b[at]), 4*step, &b.edge[0], 4*KeyGroup
	b.kernel(t, m, 1)
	for r := range m {
		copy(c[r*b.g.LDC:r*b.g.LDC+cols], b.edge[r*KeyGroup:])
	}
}

// transposed sets dst[c·dstStep+r] = src[r·srcStep+c] for r < rows and c < cols, a few columns at a time, of which all rows
// stay in the first level of cache until their lines are full.
func (k *gemm) transposed(dst []float32, dstStep int, src []float32, srcStep, rows, cols int) {
	const some = 64
	whole, wide := rows/k.side*k.side, cols/k.side*k.side
	for c := 0; c < wide; c += some {
		n := min(some, wide-c)
		for r := 0; r < whole; r += k.side {
			k.transpose(&dst[c*dstStep+r], 4*dstStep, &src[r*srcStep+c], 4*srcStep, n/k.side)
		}
	}
	for r := range rows {
		first := wide
		if r >= whole {
			first = 0
		}
		for c := first; c < cols; c++ {
			dst[c*dstStep+r] = src[r*srcStep+c]
		}
	}
}
