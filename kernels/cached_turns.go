//go:build !purego && (amd64 || arm64)

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Keys that are rotated meet the queries in one of two ways. For many queries a piece of keys is rotated into memory that
// stays in a first-level cache, as it is decoded for those that are not rotated. For the few of one row, what is rotated
// meets them in registers, four groups of keys at a time; sums have the same order.

// turned decodes groups of keys, of which the first is key j of those that the turn is for, and rotates them.
func (k *cachedRows) turned(wide []float32, stored []byte, t quant.Type, dim int, turn *Turn, j int, s *Scratch) unsafe.Pointer {
	kernel, src := k.turnF32, unsafe.Pointer(&stored[0])
	if t == quant.F16 {
		kernel = k.turnF16
	}
	if t == quant.Q8_0 {
		k.widenKeys(wide, stored)
		src = unsafe.Pointer(&wide[0])
	} else {
		k.widenFrom(2*turn.Pairs, wide, stored, t, dim)
	}
	if turn.Pairs > 0 {
		p := &s.native.turn
		turn.describe(p, src, len(wide)/(dim*KeyGroup), dim, j)
		p.Dst = &wide[0]
		kernel(p)
		*p = asm.Turn{}
	}
	return unsafe.Pointer(&wide[0])
}

// describe says which keys to rotate by which angles: groups that are at src, of which the first is key j.
func (t *Turn) describe(p *asm.Turn, src unsafe.Pointer, groups, dim, j int) {
	*p = asm.Turn{
		Src: src, Step: 2 * KeyGroup, Other: KeyGroup, Group: dim * KeyGroup,
		Cos: &t.Cos[t.First+j], Sin: &t.Sin[t.First+j], Stride: t.Stride, Pairs: t.Pairs, Groups: groups,
	}
	if t.Halves {
		p.Step, p.Other = KeyGroup, t.Pairs*KeyGroup
	}
}

// widenFrom decodes the dimensions from the given one on of groups of keys, of a type whose values lie side by side.
func (k *cachedRows) widenFrom(first int, wide []float32, stored []byte, t quant.Type, dim int) {
	if first == dim {
		return
	}
	size := t.BlockBytes()
	for at := 0; at < len(wide); at += dim * KeyGroup {
		rest, end := at+first*KeyGroup, at+dim*KeyGroup
		k.widen(wide[rest:end], stored[rest*size:end*size], t)
	}
}

// turnDots are the products of some queries with four groups of keys that are rotated.
type turnDots struct {
	halvesF32, halvesF16, pairsF32, pairsF16 func(t *asm.TurnDot)
}

// maxTurnDots is the largest number of queries that there are turnDots for.
const maxTurnDots = 4

// turnDotsFor returns the kernels for m queries, or nil.
func (k *cachedRows) turnDotsFor(m int, turn *Turn) *turnDots {
	if turn == nil || turn.Pairs == 0 || m > maxTurnDots || k.turnDots == nil {
		return nil
	}
	return k.turnDots[m]
}

// dotTurned makes the scores of whole fours of groups.
func (k *cachedRows) dotTurned(dots *turnDots, dst []float32, stride int, q []float32, dim int, keys []byte, t quant.Type, groups int, turn *Turn, s *Scratch) {
	m, size, values := len(q)/dim, 4*len(keys)/groups, 4*KeyGroup*dim
	floats := s.Floats(values + 4*KeyGroup*turn.Pairs)
	wide, seconds := floats[:values], floats[values:]
	dot, second, rest := dots.choose(t, turn.Halves), &s.native.seconds, &s.native.gemm32
	d := &s.native.turnDot
	*d = asm.TurnDot{Q: &q[0], QStride: dim, OutStride: stride}
	turn.describe(&d.Turn, unsafe.Pointer(&wide[0]), 4, dim, 0)
	d.Dst = &seconds[0]
	*second = asm.Gemm32{
		A: &q[0], AStride: 4 * dim, B: unsafe.Pointer(&seconds[0]), BStep: 4 * 4 * KeyGroup, BVector: 4 * KeyGroup,
		K: turn.Pairs, CStride: 4 * stride, Add: 1,
	}
	*rest = *second
	rest.BStep, rest.BVector, rest.K = 4*KeyGroup, 4*KeyGroup*dim, dim-2*turn.Pairs
	for g := 0; g < groups; g += 4 {
		j, stored := g*KeyGroup, keys[g/4*size:(g/4+1)*size]
		d.Out = &dst[j]
		d.Cos, d.Sin = &turn.Cos[turn.First+j], &turn.Sin[turn.First+j]
		if t == quant.Q8_0 {
			k.widenKeys(wide, stored)
		} else {
			d.Src = unsafe.Pointer(&stored[0])
			k.widenFrom(2*turn.Pairs, wide, stored, t, dim)
		}
		dot(d)
		if turn.Halves {
			second.A, second.C = &q[turn.Pairs], d.Out
			k.gemm(second, m, 4)
		}
		if rest.K > 0 {
			rest.A, rest.B, rest.C = &q[2*turn.Pairs], unsafe.Pointer(&wide[2*turn.Pairs*KeyGroup]), d.Out
			k.gemm(rest, m, 4)
		}
	}
	*d, *second, *rest = asm.TurnDot{}, asm.Gemm32{}, asm.Gemm32{}
}

// choose returns the kernel for keys of type t; those of Q8_0 are decoded first.
func (d *turnDots) choose(t quant.Type, halves bool) func(t *asm.TurnDot) {
	switch {
	case halves && t == quant.F16:
		return d.halvesF16
	case halves:
		return d.halvesF32
	case t == quant.F16:
		return d.pairsF16
	}
	return d.pairsF32
}
