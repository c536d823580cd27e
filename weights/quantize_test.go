package weights_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// model returns a random model like a tiny shape, smaller still.
func model(t testing.TB, shape string, typ quant.Type) *weights.File {
	t.Helper()
	s, err := synth.Lookup(shape)
	if err != nil {
		t.Fatal(err)
	}
	s.Layers, s.Vocab, s.Experts = 1, 300, min(s.Experts, 2)
	var out bytes.Buffer
	if err := synth.WriteTo(t.Context(), &out, s, typ, 1); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// build makes a model in memory of the given tensors.
func build(t testing.TB, md *weights.Metadata, tensors ...*weights.Tensor) *weights.File {
	t.Helper()
	var infos []weights.TensorInfo
	for _, x := range tensors {
		infos = append(infos, weights.TensorInfo{Name: x.Name, Type: x.Type, Shape: x.Shape})
	}
	var out bytes.Buffer
	w, err := weights.NewWriter(&out, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range tensors {
		if err := w.WriteTensor(x.Name, x.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// quantize writes src anew and opens the result.
func quantize(t *testing.T, src *weights.File, typ quant.Type, opts weights.QuantizeOptions) (*weights.File, *weights.Quantized) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "out.gguf")
	result, err := weights.Quantize(t.Context(), path, src, typ, opts)
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if f.Size() != result.Bytes || !slices.Equal(f.TypeCounts(), result.Types) {
		t.Errorf("result says %+v, the file has %d bytes of %+v", result, f.Size(), f.TypeCounts())
	}
	return f, result
}

func encodable() (types []quant.Type) {
	for _, t := range quant.Types() {
		if t.CanEncode() {
			types = append(types, t)
		}
	}
	return types
}

// most is the RMS error, relative to the deviation of normal values, that a type may have.
var most = map[quant.Type]float64{
	quant.F32: 0, quant.F16: 5e-4, quant.BF16: 4e-3, quant.Q8_0: 0.01, quant.Q6_K: 0.03, quant.Q5_K: 0.06, quant.Q5_1: 0.06,
	quant.Q5_0: 0.06, quant.Q4_K: 0.1, quant.Q4_1: 0.1, quant.Q4_0: 0.12, quant.IQ4_NL: 0.1, quant.IQ4_XS: 0.1,
	quant.Q3_K: 0.22, quant.Q2_K: 0.4,
}

func rms(t *testing.T, a, b *weights.Tensor) float64 {
	t.Helper()
	x, err := a.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	if len(x) != len(y) {
		t.Fatalf("tensor %s has %d values, then %d", a.Name, len(x), len(y))
	}
	var sum, norm float64
	for i := range x {
		d := float64(x[i]) - float64(y[i])
		sum += d * d
		norm += float64(x[i]) * float64(x[i])
	}
	return math.Sqrt(sum / norm)
}

// TestQuantizeTypes re-encodes models in every type and compares types and values, tensor by tensor.
func TestQuantizeTypes(t *testing.T) {
	for _, shape := range []string{"moe-tiny", "gemma2-tiny"} { // with an output matrix and without

		src := model(t, shape, quant.F32)
		_, hasOutput := src.Tensor("output.weight")
		for _, target := range encodable() {
			t.Run(shape+"/"+target.String(), func(t *testing.T) {
				f, _ := quantize(t, src, target, weights.QuantizeOptions{})
				for i, x := range src.Tensors() {
					y := f.Tensors()[i]
					if y.Name != x.Name || !slices.Equal(y.Shape, x.Shape) {
						t.Fatalf("tensor %d is %s %v, want %s %v", i, y.Name, y.Shape, x.Name, x.Shape)
					}
					want := target
					switch {
					case len(x.Shape) == 1 || strings.Contains(x.Name, "ffn_gate_inp"):
						want = quant.F32
					case x.Name == "output.weight", !hasOutput && x.Name == "token_embd.weight":
						if !slices.Contains([]quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0}, target) {
							want = quant.Q6_K
						}
					}
					if want = weights.TypeForRow(want, x.RowLen()); y.Type != want {
						t.Errorf("tensor %s is %s, want %s", y.Name, y.Type, want)
					}
					if e := rms(t, x, y); e > most[y.Type] {
						t.Errorf("tensor %s in %s: error %g, at most %g is right", y.Name, y.Type, e, most[y.Type])
					}
				}
			})
		}
	}
}

func TestQuantizePure(t *testing.T) {
	f, result := quantize(t, model(t, "llama-tiny", quant.F16), quant.Q4_0, weights.QuantizeOptions{Pure: true})
	for _, name := range []string{"output.weight", "token_embd.weight"} {
		if x, ok := f.Tensor(name); !ok || x.Type != quant.Q4_0 {
			t.Errorf("%s is %v", name, x)
		}
	}
	want := []weights.TypeCount{{Type: quant.F32, Tensors: 3, Bytes: 3 * 1024}, {Type: quant.Q4_0, Tensors: 9, Bytes: (557056 + 2*300*256) / 32 * 18}}
	if !slices.Equal(result.Types, want) {
		t.Errorf("types %+v, want %+v", result.Types, want)
	}
}

func TestTypeForRow(t *testing.T) {
	cases := []struct {
		typ    quant.Type
		rowLen int
		want   quant.Type
	}{
		{quant.Q4_K, 512, quant.Q4_K}, {quant.Q4_K, 288, quant.Q5_0}, {quant.Q4_K, 100, quant.F16},
		{quant.Q5_K, 256, quant.Q5_K}, {quant.Q5_K, 64, quant.Q5_1}, {quant.Q5_K, 65, quant.F16},
		{quant.Q6_K, 768, quant.Q6_K}, {quant.Q6_K, 896, quant.Q8_0}, {quant.Q6_K, 172, quant.F16},
		{quant.Q4_0, 32, quant.Q4_0}, {quant.Q8_0, 172, quant.F16}, {quant.Q2_K, 64, quant.IQ4_NL},
		{quant.Q3_K, 96, quant.IQ4_NL}, {quant.IQ4_XS, 32, quant.IQ4_NL}, {quant.IQ4_XS, 512, quant.IQ4_XS},
		{quant.F32, 7, quant.F32}, {quant.BF16, 7, quant.BF16}, {4242, 32, quant.F16}, {quant.Q4_K, 0, quant.Q4_K},
	}
	for _, c := range cases {
		if got := weights.TypeForRow(c.typ, c.rowLen); got != c.want {
			t.Errorf("%s with rows of %d: %s, want %s", c.typ, c.rowLen, got, c.want)
		}
	}
}

func floats(name string, values []float32, shape ...int) *weights.Tensor {
	data := make([]byte, 4*len(values))
	if err := quant.Encode(quant.F32, data, values); err != nil {
		panic(err)
	}
	return &weights.Tensor{Name: name, Type: quant.F32, Shape: shape, Data: data}
}

func ramp(n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(i%255)/128 - 1
	}
	return values
}

// TestQuantizeKeeps lists tensors that must come through with their type and bytes.
func TestQuantizeKeeps(t *testing.T) {
	kept := []*weights.Tensor{
		floats("blk.0.attn_norm.weight", ramp(1024), 1024),
		floats("blk.0.attn_q_norm.weight", ramp(1024), 64, 16), // two dimensions, still a normalization
		floats("blk.0.attn_q.bias", ramp(1024), 64, 16),
		floats("blk.0.ffn_gate_inp.weight", ramp(1024), 256, 4),
		floats("blk.0.mem_key.weight", ramp(65536), 256, 256),
		floats("blk.0.tiny.weight", ramp(512), 64, 8),
		floats("rope_freqs.weight", ramp(64), 64),
		{Name: "blk.0.count.weight", Type: 26, Shape: []int{1024}, Data: make([]byte, 4096)}, // I32
		floats("none.weight", nil, 64, 0),
	}
	f, _ := quantize(t, build(t, nil, kept...), quant.Q4_K, weights.QuantizeOptions{})
	for i, x := range kept {
		y := f.Tensors()[i]
		if y.Name != x.Name || y.Type != x.Type || !bytes.Equal(y.Data, x.Data) {
			t.Errorf("tensor %s was changed: %s", x.Name, y.Type)
		}
	}
}

func TestQuantizeMetadata(t *testing.T) {
	md := &weights.Metadata{}
	for _, p := range []struct {
		key   string
		value any
	}{
		{"general.architecture", "llama"}, {"general.file_type", uint32(1)}, {"general.alignment", uint32(64)},
		{"split.no", uint16(0)}, {"split.count", uint16(1)}, {"split.tensors.count", int32(1)}, {"some.list", []string{"a", "b"}},
	} {
		if err := md.Set(p.key, p.value); err != nil {
			t.Fatal(err)
		}
	}
	src := build(t, md, floats("a.weight", ramp(2048), 256, 8))
	types := map[quant.Type]uint64{quant.F32: 0, quant.F16: 1, quant.Q4_0: 2, quant.Q4_1: 3, quant.Q8_0: 7, quant.Q5_0: 8,
		quant.Q5_1: 9, quant.Q4_K: 14, quant.Q5_K: 16, quant.Q6_K: 18, quant.BF16: 32}
	for target, want := range types {
		f, _ := quantize(t, src, target, weights.QuantizeOptions{})
		got := f.Metadata()
		if n, ok := got.Uint("general.file_type"); !ok || n != want {
			t.Errorf("%s: general.file_type %d, want %d", target, n, want)
		}
		if n, ok := got.Uint("general.quantization_version"); !ok || n != 2 {
			t.Errorf("%s: general.quantization_version %d", target, n)
		}
		wantKeys := []string{"general.architecture", "general.file_type", "general.alignment", "some.list", "general.quantization_version"}
		if !slices.Equal(got.Keys(), wantKeys) {
			t.Errorf("%s: keys %q, want %q", target, got.Keys(), wantKeys)
		}
	}
	if src.Metadata().Len() != 7 {
		t.Error("the source's metadata were changed")
	}
}

func TestQuantizeThreads(t *testing.T) {
	src := build(t, nil, floats("a.weight", ramp(256*1000), 256, 1000))
	for _, target := range []quant.Type{quant.BF16, quant.Q4_0, quant.Q6_K} {
		var want []byte
		for _, threads := range []int{1, 2, 5, 0} {
			f, _ := quantize(t, src, target, weights.QuantizeOptions{Threads: threads})
			if got := f.Tensors()[0].Data; want == nil {
				want = bytes.Clone(got)
			} else if !bytes.Equal(got, want) {
				t.Errorf("%s: %d threads give other bytes", target, threads)
			}
		}
	}
}

func TestQuantizeAgain(t *testing.T) {
	first, _ := quantize(t, model(t, "llama-tiny", quant.F32), quant.Q8_0, weights.QuantizeOptions{})
	same, _ := quantize(t, first, quant.Q8_0, weights.QuantizeOptions{})
	for i, x := range first.Tensors() {
		if !bytes.Equal(x.Data, same.Tensors()[i].Data) {
			t.Errorf("tensor %s changed though its type did not", x.Name)
		}
	}
	down, _ := quantize(t, first, quant.Q4_0, weights.QuantizeOptions{})
	if x, ok := down.Tensor("blk.0.attn_q.weight"); !ok || x.Type != quant.Q4_0 {
		t.Errorf("Q8_0 to Q4_0: %v", x)
	}
}

func TestQuantizeSplit(t *testing.T) {
	dir := t.TempDir()
	want := [][]float32{ramp(2048), ramp(4096)}
	for i := range want {
		md := &weights.Metadata{}
		for key, v := range map[string]any{"split.no": uint16(i), "split.count": uint16(2), "split.tensors.count": int32(2)} {
			if err := md.Set(key, v); err != nil {
				t.Fatal(err)
			}
		}
		x := floats(fmt.Sprintf("blk.%d.ffn_up.weight", i), want[i], 256, len(want[i])/256)
		w, err := weights.Create(filepath.Join(dir, fmt.Sprintf("m-%05d-of-00002.gguf", i+1)), md,
			[]weights.TensorInfo{{Name: x.Name, Type: x.Type, Shape: x.Shape}})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.WriteTensor(x.Name, x.Data), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	src, err := weights.Open(filepath.Join(dir, "m-00001-of-00002.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	f, _ := quantize(t, src, quant.Q8_0, weights.QuantizeOptions{})
	if len(f.Paths()) != 1 || len(f.Tensors()) != 2 {
		t.Fatalf("%d files, %d tensors", len(f.Paths()), len(f.Tensors()))
	}
	for i, x := range f.Tensors() {
		if e := rms(t, src.Tensors()[i], x); e > most[quant.Q8_0] {
			t.Errorf("tensor %s: error %g", x.Name, e)
		}
	}
	for _, part := range src.Paths() {
		if _, err := weights.Quantize(t.Context(), part, src, quant.Q8_0, weights.QuantizeOptions{}); err == nil {
			t.Errorf("%s was overwritten while it is read", part)
		}
	}
}

func TestQuantizeRefusesInput(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "m.gguf"), filepath.Join(dir, "link.gguf")
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		t.Fatal(err)
	}
	if err := synth.Write(t.Context(), path, shape, quant.F16, 1, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, link); err != nil {
		t.Logf("no hard links here: %v", err)
		link = path
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	for _, dst := range []string{path, dir + "/./m.gguf", link} {
		if _, err := weights.Quantize(t.Context(), dst, src, quant.Q8_0, weights.QuantizeOptions{}); err == nil ||
			!strings.Contains(err.Error(), "being read") {
			t.Errorf("%s: error %v", dst, err)
		}
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the input was changed (%v)", err)
	}
	other := filepath.Join(dir, "other.gguf")
	if err := os.WriteFile(other, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.Quantize(t.Context(), other, src, quant.Q8_0, weights.QuantizeOptions{}); err != nil {
		t.Errorf("another file is not replaced: %v", err)
	}
}

func TestQuantizeErrors(t *testing.T) {
	bad := ramp(512 * 8)
	bad[300] = float32(math.NaN())
	closed := model(t, "llama-tiny", quant.F16)
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name   string
		src    *weights.File
		target quant.Type
		want   []string
	}{
		{"target that cannot be encoded", model(t, "llama-tiny", quant.F16), 16, []string{"IQ2_XXS", "Q4_K"}},
		{"unknown target", model(t, "llama-tiny", quant.F16), 4242, []string{"4242"}},
		{"type without decoder", build(t, nil, &weights.Tensor{Name: "blk.0.ffn_up.weight", Type: 16, Shape: []int{256, 8}, Data: make([]byte, 8*66)}),
			quant.Q8_0, []string{`"blk.0.ffn_up.weight"`, "IQ2_XXS", "Q8_0"}},
		{"NaN", build(t, nil, floats("blk.0.ffn_up.weight", bad, 512, 8)), quant.Q8_0, []string{`"blk.0.ffn_up.weight"`}},
		{"too large for F16", build(t, nil, floats("blk.0.ffn_up.weight", slices.Repeat([]float32{1e6}, 1024), 64, 16)),
			quant.F16, []string{`"blk.0.ffn_up.weight"`}},
		{"closed", closed, quant.Q8_0, []string{"closed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := weights.Quantize(t.Context(), filepath.Join(dir, "x.gguf"), c.src, c.target, weights.QuantizeOptions{})
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range append(c.want, "weights: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
			if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
				t.Errorf("the folder holds %v, %v", list, err)
			}
		})
	}
}

func TestQuantizeProgressAndCancel(t *testing.T) {
	src := model(t, "llama-tiny", quant.F32)
	dir := t.TempDir()
	var last, total int64
	opts := weights.QuantizeOptions{Progress: func(d, n int64) {
		if d < last || d > n || total != 0 && n != total {
			t.Errorf("progress %d of %d after %d of %d", d, n, last, total)
		}
		last, total = d, n
	}}
	if _, err := weights.Quantize(t.Context(), filepath.Join(dir, "x.gguf"), src, quant.Q8_0, opts); err != nil {
		t.Fatal(err)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	for _, target := range []quant.Type{quant.F32, quant.Q8_0} { // copied and encoded
		ctx, cancel := context.WithCancel(t.Context())
		opts.Progress = func(done, total int64) {
			if done > total/3 {
				cancel()
			}
		}
		if _, err := weights.Quantize(ctx, filepath.Join(dir, "y.gguf"), src, target, opts); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: canceled: %v", target, err)
		}
		cancel()
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("the folder holds %v, %v", list, err)
	}
}

// TestQuantizeLikeReference compares with files that the reference quantizer made from the same model: our blocks may
// differ, but lie no farther from it.
func TestQuantizeLikeReference(t *testing.T) {
	if testing.Short() {
		t.Skip("encodes a model nine times")
	}
	src, err := weights.Open(testdata.Shared(t, "models/llama-tiny.F16.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	names := map[quant.Type]string{quant.Q4_K: "Q4_K_S", quant.Q5_K: "Q5_K_S"}
	for _, target := range []quant.Type{quant.BF16, quant.Q8_0, quant.Q4_0, quant.Q4_1, quant.Q5_0, quant.Q5_1, quant.Q4_K, quant.Q5_K, quant.Q6_K} {
		name := target.String()
		if mix, ok := names[target]; ok {
			name = mix
		}
		ref, err := weights.Open(testdata.Shared(t, "models/llama-tiny."+name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		f, _ := quantize(t, src, target, weights.QuantizeOptions{Pure: true})
		for _, x := range src.Tensors() {
			ours, okOurs := f.Tensor(x.Name)
			theirs, okTheirs := ref.Tensor(x.Name)
			if !okOurs || !okTheirs || ours.Type != theirs.Type {
				t.Errorf("%s: tensor %s is %v, the reference has %v", name, x.Name, ours, theirs)
				continue
			}
			if a, b := rms(t, x, ours), rms(t, x, theirs); a > b {
				t.Errorf("%s: tensor %s: error %g, the reference's %g", name, x.Name, a, b)
			}
		}
		if err := ref.Close(); err != nil {
			t.Error(err)
		}
	}
}
