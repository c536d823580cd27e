//go:build !purego

package kernels

import (
	"encoding/binary"
)

// packWords writes n 32-bit words of each row, from a byte of it on: first of all rows the first, flipped in the bits given.
// It returns what is left of dst.
func packWords(dst []byte, rows [][]byte, at, n int, flip uint32) []byte {
	for i := range n {
		for r, row := range rows {
			binary.LittleEndian.PutUint32(dst[4*r:], binary.LittleEndian.Uint32(row[at+4*i:])^flip)
		}
		dst = dst[4*len(rows):]
	}
	return dst
}

// packHalves writes the 16-bit word at a byte of each row, and returns what is left of dst.
func packHalves(dst []byte, rows [][]byte, at int) []byte {
	for r, row := range rows {
		copy(dst[2*r:2*r+2], row[at:])
	}
	return dst[2*len(rows):]
}

// The functions below fill in a group as asm.PackedQ4_0 and its siblings describe it.

func packQ4_0(dst []byte, rows [][]byte) {
	const block = 18
	for at := 0; at < len(rows[0]); at += 4 * block {
		for b := range 4 {
			dst = packHalves(dst, rows, at+b*block)
		}
		for b := range 4 {
			dst = packWords(dst, rows, at+b*block+2, 4, 0)
		}
	}
}
