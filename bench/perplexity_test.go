package bench

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// tiny opens a random model of few parameters.
func tiny(t testing.TB) *mneme.Model {
	t.Helper()
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		t.Fatal(err)
	}
	shape.Embedding, shape.FeedForward, shape.Heads, shape.KVHeads, shape.Context = 32, 64, 4, 2, 96
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := synth.Write(t.Context(), path, shape, quant.F32, 1, nil); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func open(t testing.TB, path string) *mneme.Model {
	t.Helper()
	m, err := mneme.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// someTokens returns ids of the tiny model, BOS first.
func someTokens(n int) []int32 {
	ids := make([]int32, n)
	ids[0] = 1
	for i := 1; i < n; i++ {
		ids[i] = int32(3 + (i*i*7+i*13)%500)
	}
	return ids
}

// direct returns the negative log-likelihoods of tokens from position from on, by the definition.
func direct(t *testing.T, m *mneme.Model, tokens []int32, from int) []float64 {
	t.Helper()
	s, err := m.NewSession(mneme.WithKVType(quant.F32))
	if err != nil {
		t.Fatal(err)
	}
	var nll []float64
	err = s.Evaluate(t.Context(), tokens, func(i int, logits []float32) error {
		if i+1 < from || i+1 == len(tokens) {
			return nil
		}
		l, err := sample.LogProb(logits, tokens[i+1])
		nll = append(nll, -l)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return nll
}

func estimate(nll []float64) (perplexity, standardError float64) {
	n := float64(len(nll))
	var sum, squares float64
	for _, v := range nll {
		sum += v
		squares += v * v
	}
	mean := sum / n
	return math.Exp(mean), math.Exp(mean) * math.Sqrt((squares/n-mean*mean)/(n-1))
}

func near(a, b, within float64) bool { return math.Abs(a-b) <= within*math.Abs(b) }

func TestWindowsAreScoredByTheirSecondHalf(t *testing.T) {
	m := tiny(t)
	tokens := someTokens(75)
	for _, window := range []int{3, 4, 9, 16, 25, 75} {
		var nll []float64
		for begin := 0; begin+window <= len(tokens); begin += window {
			ids := slices.Clone(tokens[begin : begin+window])
			ids[0] = 1 // BOS
			nll = append(nll, direct(t, m, ids, window/2+1)...)
		}
		want, wantErr := estimate(nll)
		got, err := PerplexityTokens(t.Context(), m, tokens, PerplexityOptions{
			Window: window, Session: []mneme.SessionOption{mneme.WithKVType(quant.F32)},
		})
		if err != nil {
			t.Fatalf("window %d: %v", window, err)
		}
		if !near(got.Perplexity, want, 1e-6) || !near(got.StdErr, wantErr, 1e-6) {
			t.Errorf("window %d: %g ± %g, want %g ± %g", window, got.Perplexity, got.StdErr, want, wantErr)
		}
		n := len(tokens) / window
		if got.Scored != len(nll) || got.Windows != n || got.Window != window || got.Tokens != n*window {
			t.Errorf("window %d: %d scored of %d in %d windows of %d", window, got.Scored, got.Tokens, got.Windows, got.Window)
		}
	}
}

func TestStreamScoresAllButTheFirst(t *testing.T) {
	m := tiny(t)
	tokens := someTokens(120)
	for _, n := range []int{0, 2, 57, 120, 1000} {
		o := PerplexityOptions{Stream: true, Tokens: n, Session: []mneme.SessionOption{mneme.WithKVType(quant.F32)}}
		if n == 0 || n > 120 {
			n = 120
		}
		want, _ := estimate(direct(t, m, tokens[:n], 1))
		got, err := PerplexityTokens(t.Context(), m, tokens, o)
		if err != nil {
			t.Fatalf("%d tokens: %v", n, err)
		}
		if !near(got.Perplexity, want, 1e-6) || got.Tokens != n || got.Scored != n-1 || got.Windows != 1 {
			t.Errorf("%d tokens: got %+v, want perplexity %g", n, got, want)
		}
		if beyond := max(0, n-1-96); got.BeyondTrained != beyond {
			t.Errorf("%d tokens: %d beyond the trained 96, want %d", n, got.BeyondTrained, beyond)
		}
	}
}

func TestTextIsReadAsItIs(t *testing.T) {
	m := tiny(t)
	text := strings.Repeat("the </s> cat ", 12)
	ids := append([]int32{1}, m.Tokenizer().Encode(text, tokenizer.EncodeOptions{})...)
	if slices.Contains(ids[1:], 2) {
		t.Fatal("a control token came out of plain text")
	}
	want, err := PerplexityTokens(t.Context(), m, ids, PerplexityOptions{Window: 20})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Perplexity(t.Context(), m, text, PerplexityOptions{Window: 20})
	if err != nil {
		t.Fatal(err)
	}
	if got.Perplexity != want.Perplexity || got.Scored != want.Scored {
		t.Errorf("text %+v, its tokens %+v", got, want)
	}
}

func TestDefaultsAndLimits(t *testing.T) {
	m := tiny(t)
	got, err := PerplexityTokens(t.Context(), m, someTokens(400), PerplexityOptions{Chunks: 2})
	if err != nil {
		t.Fatal(err)
	}
	if got.Window != 96 || got.Windows != 2 {
		t.Errorf("%d windows of %d, want 2 of the trained 96", got.Windows, got.Window)
	}
	if got.TokensPerSecond() <= 0 || got.Memory.KVBytes <= 0 {
		t.Errorf("no speed or no memory: %+v", got)
	}
}

func TestProgressCountsUp(t *testing.T) {
	m := tiny(t)
	last, calls := 0, 0
	_, err := PerplexityTokens(t.Context(), m, someTokens(60), PerplexityOptions{
		Window: 20,
		Progress: func(done, total int) {
			if calls++; done <= last || done > total || total != 60 {
				t.Errorf("%d of %d after %d", done, total, last)
			}
			last = done
		},
	})
	if err != nil || last != 60 || calls < 3 {
		t.Errorf("last %d after %d calls, error %v", last, calls, err)
	}
}

func TestPerplexityRefuses(t *testing.T) {
	m := tiny(t)
	cases := []struct {
		name   string
		tokens []int32
		o      PerplexityOptions
		say    string
	}{
		{"negative window", someTokens(9), PerplexityOptions{Window: -1}, "negative"},
		{"negative chunks", someTokens(9), PerplexityOptions{Window: 4, Chunks: -1}, "negative"},
		{"negative tokens", someTokens(9), PerplexityOptions{Window: 4, Tokens: -1}, "negative"},
		{"window too small", someTokens(9), PerplexityOptions{Window: 2}, "nothing to score"},
		{"no text", nil, PerplexityOptions{Window: 4}, "0 tokens"},
		{"text too short", someTokens(9), PerplexityOptions{Window: 10}, "9 tokens, a window 10"},
		{"stream of nothing", nil, PerplexityOptions{Stream: true}, "0 tokens"},
		{"stream of one", someTokens(1), PerplexityOptions{Stream: true}, "1 tokens"},
		{"token that is none", []int32{1, 2, 3, 100000, 4}, PerplexityOptions{Stream: true}, "100000"},
		{"row type", someTokens(9), PerplexityOptions{Window: 4, Session: []mneme.SessionOption{mneme.WithKVType(quant.Q4_0)}}, "Q4_0"},
	}
	for _, c := range cases {
		_, err := PerplexityTokens(t.Context(), m, c.tokens, c.o)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.say)
		}
	}
}

func TestPerplexityStops(t *testing.T) {
	m := tiny(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := PerplexityTokens(ctx, m, someTokens(90), PerplexityOptions{
		Window: 9, Progress: func(done, _ int) {
			if done > 30 {
				cancel()
			}
		},
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestMoments(t *testing.T) {
	for _, series := range [][]float64{{}, {3}, {1, 1, 1}, {1, 2}, {5, -3, 400, 0.5}} {
		var m moments
		for _, x := range series {
			m.add(x)
		}
		if len(series) < 2 {
			if m.standardError() != 0 {
				t.Errorf("%v: standard error %g", series, m.standardError())
			}
			continue
		}
		ppl, want := estimate(series)
		want /= ppl
		if mean := math.Log(ppl); !near(m.mean(), mean, 1e-12) || math.Abs(m.standardError()-want) > 1e-12 {
			t.Errorf("%v: mean %g ± %g, want %g ± %g", series, m.mean(), m.standardError(), mean, want)
		}
	}
}

// The reference engine's figures, within half a percent.
func TestReferencePerplexity(t *testing.T) {
	raw, err := os.ReadFile(testdata.Shared(t, "golden/perplexity.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Rows []struct {
			Model, Text string
			Ctx, Chunks int
			PPL, StdErr float64
		}
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Rows) == 0 {
		t.Fatal("no rows")
	}
	for _, row := range golden.Rows {
		text, err := os.ReadFile(testdata.Shared(t, row.Text))
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, testdata.Shared(t, "models/"+row.Model))
		got, err := Perplexity(t.Context(), m, string(text), PerplexityOptions{
			Window: row.Ctx, Chunks: row.Chunks, Session: []mneme.SessionOption{mneme.WithKVType(quant.F32)},
		})
		if err != nil {
			t.Fatalf("%s on %s: %v", row.Model, row.Text, err)
		}
		t.Logf("%s on %s: %.4f ± %.4f (reference %.4f ± %.4f), %.0f tokens/s",
			row.Model, row.Text, got.Perplexity, got.StdErr, row.PPL, row.StdErr, got.TokensPerSecond())
		if !near(got.Perplexity, row.PPL, 0.005) || !near(got.StdErr, row.StdErr, 0.01) {
			t.Errorf("%s on %s: %g ± %g, the reference says %g ± %g", row.Model, row.Text, got.Perplexity, got.StdErr, row.PPL, row.StdErr)
		}
	}
}
