package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
)

// prototype writes a tiny model in safetensors, of one layer.
func prototype(t testing.TB) string {
	t.Helper()
	var tensors []testdata.Tensor
	for name, shape := range map[string][]int{
		"e.weight": {9, 8}, "bl.0.n1.w": {8}, "bl.0.n2.w": {8}, "bl.0.a.qkv.weight": {24, 8}, "bl.0.a.qkv.bias": {24}, "bl.0.a.o.weight": {8, 8},
		"bl.0.m.w1.weight": {32, 8}, "bl.0.m.w2.weight": {8, 16}, "nf.w": {8}, "head.weight": {9, 8},
	} {
		tensors = append(tensors, testdata.RandomTensor(name, shape...))
	}
	config := `{"V": 9, "d": 8, "L": 1, "H": 2, "h": 16, "mode": "full", "B": 0, "window": 0}`
	return writeFile(t, "prototype.safetensors", string(testdata.Safetensors(t, map[string]string{"config": config}, tensors)))
}

func TestConvert(t *testing.T) {
	in, out := prototype(t), filepath.Join(t.TempDir(), "out.gguf")
	type convertJSON struct {
		Bytes int64               `json:"bytes"`
		Types map[string]typeJSON `json:"types"`
	}
	for kind, want := range map[string]string{"": "F16", "f32": "F32", "BF16": "BF16"} {
		args := []string{"convert", in, out, "--json"}
		if kind != "" {
			args = append(args, "--type", kind)
		}
		r := decode[convertJSON](t, succeed(t, args...))
		f, err := weights.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		matrices := 9
		if want == "F32" {
			matrices += 6
		}
		if r.Bytes != f.Size() || r.Types[want].Tensors != matrices || len(f.Tensors()) != 15 {
			t.Errorf("type %q: %+v; the file has %d bytes, %v", kind, r, f.Size(), f.TypeCounts())
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if text := succeed(t, "convert", in, out, "--threads", "1"); !strings.Contains(text, "out.gguf") || !strings.Contains(text, "F16") {
		t.Errorf("printed %q", text)
	}
	r := decode[logitsJSON](t, succeed(t, "logits", "-m", out, "--tokens", "1,2", "--top", "9", "--json"))
	if len(r.Top) != 2 || len(r.Top[0]) != 9 {
		t.Errorf("logits %v", r.Top)
	}
}
