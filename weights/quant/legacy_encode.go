package quant

import "encoding/binary"

// The tries of fitScale and steps.fit: ggml's choice first, then those that lower the error most. For 4 and 5 bits a
// quotient half a code beyond the range clips the largest value for a finer step. For 8 bits clipping does not pay;
// the four differ by where the roundings happen to fall, which varies the error of 32 values by a sixth.
var (
	triesQ4_0 = []float64{8, 7, 7.5, 8.5}
	triesQ4_1 = []float64{15, 14.6, 15.3}
	triesQ5_0 = []float64{16, 15, 15.5, 16.5}
	triesQ5_1 = []float64{31, 30.5, 31.3}
	triesQ8_0 = []float64{127, 126, 125, 124}
)

func encodeQ4_0(dst []byte, src []float32) error {
	var x [block32]float64
	for ; len(src) >= block32; dst, src = dst[18:], src[block32:] {
		b := (*[18]byte)(dst)
		widen(x[:], src)
		d := fitScale(grid{integers: integers{-8, 7}}, sample{x: x[:]}, triesQ4_0)
		putHalf(b[:], d)
		inv := inverse(d)
		for j := range 16 {
			low, high := nearest(float64(x[j]*inv), -8, 7)+8, nearest(float64(x[j+16]*inv), -8, 7)+8
			b[2+j] = byte(low | high<<4)
		}
	}
	return nil
}

func encodeQ4_1(dst []byte, src []float32) error {
	var x [block32]float64
	for ; len(src) >= block32; dst, src = dst[20:], src[block32:] {
		b := (*[20]byte)(dst)
		widen(x[:], src)
		d, m := steps(15).fit(x[:], triesQ4_1)
		putHalf(b[:], d)
		putHalf(b[2:], m)
		inv := inverse(d)
		shift := float64(m * inv)
		for j := range 16 {
			low, high := nearest(float64(x[j]*inv)-shift, 0, 15), nearest(float64(x[j+16]*inv)-shift, 0, 15)
			b[4+j] = byte(low | high<<4)
		}
	}
	return nil
}

func encodeQ5_0(dst []byte, src []float32) error {
	var x [block32]float64
	for ; len(src) >= block32; dst, src = dst[22:], src[block32:] {
		b := (*[22]byte)(dst)
		widen(x[:], src)
		d := fitScale(grid{integers: integers{-16, 15}}, sample{x: x[:]}, triesQ5_0)
		putHalf(b[:], d)
		inv := inverse(d)
		var fifth uint32
		for j := range 16 {
			low, high := nearest(float64(x[j]*inv), -16, 15)+16, nearest(float64(x[j+16]*inv), -16, 15)+16
			b[6+j] = byte(low&15 | high<<4)
			fifth |= uint32(low>>4)<<j | uint32(high>>4)<<(j+16)
		}
		binary.LittleEndian.PutUint32(b[2:], fifth)
	}
	return nil
}

func encodeQ5_1(dst []byte, src []float32) error {
	var x [block32]float64
	for ; len(src) >= block32; dst, src = dst[24:], src[block32:] {
		b := (*[24]byte)(dst)
		widen(x[:], src)
		d, m := steps(31).fit(x[:], triesQ5_1)
		putHalf(b[:], d)
		putHalf(b[2:], m)
		inv := inverse(d)
		shift := float64(m * inv)
		var fifth uint32
		for j := range 16 {
			low, high := nearest(float64(x[j]*inv)-shift, 0, 31), nearest(float64(x[j+16]*inv)-shift, 0, 31)
			b[8+j] = byte(low&15 | high<<4)
			fifth |= uint32(low>>4)<<j | uint32(high>>4)<<(j+16)
		}
		binary.LittleEndian.PutUint32(b[4:], fifth)
	}
	return nil
}

// encodeQ8_0 does not use the code -128, as ggml does not: kernels may negate codes.
func encodeQ8_0(dst []byte, src []float32) error {
	var x [block32]float64
	for ; len(src) >= block32; dst, src = dst[34:], src[block32:] {
		b := (*[34]byte)(dst)
		widen(x[:], src)
		d := fitScale(grid{integers: integers{-127, 127}}, sample{x: x[:]}, triesQ8_0)
		putHalf(b[:], d)
		inv := inverse(d)
		for j, v := range x {
			b[2+j] = byte(nearest(float64(v*inv), -127, 127))
		}
	}
	return nil
}
