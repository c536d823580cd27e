package quant

import (
	"encoding/binary"
	"fmt"
	"math"
)

// F16 is IEEE 754 binary16: sign, 5 bits of exponent (bias 15), 10 bits of fraction.
// BF16 is the upper half of a binary32: sign, 8 bits of exponent, 7 bits of fraction.

// F16ToF32 converts a binary16 number, given as its bits, to float32. The conversion is exact; NaNs keep their payload.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	bits := uint32(h&0x7fff) << 13 // exponent and fraction where float32 has them
	switch {
	case bits >= 0x1f<<23: // infinity or NaN
		bits |= 0xff << 23
	case bits >= 1<<23: // normal: rebias the exponent
		bits += (127 - 15) << 23
	default: // zero or subnormal, fraction * 2^-24: let the subtraction normalize it
		const smallestNormal = 1.0 / (1 << 14)
		bits |= (127 - 14) << 23
		bits = math.Float32bits(math.Float32frombits(bits) - smallestNormal)
	}
	return math.Float32frombits(sign | bits)
}

// F32ToF16 rounds to the nearest binary16 number, ties to even, and returns its bits. What is nearer to 65536 than to
// the largest finite number 65504 (or a tie, at 65520) becomes infinity. NaNs stay NaNs and keep as much of their
// payload as fits.
func F32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	bits &= 0x7fffffff
	switch {
	case bits > 0xff<<23: // NaN
		payload := uint16(bits >> 13 & 0x3ff)
		if payload == 0 {
			payload = 0x200
		}
		return sign | 0x7c00 | payload
	case bits >= (127+16)<<23: // 65536 and beyond
		return sign | 0x7c00
	case bits < (127-14)<<23: // below the smallest normal: an addition to 0.5 rounds to a multiple of 2^-24
		return sign | uint16(math.Float32bits(math.Float32frombits(bits)+0.5)-126<<23)
	}
	odd := bits >> 13 & 1
	return sign | uint16((bits-(127-15)<<23+0xfff+odd)>>13)
}

// BF16ToF32 converts a bfloat16 number, given as its bits, to float32. The conversion is exact.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 number, ties to even, and returns its bits. Numbers nearer to 2^128 than to
// the largest finite one become infinity. NaNs stay NaNs and keep as much of their payload as fits.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0xff<<23 { // NaN
		if bits&0x7f0000 == 0 {
			bits |= 0x400000
		}
		return uint16(bits >> 16)
	}
	odd := bits >> 16 & 1
	return uint16((bits + 0x7fff + odd) >> 16)
}

func decodeF32(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func encodeF32(dst []byte, src []float32) error {
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
	return nil
}

func decodeF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeF16(dst []byte, src []float32) error {
	for i, v := range src {
		h := F32ToF16(v)
		if h&0x7fff == 0x7c00 && !math.IsInf(float64(v), 0) {
			return fmt.Errorf("value %g at index %d is beyond the largest finite number, 65504", v, i)
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
	return nil
}

func decodeBF16(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

func encodeBF16(dst []byte, src []float32) error {
	for i, v := range src {
		h := F32ToBF16(v)
		if h&0x7fff == 0x7f80 && !math.IsInf(float64(v), 0) {
			return fmt.Errorf("value %g at index %d is beyond the largest finite number, 3.3895e38", v, i)
		}
		binary.LittleEndian.PutUint16(dst[2*i:], h)
	}
	return nil
}

// halfAt reads the binary16 number at the start of b.
func halfAt(b []byte) float32 { return F16ToF32(binary.LittleEndian.Uint16(b)) }
