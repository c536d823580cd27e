package convert

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// made is a tensor of a file that a test makes.
type made = testdata.Tensor

func random(name string, shape ...int) made { return testdata.RandomTensor(name, shape...) }

func writeSafetensors(t testing.TB, path string, metadata map[string]string, tensors []made) string {
	t.Helper()
	if err := os.WriteFile(path, testdata.Safetensors(t, metadata, tensors), 0o644); err != nil {
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
