package convert

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// made is a tensor of a file that a test makes.
type made struct {
	name   string
	dtype  string // F32 if empty
	shape  []int  // slowest first
	values []float32
}

// random makes a tensor with random values that every float type holds.
func random(name string, shape ...int) made {
	n := 1
	for _, d := range shape {
		n *= d
	}
	rng := rand.New(rand.NewPCG(uint64(n), uint64(len(name))+uint64(name[len(name)/2])))
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.IntN(255)-127) / 64
	}
	return made{name: name, shape: shape, values: values}
}

// writeSafetensors writes tensors in the safetensors format.
func writeSafetensors(t testing.TB, path string, metadata map[string]string, tensors []made) string {
	t.Helper()
	header := map[string]any{}
	if metadata != nil {
		header["__metadata__"] = metadata
	}
	var data []byte
	for _, x := range tensors {
		begin := len(data)
		dtype := x.dtype
		if dtype == "" {
			dtype = "F32"
		}
		typ, err := quant.Parse(dtype)
		if err != nil {
			typ = quant.F32 // a type of as many bytes
		}
		size, err := typ.RowBytes(len(x.values))
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, make([]byte, size)...)
		if err := quant.Encode(typ, data[begin:], x.values); err != nil {
			t.Fatal(err)
		}
		header[x.name] = map[string]any{"dtype": dtype, "shape": x.shape, "data_offsets": []int{begin, len(data)}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(text)))
	if err := os.WriteFile(path, slices.Concat(out, text, data), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// converted converts src and opens the result.
func converted(t testing.TB, src string, typ quant.Type) *weights.File {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "out.gguf")
	result, err := Convert(t.Context(), dst, src, Options{Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if result.Bytes != f.Size() || !slices.Equal(result.Types, f.TypeCounts()) {
		t.Errorf("Convert says %+v, the file %d bytes, %v", result, f.Size(), f.TypeCounts())
	}
	return f
}

// refused converts what must be refused and looks for a part of the error; nothing must be left behind.
func refused(t testing.TB, src, want string) {
	t.Helper()
	folder := t.TempDir()
	_, err := Convert(t.Context(), filepath.Join(folder, "out.gguf"), src, Options{})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %s", err, want)
	}
	if left, readErr := os.ReadDir(folder); readErr != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, readErr)
	}
}

// checkTensor compares a tensor of a converted file with values, bit by bit.
func checkTensor(t testing.TB, f *weights.File, name string, typ quant.Type, shape []int, want []float32) {
	t.Helper()
	tensor, ok := f.Tensor(name)
	if !ok {
		t.Errorf("%s: missing", name)
		return
	}
	got, err := tensor.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if tensor.Type != typ || !slices.Equal(tensor.Shape, shape) {
		t.Errorf("%s: %s %v, want %s %v", name, tensor.Type, tensor.Shape, typ, shape)
	}
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%s: other values", name)
	}
}

// checkMetadata compares keys with what they must be.
func checkMetadata(t testing.TB, f *weights.File, want map[string]any) {
	t.Helper()
	for key, value := range want {
		v, _ := f.Metadata().Get(key)
		if got := v.Any(); got != value {
			t.Errorf("%s is %v, want %v", key, got, value)
		}
	}
}
