package quant

// The searches of the K formats. Their ranges and numbers of tries balance error and speed: twice the work lowers the
// error by less than another percent.
var (
	fitQ3_K = superScale{grid: grid{integers: integers{-4, 3}, weighed: true}, sub: 16, s: 32,
		least: 2.5, most: 4.7, tries: 30, peaks: []float64{2.8, 3.2}}
	fitQ6_K = superScale{grid: grid{integers: integers{-32, 31}, weighed: true}, sub: 16, s: 128,
		least: 24, most: 33, tries: 40, peaks: []float64{29}}

	fitQ2_K = superAffine{high: 3, sub: 16, max: 15, base: 1, tries: []float64{3, 2.4, 2.6, 2.8, 3.2, 3.4}}
	fitQ4_K = superAffine{high: 15, sub: 32, max: 63, base: 2, tries: around(15)}
	fitQ5_K = superAffine{high: 31, sub: 32, max: 63, base: 2, tries: around(31)}
)

// around returns numbers of steps from two below the largest code to just above it.
func around(high float64) []float64 {
	tries := []float64{high}
	for fifths := -10; fifths <= 2; fifths++ {
		if fifths != 0 {
			tries = append(tries, high+float64(fifths)/5)
		}
	}
	return tries
}

const (
	baseQ3_K = 2 // of weights.bySquare
	baseQ6_K = 1
)

// codes are a super-block's codes before they are packed.
type codes [superBlock]byte

// quantizeScaled sets the codes for d and the scales of sub-blocks of 16, from low on up.
func (c *codes) quantizeScaled(x *[superBlock]float64, d float64, scales *[16]int, low, high int) {
	for sub, s := range scales {
		inv := inverse(d * float64(s))
		for i := 16 * sub; i < 16*sub+16; i++ {
			c[i] = byte(nearest(float64(x[i]*inv), low, high) - low)
		}
	}
}

// quantizeAffine sets the codes for a, with sub-blocks of n.
func (c *codes) quantizeAffine(x *[superBlock]float64, a *affine, n, high int) {
	for sub := range superBlock / n {
		inv := inverse(a.d * float64(a.s[sub]))
		shift := float64(-a.dmin * float64(a.m[sub]) * inv)
		for i := n * sub; i < n*sub+n; i++ {
			c[i] = byte(nearest(float64(x[i]*inv)-shift, 0, high))
		}
	}
}

// pack2 packs the lower two bits of every code into 64 bytes, and returns what is above them.
func (c *codes) pack2(dst []byte) {
	for half := range 2 {
		b, q := (*[32]byte)(dst[32*half:]), (*[128]byte)(c[128*half:])
		for j := range b {
			b[j] = q[j]&3 | q[j+32]&3<<2 | q[j+64]&3<<4 | q[j+96]&3<<6
		}
	}
}

// packBit packs bit n of every code into 32 bytes.
func (c *codes) packBit(dst []byte, n int) {
	b := (*[32]byte)(dst)
	clear(b[:])
	for i, q := range c {
		b[i%32] |= q >> n & 1 << (i / 32)
	}
}

// pack4 packs the lower four bits of every code into 128 bytes: those of the two halves of n values share bytes.
func (c *codes) pack4(dst []byte, n int) {
	for from := 0; from < superBlock; from += n {
		b, q := dst[from/2:from/2+n/2], c[from:from+n]
		for j := range b {
			b[j] = q[j]&15 | q[j+n/2]<<4
		}
	}
}

func encodeQ2_K(dst []byte, src []float32) error {
	var w weights
	var c codes
	for ; len(src) >= superBlock; dst, src = dst[84:], src[superBlock:] {
		b := (*[84]byte)(dst)
		w.load(src[:superBlock])
		a := fitQ2_K.fit(&w)
		c.quantizeAffine(&w.x, &a, 16, 3)
		for j := range 16 {
			b[j] = byte(a.s[j] | a.m[j]<<4)
		}
		c.pack2(b[16:])
		putHalf(b[80:], a.d)
		putHalf(b[82:], a.dmin)
	}
	return nil
}

func encodeQ3_K(dst []byte, src []float32) error {
	var w weights
	var c codes
	for ; len(src) >= superBlock; dst, src = dst[110:], src[superBlock:] {
		b := (*[110]byte)(dst)
		w.load(src[:superBlock])
		d, scales := fitQ3_K.fit(w.bySquare(superBlock, baseQ3_K))
		c.quantizeScaled(&w.x, d, &scales, -4, 3)
		c.packBit(b[:], 2)
		c.pack2(b[32:])
		packQ3Scales((*[12]byte)(b[96:]), &scales)
		putHalf(b[108:], d)
	}
	return nil
}

// packQ3Scales is the inverse of unpackQ3Scales, for scales -32 … 31.
func packQ3Scales(b *[12]byte, scales *[16]int) {
	clear(b[:])
	for j, s := range scales {
		b[j%8] |= byte((s + 32) & 15 << (j / 8 * 4))
		b[8+j%4] |= byte((s + 32) >> 4 << (j / 4 * 2))
	}
}

// packScaleOffsets is the inverse of unpackScaleOffset.
func packScaleOffsets(b *[12]byte, a *affine) {
	for j := range 4 {
		b[j] = byte(a.s[j] | a.s[j+4]>>4<<6)
		b[j+4] = byte(a.m[j] | a.m[j+4]>>4<<6)
		b[j+8] = byte(a.s[j+4]&15 | a.m[j+4]&15<<4)
	}
}

func encodeQ4_K(dst []byte, src []float32) error {
	var w weights
	var c codes
	for ; len(src) >= superBlock; dst, src = dst[144:], src[superBlock:] {
		b := (*[144]byte)(dst)
		w.load(src[:superBlock])
		a := fitQ4_K.fit(&w)
		c.quantizeAffine(&w.x, &a, 32, 15)
		putHalf(b[:], a.d)
		putHalf(b[2:], a.dmin)
		packScaleOffsets((*[12]byte)(b[4:]), &a)
		c.pack4(b[16:], 64)
	}
	return nil
}

func encodeQ5_K(dst []byte, src []float32) error {
	var w weights
	var c codes
	for ; len(src) >= superBlock; dst, src = dst[176:], src[superBlock:] {
		b := (*[176]byte)(dst)
		w.load(src[:superBlock])
		a := fitQ5_K.fit(&w)
		c.quantizeAffine(&w.x, &a, 32, 31)
		putHalf(b[:], a.d)
		putHalf(b[2:], a.dmin)
		packScaleOffsets((*[12]byte)(b[4:]), &a)
		c.packBit(b[16:], 4)
		c.pack4(b[48:], 64)
	}
	return nil
}

func encodeQ6_K(dst []byte, src []float32) error {
	var w weights
	var c codes
	for ; len(src) >= superBlock; dst, src = dst[210:], src[superBlock:] {
		b := (*[210]byte)(dst)
		w.load(src[:superBlock])
		d, scales := fitQ6_K.fit(w.bySquare(superBlock, baseQ6_K))
		c.quantizeScaled(&w.x, d, &scales, -32, 31)
		c.pack4(b[:], 128)
		for i := range c {
			c[i] >>= 4
		}
		c.pack2(b[128:])
		for j, s := range scales {
			b[192+j] = byte(int8(s))
		}
		putHalf(b[208:], d)
	}
	return nil
}
