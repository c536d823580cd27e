package kernels

import (
	"encoding/binary"

	"github.com/mneme-lm/mneme/weights/quant"
)

// groupLen is the number of weights that share a scale and a minimum in an unpacked row: the least of all formats.
const groupLen = 16

// unpackers turn a stored row into one form for all block formats: weight i is
//
//	scales[i/16]·q[i] − mins[i/16]
//
// with q a signed byte. Nothing is rounded: the value is the one that quant.Decode gives. A format without minimum
// leaves mins zero.
var unpackers = map[quant.Type]func(q []int8, scales, mins []float32, row []byte){
	quant.Q8_0:   unpackQ8_0,
	quant.Q4_0:   unpackQ4_0,
	quant.Q4_1:   unpackQ4_1,
	quant.Q5_0:   unpackQ5_0,
	quant.Q5_1:   unpackQ5_1,
	quant.Q2_K:   unpackQ2_K,
	quant.Q3_K:   unpackQ3_K,
	quant.Q4_K:   unpackQ4_K,
	quant.Q5_K:   unpackQ5_K,
	quant.Q6_K:   unpackQ6_K,
	quant.IQ4_NL: unpackIQ4_NL,
	quant.IQ4_XS: unpackIQ4_XS,
}

func half(b []byte) float32 { return quant.F16ToF32(binary.LittleEndian.Uint16(b)) }

// block32 gives block i of a row of 32-weight blocks: its bytes, its weights and its two groups.
func block32(i, size int, row []byte, q []int8, scales, mins []float32) (b []byte, bq []int8, bs, bm []float32) {
	return row[i*size : (i+1)*size], q[i*32 : (i+1)*32 : (i+1)*32], scales[2*i : 2*i+2], mins[2*i : 2*i+2]
}

func unpackQ8_0(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 32 {
		b, bq, bs, bm := block32(i, 34, row, q, scales, mins)
		d := half(b)
		bs[0], bs[1], bm[0], bm[1] = d, d, 0, 0
		for j, v := range b[2:] {
			bq[j] = int8(v)
		}
	}
}

func unpackQ4_0(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 32 {
		b, bq, bs, bm := block32(i, 18, row, q, scales, mins)
		d := half(b)
		bs[0], bs[1], bm[0], bm[1] = d, d, 0, 0
		for j, v := range b[2:] {
			bq[j], bq[j+16] = int8(v&15)-8, int8(v>>4)-8
		}
	}
}

func unpackQ4_1(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 32 {
		b, bq, bs, bm := block32(i, 20, row, q, scales, mins)
		d, m := half(b), -half(b[2:])
		bs[0], bs[1], bm[0], bm[1] = d, d, m, m
		for j, v := range b[4:] {
			bq[j], bq[j+16] = int8(v&15), int8(v>>4)
		}
	}
}

func unpackQ5_0(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 32 {
		b, bq, bs, bm := block32(i, 22, row, q, scales, mins)
		d := half(b)
		bs[0], bs[1], bm[0], bm[1] = d, d, 0, 0
		fifthBits(bq, binary.LittleEndian.Uint32(b[2:]), b[6:], 16)
	}
}

func unpackQ5_1(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 32 {
		b, bq, bs, bm := block32(i, 24, row, q, scales, mins)
		d, m := half(b), -half(b[2:])
		bs[0], bs[1], bm[0], bm[1] = d, d, m, m
		fifthBits(bq, binary.LittleEndian.Uint32(b[4:]), b[8:], 0)
	}
}

// fifthBits joins 32 nibbles with their fifth bits and subtracts zero.
func fifthBits(q []int8, high uint32, nibbles []byte, zero int8) {
	for j, v := range nibbles {
		q[j] = int8(v&15|byte(high>>j&1)<<4) - zero
		q[j+16] = int8(v>>4|byte(high>>(j+16)&1)<<4) - zero
	}
}

// block256 gives super-block i of a row: its bytes, its weights and its sixteen groups.
func block256(i, size int, row []byte, q []int8, scales, mins []float32) (b []byte, bq []int8, bs, bm []float32) {
	return row[i*size : (i+1)*size], q[i*256 : (i+1)*256], scales[16*i : 16*i+16], mins[16*i : 16*i+16]
}

func unpackQ2_K(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 256 {
		b, bq, bs, bm := block256(i, 84, row, q, scales, mins)
		d, dmin := half(b[80:]), half(b[82:])
		for g, s := range b[:16] {
			bs[g], bm[g] = d*float32(s&15), dmin*float32(s>>4)
		}
		for j := range bq {
			bq[j] = int8(b[16+j/128*32+j%32] >> (j % 128 / 32 * 2) & 3)
		}
	}
}

func unpackQ3_K(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 256 {
		b, bq, bs, bm := block256(i, 110, row, q, scales, mins)
		d := half(b[108:])
		for g := range bs {
			// Six bits: four from the first eight bytes (low nibbles, then high), two from the last four.
			s := b[96+g%8]>>(g/8*4)&15 | b[104+g%4]>>(g/4*2)&3<<4
			bs[g], bm[g] = d*float32(int(s)-32), 0
		}
		for j := range bq {
			v := int8(b[32+j/128*32+j%32] >> (j % 128 / 32 * 2) & 3)
			if b[j%32]>>(j/32)&1 == 0 {
				v -= 4
			}
			bq[j] = v
		}
	}
}

// scaleMinK4 is the j-th of eight six-bit pairs of scale and minimum, packed in twelve bytes.
func scaleMinK4(p []byte, j int) (scale, minimum float32) {
	if j < 4 {
		return float32(p[j] & 63), float32(p[j+4] & 63)
	}
	return float32(p[j+4]&15 | p[j-4]>>6<<4), float32(p[j+4]>>4 | p[j]>>6<<4)
}

// scalesK4 fills the sixteen groups of a Q4_K or Q5_K super-block, which has eight scales and minimums.
func scalesK4(b []byte, scales, mins []float32) {
	d, dmin := half(b), half(b[2:])
	for j := range 8 {
		s, m := scaleMinK4(b[4:16], j)
		scales[2*j], scales[2*j+1] = d*s, d*s
		mins[2*j], mins[2*j+1] = dmin*m, dmin*m
	}
}

func unpackQ4_K(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 256 {
		b, bq, bs, bm := block256(i, 144, row, q, scales, mins)
		scalesK4(b, bs, bm)
		for j, v := range b[16:] {
			at := j/32*64 + j%32
			bq[at], bq[at+32] = int8(v&15), int8(v>>4)
		}
	}
}

func unpackQ5_K(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 256 {
		b, bq, bs, bm := block256(i, 176, row, q, scales, mins)
		scalesK4(b, bs, bm)
		high := b[16:48]
		for j, v := range b[48:] {
			at, bit := j/32*64+j%32, j/32*2
			bq[at] = int8(v&15 | high[j%32]>>bit&1<<4)
			bq[at+32] = int8(v>>4 | high[j%32]>>(bit+1)&1<<4)
		}
	}
}

func unpackQ6_K(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 256 {
		b, bq, bs, bm := block256(i, 210, row, q, scales, mins)
		d := half(b[208:])
		for g, s := range b[192:208] {
			bs[g], bm[g] = d*float32(int8(s)), 0
		}
		for j := range bq {
			h, k := j/128, j%128
			low := b[h*64+k%64] >> (k / 64 * 4) & 15
			high := b[128+h*32+k%32] >> (k / 32 * 2) & 3
			bq[j] = int8(low|high<<4) - 32
		}
	}
}

// iq4Values are the sixteen levels of IQ4_NL and IQ4_XS.
var iq4Values = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

func unpackIQ4_NL(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 32 {
		b, bq, bs, bm := block32(i, 18, row, q, scales, mins)
		d := half(b)
		bs[0], bs[1], bm[0], bm[1] = d, d, 0, 0
		for j, v := range b[2:] {
			bq[j], bq[j+16] = iq4Values[v&15], iq4Values[v>>4]
		}
	}
}

func unpackIQ4_XS(q []int8, scales, mins []float32, row []byte) {
	for i := range len(q) / 256 {
		b, bq, bs, bm := block256(i, 136, row, q, scales, mins)
		d, high := half(b), binary.LittleEndian.Uint16(b[2:])
		for j := range 8 {
			s := int(b[4+j/2]>>(j%2*4)&15) | int(high>>(2*j)&3)<<4
			bs[2*j], bs[2*j+1] = d*float32(s-32), d*float32(s-32)
			bm[2*j], bm[2*j+1] = 0, 0
		}
		for j, v := range b[8:] {
			at := j/16*32 + j%16
			bq[at], bq[at+16] = iq4Values[v&15], iq4Values[v>>4]
		}
	}
}
