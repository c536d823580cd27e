package quant

// The formats with super-blocks of 256 values, in sub-blocks of 16 or 32 with small integer scales s (and offsets m),
// which are multiplied by float16 numbers d (and dmin) of the super-block.
//
// Field sizes in bytes in their order in the block, and the value of code q:
//
//	Q2_K  s and m 16, codes 64, d 2, dmin 2               d*s*q - dmin*m,    q = 0…3, s and m 4 bits, sub-blocks of 16
//	Q3_K  third bits 32, codes 64, s 12, d 2              d*(s-32)*(q-4),    q = 0…7, s 6 bits, sub-blocks of 16
//	Q4_K  d 2, dmin 2, s and m 12, codes 128              d*s*q - dmin*m,    q = 0…15, s and m 6 bits, sub-blocks of 32
//	Q5_K  d 2, dmin 2, s and m 12, fifth bits 32, codes 128  the same,       q = 0…31
//	Q6_K  low codes 128, high codes 64, s 16, d 2         d*s*(q-32),        q = 0…63, s int8, sub-blocks of 16
//
// Where the bits of value i lie:
//
//	Q2_K, Q3_K  two bits of byte 32*(i/128) + i%32, at bit 2*(i/32%4); Q3_K's third bit at bit i/32 of byte i%32
//	Q4_K, Q5_K  four bits of byte 32*(i/64) + i%32, at bit 4*(i/32%2); Q5_K's fifth bit at bit i/32 of byte i%32
//	Q6_K        four bits of byte 64*(i/128) + i%64, at bit 4*(i/64%2), and two of byte 32*(i/128) + i%32, at bit 2*(i/32%4)
//
// Every product is exact in float32 (11 bits of float16 times at most 8 of s times at most 6 of q).

const superBlock = 256

func decodeQ2_K(dst []float32, src []byte) {
	for ; len(dst) >= superBlock; dst, src = dst[superBlock:], src[84:] {
		b := (*[84]byte)(src)
		d, dmin := halfAt(b[80:]), halfAt(b[82:])
		for sub := range 16 {
			scales := b[sub]
			scale, offset := d*float32(scales&15), dmin*float32(scales>>4)
			y := (*[16]float32)(dst[16*sub:])
			codes := (*[16]byte)(b[16+32*(sub/8)+16*(sub%2):])
			shift := sub / 2 % 4 * 2
			for j := range y {
				y[j] = scale*float32(codes[j]>>shift&3) - offset
			}
		}
	}
}

func decodeQ3_K(dst []float32, src []byte) {
	for ; len(dst) >= superBlock; dst, src = dst[superBlock:], src[110:] {
		b := (*[110]byte)(src)
		d := halfAt(b[108:])
		scales := unpackQ3Scales((*[12]byte)(b[96:]))
		for sub := range 16 {
			scale := d * float32(int32(scales[sub])-32)
			y := (*[16]float32)(dst[16*sub:])
			third := (*[16]byte)(b[16*(sub%2):])
			codes := (*[16]byte)(b[32+32*(sub/8)+16*(sub%2):])
			shift, bit := sub/2%4*2, sub/2
			for j := range y {
				q := codes[j]>>shift&3 | third[j]>>bit&1<<2
				y[j] = scale * float32(int32(q)-4)
			}
		}
	}
}

// unpackQ3Scales returns the sixteen 6-bit scales of Q3_K. Scale j has its lower four bits in half j/8 of byte j%8, its
// upper two at bit 2*(j/4) of byte 8+j%4.
func unpackQ3Scales(b *[12]byte) (scales [16]byte) {
	for j := range scales {
		scales[j] = b[j%8]>>(j/8*4)&15 | b[8+j%4]>>(j/4*2)&3<<4
	}
	return scales
}

// unpackScaleOffset returns the 6-bit scale and offset of sub-block j of Q4_K and Q5_K. Those of the first four
// sub-blocks are the lower six bits of bytes j and j+4. Those of the last four have their lower four bits in the halves
// of byte j+4, and their upper two on top of the bytes of sub-block j-4.
func unpackScaleOffset(b *[12]byte, j int) (scale, offset byte) {
	if j < 4 {
		return b[j] & 63, b[j+4] & 63
	}
	return b[j+4]&15 | b[j-4]>>6<<4, b[j+4]>>4 | b[j]>>6<<4
}

func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) >= superBlock; dst, src = dst[superBlock:], src[144:] {
		b := (*[144]byte)(src)
		d, dmin := halfAt(b[:]), halfAt(b[2:])
		for sub := range 8 {
			s, m := unpackScaleOffset((*[12]byte)(b[4:]), sub)
			scale, offset := d*float32(s), dmin*float32(m)
			y := (*[32]float32)(dst[32*sub:])
			codes := (*[32]byte)(b[16+32*(sub/2):])
			shift := sub % 2 * 4
			for j := range y {
				y[j] = scale*float32(codes[j]>>shift&15) - offset
			}
		}
	}
}

func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) >= superBlock; dst, src = dst[superBlock:], src[176:] {
		b := (*[176]byte)(src)
		d, dmin := halfAt(b[:]), halfAt(b[2:])
		fifth := (*[32]byte)(b[16:])
		for sub := range 8 {
			s, m := unpackScaleOffset((*[12]byte)(b[4:]), sub)
			scale, offset := d*float32(s), dmin*float32(m)
			y := (*[32]float32)(dst[32*sub:])
			codes := (*[32]byte)(b[48+32*(sub/2):])
			shift := sub % 2 * 4
			for j := range y {
				q := codes[j]>>shift&15 | fifth[j]>>sub&1<<4
				y[j] = scale*float32(q) - offset
			}
		}
	}
}

func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) >= superBlock; dst, src = dst[superBlock:], src[210:] {
		b := (*[210]byte)(src)
		d := halfAt(b[208:])
		for sub := range 16 {
			scale := d * float32(int8(b[192+sub]))
			y := (*[16]float32)(dst[16*sub:])
			low := (*[16]byte)(b[64*(sub/8)+16*(sub%4):])
			high := (*[16]byte)(b[128+32*(sub/8)+16*(sub%2):])
			lowShift, highShift := sub/4%2*4, sub/2%4*2
			for j := range y {
				q := low[j]>>lowShift&15 | high[j]>>highShift&3<<4
				y[j] = scale * float32(int32(q)-32)
			}
		}
	}
}
