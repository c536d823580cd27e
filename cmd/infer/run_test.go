package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// runJSON is what users of run --json rely on, under these names.
type runJSON struct {
	PromptTokens  []int32 `json:"prompt_tokens"`
	PromptReused  *int    `json:"prompt_reused"`
	Tokens        []int32 `json:"tokens"`
	Text          string  `json:"text"`
	Stop          string  `json:"stop"`
	Seed          *uint64 `json:"seed"`
	BeyondTrained *int    `json:"beyond_trained"`
	Timings       struct {
		Prefill *float64 `json:"prefill_tokens_per_second"`
		Decode  *float64 `json:"decode_tokens_per_second"`
		Load    *float64 `json:"load_seconds"`
	} `json:"timings"`
	Mass   *float64   `json:"attention_mass"`
	Memory memoryJSON `json:"memory"`
}

type memoryJSON struct {
	KVBytes     *int64 `json:"kv_bytes"`
	KVBytesPeak *int64 `json:"kv_bytes_peak"`
	RowsKept    *int   `json:"rows_kept"`
	RowsSeen    *int   `json:"rows_seen"`
	StateBytes  *int64 `json:"state_bytes"`

	Policy      string `json:"policy"`
	Evictions   *int   `json:"evictions"`
	RowsEvicted *int64 `json:"rows_evicted"`
}

func (m memoryJSON) complete() bool {
	return m.KVBytes != nil && m.KVBytesPeak != nil && m.RowsKept != nil && m.RowsSeen != nil && m.StateBytes != nil &&
		m.Policy != "" && m.Evictions != nil && m.RowsEvicted != nil
}

func runAsJSON(t *testing.T, args ...string) runJSON {
	t.Helper()
	r := decode[runJSON](t, succeed(t, append([]string{"run", "--json", "-m", tinyModel(t)}, args...)...))
	if r.Tokens == nil || r.PromptTokens == nil || r.PromptReused == nil || r.Seed == nil || r.BeyondTrained == nil || !r.Memory.complete() ||
		r.Timings.Prefill == nil || r.Timings.Decode == nil || r.Timings.Load == nil {
		t.Fatalf("a field is missing: %+v", r)
	}
	return r
}

func TestRunJSON(t *testing.T) {
	r := runAsJSON(t, "-p", "the cat", "-n", "12", "--ignore-eos", "--seed", "7")
	tok := openModel(t, tinyModel(t)).Tokenizer()
	if want := tok.Encode("the cat", tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true}); !slices.Equal(r.PromptTokens, want) {
		t.Errorf("prompt tokens %v, want %v", r.PromptTokens, want)
	}
	if len(r.Tokens) != 12 || r.Stop != "length" || *r.Seed != 7 {
		t.Errorf("%d tokens, stop %q, seed %d", len(r.Tokens), r.Stop, *r.Seed)
	}
	if want := tok.Text(r.Tokens, tokenizer.DecodeOptions{Continue: true}); r.Text != want {
		t.Errorf("text %q, of the tokens %q", r.Text, want)
	}
	if seen := len(r.PromptTokens) + 11; *r.Memory.RowsSeen != seen || *r.Memory.RowsKept != seen || *r.Memory.KVBytes <= 0 {
		t.Errorf("rows seen %d, kept %d, want %d; %d bytes", *r.Memory.RowsSeen, *r.Memory.RowsKept, seen, *r.Memory.KVBytes)
	}
	if m := r.Memory; *r.PromptReused != 0 || m.Policy != "full" || *m.Evictions != 0 || *m.RowsEvicted != 0 {
		t.Errorf("%d tokens reused, %s dropped %d rows in %d evictions", *r.PromptReused, m.Policy, *m.RowsEvicted, *m.Evictions)
	}
	if *r.Timings.Prefill <= 0 || *r.Timings.Decode <= 0 {
		t.Errorf("timings %v, %v", *r.Timings.Prefill, *r.Timings.Decode)
	}
}

func TestRunSameSeedSameText(t *testing.T) {
	args := []string{"-p", "the cat", "-n", "20", "--ignore-eos", "--temp", "1.5", "--seed"}
	first := runAsJSON(t, append(args, "1")...)
	if again := runAsJSON(t, append(args, "1", "--threads", "1")...); !slices.Equal(again.Tokens, first.Tokens) {
		t.Errorf("one thread: %v, before %v", again.Tokens, first.Tokens)
	}
	if other := runAsJSON(t, append(args, "2")...); slices.Equal(other.Tokens, first.Tokens) {
		t.Errorf("another seed, the same text: %v", first.Tokens)
	}
	random := runAsJSON(t, append(args, "-1")...)
	if again := runAsJSON(t, "-p", "the cat", "-n", "20", "--ignore-eos", "--temp", "1.5"); *random.Seed == *again.Seed {
		t.Errorf("two random seeds are %d", *random.Seed)
	}
}

func TestRunPrintsPromptAndAnswer(t *testing.T) {
	args := []string{"-m", tinyModel(t), "-p", "the cat", "-n", "9", "--ignore-eos", "--temp", "0"}
	answer := runAsJSON(t, args[2:]...).Text
	run := append([]string{"run"}, args...)
	if got, want := succeed(t, run...), "the cat"+answer+"\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
	if got := succeed(t, append(run, "--no-display-prompt")...); got != answer+"\n" {
		t.Errorf("without the prompt %q, want %q", got, answer+"\n")
	}
	r := infer(append(run, "-v")...)
	if r.code != 0 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "tokens/s") {
		t.Errorf("-v: exit %d, stderr %q", r.code, r.stderr)
	}
	if got := succeed(t, "run", "-m", tinyModel(t), "-p", "the cat", "-n", "0"); got != "the cat\n" {
		t.Errorf("-n 0 printed %q", got)
	}
}

func TestRunPrompts(t *testing.T) {
	want := runAsJSON(t, "-p", "the cat", "-n", "5", "--temp", "0")
	same := func(name string, r runJSON) {
		t.Helper()
		if !slices.Equal(r.PromptTokens, want.PromptTokens) || !slices.Equal(r.Tokens, want.Tokens) {
			t.Errorf("%s: %v %v, want %v %v", name, r.PromptTokens, r.Tokens, want.PromptTokens, want.Tokens)
		}
	}
	same("file", runAsJSON(t, "-f", writeFile(t, "prompt.txt", "the cat\n"), "-n", "5", "--temp", "0"))
	same("escaped", runAsJSON(t, "-e", "-p", `the\x20cat`, "-n", "5", "--temp", "0"))
	ids, _ := json.Marshal(want.PromptTokens)
	same("tokens", runAsJSON(t, "--tokens", string(ids), "-n", "5", "--temp", "0"))

	r := inferWithInput(strings.NewReader("the cat\n"), "run", "--json", "-m", tinyModel(t), "-f", "-", "-n", "5", "--temp", "0")
	same("standard input", decode[runJSON](t, r.stdout))

	shown := succeed(t, "run", "-m", tinyModel(t), "--tokens", string(ids), "-n", "0")
	if shown != "the cat\n" {
		t.Errorf("the prompt of tokens was shown as %q", shown)
	}
	same("file from Windows", runAsJSON(t, "-f", writeFile(t, "prompt.txt", "the cat\r\n"), "-n", "5", "--temp", "0"))
	if two := runAsJSON(t, "-f", writeFile(t, "prompt.txt", "the cat\n\n"), "-n", "0"); len(two.PromptTokens) != len(want.PromptTokens)+1 {
		t.Errorf("of two line breaks at the end one stays: %v", two.PromptTokens)
	}
}

func TestRunStops(t *testing.T) {
	whole := runAsJSON(t, "-p", "the cat", "-n", "40", "--ignore-eos", "--temp", "0")
	middle := []rune(whole.Text)[len([]rune(whole.Text))/2:]
	stop := string(middle[:2])
	r := runAsJSON(t, "-p", "the cat", "-n", "40", "--ignore-eos", "--temp", "0", "--stop", "not in there", "--stop", stop)
	if want := whole.Text[:strings.Index(whole.Text, stop)]; r.Text != want || r.Stop != "string" {
		t.Errorf("stop at %q: %q (%s), want %q", stop, r.Text, r.Stop, want)
	}
	r = runAsJSON(t, "-p", "the cat", "-n", "40", "--logit-bias", "2+inf")
	if len(r.Tokens) != 0 || r.Stop != "end" || r.Text != "" {
		t.Errorf("end of text: %v, stop %q", r.Tokens, r.Stop)
	}
}

func TestRunContext(t *testing.T) {
	args := []string{"run", "-m", tinyModel(t), "-p", "the cat", "--ignore-eos", "--json"}
	prompt := len(runAsJSON(t, "-p", "the cat", "-n", "0").PromptTokens)
	for _, c := range []struct {
		name   string
		args   []string
		tokens int
		stop   string
		warn   string
	}{
		{"to what it was trained for", nil, trained - prompt, "context", "-n goes on"},
		{"-n beyond that", []string{"-n", "100"}, 100, "length", "longer than the 96"},
		{"-n -1", []string{"-n", "-1"}, trained - prompt, "context", "-n goes on"},
		{"--ctx", []string{"--ctx", "30"}, 30 - prompt, "context", "30 tokens of --ctx"},
		{"--ctx before -n", []string{"--ctx", "30", "-n", "50"}, 30 - prompt, "context", "30 tokens of --ctx"},
		{"-n before --ctx", []string{"--ctx", "30", "-n", "5"}, 5, "length", ""},
	} {
		r := infer(append(slices.Clone(args), c.args...)...)
		got := decode[runJSON](t, r.stdout)
		if r.code != 0 || len(got.Tokens) != c.tokens || got.Stop != c.stop {
			t.Errorf("%s: exit %d, %d tokens, stop %q; want %d, %q", c.name, r.code, len(got.Tokens), got.Stop, c.tokens, c.stop)
		}
		if c.warn == "" && r.stderr != "" || !strings.Contains(r.stderr, c.warn) || strings.Count(r.stderr, "\n") > 1 {
			t.Errorf("%s: stderr %q, want %q", c.name, r.stderr, c.warn)
		}
	}
}

func TestRunSampling(t *testing.T) {
	base := []string{"-p", "the cat", "-n", "24", "--ignore-eos", "--seed", "3", "--temp", "2"}
	plain := runAsJSON(t, base...)
	best := runAsJSON(t, "-p", "the cat", "-n", "24", "--ignore-eos", "--temp", "0")
	for _, c := range []struct {
		name   string
		args   []string
		greedy bool
	}{
		{"top-k", []string{"--top-k", "1"}, true},
		{"top-p", []string{"--top-p", "0.000001"}, true},
		{"min-p", []string{"--min_p", "1"}, true},
		{"temperature", []string{"--temperature", "0"}, true},
		{"top-nsigma", []string{"--top-nsigma", "0.001"}, true},
		{"samplers", []string{"--samplers", "temperature"}, false},
		{"repetition", []string{"--repeat-penalty", "4", "--repeat-last-n", "-1"}, false},
		{"presence", []string{"--presence-penalty", "9"}, false},
		{"frequency", []string{"--frequency-penalty", "9"}, false},
		{"mirostat", []string{"--mirostat", "2", "--mirostat-ent", "8", "--mirostat-lr", "0.5"}, false},
		{"dynamic", []string{"--dynatemp-range", "1.9", "--dynatemp-exp", "4"}, false},
		{"typical", []string{"--typical", "0.2"}, false},
		{"xtc", []string{"--xtc-probability", "1", "--xtc-threshold", "0.01"}, false},
		{"bias", []string{"--logit-bias", "300+40"}, false},
	} {
		r := runAsJSON(t, append(slices.Clone(base), c.args...)...)
		if c.greedy != slices.Equal(r.Tokens, best.Tokens) {
			t.Errorf("%s: greedy is %v, want %v", c.name, !c.greedy, c.greedy)
		}
		if slices.Equal(r.Tokens, plain.Tokens) {
			t.Errorf("%s changes nothing", c.name)
		}
	}
	r := runAsJSON(t, "-p", "aaaaaaaa aaaaaaaa", "-n", "24", "--temp", "0", "--ignore-eos")
	dry := runAsJSON(t, "-p", "aaaaaaaa aaaaaaaa", "-n", "24", "--temp", "0", "--ignore-eos", "--dry-multiplier", "50",
		"--dry-base", "2", "--dry-allowed-length", "1", "--dry-penalty-last-n", "-1", "--dry-sequence-breaker", "none")
	if slices.Equal(r.Tokens, dry.Tokens) {
		t.Errorf("DRY changes nothing: %v", r.Tokens)
	}
}

func TestRunWithoutVocabulary(t *testing.T) {
	path := mute(t)
	out := succeed(t, "run", "-m", path, "--tokens", "1,5,9", "-n", "4", "--temp", "0")
	if n := len(strings.Fields(out)); n != 4 {
		t.Errorf("printed %q, want 4 ids", out)
	}
	r := decode[runJSON](t, succeed(t, "run", "--json", "-m", path, "--tokens", "1,5,9", "-n", "4", "--temp", "0"))
	if len(r.Tokens) != 4 || r.Text != "" || !slices.Equal(r.PromptTokens, []int32{1, 5, 9}) {
		t.Errorf("%+v", r)
	}
	if r := infer("run", "-m", path, "-p", "x"); r.code != exitFailure || !strings.Contains(r.stderr, "no tokenizer") {
		t.Errorf("a prompt of text: exit %d, stderr %q", r.code, r.stderr)
	}
}

func TestRunEmptyPrompt(t *testing.T) {
	if r := runAsJSON(t, "-p", "", "-n", "3"); !slices.Equal(r.PromptTokens, []int32{1}) {
		t.Errorf("with BOS: %v", r.PromptTokens)
	}
	path := variant(t, "nobos.gguf", func(md *weights.Metadata) { md.Set("tokenizer.ggml.add_bos_token", false) })
	r := infer("run", "-m", path, "-p", "", "-n", "3")
	if r.code != exitFailure || r.stdout != "" || !strings.Contains(r.stderr, "empty") {
		t.Errorf("without BOS: exit %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
	}
}

// A model with two sets of RoPE factors reads beyond its original context only if that is announced, by a long
// prompt, -n or --ctx.
func TestRunLongRope(t *testing.T) {
	base := filepath.Join(t.TempDir(), "phi3.gguf")
	succeed(t, "synth", "phi3-tiny", base)
	long, short := slices.Repeat([]float32{2}, 8), slices.Repeat([]float32{1}, 8)
	path := rewrite(t, base, "longrope.gguf", func(md *weights.Metadata) {
		md.Set("phi3.rope.scaling.original_context_length", uint32(24))
	}, map[string][]float32{"rope_factors_long.weight": long, "rope_factors_short.weight": short})

	args := []string{"run", "-m", path, "-p", "hi", "--ignore-eos"}
	if r := infer(args...); r.code != exitSuccess || !strings.Contains(r.stderr, "stopped at") {
		t.Errorf("not announced: exit %d, stderr %q", r.code, r.stderr)
	}
	succeed(t, append(args, "-n", "40")...)
	succeed(t, append(args, "-n", "40", "--ctx", "60")...)
	ids := strings.Repeat("5,", 30) + "6"
	succeed(t, "run", "-m", path, "--tokens", ids, "-n", "10", "--ignore-eos")
	succeed(t, "logits", "-m", path, "--tokens", ids)
	succeed(t, "perplexity", "-m", path, "-f", writeFile(t, "text", strings.Repeat("cat ", 40)), "--ctx", "30")
}

func TestRunWarnsOfTwoBOS(t *testing.T) {
	r := infer("run", "-m", tinyModel(t), "-p", "<s>the cat", "-n", "3", "--json")
	if got := decode[runJSON](t, r.stdout); !slices.Equal(got.PromptTokens[:2], []int32{1, 1}) || !strings.Contains(r.stderr, "BOS") {
		t.Errorf("tokens %v, stderr %q", got.PromptTokens, r.stderr)
	}
}

func TestRunKVTypes(t *testing.T) {
	cfg := openModel(t, tinyModel(t)).Config()
	positions := int64(4 * kvcache.PageRows * cfg.Layers * cfg.KVHeads) // in a page for each head
	bytes := map[string]int64{}
	for _, kind := range []string{"f32", "f16", "q8_0"} {
		path := tinyModel(t)
		r := decode[runJSON](t, succeed(t, "run", "--json", "-m", path, "-p", "the cat", "-n", "4", "--temp", "0", "--kv-type", kind,
			"--kv", "full", "--attention", "full", "--memory", "none", "--kv-budget", "0", "--cpu", "generic"))
		bytes[kind] = *r.Memory.KVBytes - positions
	}
	if bytes["f32"] != 2*bytes["f16"] || bytes["q8_0"] >= bytes["f16"] {
		t.Errorf("bytes by type: %v", bytes)
	}
}

// The greedy continuation of the reference engine.
func TestRunReference(t *testing.T) {
	var golden struct {
		PromptTokens []int32 `json:"prompt_tokens"`
		Greedy       []int32 `json:"greedy"`
	}
	raw, err := os.ReadFile(testdata.Shared(t, "golden/stories260K.short.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	path := testdata.Shared(t, "models/stories260K.gguf")
	r := decode[runJSON](t, succeed(t, "run", "-m", path, "-p", "Once upon a time, there was a", "-n", "48", "--temp", "0", "--ignore-eos", "--json"))
	if !slices.Equal(r.PromptTokens, golden.PromptTokens) || !slices.Equal(r.Tokens, golden.Greedy) || len(r.Tokens) != 48 {
		t.Errorf("prompt %v, tokens %v; the reference says %v, %v", r.PromptTokens, r.Tokens, golden.PromptTokens, golden.Greedy)
	}
}

func TestPromptsAreReadLikeThePackages(t *testing.T) {
	m := openModel(t, tinyModel(t))
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var want []int32
	for token, err := range s.Generate(t.Context(), "the </s> cat", mneme.WithMaxTokens(5), mneme.WithTemperature(0), mneme.WithIgnoreEnd()) {
		if err != nil {
			t.Fatal(err)
		}
		if token.ID >= 0 {
			want = append(want, token.ID)
		}
	}
	if r := runAsJSON(t, "-p", "the </s> cat", "-n", "5", "--temp", "0", "--ignore-eos"); !slices.Equal(r.Tokens, want) {
		t.Errorf("tokens %v, of the package %v", r.Tokens, want)
	}
}
