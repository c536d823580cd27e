// Package quant encodes and decodes the number formats in which GGUF files keep tensors: plain floats (F32, F16, BF16)
// and ggml's block formats, in which a block of 32 or 256 values shares one or more scales.
//
// Decode reproduces the reference implementation (ggml) bit for bit. Encode searches for the scales with the least
// squared error: its blocks differ from ggml's, and lie closer to the input.
//
// A row is a run of values that is a whole number of blocks. All multi-byte fields are little-endian.
package quant

import (
	"fmt"
	"strings"
)

// Type is a ggml tensor type, numbered as in GGUF files.
type Type uint32

// The types that this package decodes. Names and numbers are ggml's.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q2_K   Type = 10
	Q3_K   Type = 11
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	IQ4_XS Type = 23
	BF16   Type = 30
)

// format describes one type: the sizes of its block and its codec, which is given whole blocks.
type format struct {
	blockLen   int
	blockBytes int
	decode     func(dst []float32, src []byte)
	encode     func(dst []byte, src []float32) error
}

var formats = [...]format{
	F32:    {1, 4, decodeF32, encodeF32},
	F16:    {1, 2, decodeF16, encodeF16},
	BF16:   {1, 2, decodeBF16, encodeBF16},
	Q4_0:   {32, 18, decodeQ4_0, encodeQ4_0},
	Q4_1:   {32, 20, decodeQ4_1, encodeQ4_1},
	Q5_0:   {32, 22, decodeQ5_0, encodeQ5_0},
	Q5_1:   {32, 24, decodeQ5_1, encodeQ5_1},
	Q8_0:   {32, 34, decodeQ8_0, encodeQ8_0},
	Q2_K:   {256, 84, decodeQ2_K, encodeQ2_K},
	Q3_K:   {256, 110, decodeQ3_K, encodeQ3_K},
	Q4_K:   {256, 144, decodeQ4_K, encodeQ4_K},
	Q5_K:   {256, 176, decodeQ5_K, encodeQ5_K},
	Q6_K:   {256, 210, decodeQ6_K, encodeQ6_K},
	IQ4_NL: {32, 18, decodeIQ4_NL, encodeIQ4_NL},
	IQ4_XS: {256, 136, decodeIQ4_XS, encodeIQ4_XS},
}

// typeNames holds every name that ggml gives a type number, so that an error about a file can name a type that this
// package cannot read.
var typeNames = map[Type]string{
	F32: "F32", F16: "F16", Q4_0: "Q4_0", Q4_1: "Q4_1", 4: "Q4_2", 5: "Q4_3", Q5_0: "Q5_0", Q5_1: "Q5_1", Q8_0: "Q8_0",
	9: "Q8_1", Q2_K: "Q2_K", Q3_K: "Q3_K", Q4_K: "Q4_K", Q5_K: "Q5_K", Q6_K: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS",
	17: "IQ2_XS", 18: "IQ3_XXS", 19: "IQ1_S", IQ4_NL: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", IQ4_XS: "IQ4_XS", 24: "I8",
	25: "I16", 26: "I32", 27: "I64", 28: "F64", 29: "IQ1_M", BF16: "BF16", 31: "Q4_0_4_4", 32: "Q4_0_4_8",
	33: "Q4_0_8_8", 34: "TQ1_0", 35: "TQ2_0", 36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8", 39: "MXFP4",
	40: "NVFP4", 41: "Q1_0", 42: "Q2_0",
}

// String returns ggml's name for the type, "Q4_0", or "type(99)" for a number that ggml does not use.
func (t Type) String() string {
	if name, ok := typeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type(%d)", uint32(t))
}

// Parse returns the decodable type with the given name, in any case: "q4_k" is Q4_K.
func Parse(name string) (Type, error) {
	for i := range formats {
		if t := Type(i); t.CanDecode() && strings.EqualFold(t.String(), name) {
			return t, nil
		}
	}
	for t, known := range typeNames {
		if strings.EqualFold(known, name) {
			return 0, fmt.Errorf("quant: type %s is not supported; supported are %s", t, strings.Join(names(), ", "))
		}
	}
	return 0, fmt.Errorf("quant: unknown type %q; supported are %s", name, strings.Join(names(), ", "))
}

// Types returns the types that Decode reads, in the order of their numbers.
func Types() []Type {
	var types []Type
	for i := range formats {
		if t := Type(i); t.CanDecode() {
			types = append(types, t)
		}
	}
	return types
}

func names() []string {
	var list []string
	for _, t := range Types() {
		list = append(list, t.String())
	}
	return list
}

// BlockLen returns the number of values in a block: 1 for plain floats, else 32 or 256; 0 for a type that is not
// supported.
func (t Type) BlockLen() int { return t.format().blockLen }

// BlockBytes returns the size of an encoded block in bytes; 0 for a type that is not supported.
func (t Type) BlockBytes() int { return t.format().blockBytes }

// CanDecode reports whether Decode reads the type.
func (t Type) CanDecode() bool { return t.format().decode != nil }

// CanEncode reports whether Encode writes the type.
func (t Type) CanEncode() bool { return t.format().encode != nil }

// RowBytes returns the number of bytes that n values take. It is an error if n is negative or not a multiple of
// BlockLen, if the result does not fit an int, or if the type is not supported.
func (t Type) RowBytes(n int) (int, error) {
	size, err := t.rowBytes(n)
	if err != nil {
		return 0, fmt.Errorf("quant: %w", err)
	}
	return size, nil
}

func (t Type) rowBytes(n int) (int, error) {
	f := t.format()
	switch {
	case f.blockLen == 0:
		return 0, fmt.Errorf("type %s is not supported", t)
	case n < 0 || n%f.blockLen != 0:
		return 0, fmt.Errorf("%d values are not a whole number of %s blocks of %d", n, t, f.blockLen)
	case n/f.blockLen > maxInt/f.blockBytes:
		return 0, fmt.Errorf("%d values of type %s take more bytes than an int holds", n, t)
	}
	return n / f.blockLen * f.blockBytes, nil
}

const maxInt = int(^uint(0) >> 1)

// format returns the zero format for a type that is not supported.
func (t Type) format() format {
	if uint64(t) >= uint64(len(formats)) {
		return format{}
	}
	return formats[t]
}

// Decode writes the len(dst) values that src encodes to dst. len(src) must be t.RowBytes(len(dst)). Any bytes of that
// length decode; a scale that is not finite gives values that are not finite.
func Decode(t Type, dst []float32, src []byte) error {
	if err := checkSizes(t, len(dst), len(src)); err != nil {
		return fmt.Errorf("quant: decode: %w", err)
	}
	t.format().decode(dst, src)
	return nil
}

// Encode writes src to dst in format t. len(dst) must be t.RowBytes(len(src)). The same values give the same bytes on
// every machine.
//
// F32, F16 and BF16 keep NaN and infinities; a finite value that would round to infinity is an error. In the block
// formats a value that is not finite or is beyond the largest float16, 65504, is an error. The error names the index in
// src. After an error the contents of dst are unspecified.
//
// Values whose scale would lie below float16's smallest number, 2^-24, lose precision, and vanish below half of that.
func Encode(t Type, dst []byte, src []float32) error {
	if err := checkSizes(t, len(src), len(dst)); err != nil {
		return fmt.Errorf("quant: encode: %w", err)
	}
	f := t.format()
	if f.blockLen > 1 {
		if err := checkRange(src); err != nil {
			return fmt.Errorf("quant: encode %s: %w", t, err)
		}
	}
	if err := f.encode(dst, src); err != nil {
		return fmt.Errorf("quant: encode %s: %w", t, err)
	}
	return nil
}

// checkRange returns an error if a value is not finite or beyond float16: block formats keep their scales as float16,
// and some an offset that can be as large as a value.
func checkRange(src []float32) error {
	for i, v := range src {
		if !(v <= maxHalf && v >= -maxHalf) { // also true of NaN
			return fmt.Errorf("value %g at index %d is beyond the largest float16, 65504, or not a number", v, i)
		}
	}
	return nil
}

func checkSizes(t Type, values, bytes int) error {
	want, err := t.rowBytes(values)
	if err != nil {
		return err
	}
	if bytes != want {
		return fmt.Errorf("%d values of type %s take %d bytes, not %d", values, t, want, bytes)
	}
	return nil
}
