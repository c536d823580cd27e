package weights

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/mneme-lm/mneme/weights/quant"
)

// block is the size of a unit of encoded values.
type block struct{ values, bytes int }

// undecoded holds the block sizes of ggml's types that package quant does not decode, so that files with such tensors
// can be opened, checked and listed. Numbers that ggml has withdrawn are not here.
var undecoded = map[quant.Type]block{
	9:  {32, 36},   // Q8_1
	15: {256, 292}, // Q8_K
	16: {256, 66},  // IQ2_XXS
	17: {256, 74},  // IQ2_XS
	18: {256, 98},  // IQ3_XXS
	19: {256, 50},  // IQ1_S
	21: {256, 110}, // IQ3_S
	22: {256, 82},  // IQ2_S
	24: {1, 1},     // I8
	25: {1, 2},     // I16
	26: {1, 4},     // I32
	27: {1, 8},     // I64
	28: {1, 8},     // F64
	29: {256, 56},  // IQ1_M
	31: {32, 18},   // Q4_0_4_4
	32: {32, 18},   // Q4_0_4_8
	33: {32, 18},   // Q4_0_8_8
	34: {256, 54},  // TQ1_0
	35: {256, 66},  // TQ2_0
	39: {32, 17},   // MXFP4
	40: {64, 36},   // NVFP4
	41: {128, 18},  // Q1_0
	42: {64, 18},   // Q2_0
}

// blockOf returns the block of a type; ok is false for a type whose size is not known.
func blockOf(t quant.Type) (b block, ok bool) {
	if n := t.BlockLen(); n > 0 {
		return block{n, t.BlockBytes()}, true
	}
	b, ok = undecoded[t]
	return b, ok
}

// dataBytes returns the bytes that a tensor of the given type and shape takes. A shape without dimensions is one value.
func dataBytes(t quant.Type, shape []int) (int, error) {
	b, ok := blockOf(t)
	if !ok {
		return 0, fmt.Errorf("unknown type %d", uint32(t))
	}
	n, err := elements(shape)
	if err != nil {
		return 0, err
	}
	if row := rowLen(shape); row%b.values != 0 {
		return 0, fmt.Errorf("rows of %d values are not a whole number of %s blocks of %d", row, t, b.values)
	}
	hi, size := bits.Mul64(uint64(n/b.values), uint64(b.bytes))
	if hi != 0 || size > math.MaxInt {
		return 0, fmt.Errorf("shape %v of type %s takes more bytes than can be addressed", shape, t)
	}
	return int(size), nil
}

// elements returns the product of the dimensions. It is an error if the product of those that are not zero overflows,
// so that the product of any of them does not.
func elements(shape []int) (int, error) {
	if len(shape) > maxDims {
		return 0, fmt.Errorf("%d dimensions, GGUF has at most %d", len(shape), maxDims)
	}
	product, empty := uint64(1), false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("shape %v has a negative dimension", shape)
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(product, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("shape %v has more values than can be counted", shape)
		}
		product = lo
	}
	if empty {
		return 0, nil
	}
	return int(product), nil
}

func rowLen(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[0]
}
