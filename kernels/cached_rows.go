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
}

// pieceFloats is about how many values are decoded at a time.
const pieceFloats = 4096

// scores is Implementation.Scores.
func (k *cachedRows) scores(dst []float32, stride int, q []float32, dim int, keys []byte, t quant.Type, n int, s *Scratch) {
	if n == 0 || dim == 0 || len(q) == 0 {
		return
	}
	groups, size := n/KeyGroup, len(keys)/n*KeyGroup
	piece := max(pieceFloats/(dim*KeyGroup), 4) &^ 3
	floats := s.Floats(piece * dim * KeyGroup)
	p := &s.native.gemm32
	*p = asm.Gemm32{A: &q[0], AStride: 4 * dim, BStep: 4 * KeyGroup, BVector: 4 * KeyGroup * dim, K: dim, CStride: 4 * stride}
	for g := 0; g < groups; g += piece {
		some := min(piece, groups-g)
		p.B = k.keys(keys[g*size:(g+some)*size], t, floats[:some*dim*KeyGroup])
		p.C = &dst[g*KeyGroup]
		k.gemm(p, len(q)/dim, some)
	}
	*p = asm.Gemm32{}
}

// keys returns groups of keys as float32, in floats if they are not stored so.
func (k *cachedRows) keys(stored []byte, t quant.Type, floats []float32) *float32 {
	if t == quant.F32 {
		return (*float32)(unsafe.Pointer(&stored[0]))
	}
	if t == quant.Q8_0 {
		k.widenKeys(floats, stored)
	} else {
		k.widen(floats, stored, t)
	}
	return &floats[0]
}

// addValues is Implementation.AddValues.
func (k *cachedRows) addValues(out, w []float32, stride, dim int, values []byte, t quant.Type, n int, s *Scratch) {
	if n == 0 || dim == 0 || len(out) == 0 {
		return
	}
	width, size := ValueWidth(dim), len(values)/n
	piece := max(pieceFloats/width, 16)
	floats := s.Floats(piece * width)
	p := &s.native.gemm32
	*p = asm.Gemm32{AStride: 4 * stride, BStep: 4 * width, BVector: 4 * KeyGroup, C: &out[0], CStride: 4 * width, Add: 1}
	for j := 0; j < n; j += piece {
		p.K = min(piece, n-j)
		p.A, p.B = &w[j], k.values(values[j*size:(j+p.K)*size], t, dim, p.K, floats)
		k.gemm(p, len(out)/width, width/KeyGroup)
	}
	*p = asm.Gemm32{}
}

// values returns n rows as float32, ValueWidth apart, in floats if they are not stored so.
func (k *cachedRows) values(stored []byte, t quant.Type, dim, n int, floats []float32) *float32 {
	width := ValueWidth(dim)
	if t == quant.F32 && width == dim {
		return (*float32)(unsafe.Pointer(&stored[0]))
	}
	if width == dim {
		k.widen(floats[:n*dim], stored, t)
		return &floats[0]
	}
	size := len(stored) / n
	for j := range n {
		row := floats[j*width : (j+1)*width]
		k.widen(row[:dim], stored[j*size:(j+1)*size], t)
		clear(row[dim:])
	}
	return &floats[0]
}
