package safetensors

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/mneme-lm/mneme/weights/quant"
)

// DType is the number format of a tensor, by the format's name for it.
type DType string

// The number formats that can be decoded.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// dtypeBytes holds the size of a value of every number format whose values are whole bytes.
var dtypeBytes = map[DType]int{
	"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "U16": 2, "I16": 2, F16: 2, BF16: 2,
	"U32": 4, "I32": 4, F32: 4, "U64": 8, "I64": 8, "F64": 8, "C64": 8,
}

// quantTypes are the number formats that package quant decodes.
var quantTypes = map[DType]quant.Type{F32: quant.F32, F16: quant.F16, BF16: quant.BF16}

// CanDecode reports whether Decode reads the number format.
func (d DType) CanDecode() bool {
	_, ok := quantTypes[d]
	return ok
}

// Tensor is one tensor of a file. It must not be changed.
type Tensor struct {
	Name  string
	DType DType // may be one that cannot be decoded
	// Shape lists the dimensions, slowest first as in the file: a matrix of 2 rows of 3 values is [2, 3]. None is a single
	// value; a dimension may be zero.
	Shape []int
	// Data holds the values one after another, little-endian. It may be the mapped file itself: it must not be written, nor
	// read after the file's Close. Its address need not be a multiple of anything.
	Data []byte
}

// Elements returns the number of values.
func (t *Tensor) Elements() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Decode writes the values from first on to dst, as many as it holds.
func (t *Tensor) Decode(dst []float32, first int) error {
	if err := t.decode(dst, first); err != nil {
		return fmt.Errorf("safetensors: tensor %s: %w", quote(t.Name), err)
	}
	return nil
}

func (t *Tensor) decode(dst []float32, first int) error {
	typ, ok := quantTypes[t.DType]
	if !ok {
		return fmt.Errorf("type %s cannot be decoded, only F32, F16 and BF16", quote(string(t.DType)))
	}
	size := dtypeBytes[t.DType]
	n := len(t.Data) / size
	if first < 0 || first > n || len(dst) > n-first {
		return fmt.Errorf("there are no values %d to %d among its %d (was the file closed?)", first, first+len(dst)-1, n)
	}
	return quant.Decode(typ, dst, t.Data[first*size:(first+len(dst))*size])
}

// dataBytes returns the bytes that a tensor takes. It is an error if the product of the dimensions that are not zero
// overflows, so that the product of any of them does not.
func dataBytes(dtype DType, shape []int) (uint64, error) {
	size, ok := dtypeBytes[dtype]
	if !ok {
		return 0, fmt.Errorf("unknown type %s", quote(string(dtype)))
	}
	product, empty := uint64(size), false
	for _, d := range shape {
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(product, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, fmt.Errorf("shape %v of type %s takes more bytes than can be addressed", brief(shape), dtype)
		}
		product = lo
	}
	if empty {
		return 0, nil
	}
	return product, nil
}

// brief shortens a shape for an error message.
func brief(shape []int) any {
	const most = 8
	if len(shape) <= most {
		return shape
	}
	return fmt.Sprintf("%v and %d dimensions more", shape[:most], len(shape)-most)
}
