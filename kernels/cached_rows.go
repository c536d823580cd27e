//go:build !purego && (amd64 || arm64)

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// cachedRows are the products of attention, both of them float32 matrix products: queries with keys, whose lanes are keys,
// and weights with values, whose lanes are dimensions. A piece of rows at a time is decoded into memory that stays in a
// first-level cache while all queries meet it.
type cachedRows struct {
	gemm      func(t *asm.Gemm32, rows, vectors int)
	widen     func(dst []float32, stored []byte, t quant.Type)
	widenKeys func(dst []float32, keys []byte) // of type Q8_0

	turnF32, turnF16 func(t *asm.Turn)           // keys of float32, and of binary16
	turnDots         *[maxTurnDots + 1]*turnDots // by the number of queries, where there are some

	halves     func(t *asm.Gemm32, rows, vectors int) // with rows of type F16 as they are stored, four vectors at a time
	halvesRows int                                    // up to so many queries, for which decoding first does not pay
}

// pieceFloats is about how many values are decoded at a time.
const pieceFloats = 4096

// scores is Implementation.Scores.
func (k *cachedRows) scores(dst []float32, stride int, q []float32, dim int, keys []byte, t quant.Type, n int, turn *Turn, s *Scratch) {
	if n == 0 || dim == 0 || len(q) == 0 {
		return
	}
	m, groups, size := len(q)/dim, n/KeyGroup, len(keys)/n*KeyGroup
	p := &s.native.gemm32
	g, whole := 0, groups&^3
	if dots := k.turnDotsFor(m, turn); dots != nil && whole > 0 {
		k.dotTurned(dots, dst, stride, q, dim, keys[:whole*size], t, whole, turn, s)
		g = whole
	}
	*p = asm.Gemm32{A: &q[0], AStride: 4 * dim, C: &dst[0], CStride: 4 * stride, K: dim}
	if t == quant.F16 && turn == nil && m <= k.halvesRows && whole > 0 {
		p.BStep, p.BVector, p.Fetch = 2*KeyGroup, 2*KeyGroup*dim, 4*2*KeyGroup
		p.B = unsafe.Pointer(&keys[0])
		k.halves(p, m, whole)
		g = whole
	}
	p.BStep, p.BVector = 4*KeyGroup, 4*KeyGroup*dim
	piece := max(pieceFloats/(dim*KeyGroup), 4) &^ 3
	floats := s.Floats(piece * dim * KeyGroup)
	for ; g < groups; g += piece {
		some := min(piece, groups-g)
		stored, wide := keys[g*size:(g+some)*size], floats[:some*dim*KeyGroup]
		if turn == nil {
			p.B = k.keys(stored, t, wide)
		} else {
			p.B = k.turned(wide, stored, t, dim, turn, g*KeyGroup, s)
		}
		p.C = &dst[g*KeyGroup]
		k.gemm(p, m, some)
	}
	*p = asm.Gemm32{}
}

// keys returns groups of keys as float32, in floats if they are not stored so.
func (k *cachedRows) keys(stored []byte, t quant.Type, floats []float32) unsafe.Pointer {
	if t == quant.F32 {
		return unsafe.Pointer(&stored[0])
	}
	if t == quant.Q8_0 {
		k.widenKeys(floats, stored)
	} else {
		k.widen(floats, stored, t)
	}
	return unsafe.Pointer(&floats[0])
}

// widenAll is Implementation.WidenKeys.
func (k *cachedRows) widenAll(dst []float32, keys []byte, t quant.Type, dim, n int) {
	switch {
	case n == 0 || dim == 0:
	case t == quant.Q8_0:
		k.widenKeys(dst[:n*dim], keys)
	default:
		k.widen(dst[:n*dim], keys, t)
	}
}

// addValues is Implementation.AddValues.
func (k *cachedRows) addValues(out, w []float32, stride, dim int, values []byte, t quant.Type, n int, s *Scratch) {
	if n == 0 || dim == 0 || len(out) == 0 {
		return
	}
	width, size := ValueWidth(dim), len(values)/n
	m, vectors := len(out)/width, width/KeyGroup
	p := &s.native.gemm32
	*p = asm.Gemm32{A: &w[0], AStride: 4 * stride, C: &out[0], CStride: 4 * width, Add: 1}
	if t == quant.F16 && m <= k.halvesRows && width == dim && vectors%4 == 0 {
		p.B, p.BStep, p.BVector, p.K, p.Fetch = unsafe.Pointer(&values[0]), size, 2*KeyGroup, n, size
		k.halves(p, m, vectors)
		*p = asm.Gemm32{}
		return
	}
	p.BStep, p.BVector = 4*width, 4*KeyGroup
	piece := max(pieceFloats/width, 16)
	floats := s.Floats(piece * width)
	for j := 0; j < n; j += piece {
		p.K = min(piece, n-j)
		p.A, p.B = &w[j], k.values(values[j*size:(j+p.K)*size], t, dim, p.K, floats)
		k.gemm(p, m, vectors)
	}
	*p = asm.Gemm32{}
}

// values returns n rows as float32, ValueWidth apart, in floats if they are not stored so.
func (k *cachedRows) values(stored []byte, t quant.Type, dim, n int, floats []float32) unsafe.Pointer {
	width := ValueWidth(dim)
	if t == quant.F32 && width == dim {
		return unsafe.Pointer(&stored[0])
	}
	if width == dim {
		k.widen(floats[:n*dim], stored, t)
		return unsafe.Pointer(&floats[0])
	}
	size := len(stored) / n
	for j := range n {
		row := floats[j*width : (j+1)*width]
		k.widen(row[:dim], stored[j*size:(j+1)*size], t)
		clear(row[dim:])
	}
	return unsafe.Pointer(&floats[0])
}
