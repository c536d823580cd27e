package quant

import "encoding/binary"

// The formats with blocks of 32 values and float16 scales. Within a block, value j and value j+16 share a byte of
// 4-bit codes: j in the lower half, j+16 in the upper. Where codes have 5 bits, bit j of a 32-bit field is the fifth
// bit of value j.
//
// Field sizes in bytes, and the value of code q:
//
//	Q4_0  d 2, codes 16                     d*(q-8),   q = 0…15
//	Q4_1  d 2, m 2, codes 16                d*q + m,   q = 0…15
//	Q5_0  d 2, fifth bits 4, codes 16       d*(q-16),  q = 0…31
//	Q5_1  d 2, m 2, fifth bits 4, codes 16  d*q + m,   q = 0…31
//	Q8_0  d 2, codes 32                     d*q,       q = -128…127
//
// A product of a float16 scale and a code of at most 8 bits is exact in float32, so decoding rounds at most once, in
// the addition, and gives the same bits whether or not multiplication and addition are fused. This holds for the
// formats with blocks of 256 as well.

const block32 = 32

func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) >= block32; dst, src = dst[block32:], src[18:] {
		y, b := (*[block32]float32)(dst), (*[18]byte)(src)
		d := halfAt(b[:])
		for j := range 16 {
			codes := b[2+j]
			y[j] = float32(int32(codes&15)-8) * d
			y[j+16] = float32(int32(codes>>4)-8) * d
		}
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) >= block32; dst, src = dst[block32:], src[20:] {
		y, b := (*[block32]float32)(dst), (*[20]byte)(src)
		d, m := halfAt(b[:]), halfAt(b[2:])
		for j := range 16 {
			codes := b[4+j]
			y[j] = float32(int32(codes&15))*d + m
			y[j+16] = float32(int32(codes>>4))*d + m
		}
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) >= block32; dst, src = dst[block32:], src[22:] {
		y, b := (*[block32]float32)(dst), (*[22]byte)(src)
		d := halfAt(b[:])
		fifth := binary.LittleEndian.Uint32(b[2:])
		for j := range 16 {
			codes := uint32(b[6+j])
			y[j] = float32(int32(codes&15|fifth<<4&16)-16) * d
			y[j+16] = float32(int32(codes>>4|fifth>>12&16)-16) * d
			fifth >>= 1
		}
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) >= block32; dst, src = dst[block32:], src[24:] {
		y, b := (*[block32]float32)(dst), (*[24]byte)(src)
		d, m := halfAt(b[:]), halfAt(b[2:])
		fifth := binary.LittleEndian.Uint32(b[4:])
		for j := range 16 {
			codes := uint32(b[8+j])
			y[j] = float32(int32(codes&15|fifth<<4&16))*d + m
			y[j+16] = float32(int32(codes>>4|fifth>>12&16))*d + m
			fifth >>= 1
		}
	}
}

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) >= block32; dst, src = dst[block32:], src[34:] {
		y, b := (*[block32]float32)(dst), (*[34]byte)(src)
		d := halfAt(b[:])
		for j := range y {
			y[j] = float32(int8(b[2+j])) * d
		}
	}
}
