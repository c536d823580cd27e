package testdata

import (
	"encoding/binary"
	"encoding/json"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Tensor is a tensor of a file in the safetensors format that a test makes.
type Tensor struct {
	Name   string
	DType  string // F32 if empty; the values are written as such in any case
	Shape  []int  // slowest dimension first
	Values []float32
}

// RandomTensor makes a tensor of random values that F16 and BF16 hold, the same for the same name and shape.
func RandomTensor(name string, shape ...int) Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	seed := fnv.New64a()
	_, _ = io.WriteString(seed, name) // a hash takes everything
	rng := rand.New(rand.NewPCG(seed.Sum64(), 0))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.IntN(255)-127) / 256
	}
	return Tensor{Name: name, Shape: shape, Values: values}
}

// Safetensors makes a file of tensors and strings.
func Safetensors(tb testing.TB, metadata map[string]string, tensors []Tensor) []byte {
	tb.Helper()
	header := map[string]any{}
	if metadata != nil {
		header["__metadata__"] = metadata
	}
	var data []byte
	for _, t := range tensors {
		begin := len(data)
		for _, v := range t.Values {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
		}
		dtype := t.DType
		if dtype == "" {
			dtype = "F32"
		}
		header[t.Name] = map[string]any{"dtype": dtype, "shape": t.Shape, "data_offsets": []int{begin, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		tb.Fatal(err)
	}
	return slices.Concat(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text, data)
}
