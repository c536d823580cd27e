//go:build !purego && (amd64 || arm64)

package asm

import "unsafe"

// Gemm32 is a product of float32 matrices, taken in tiles of a few rows and vectors of [Lanes] columns:
//
//	for r := range rows {
//		for v := range vectors {
//			for lane := range Lanes {
//				acc := 0, or C[r, v·Lanes+lane] if Add is not 0
//				for k := range K {
//					acc = fma(A[r, k], B[k, v, lane], acc)
//				}
//				C[r, v·Lanes+lane] = acc
//			}
//		}
//	}
//
// A value is the same in whatever tile it is computed. There are kernels for halves, too, with a B of binary16 numbers.
type Gemm32 struct {
	A       *float32 // [rows, AStride bytes]
	AStride int
	B       unsafe.Pointer // to float32 or binary16; vector v of row k is BStep·k + BVector·v bytes from here
	BStep   int
	BVector int
	K       int      // at least 1
	C       *float32 // [rows, CStride bytes]
	CStride int
	Add     int
	Fetch   int // for halves: bytes of B to prefetch for each of its rows, 8 KiB ahead
}

// Lanes is the number of columns in a vector of [Gemm32].
const Lanes = 16

// rowsAtATime is the largest number of rows that there is a kernel for.
func rowsAtATime(rows int) int {
	switch {
	case rows >= 6:
		return 6
	case rows >= 4:
		return 4
	case rows >= 2:
		return 2
	}
	return 1
}

func (t *Gemm32) nextRows(n int) {
	t.A, t.C = advance(t.A, n*t.AStride), advance(t.C, n*t.CStride)
}

func (t *Gemm32) nextVectors(n int) {
	t.B, t.C = unsafe.Add(t.B, n*t.BVector), advance(t.C, 4*n*Lanes)
}

func advance[T any](p *T, bytes int) *T { return (*T)(unsafe.Add(unsafe.Pointer(p), bytes)) }
