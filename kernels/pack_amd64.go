//go:build !purego

package kernels

import (
	"encoding/binary"
	"math"
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

func packQ8_0(dst []byte, rows [][]byte) {
	const block = 34
	for at := 0; at < len(rows[0]); at += 4 * block {
		for b := range 4 {
			dst = packHalves(dst, rows, at+b*block)
		}
		for b := range 4 {
			dst = packWords(dst, rows, at+b*block+2, 8, 0x80808080)
		}
	}
}

func packQ4_K(dst []byte, rows [][]byte) {
	for at := 0; at < len(rows[0]); at += 144 {
		dst = packHalves(dst, rows, at)
		dst = packHalves(dst, rows, at+2)
		dst = packWords(dst, rows, at+4, 3, 0)
		dst = packWords(dst, rows, at+16, 32, 0)
	}
}

func packQ6_K(dst []byte, rows [][]byte) {
	for at := 0; at < len(rows[0]); at += 210 {
		for r, row := range rows {
			binary.LittleEndian.PutUint32(dst[4*r:], math.Float32bits(half(row[at+208:])))
		}
		dst = dst[4*len(rows):]
		for quad := range 4 { // of groups with their numbers two apart
			h, odd := quad/2, quad%2
			for g := 8*h + odd; g < 8*h+8; g += 2 {
				for r, row := range rows {
					dst[r] = row[at+192+g]
				}
				dst = dst[len(rows):]
			}
			for v := 4 * odd; v < 4*odd+4; v++ {
				for r, row := range rows {
					low, high := row[at+64*h+4*v:], binary.LittleEndian.Uint32(row[at+128+32*h+4*v:])
					a, b, c := sixBits(binary.LittleEndian.Uint32(low), binary.LittleEndian.Uint32(low[32:]), high)
					binary.LittleEndian.PutUint32(dst[4*r:], a)
					binary.LittleEndian.PutUint32(dst[4*(len(rows)+r):], b)
					binary.LittleEndian.PutUint32(dst[4*(2*len(rows)+r):], c)
				}
				dst = dst[12*len(rows):]
			}
		}
	}
}

// sixBits rearranges four times four weights of six bits, of which Q6_K has the lower four bits and the upper two apart, into
// three words: each byte has a weight of the first, second or third four, and above it two bits of one of the fourth.
func sixBits(low, low32, high uint32) (a, b, c uint32) {
	const nibbles, pairs = 0x0f0f0f0f, 0x30303030
	a = low&nibbles | high<<4&pairs
	b = low32&nibbles | high<<2&pairs
	c = low>>4&nibbles | high&pairs
	d := low32>>4&nibbles | high>>2&pairs
	return a | d&0x30303030<<2, b | d&0x0c0c0c0c<<4, c | d&0x03030303<<6
}
