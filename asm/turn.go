//go:build !purego && (amd64 || arm64)

package asm

import "unsafe"

// Turn rotates pairs of dimensions of keys that lie in groups of [Lanes], dimension by dimension, each key by angles of
// its own:
//
//	for p := range Pairs {
//		for g := range Groups {
//			for lane := range Lanes {
//				a, b := &Dst[Step*p+Group*g+lane], &Dst[Step*p+Group*g+Other+lane]
//				x, y := Src[Step*p+Group*g+lane], Src[Step*p+Group*g+Other+lane]
//				c, s := Cos[Stride*p+Lanes*g+lane], Sin[Stride*p+Lanes*g+lane]
//				*a, *b = x*c-y*s, x*s+y*c
//			}
//		}
//	}
//
// Products are rounded before they are added, as in the rotation of rows: both then give the same keys, bit by bit. Distances
// are in values. Src holds float32 numbers and may be Dst, or it holds binary16 ones.
type Turn struct {
	Dst      *float32
	Src      unsafe.Pointer
	Step     int // from the first dimension of a pair to that of the next
	Other    int // from the first dimension of a pair to its second
	Group    int // from a group to the next
	Cos, Sin *float32
	Stride   int // from the angles of a pair to those of the next
	Pairs    int // at least 1
	Groups   int // at least 1
}

// TurnDot is the product of one, two or four queries with four groups of keys whose pairs of dimensions are rotated as
// [Turn] has it, over these dimensions alone:
//
//	for q := range queries {
//		for g := range 4 {
//			for lane := range Lanes {
//				acc := 0
//				for p := range Pairs {
//					a, b := ... // the pair of dimensions as Turn has it
//					acc = fma(a, Q[QStride*q+Step/Lanes*p], acc)
//					... // with b, as the kernel says
//				}
//				Out[OutStride*q+Lanes*g+lane] = acc
//			}
//		}
//	}
//
// Where pairs are neighbours, Pairs kernels add their second dimension at once:
//
//	acc = fma(b, Q[QStride*q+Step/Lanes*p+1], acc)
//
// Where they are not, it follows later in the order of dimensions, and Halves kernels leave it to others:
//
//	Dst[4*Lanes*p+Lanes*g+lane] = b
//
// Pairs kernels do not use Dst. Groups is 4.
type TurnDot struct {
	Turn
	Q         *float32
	QStride   int // in values
	Out       *float32
	OutStride int // in values
}
