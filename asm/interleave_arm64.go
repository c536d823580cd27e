//go:build !purego

package asm

import "unsafe"

// Quad is four rows that lie anywhere.
type Quad [4]unsafe.Pointer

// WordsNEON lays the 32-bit words of four rows side by side:
//
//	for k := range n {
//		for r := range 4 {
//			dst[4*k+r] = rows[r][k]
//		}
//	}
//
//go:noescape
func WordsNEON(dst unsafe.Pointer, rows *Quad, n int)

// WordsTwiceNEON lays the 32-bit words of four rows side by side, each twice: the scales of the rows of SMMLA, whose
// results lie in the order of rows, then columns, two of each.
//
//	for k := range n {
//		for i := range 8 {
//			dst[8*k+i] = rows[i/2][k]
//		}
//	}
//
//go:noescape
func WordsTwiceNEON(dst unsafe.Pointer, rows *Quad, n int)

// WordsPairsNEON lays the 32-bit words of four columns side by side, each pair of columns twice: the scales of the
// columns of SMMLA.
//
//	for k := range n {
//		for i := range 8 {
//			dst[8*k+i] = rows[i/4*2+i%2][k]
//		}
//	}
//
//go:noescape
func WordsPairsNEON(dst unsafe.Pointer, rows *Quad, n int)

// EightsNEON lays n·8 bytes of four rows side by side, eight at a time; n is even. Two rows make an operand of SMMLA.
//
//	for k := range n {
//		for r := range 4 {
//			for i := range 8 {
//				dst[32*k+8*r+i] = rows[r][8*k+i]
//			}
//		}
//	}
//
//go:noescape
func EightsNEON(dst unsafe.Pointer, rows *Quad, n int)
