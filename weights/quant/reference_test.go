package quant_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// referenceFiles are files that ggml's quantizer wrote, with the originals they were made from.
var referenceFiles = []struct{ original, encoded string }{
	{"llama-tiny.F16.gguf", "llama-tiny.Q4_0.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q4_1.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q5_0.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q5_1.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q8_0.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q2_K.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q3_K_S.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q4_K_S.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q5_K_S.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.Q6_K.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.IQ4_NL.gguf"},
	{"llama-tiny.F16.gguf", "llama-tiny.IQ4_XS.gguf"},
	{"babyllama105.gguf", "babyllama105.Q4_0.gguf"},
	{"babyllama105.gguf", "babyllama105.Q5_1.gguf"},
	{"babyllama105.gguf", "babyllama105.Q8_0.gguf"},
	{"stories260K.gguf", "stories260K.F16.gguf"},
	{"stories260K.gguf", "stories260K.BF16.gguf"},
}

// weighedBy is the power of a value's magnitude by which ggml weighs its error, in the formats where it does.
var weighedBy = map[quant.Type]float64{
	quant.Q2_K: 1, quant.Q3_K: 2, quant.Q4_K: 1, quant.Q5_K: 1, quant.Q6_K: 2, quant.IQ4_NL: 2, quant.IQ4_XS: 2,
}

// TestEncodeAgainstReference holds the error of every tensor against that of ggml's encoding of it: the plain squared
// error must not be above it, ggml's own measure not by more than a few percent.
func TestEncodeAgainstReference(t *testing.T) {
	for _, file := range referenceFiles {
		t.Run(file.encoded, func(t *testing.T) {
			original, encoded := open(t, file.original), open(t, file.encoded)
			var ours, ggml errorSums
			for i, e := range encoded.Tensors() {
				if e.Type == quant.F32 || testing.Short() && ours.n > 0 && i%4 > 0 {
					continue
				}
				o, ok := original.Tensor(e.Name)
				if !ok {
					t.Fatalf("%s has no tensor %q", file.original, e.Name)
				}
				x := decode(t, o.Type, o.Data)
				data := make([]byte, len(e.Data))
				if err := quant.Encode(e.Type, data, x); err != nil {
					t.Fatal(err)
				}
				if e.Type.BlockLen() == 1 && !bytes.Equal(data, e.Data) {
					t.Errorf("%s %s: not the bytes that ggml writes", e.Name, e.Type)
				}
				power := weighedBy[e.Type]
				own, ref := measure(x, decode(t, e.Type, data), power), measure(x, decode(t, e.Type, e.Data), power)
				if own.plain > ref.plain {
					t.Errorf("%s %s: mean squared error %.5g is above ggml's %.5g", e.Name, e.Type, own.mean(), ref.mean())
				}
				if own.weighed > 1.03*ref.weighed {
					t.Errorf("%s %s: error weighed by |x|^%g is %.4f times ggml's", e.Name, e.Type, power, own.weighed/ref.weighed)
				}
				ours.add(own)
				ggml.add(ref)
			}
			if ours.n == 0 {
				t.Fatal("no encoded tensors")
			}
			t.Logf("mean squared error %.4e, ggml %.4e: %.4f of ggml's plain, %.4f weighed",
				ours.mean(), ggml.mean(), ours.plain/max(ggml.plain, 1e-300), ours.weighed/max(ggml.weighed, 1e-300))
		})
	}
}

// errorSums are the sums of squared errors of n values, plain and weighed.
type errorSums struct{ plain, weighed, n float64 }

func (s *errorSums) add(o errorSums) {
	s.plain += o.plain
	s.weighed += o.weighed
	s.n += o.n
}

func (s errorSums) mean() float64 { return s.plain / s.n }

func measure(x, y []float32, power float64) (s errorSums) {
	for i := range x {
		e := float64(x[i]) - float64(y[i])
		s.add(errorSums{e * e, e * e * math.Pow(math.Abs(float64(x[i])), power), 1})
	}
	return s
}

func open(t *testing.T, name string) *weights.File {
	t.Helper()
	f, err := weights.Open(testdata.Shared(t, "models/"+name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func decode(t *testing.T, typ quant.Type, data []byte) []float32 {
	t.Helper()
	x := make([]float32, len(data)/typ.BlockBytes()*typ.BlockLen())
	if err := quant.Decode(typ, x, data); err != nil {
		t.Fatal(err)
	}
	return x
}
