package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/bench"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

func TestTokenize(t *testing.T) {
	tok := openModel(t, tinyModel(t)).Tokenizer()
	type tokenizeJSON struct {
		IDs    []int32  `json:"ids"`
		Pieces []string `json:"pieces"`
	}
	for _, text := range []string{"", "the cat", "a </s> b", "é 😀\n"} {
		for _, special := range []bool{true, false} {
			args := []string{"tokenize", "-m", tinyModel(t), "--json", "-p", text}
			if !special {
				args = append(args, "--no-special")
			}
			r := decode[tokenizeJSON](t, succeed(t, args...))
			want := tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: special, ParseSpecial: special})
			if !slices.Equal(r.IDs, want) || r.IDs == nil || r.Pieces == nil || len(r.Pieces) != len(r.IDs) {
				t.Errorf("%q, special %v: %v %q, want %v", text, special, r.IDs, r.Pieces, want)
			}
			file := decode[tokenizeJSON](t, succeed(t, append(args[:4:4], append([]string{"-f", writeFile(t, "text", text)}, args[6:]...)...)...))
			if !slices.Equal(file.IDs, want) {
				t.Errorf("%q from a file: %v, want %v", text, file.IDs, want)
			}
		}
	}
	r := decode[tokenizeJSON](t, succeed(t, "tokenize", "-m", tinyModel(t), "--json", "-p", "é</s>"))
	if want := []string{"<s>", " ", "<0xC3>", "<0xA9>", "</s>"}; !slices.Equal(r.Pieces, want) {
		t.Errorf("pieces %q, want %q", r.Pieces, want)
	}
	if out := succeed(t, "tokenize", "-m", tinyModel(t), "-p", "\n"); !strings.Contains(out, `"\n"`) || strings.Count(out, "\n") != 3 {
		t.Errorf("printed %q", out)
	}
}

func TestTokenizeNeedsNoModel(t *testing.T) {
	f, err := weights.Open(tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	md := f.Metadata().Clone()
	md.Set("general.architecture", "made-up")
	path := filepath.Join(t.TempDir(), "vocabulary.gguf")
	w, err := weights.Create(path, md, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := succeed(t, "tokenize", "-m", path, "-p", "the cat"), succeed(t, "tokenize", "-m", tinyModel(t), "-p", "the cat"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if r := infer("run", "-m", path, "-p", "the cat"); r.code != exitFailure || !strings.Contains(r.stderr, "llama, mneme, phi3, qwen2") {
		t.Errorf("run: exit %d, %q, want the known architectures", r.code, r.stderr)
	}
	if r := infer("tokenize", "-m", mute(t), "-p", "x"); r.code != exitFailure || !strings.Contains(r.stderr, "mute.gguf") {
		t.Errorf("no vocabulary: exit %d, %q", r.code, r.stderr)
	}
}

type logitsJSON struct {
	PromptTokens []int32       `json:"prompt_tokens"`
	Top          [][][]float64 `json:"top"`
	MeanNLL      *float64      `json:"mean_nll"`
	NLL          []float64     `json:"nll"`
	Memory       memoryJSON    `json:"memory"`
}

func TestLogits(t *testing.T) {
	m := openModel(t, tinyModel(t))
	ids := m.Tokenizer().Encode("the cat sat", tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]float32
	nll := 0.0
	err = s.Evaluate(t.Context(), ids, func(i int, logits []float32) error {
		rows = append(rows, slices.Clone(logits))
		if i+1 < len(ids) {
			l, err := sample.LogProb(logits, ids[i+1])
			nll -= l
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	nll /= float64(len(ids) - 1)
	for _, top := range []string{"1", "7", "512", "100000"} {
		r := decode[logitsJSON](t, succeed(t, "logits", "-m", tinyModel(t), "-p", "the cat sat", "--top", top, "--json"))
		if !slices.Equal(r.PromptTokens, ids) || len(r.Top) != len(ids) || r.MeanNLL == nil || math.Abs(*r.MeanNLL-nll) > 1e-6 || len(r.NLL) != len(ids)-1 {
			t.Fatalf("tokens %v, %d rows, mean nll %v, want %v, %g", r.PromptTokens, len(r.Top), r.MeanNLL, ids, nll)
		}
		for i, row := range r.Top {
			if want := map[string]int{"1": 1, "7": 7}[top]; want != 0 && len(row) != want || want == 0 && len(row) != 512 {
				t.Fatalf("top %s has %d logits", top, len(row))
			}
			for j, pair := range row {
				id := int(pair[0])
				if math.Abs(pair[1]-float64(rows[i][id])) > 1e-5 {
					t.Fatalf("token %d, logit %d: %g, want %g", i, id, pair[1], rows[i][id])
				}
				if j > 0 && (pair[1] > row[j-1][1] || pair[1] == row[j-1][1] && pair[0] < row[j-1][0]) {
					t.Fatalf("token %d: %v after %v", i, pair, row[j-1])
				}
			}
			if best, _ := sample.Argmax(rows[i]); int32(row[0][0]) != best {
				t.Errorf("token %d: %v first, want %d", i, row[0], best)
			}
		}
	}
	one := decode[logitsJSON](t, succeed(t, "logits", "-m", tinyModel(t), "--tokens", "5", "--json"))
	if one.MeanNLL != nil || len(one.Top) != 1 || len(one.Top[0]) != 10 || !one.Memory.complete() {
		t.Errorf("one token: %+v", one)
	}
	if out := succeed(t, "logits", "-m", tinyModel(t), "-p", "the cat sat", "--top", "2"); strings.Count(out, "\n") != 3*len(ids)+1 {
		t.Errorf("printed %q", out)
	}
	if out := succeed(t, "logits", "-m", mute(t), "--tokens", "5,6", "--top", "2"); !strings.Contains(out, "mean nll") {
		t.Errorf("without a vocabulary: %q", out)
	}
}

type perplexityJSON struct {
	Perplexity    float64    `json:"perplexity"`
	StdErr        float64    `json:"stderr"`
	MeanNLL       float64    `json:"mean_nll"`
	Tokens        int        `json:"tokens"`
	Scored        int        `json:"scored_tokens"`
	Chunks        int        `json:"chunks"`
	Context       int        `json:"ctx"`
	Speed         float64    `json:"tokens_per_second"`
	BeyondTrained int        `json:"beyond_trained"`
	Parts         []partJSON `json:"parts"`
	Mass          float64    `json:"attention_mass"`
	Memory        memoryJSON `json:"memory"`
}

type partJSON struct {
	First      int     `json:"first"`
	Scored     int     `json:"scored_tokens"`
	Perplexity float64 `json:"perplexity"`
	Speed      float64 `json:"tokens_per_second"`
	Mass       float64 `json:"attention_mass"`
}

func TestPerplexity(t *testing.T) {
	text := strings.Repeat("the cat sat on the mat. ", 20)
	path := writeFile(t, "text", text)
	m := openModel(t, tinyModel(t))
	for _, c := range []struct {
		args []string
		o    bench.PerplexityOptions
	}{
		{nil, bench.PerplexityOptions{Window: trained}},
		{[]string{"--ctx", "20"}, bench.PerplexityOptions{Window: 20}},
		{[]string{"--ctx", "20", "--chunks", "-1"}, bench.PerplexityOptions{Window: 20}},
		{[]string{"--ctx", "20", "--chunks", "3"}, bench.PerplexityOptions{Window: 20, Chunks: 3}},
		{[]string{"--stream", "--tokens", "60"}, bench.PerplexityOptions{Stream: true, Tokens: 60}},
		{[]string{"--ctx", "20", "--tokens", "60"}, bench.PerplexityOptions{Window: 20, Tokens: 60}},
	} {
		c.o.Session = []mneme.SessionOption{mneme.WithKVType(quant.F32)}
		want, err := bench.Perplexity(t.Context(), m, text, c.o)
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"perplexity", "-m", tinyModel(t), "-f", path, "--kv-type", "f32"}, c.args...)
		got := decode[perplexityJSON](t, succeed(t, append(args, "--json")...))
		if got.Perplexity != want.Perplexity || got.StdErr != want.StdErr || got.Tokens != want.Tokens ||
			got.Scored != want.Scored || got.Chunks != want.Windows || got.Context != want.Window || got.MeanNLL != want.MeanNLL {
			t.Errorf("%v: %+v, want %+v", c.args, got, want)
		}
		if got.Speed <= 0 || got.Mass != 1 || !got.Memory.complete() {
			t.Errorf("%v: speed %g, attention mass %g, memory %+v", c.args, got.Speed, got.Mass, got.Memory)
		}
		if out := succeed(t, args...); !strings.HasPrefix(out, "perplexity ") || strings.Count(out, "\n") != 1 {
			t.Errorf("%v: printed %q", c.args, out)
		}
	}
}

func TestPerplexityWarns(t *testing.T) {
	path := writeFile(t, "text", strings.Repeat("the cat sat on the mat. ", 20))
	r := infer("perplexity", "-m", tinyModel(t), "-f", path, "--stream", "--tokens", "99999", "--ctx", "7", "--chunks", "2", "--json")
	decode[perplexityJSON](t, r.stdout)
	for _, say := range []string{"--ctx has no meaning", "--chunks has no meaning", "of the 99999", "longer than the 96"} {
		if !strings.Contains(r.stderr, say) {
			t.Errorf("stderr %q, want %q", r.stderr, say)
		}
	}
	if r.code != 0 || strings.Count(r.stderr, "\n") != 4 {
		t.Errorf("exit %d, stderr %q", r.code, r.stderr)
	}
}

// The parts of a stream make up the whole.
func TestPerplexityParts(t *testing.T) {
	args := []string{"perplexity", "-m", tinyModel(t), "-f", writeFile(t, "text", strings.Repeat("the cat sat on the mat. ", 20)), "--stream", "--tokens", "60"}
	whole := decode[perplexityJSON](t, succeed(t, append(args, "--json")...))
	for part, count := range map[int]int{1: 59, 7: 9, 59: 1, 60: 1, 10000: 1, 0: 0} {
		flags := append(args[:len(args):len(args)], "--part", strconv.Itoa(part))
		r := decode[perplexityJSON](t, succeed(t, append(flags, "--json")...))
		if r.MeanNLL != whole.MeanNLL || r.Scored != 59 || len(r.Parts) != count {
			t.Fatalf("--part %d: %d parts, want %d; mean nll %g over %d, want %g", part, len(r.Parts), count, r.MeanNLL, r.Scored, whole.MeanNLL)
		}
		sum, next := 0.0, 1
		for i, p := range r.Parts {
			if p.First != next || p.Scored != part && i < count-1 || p.Scored > part || p.Scored < 1 || p.Speed <= 0 || p.Mass != 1 {
				t.Fatalf("--part %d: %+v is part %d, after %d tokens", part, p, i, next)
			}
			next += p.Scored
			sum += float64(p.Scored) * math.Log(p.Perplexity)
		}
		if mean := sum / 59; count > 0 && (next != 60 || math.Abs(mean-whole.MeanNLL) > 1e-12*mean) {
			t.Errorf("--part %d: up to token %d the parts' mean nll is %.17g, the whole's %.17g", part, next, mean, whole.MeanNLL)
		}
		lines := strings.Split(strings.TrimSuffix(succeed(t, flags...), "\n"), "\n")
		want := count + 1
		if count == 1 {
			want = 1 // the part is the whole
		}
		if len(lines) != want || !strings.HasPrefix(lines[want-1], "perplexity ") || want > 1 && !strings.HasPrefix(lines[0], "tokens 1 to "+strconv.Itoa(part)+": perplexity ") {
			t.Errorf("--part %d: printed %q, want %d lines", part, lines, want)
		}
	}
	bounded(t, func(t *testing.T, _ string, flags []string) {
		r := decode[perplexityJSON](t, succeed(t, append(append(args, flags...), "--part", "20", "--json")...))
		if len(r.Parts) != 3 || *r.Memory.RowsKept > budget || *r.Memory.RowsEvicted == 0 {
			t.Errorf("%d parts, %d rows kept, %d dropped", len(r.Parts), *r.Memory.RowsKept, *r.Memory.RowsEvicted)
		}
	})
	if r := infer("perplexity", "-m", tinyModel(t), "-f", args[4], "--part", "7"); r.code != exitSuccess || r.stderr != "infer: warning: --part has no meaning without --stream\n" {
		t.Errorf("without --stream: exit %d, stderr %q", r.code, r.stderr)
	}
}

type typeJSON struct {
	Tensors int   `json:"tensors"`
	Bytes   int64 `json:"bytes"`
}

type inspectJSON struct {
	Files      []string            `json:"files"`
	Bytes      int64               `json:"bytes"`
	Version    int                 `json:"version"`
	Parameters int64               `json:"parameters"`
	Types      map[string]typeJSON `json:"types"`
	Memory     []moduleJSON        `json:"memory"`
	Metadata   map[string]any      `json:"metadata"`
	Tensors    []struct {
		Name  string `json:"name"`
		Type  string `json:"type"`
		Shape []int  `json:"shape"`
		Bytes int    `json:"bytes"`
	} `json:"tensors"`
}

func TestInspect(t *testing.T) {
	path := tinyModel(t)
	r := decode[inspectJSON](t, succeed(t, "inspect", path, "--json"))
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	parameters, total := int64(0), int64(0)
	for i, tensor := range f.Tensors() {
		got := r.Tensors[i]
		if got.Name != tensor.Name || got.Type != tensor.Type.String() || !slices.Equal(got.Shape, tensor.Shape) || got.Bytes != len(tensor.Data) {
			t.Errorf("tensor %+v, want %s %s %v", got, tensor.Name, tensor.Type, tensor.Shape)
		}
		parameters += int64(tensor.Elements())
		total += int64(len(tensor.Data))
	}
	if len(r.Tensors) != len(f.Tensors()) || r.Parameters != parameters || r.Bytes != f.Size() || r.Version != 3 || !slices.Equal(r.Files, []string{path}) {
		t.Errorf("%d tensors, %d parameters, %d bytes, version %d, files %q", len(r.Tensors), r.Parameters, r.Bytes, r.Version, r.Files)
	}
	if want := map[string]typeJSON{"F32": {len(f.Tensors()), total}}; len(r.Types) != 1 || r.Types["F32"] != want["F32"] {
		t.Errorf("types %v, want %v", r.Types, want)
	}
	if r.Metadata["general.architecture"] != "llama" || r.Metadata["llama.context_length"] != float64(trained) {
		t.Errorf("metadata %v", r.Metadata)
	}
	if tokens, ok := r.Metadata["tokenizer.ggml.tokens"].([]any); !ok || len(tokens) != 512 {
		t.Errorf("%d tokens in the metadata, want 512", len(tokens))
	}
	out := succeed(t, "inspect", path)
	for _, want := range []string{path, "general.architecture: string = \"llama\"", "string[512]", "blk.0.attn_q.weight", "64 × 64", "F32"} {
		if !strings.Contains(out, want) {
			t.Errorf("printed %q without %q", out, want)
		}
	}
	if strings.Contains(out, `<0xFF>`) {
		t.Error("the whole vocabulary was printed")
	}
	if out := succeed(t, "inspect", "-m", path, "--full"); !strings.Contains(out, `u003c0xFF`) && !strings.Contains(out, `<0xFF>`) {
		t.Error("--full did not print the whole vocabulary")
	}
}

// Files that are not models, or that want to play tricks on a terminal, can be looked at.
func TestInspectAnything(t *testing.T) {
	md := &weights.Metadata{}
	for key, value := range map[string]any{
		"general.architecture": "made-up\x1b[31m", "some\nkey": "a\x1b]0;title\a", "nothing": []string{},
		"not.a.number": float32(math.NaN()), "list": []float32{float32(math.Inf(1)), 1},
	} {
		if err := md.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "odd.gguf")
	w, err := weights.Create(path, md, []weights.TensorInfo{{Name: "scalar\r", Type: quant.F32}, {Name: "none", Type: quant.Q8_0, Shape: []int{32, 0}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteTensor("scalar\r", make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if err := w.WriteTensor("none", nil); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"inspect", path}, {"inspect", path, "--full"}, {"inspect", path, "--json"}} {
		out := succeed(t, args...)
		if i := strings.IndexFunc(out, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }); i >= 0 {
			t.Errorf("%v: control character %q in %q", args, out[i], out)
		}
	}
	r := decode[inspectJSON](t, succeed(t, "inspect", path, "--json"))
	if len(r.Tensors) != 2 || r.Tensors[0].Shape == nil || len(r.Tensors[0].Shape) != 0 || r.Metadata["not.a.number"] != "NaN" {
		t.Errorf("%+v", r)
	}
	empty := decode[inspectJSON](t, succeed(t, "inspect", "--json", variant(t, "empty.gguf", func(md *weights.Metadata) {
		for _, key := range md.Keys() {
			md.Delete(key)
		}
	})))
	if empty.Metadata == nil || len(empty.Metadata) != 0 {
		t.Errorf("metadata %v, want an empty object", empty.Metadata)
	}
}

type planJSON struct {
	Context   int    `json:"ctx"`
	Weights   *int64 `json:"weights_bytes"`
	Repacked  *int64 `json:"repacked_bytes"`
	Stored    *int64 `json:"not_repacked_bytes"`
	KV        *int64 `json:"kv_bytes"`
	Scratch   *int64 `json:"scratch_bytes"`
	State     *int64 `json:"state_bytes"`
	Total     int64  `json:"total_bytes"`
	Available *int64 `json:"available_bytes"`
}

func TestPlan(t *testing.T) {
	m := openModel(t, tinyModel(t))
	for _, c := range []struct {
		args []string
		ctx  int
		o    []mneme.SessionOption
	}{
		{nil, trained, nil},
		{[]string{"--ctx", "1000"}, 1000, nil},
		{[]string{"--ctx", "1000", "--kv-type", "f32", "--prefill-block", "7"}, 1000, []mneme.SessionOption{mneme.WithKVType(quant.F32), mneme.WithPrefillBlock(7)}},
		{[]string{"--ctx", "1000", "--attention", "retrieval", "--kv-budget", "256"}, 1000, []mneme.SessionOption{mneme.WithAttention("retrieval"), mneme.WithKVBudget(256)}},
		{[]string{"--ctx", "123456789", "--kv-type", "q8_0"}, 123456789, []mneme.SessionOption{mneme.WithKVType(quant.Q8_0)}},
	} {
		want, err := m.Plan(c.ctx, c.o...)
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"plan", "-m", tinyModel(t)}, c.args...)
		r := decode[planJSON](t, succeed(t, append(args, "--json")...))
		if r.Weights == nil || r.Repacked == nil || *r.Repacked != 0 || r.Stored == nil || *r.Stored != 0 || r.KV == nil || r.Scratch == nil || r.State == nil {
			t.Fatalf("%v: a field is missing: %+v", c.args, r)
		}
		if got := (mneme.Plan{WeightsBytes: *r.Weights, KVBytes: *r.KV, ScratchBytes: *r.Scratch, StateBytes: *r.State}); got != want || r.Context != c.ctx {
			t.Errorf("%v: %+v for %d tokens, want %+v", c.args, got, r.Context, want)
		}
		if opens := slices.Contains(c.args, "retrieval"); opens != (*r.State > 0) {
			t.Errorf("%v: %d bytes of state", c.args, *r.State)
		}
		if r.Total != *r.Weights+*r.KV+*r.Scratch+*r.State {
			t.Errorf("%v: total %d", c.args, r.Total)
		}
		if out := succeed(t, args...); !strings.Contains(out, "KV cache") {
			t.Errorf("printed %q", out)
		}
	}
}

func TestSynthAndQuantize(t *testing.T) {
	dir := t.TempDir()
	in, again, out := filepath.Join(dir, "in.gguf"), filepath.Join(dir, "again.gguf"), filepath.Join(dir, "out.gguf")
	type synthJSON struct {
		Shape      string              `json:"shape"`
		Seed       uint64              `json:"seed"`
		Parameters int64               `json:"parameters"`
		Bytes      int64               `json:"bytes"`
		Types      map[string]typeJSON `json:"types"`
	}
	made := decode[synthJSON](t, succeed(t, "synth", "phi3-tiny", in, "--type", "f16", "--seed", "5", "--json"))
	if made.Shape != "phi3-tiny" || made.Seed != 5 || made.Parameters <= 0 || made.Types["F16"].Tensors == 0 {
		t.Errorf("%+v", made)
	}
	if out := succeed(t, "synth", "phi3-tiny", again, "--seed", "5"); !strings.Contains(out, "parameters") {
		t.Errorf("printed %q", out)
	}
	a, _ := os.ReadFile(in)
	b, _ := os.ReadFile(again)
	if len(a) == 0 || string(a) != string(b) || made.Bytes != int64(len(a)) {
		t.Errorf("same seed: %d and %d bytes, reported %d", len(a), len(b), made.Bytes)
	}
	type quantizeJSON struct {
		Bytes int64               `json:"bytes"`
		Types map[string]typeJSON `json:"types"`
	}
	q := decode[quantizeJSON](t, succeed(t, "quantize", in, out, "q8_0", "--json"))
	f, err := weights.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tensors := 0
	for name, c := range q.Types {
		tensors += c.Tensors
		if name != "F32" && name != "Q8_0" {
			t.Errorf("type %s", name)
		}
	}
	if q.Bytes != f.Size() || tensors != len(f.Tensors()) || q.Bytes >= made.Bytes {
		t.Errorf("%d bytes, %d tensors; the file has %d, %d", q.Bytes, tensors, f.Size(), len(f.Tensors()))
	}
	if text := succeed(t, "quantize", in, out, "Q4_0", "--pure", "--threads", "1"); !strings.Contains(text, "Q4_0") {
		t.Errorf("printed %q", text)
	}
	decode[runJSON](t, succeed(t, "run", "-m", out, "-p", "hi", "-n", "3", "--json"))
}

func TestVersion(t *testing.T) {
	type versionJSON struct {
		Version string   `json:"version"`
		Go      string   `json:"go"`
		System  string   `json:"system"`
		Kernels []string `json:"kernels"`
	}
	if v := decode[versionJSON](t, succeed(t, "version", "--json")); v.Version == "" || !slices.Contains(v.Kernels, "generic") {
		t.Errorf("%+v", v)
	}
	if a, b := succeed(t, "version"), succeed(t, "--version"); !strings.HasPrefix(a, "infer ") || !strings.HasPrefix(b, "infer ") {
		t.Errorf("%q, %q", a, b)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := succeed(t, "completion", shell); !strings.Contains(out, "infer") {
			t.Errorf("%s: %.100q", shell, out)
		}
	}
	for want, args := range map[string][]string{
		"perplexity": {"__complete", "per"},
		"q8_0":       {"__complete", "run", "--kv-type", ""},
		"Q4_K":       {"__complete", "quantize", "a", "b", ""},
		"llama-7b":   {"__complete", "synth", ""},
		"gguf":       {"__complete", "run", "-m", ""},
		"bash":       {"__complete", "completion", ""},
		"BF16":       {"__complete", "synth", "llama-7b", "out", "--type", ""},
		"F32":        {"__complete", "convert", "a", "b", "--type", ""},
		"inspect":    {"__complete", "help", ""},
	} {
		if r := infer(args...); r.code != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("%v: exit %d, %q, want %q", args, r.code, r.stdout, want)
		}
	}
}

func TestHelp(t *testing.T) {
	root := newRoot(&app{})
	for _, cmd := range root.Commands() {
		help := succeed(t, cmd.Name(), "--help")
		for _, want := range []string{"Usage:\n  infer " + cmd.Name(), "\nExamples:\n  ", "--json", "--threads"} {
			if !strings.Contains(help, want) {
				t.Errorf("%s --help lacks %q:\n%s", cmd.Name(), want, help)
			}
		}
		if other := succeed(t, "help", cmd.Name()); other != help {
			t.Errorf("help %s and %s --help differ", cmd.Name(), cmd.Name())
		}
		for line := range strings.Lines(help) {
			if len([]rune(line)) > 125 {
				t.Errorf("%s --help: long line %q", cmd.Name(), line)
			}
		}
	}
	if r := infer(); r.code != exitUsage || r.stdout != "" || !strings.Contains(r.stderr, "perplexity") {
		t.Errorf("no command: exit %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
	if a, b := succeed(t, "--help"), succeed(t, "help"); a != b || !strings.Contains(a, "Commands:") {
		t.Errorf("--help %q, help %q", a, b)
	}
}

// Every example in the help is a command line that the program understands.
func TestExamplesParse(t *testing.T) {
	for _, cmd := range newRoot(&app{}).Commands() {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " |")
			line = strings.TrimSuffix(strings.TrimPrefix(line, "source <("), ")")
			line, _, _ = strings.Cut(line, " >")
			words := strings.Fields(strings.ReplaceAll(line, `"`, ""))
			if len(words) == 0 || words[0] != "infer" {
				t.Errorf("%s: example %q", cmd.Name(), line)
				continue
			}
			found, rest, err := newRoot(&app{}).Find(words[1:])
			if err != nil || found.Name() != cmd.Name() {
				t.Errorf("%q: %v", line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}

// The text comes as it is written, not at the end.
func TestTextStreams(t *testing.T) {
	var pieces []string
	w := writerFunc(func(p []byte) (int, error) {
		pieces = append(pieces, string(p))
		return len(p), nil
	})
	code := runContext(t.Context(), []string{"run", "-m", tinyModel(t), "-p", "the cat", "-n", "12", "--ignore-eos"}, strings.NewReader(""), w, writerFunc(discard))
	if code != 0 || len(pieces) < 6 || pieces[0] != "the cat" || pieces[len(pieces)-1] != "\n" {
		t.Errorf("exit %d, pieces %q", code, pieces)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func discard(p []byte) (int, error) { return len(p), nil }
