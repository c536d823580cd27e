package mneme

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights/quant"
)

func newSession(t testing.TB, m *Model, opts ...SessionOption) *Session {
	t.Helper()
	s, err := m.NewSession(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect generates to the end.
func collect(t testing.TB, s *Session, prompt string, opts ...Option) (ids []int32, text string) {
	t.Helper()
	for token, err := range s.Generate(context.Background(), prompt, opts...) {
		if err != nil {
			t.Fatal(err)
		}
		if token.ID >= 0 {
			ids = append(ids, token.ID)
		}
		text += token.Text
	}
	return ids, text
}

var encodeAll = tokenizer.EncodeOptions{AddSpecial: true}

func greedily(n int) []Option {
	return []Option{WithTemperature(0), WithMaxTokens(n), WithIgnoreEnd()}
}

func TestGenerateGoesOn(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	want, text := collect(t, newSession(t, m), "a prompt", greedily(40)...)
	if len(want) != 40 || text == "" {
		t.Fatalf("%d tokens, text %q", len(want), text)
	}
	s := newSession(t, m)
	got, first := collect(t, s, "a prompt", greedily(15)...)
	more, second := collect(t, s, "", greedily(25)...)
	if !slices.Equal(append(got, more...), want) || first+second != text {
		t.Fatalf("in two calls: %v, want %v", append(got, more...), want)
	}
	if all := s.Tokens(); s.Len() != len(all) || !slices.Equal(all[len(all)-40:], want) {
		t.Fatalf("the session holds %v", all)
	}
	st := s.Stats()
	if st.GeneratedTokens != 40 || st.Stopped != StopLength || st.Memory.RowsSeen != s.Len()-1 || st.Memory.RowsKept != s.Len()-1 ||
		st.Memory.KVBytes <= 0 || st.Memory.KVBytesPeak < st.Memory.KVBytes || st.DecodeTime <= 0 || st.PrefillTime <= 0 {
		t.Fatalf("%+v", st)
	}
}

func TestTruncateGoesBack(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	want, _ := collect(t, s, "once more", greedily(20)...)
	start := s.Len() - 20
	for _, n := range []int{start + 20, start + 19, start + 7, start} {
		if err := s.Truncate(n); err != nil || s.Len() != n {
			t.Fatalf("truncated to %d: %d tokens, %v", n, s.Len(), err)
		}
	}
	// The logits after the last token are gone with it: reading it again brings them back.
	last := s.Tokens()[start-1]
	if err := s.Truncate(start - 1); err != nil {
		t.Fatal(err)
	}
	var got []int32
	for token, err := range s.GenerateTokens(context.Background(), []int32{last}, greedily(20)...) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, token.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%v after going back, want %v", got, want)
	}
	for _, n := range []int{-1, s.Len() + 1} {
		if err := s.Truncate(n); err == nil {
			t.Fatalf("truncated to %d", n)
		}
	}
}

func TestSameSeedSameText(t *testing.T) {
	path := synthFile(t, "llama-tiny", quant.Q8_0)
	var texts []string
	for _, threads := range []int{1, 2} {
		m, err := Open(path, WithThreads(threads))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		for _, seed := range []uint64{7, 7, 8} {
			_, text := collect(t, newSession(t, m), "go", WithMaxTokens(40), WithSeed(seed), WithTemperature(1), WithIgnoreEnd())
			texts = append(texts, text)
		}
	}
	if texts[0] != texts[1] || texts[0] != texts[3] || texts[0] != texts[4] || texts[2] != texts[5] {
		t.Fatalf("the same seed gave other texts: %q", texts)
	}
	if texts[0] == texts[2] {
		t.Fatal("two seeds gave the same text")
	}
}

func TestEvaluate(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	tokens := m.Tokenizer().Encode("some text to be read", encodeAll)
	rows := map[int][][]float32{}
	for _, block := range []int{1, 4, 512} {
		s := newSession(t, m, WithPrefillBlock(block))
		err := s.Evaluate(context.Background(), tokens, func(i int, logits []float32) error {
			if i != len(rows[block]) || len(logits) != m.Config().Vocabulary {
				t.Fatalf("row %d of %d logits", i, len(logits))
			}
			rows[block] = append(rows[block], slices.Clone(logits))
			return nil
		})
		if err != nil || s.Len() != len(tokens) || len(rows[block]) != len(tokens) {
			t.Fatalf("error %v, %d tokens, %d rows", err, s.Len(), len(rows[block]))
		}
	}
	for i := range tokens {
		for j, want := range rows[512][i] {
			if math.Abs(float64(rows[1][i][j]-want)) > 1e-4 || math.Abs(float64(rows[4][i][j]-want)) > 1e-4 {
				t.Fatalf("logit %d after token %d depends on the block", j, i)
			}
		}
	}
	s, broken := newSession(t, m, WithPrefillBlock(2)), errors.New("enough")
	err := s.Evaluate(context.Background(), tokens, func(i int, _ []float32) error {
		if i == 3 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || s.Len() != 4 {
		t.Fatalf("error %v, %d tokens", err, s.Len())
	}
	if err := s.Evaluate(context.Background(), []int32{-1}, nil); err == nil || s.Len() != 4 {
		t.Fatalf("a token of -1: error %v, %d tokens", err, s.Len())
	}
}

func TestEvaluateAfterGenerateReadsWhatWasWritten(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	collect(t, s, "x", greedily(3)...)
	whole := append(s.Tokens(), 10, 11)
	calls := 0
	var got []float32
	err := s.Evaluate(context.Background(), []int32{10, 11}, func(i int, logits []float32) error {
		calls++
		got = slices.Clone(logits)
		return nil
	})
	if err != nil || calls != 2 || !slices.Equal(s.Tokens(), whole) {
		t.Fatalf("error %v, %d calls, tokens %v", err, calls, s.Tokens())
	}
	var want []float32
	err = newSession(t, m).Evaluate(context.Background(), whole, func(_ int, logits []float32) error {
		want = slices.Clone(logits)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-4 {
			t.Fatalf("logit %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestCancel(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	count := 0
	var last error
	for _, err := range s.Generate(ctx, "on and on", greedily(100000)...) {
		if last = err; err != nil {
			break
		}
		if count++; count == 5 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || count != 5 || s.Stats().Stopped != StopCanceled {
		t.Fatalf("error %v after %d tokens, stopped by %q", last, count, s.Stats().Stopped)
	}
	before := s.Tokens()
	if ids, _ := collect(t, s, "", greedily(3)...); len(ids) != 3 || !slices.Equal(s.Tokens()[:len(before)], before) {
		t.Fatal("a cancelled session does not go on")
	}
	for _, err := range newSession(t, m).Generate(ctx, "never", greedily(5)...) {
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("with a context that has ended: %v", err)
		}
	}
}

func TestDeadlineDuringPrefill(t *testing.T) {
	m := synthModel(t, "llama-15m")
	s := newSession(t, m)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	err := s.Evaluate(ctx, make([]int32, 20000), nil)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error %v", err)
	}
	if s.Len()%DefaultPrefillBlock != 0 || s.Stats().Memory.RowsKept != s.Len() {
		t.Fatalf("%d tokens, %d rows", s.Len(), s.Stats().Memory.RowsKept)
	}
}

func TestLeavingTheLoop(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	for range s.Generate(context.Background(), "short", greedily(50)...) {
		break
	}
	if st := s.Stats(); st.Stopped != StopCaller || st.GeneratedTokens != 1 {
		t.Fatalf("%+v", st)
	}
	collect(t, s, "", greedily(1)...) // the session is free again
}

func TestBusy(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	for _, err := range s.Generate(context.Background(), "busy", greedily(2)...) {
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Evaluate(context.Background(), []int32{3}, nil); !errors.Is(err, ErrBusy) {
			t.Fatalf("Evaluate within Generate: %v", err)
		}
		if err := s.Truncate(0); !errors.Is(err, ErrBusy) {
			t.Fatalf("Truncate within Generate: %v", err)
		}
		for _, err := range s.Generate(context.Background(), "me too") {
			if !errors.Is(err, ErrBusy) {
				t.Fatalf("Generate within Generate: %v", err)
			}
		}
		_ = s.Stats()
	}
}

func TestManySessionsOnOneModel(t *testing.T) {
	m := synthModel(t, "qwen2-tiny")
	want, _ := collect(t, newSession(t, m), "together", greedily(20)...)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := m.NewSession()
			if err != nil {
				t.Error(err)
				return
			}
			var got []int32
			for token, err := range s.Generate(context.Background(), "together", greedily(20)...) {
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, token.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
	wg.Wait()
}

func TestStops(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids, text := collect(t, newSession(t, m), "stop here", greedily(30)...)
	stop := text[len(text)/2 : len(text)/2+3]
	s := newSession(t, m)
	_, got := collect(t, s, "stop here", append(greedily(30), WithStop(stop, "\x00never"))...)
	if want, _, _ := strings.Cut(text, stop); got != want || s.Stats().Stopped != StopString {
		t.Fatalf("%q, want %q; stopped by %q", got, want, s.Stats().Stopped)
	}
	s = newSession(t, m)
	at := slices.Index(ids, ids[10])
	until, _ := collect(t, s, "stop here", append(greedily(30), WithStopTokens(ids[10]))...)
	if !slices.Equal(until, ids[:at]) || s.Stats().Stopped != StopToken {
		t.Fatalf("%v, want %v; stopped by %q", until, ids[:at], s.Stats().Stopped)
	}
	eos, ok := m.Tokenizer().EOS()
	if !ok {
		t.Fatal("no end-of-text token")
	}
	force := sample.Options{LogitBias: map[int32]float32{eos: float32(math.Inf(1))}}
	s = newSession(t, m)
	if ended, _ := collect(t, s, "the end", WithSampling(force)); len(ended) != 0 || s.Stats().Stopped != StopEnd {
		t.Fatalf("%v; stopped by %q", ended, s.Stats().Stopped)
	}
}

func TestContextIsTheDefaultLimit(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	if err := s.Evaluate(context.Background(), make([]int32, m.Config().ContextLength-5), nil); err != nil {
		t.Fatal(err)
	}
	ids, _ := collect(t, s, "x", WithTemperature(0), WithIgnoreEnd())
	if st := s.Stats(); len(ids) >= 5 || st.Stopped != StopContext || st.BeyondTrained != 0 {
		t.Fatalf("%d tokens, %+v", len(ids), st)
	}
	collect(t, s, "", greedily(9)...)
	if st := s.Stats(); st.BeyondTrained <= 0 || st.BeyondTrained != st.Memory.RowsSeen-m.Config().ContextLength {
		t.Fatalf("%+v", st)
	}
}

func TestRefusals(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	for name, opts := range map[string][]SessionOption{
		"row type":    {WithKVType(quant.Q4_0)},
		"context":     {WithContext(-1)},
		"huge":        {WithContext(1 << 40)},
		"block":       {WithPrefillBlock(0)},
		"uncountable": {WithContext(math.MaxInt)},
	} {
		if _, err := m.NewSession(opts...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := m.NewSession(WithContext(1 << 40)); !errors.Is(err, ErrMemory) {
		t.Errorf("a context of 2^40 tokens: %v", err)
	}
	for name, opts := range map[string][]Option{
		"sampling": {WithSampling(sample.Options{TopP: math.NaN()})},
		"tokens":   {WithMaxTokens(-1)},
	} {
		s := newSession(t, m)
		failed := false
		for _, err := range s.Generate(context.Background(), "x", opts...) {
			failed = err != nil
		}
		if !failed || s.Stats().Stopped != StopError {
			t.Errorf("%s: no error", name)
		}
	}
	for _, err := range newSession(t, m).GenerateTokens(context.Background(), nil) {
		if err == nil {
			t.Error("nothing to continue: no error")
		}
	}
	if _, err := Open(synthFile(t, "llama-tiny", quant.Q8_0), WithThreads(-1)); err == nil {
		t.Error("-1 threads: no error")
	}
	if _, err := Open(synthFile(t, "llama-tiny", quant.Q8_0), WithKernels("abacus")); err == nil {
		t.Error("unknown kernels: no error")
	}
	if _, err := Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
}

func TestLogProbs(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	var sum float64
	for token, err := range newSession(t, m).Generate(context.Background(), "how sure", append(greedily(10), WithLogProbs())...) {
		if err != nil {
			t.Fatal(err)
		}
		if token.LogProb >= 0 || token.LogProb < -20 {
			t.Fatalf("log probability %v", token.LogProb)
		}
		sum += token.LogProb
	}
	if sum == 0 {
		t.Fatal("no log probabilities")
	}
}

func TestClosedModel(t *testing.T) {
	m, err := Open(synthFile(t, "llama-tiny", quant.Q8_0))
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, m)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.GenerateTokens(context.Background(), []int32{1}, greedily(1)...) {
		if err == nil {
			t.Fatal("a closed model generated")
		}
	}
}

func TestPlan(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m, WithKVType(quant.F32))
	if err := s.Evaluate(context.Background(), make([]int32, 300), nil); err != nil {
		t.Fatal(err)
	}
	plan, err := m.Plan(300, WithKVType(quant.F32))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Stats().Memory.KVBytes; got != plan.KVBytes || plan.WeightsBytes <= 0 || plan.ScratchBytes <= 0 {
		t.Fatalf("%d bytes of rows, planned %+v", got, plan)
	}
}
