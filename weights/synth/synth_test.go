package synth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

func lookup(t testing.TB, name string) Shape {
	t.Helper()
	s, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB, s Shape, typ quant.Type, seed uint64) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := WriteTo(t.Context(), &out, s, typ, seed); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func parse(t testing.TB, data []byte) *weights.File {
	t.Helper()
	f, err := weights.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestParameters holds the shapes against the sizes that their names promise.
func TestParameters(t *testing.T) {
	want := map[string]int64{ // from the published dimensions: 2·V·E + L·(2·E·H·D + 2·E·K·D + 3·E·F) + norms
		"llama-15m": 15191712,
		// With biases of q, k and v; in three layers 10·E² for the memory, with norms and the gate's bias; in all of them the weights
		// of the paths.
		"mneme-fifo-15m": 15191712 + 6*3*288 + 3*(10*288*288+5*288) + 6*3*6,
		"llama-160m":     134105856,
		"llama-1b":       1104218112,
		"llama-7b":       6738415616,
		"qwen2-0.5b":     494032768,
	}
	for _, s := range Shapes() {
		if n, ok := want[s.Name]; ok && s.Parameters() != n {
			t.Errorf("%s has %d parameters, want %d", s.Name, s.Parameters(), n)
		} else if !ok && (!strings.HasSuffix(s.Name, "-tiny") || s.Parameters() > 3e6) {
			t.Errorf("%s has %d parameters", s.Name, s.Parameters())
		}
		delete(want, s.Name)
	}
	if len(want) > 0 {
		t.Errorf("shapes missing: %v", want)
	}
}

func TestLookup(t *testing.T) {
	for _, s := range Shapes() {
		if got, err := Lookup(s.Name); err != nil || got != s {
			t.Errorf("%s: %v, %v", s.Name, got, err)
		}
		if err := s.validate(); err != nil {
			t.Error(err)
		}
	}
	if _, err := Lookup("llama-8t"); err == nil || !strings.Contains(err.Error(), "llama-7b") {
		t.Errorf("error %v does not list the known shapes", err)
	}
}

func TestInvalidShapes(t *testing.T) {
	cases := []struct {
		want   string
		change func(*Shape)
	}{
		{"layers 0", func(s *Shape) { s.Layers = 0 }},
		{"embedding -1", func(s *Shape) { s.Embedding = -1 }},
		{"heads 0", func(s *Shape) { s.Heads = 0 }},
		{"vocabulary 259", func(s *Shape) { s.Vocab = 259 }},
		{"vocabulary 1048577", func(s *Shape) { s.Vocab = 1<<20 + 1 }},
		{"not a multiple of 7 heads", func(s *Shape) { s.Heads = 7; s.KVHeads = 7 }},
		{"not a multiple of 3 KV heads", func(s *Shape) { s.KVHeads = 3 }},
		{"odd", func(s *Shape) { s.HeadDim = 31 }},
		{`architecture "gpt2"`, func(s *Shape) { s.Arch = "gpt2" }},
		{"experts in", func(s *Shape) { s.Arch = "qwen2"; s.Experts = 4; s.ExpertsUsed = 2 }},
		{"memory of chunks in", func(s *Shape) { s.Fifo = Fifo{8, 4, 2, 1} }},
		{"-1 is not within", func(s *Shape) { s.Fifo = Fifo{-1, 4, 2, 1} }},
		{"whole windows", func(s *Shape) { s.Arch, s.Fifo = "mneme", Fifo{8, 3, 2, 1} }},
		{"a neural memory in", func(s *Shape) { s.Neural = lookup(t, "mneme-mac-tiny").Neural }},
		{`variant "elephant"`, func(s *Shape) { s.Arch, s.Neural = "mneme", Neural{"elephant", 1, 2, 1, 1, 1, 0, 0} }},
		{"a size is not within", func(s *Shape) { s.Arch, s.Neural = "mneme", Neural{Variant: "mag"} }},
		{"without windows", func(s *Shape) { s.Arch, s.Neural = "mneme", lookup(t, "mneme-mal-tiny").Neural }},
		{"5 of 4 experts", func(s *Shape) { s.Experts = 4; s.ExpertsUsed = 5 }},
	}
	for _, c := range cases {
		s := lookup(t, "llama-tiny")
		c.change(&s)
		err := WriteTo(t.Context(), &bytes.Buffer{}, s, quant.F32, 1)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "llama-tiny") {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	if err := WriteTo(t.Context(), &bytes.Buffer{}, lookup(t, "llama-tiny"), 16, 1); err == nil || !strings.Contains(err.Error(), "IQ2_XXS") {
		t.Errorf("a type that cannot be encoded: %v", err)
	}
}

// TestTinyShapes writes a layer of every tiny shape in a float type and in blocks, and of one shape in every type, and
// looks at what the files say.
func TestTinyShapes(t *testing.T) {
	for _, s := range Shapes() {
		if !strings.HasSuffix(s.Name, "-tiny") {
			continue
		}
		for _, typ := range quant.Types() {
			few := []quant.Type{quant.F16, quant.Q8_0}
			if !typ.CanEncode() || s.Name != "gemma2-tiny" && !slices.Contains(few, typ) {
				continue
			}
			s.Layers = 1
			f := parse(t, write(t, s, typ, 1))
			checkTensors(t, s, typ, f)
			md := f.Metadata()
			if arch, _ := md.String("general.architecture"); arch != s.Arch {
				t.Errorf("%s: architecture %q", s.Name, arch)
			}
			for key, want := range map[string]int{"block_count": s.Layers, "embedding_length": s.Embedding, "vocab_size": s.Vocab,
				"attention.head_count_kv": s.KVHeads, "context_length": s.Context} {
				if got, ok := md.Uint(s.Arch + "." + key); !ok || got != uint64(want) {
					t.Errorf("%s: %s = %d, %v; want %d", s.Name, key, got, ok, want)
				}
			}
			if _, ok := md.Uint("general.file_type"); !ok {
				t.Errorf("%s %s: no general.file_type", s.Name, typ)
			}
		}
	}
}

func checkTensors(t *testing.T, s Shape, typ quant.Type, f *weights.File) {
	t.Helper()
	if _, ok := f.Tensor("output.weight"); ok == s.Tied {
		t.Errorf("%s: output matrix %v, tied %v", s.Name, ok, s.Tied)
	}
	var n int64
	for _, x := range f.Tensors() {
		n += int64(x.Elements())
		want := quant.F32
		if len(x.Shape) > 1 && !strings.Contains(x.Name, "ffn_gate_inp") && !strings.Contains(x.Name, "mem_fuse") {
			want = weights.TypeForRow(typ, x.RowLen())
		}
		if x.Type != want {
			t.Errorf("%s in %s: tensor %s is %s, want %s", s.Name, typ, x.Name, x.Type, want)
		}
	}
	if n != s.Parameters() {
		t.Errorf("%s: %d values, want %d", s.Name, n, s.Parameters())
	}
}

// TestSeed pins a file: the same seed gives the same model with every version and on every machine.
func TestSeed(t *testing.T) {
	const want = "b9bbd005b530352bcddd8b5472a842a50f31a3f7562dc3e4479b11d97f0d338b"
	s := lookup(t, "llama-tiny")
	data := write(t, s, quant.F32, 1)
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("llama-tiny in F32 with seed 1 has SHA-256 %s, want %s", got, want)
	}
	other := parse(t, write(t, s, quant.F32, 2))
	for _, x := range parse(t, data).Tensors() {
		y, ok := other.Tensor(x.Name)
		if !ok || bytes.Equal(x.Data, y.Data) {
			t.Errorf("tensor %s is the same with another seed", x.Name)
		}
	}
}

func TestThreadsDoNotMatter(t *testing.T) {
	s := lookup(t, "moe-tiny")
	s.Layers, s.Vocab, s.FeedForward = 1, 1500, 512 // several pieces for a tensor
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, typ := range []quant.Type{quant.F32, quant.Q8_0} {
		var want []byte
		for _, n := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(n)
			got := write(t, s, typ, 5)
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s: %d processors give another file than one", typ, n)
			}
		}
	}
}

// moments returns mean, deviation and kurtosis (3 for a normal distribution) of values.
func moments(values []float32) (mean, deviation, kurtosis float64) {
	for _, v := range values {
		mean += float64(v)
	}
	mean /= float64(len(values))
	var m2, m4 float64
	for _, v := range values {
		d := float64(v) - mean
		m2 += d * d
		m4 += d * d * d * d
	}
	m2, m4 = m2/float64(len(values)), m4/float64(len(values))
	return mean, math.Sqrt(m2), m4 / (m2 * m2)
}

// TestStatistics looks at the distribution of each tensor, with bounds of five standard errors.
func TestStatistics(t *testing.T) {
	for _, name := range []string{"llama-tiny", "qwen2-tiny", "moe-tiny", "phi3-tiny"} {
		s := lookup(t, name)
		f := parse(t, write(t, s, quant.F32, 3))
		for _, x := range f.Tensors() {
			values, err := x.Float32s()
			if err != nil {
				t.Fatal(err)
			}
			wantMean, wantDeviation := 0.0, 1/math.Sqrt(float64(x.RowLen()))
			switch {
			case strings.Contains(x.Name, "norm"):
				wantMean, wantDeviation = 1, normDeviation
			case strings.HasSuffix(x.Name, ".bias"):
				wantDeviation = 1 / math.Sqrt(float64(s.Embedding))
			}
			n := float64(len(values))
			mean, deviation, kurtosis := moments(values)
			if math.Abs(mean-wantMean) > 5*wantDeviation/math.Sqrt(n) || math.Abs(deviation/wantDeviation-1) > 5/math.Sqrt(2*n) {
				t.Errorf("%s: %s is %g ± %g, want %g ± %g", name, x.Name, mean, deviation, wantMean, wantDeviation)
			}
			if n > 10000 && math.Abs(kurtosis-3) > 5*math.Sqrt(24/n) {
				t.Errorf("%s: %s has kurtosis %g", name, x.Name, kurtosis)
			}
		}
	}
}

// TestRowsAreIndependent correlates each row with the next: neighbouring seeds must not give similar rows.
func TestRowsAreIndependent(t *testing.T) {
	x := matrix("some.weight", 4096, 64)
	values := make([]float32, x.elements())
	x.draw(values, 0, 1)
	for row := range 63 {
		var dot float64
		for i := range 4096 {
			dot += float64(values[row*4096+i]) * float64(values[(row+1)*4096+i])
		}
		if r := dot; math.Abs(r) > 5/math.Sqrt(4096) { // rows have length 1
			t.Errorf("rows %d and %d correlate by %g", row, row+1, r)
		}
	}
	again := make([]float32, 3*4096)
	x.draw(again, 10, 1)
	if !slices.Equal(again, values[10*4096:13*4096]) {
		t.Error("rows drawn alone differ")
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tiny.gguf")
	var last, total int64
	s := lookup(t, "qwen2-tiny")
	err := Write(t.Context(), path, s, quant.F16, 9, func(d, n int64) {
		if d < last || d > n || total != 0 && n != total {
			t.Errorf("progress %d of %d after %d of %d", d, n, last, total)
		}
		last, total = d, n
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != total || total < 2*s.Parameters() {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(data, write(t, s, quant.F16, 9)) {
		t.Errorf("the file differs from what WriteTo writes (%v)", err)
	}
}

func TestWriteCanceled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err := Write(ctx, filepath.Join(dir, "x.gguf"), lookup(t, "llama-15m"), quant.F16, 1, func(done, total int64) {
		if done > total/10 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("the folder holds %v, %v", list, err)
	}
	cancel()
}

// counter forgets what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// TestMemory writes a model of 60 MB and looks at what was allocated.
func TestMemory(t *testing.T) {
	s := lookup(t, "llama-15m")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var n counter
	if err := WriteTo(t.Context(), &n, s, quant.F32, 1); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// Each tensor allocates some pieces of half a megabyte; 56 tensors do so one after the other.
	if live := int64(after.Sys) - int64(before.Sys); n < 60e6 || live > 32<<20 {
		t.Errorf("%d bytes written, %d more taken from the system", n, live)
	}
}

func BenchmarkDraw(b *testing.B) {
	x := matrix("some.weight", 4096, 16)
	values := make([]float32, x.elements())
	b.SetBytes(int64(4 * len(values)))
	for b.Loop() {
		x.draw(values, 0, 1)
	}
}

func BenchmarkWrite(b *testing.B) {
	s := lookup(b, "llama-15m")
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0, quant.Q4_0, quant.Q4_K} {
		b.Run(typ.String(), func(b *testing.B) {
			b.SetBytes(4 * s.Parameters())
			for b.Loop() {
				if err := WriteTo(b.Context(), new(counter), s, typ, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
