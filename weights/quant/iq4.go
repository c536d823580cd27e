package quant

import "encoding/binary"

// The formats whose 4-bit codes index a table of sixteen unevenly spaced levels.
//
// Field sizes in bytes, and the value of code q:
//
//	IQ4_NL  d 2, codes 16                                       d*level[q],         blocks of 32
//	IQ4_XS  d 2, upper scale bits 2, lower scale bits 4, codes 128  d*(s-32)*level[q],  256 in sub-blocks of 32
//
// As in Q4_0, value j of 32 and value j+16 share a byte, j in the lower half. The 6-bit scale s of sub-block i has its
// lower four bits in half i%2 of byte i/2 of its field, its upper two at bit 2*i of the 16-bit field.

// iq4Levels are the levels of IQ4_NL and IQ4_XS, denser near zero like the weights they stand for.
var iq4Levels = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func decodeIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) >= block32; dst, src = dst[block32:], src[18:] {
		b := (*[18]byte)(src)
		decodeLevels((*[32]float32)(dst), (*[16]byte)(b[2:]), halfAt(b[:]))
	}
}

func decodeIQ4_XS(dst []float32, src []byte) {
	for ; len(dst) >= superBlock; dst, src = dst[superBlock:], src[136:] {
		b := (*[136]byte)(src)
		d := halfAt(b[:])
		upper := binary.LittleEndian.Uint16(b[2:])
		for sub := range 8 {
			s := int32(b[4+sub/2]>>(sub%2*4)&15) | int32(upper>>(2*sub)&3<<4)
			decodeLevels((*[32]float32)(dst[32*sub:]), (*[16]byte)(b[8+16*sub:]), d*float32(s-32))
		}
	}
}

func decodeLevels(y *[32]float32, codes *[16]byte, scale float32) {
	for j, c := range codes {
		y[j] = scale * iq4Levels[c&15]
		y[j+16] = scale * iq4Levels[c>>4]
	}
}
