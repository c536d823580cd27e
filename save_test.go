package mneme

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// bounded are a session's options with each policy in turn, the full cache among them.
func bounded(t *testing.T, test func(t *testing.T, opts []SessionOption)) {
	t.Run(kvcache.Full, func(t *testing.T) { test(t, []SessionOption{WithPrefillBlock(32)}) })
	t.Run("full+think", func(t *testing.T) {
		test(t, []SessionOption{WithPolicy("full+think:interval=40"), WithPrefillBlock(32)})
	})
	t.Run("h2o+think", func(t *testing.T) {
		test(t, []SessionOption{WithPolicy("h2o+think:interval=8,recent=16"), WithKVBudget(64), WithPrefillBlock(32)})
	})
	policies(t, func(t *testing.T, kind kvcache.Kind) {
		test(t, []SessionOption{WithPolicy(kind.Name), WithKVBudget(64), WithPrefillBlock(32)})
	})
}

// A text that is saved, loaded and continued is the text that goes on without a stop: the same logits and, with a
// sampler, the same tokens.
func TestSavedSessionGoesOnAlike(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 300)
	bounded(t, func(t *testing.T, opts []SessionOption) {
		path := filepath.Join(t.TempDir(), "session")
		sampling := []Option{WithMaxTokens(20), WithTemperature(1), WithSeed(3), WithIgnoreEnd()}
		onward := append(slices.Clone(sampling), WithSamplingContinued())
		a := newSession(t, m, opts...)
		if err := a.Evaluate(t.Context(), ids[:200], nil); err != nil {
			t.Fatal(err)
		}
		generate(t, a, ids[200:201], sampling...)
		if err := a.Save(path); err != nil {
			t.Fatal(err)
		}
		b := newSession(t, m, opts...)
		if err := b.Load(path); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Tokens(), b.Tokens()) || a.Stats().Memory.RowsKept != b.Stats().Memory.RowsKept {
			t.Fatalf("%d tokens were saved, %d loaded; %+v and %+v", a.Len(), b.Len(), a.Stats().Memory, b.Stats().Memory)
		}
		want, got := generate(t, a, nil, onward...), generate(t, b, nil, onward...)
		if !slices.Equal(want, got) || len(want) != 20 {
			t.Fatalf("it goes on with %v, want %v", got, want)
		}
		wantLogits, gotLogits := readAll(t, a, ids[201:]), readAll(t, b, ids[201:])
		for i := range wantLogits {
			if !slices.Equal(wantLogits[i], gotLogits[i]) {
				t.Fatalf("logits after token %d differ", i)
			}
		}
	})
}

func generate(t *testing.T, s *Session, prompt []int32, opts ...Option) (ids []int32) {
	t.Helper()
	for token, err := range s.GenerateTokens(t.Context(), prompt, opts...) {
		if err != nil {
			t.Fatal(err)
		}
		if token.ID >= 0 {
			ids = append(ids, token.ID)
		}
	}
	return ids
}

// Written in two pieces, with the sampler going on, a text is what it is written in one.
func TestSamplingContinued(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	sampling := []Option{WithTemperature(1), WithSeed(9), WithIgnoreEnd()}
	want := generate(t, newSession(t, m), []int32{5, 6}, append(sampling, WithMaxTokens(30))...)
	s := newSession(t, m)
	got := generate(t, s, []int32{5, 6}, append(sampling, WithMaxTokens(11))...)
	got = append(got, generate(t, s, nil, append(sampling, WithMaxTokens(19), WithSamplingContinued())...)...)
	if !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

// A text that is the session's whole text goes on like one that the session goes on with by itself.
func TestReuseKeepsTheSampler(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	sampling := []Option{WithTemperature(1), WithSeed(9), WithIgnoreEnd(), WithMaxTokens(15)}
	onward := append(slices.Clone(sampling), WithSamplingContinued())
	s := newSession(t, m)
	generate(t, s, []int32{5, 6}, sampling...)
	from, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	want := generate(t, s, nil, onward...)
	if err := s.Restore(from); err != nil {
		t.Fatal(err)
	}
	rest, err := s.Reuse(s.Tokens())
	if err != nil || len(rest) != 1 {
		t.Fatalf("%d tokens left, error %v", len(rest), err)
	}
	if got := generate(t, s, rest, onward...); !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

// What a session has forgotten of its sampler, or never had, is not asked for.
func TestSavedWithoutASampler(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	sampling := []Option{WithTemperature(1), WithSeed(9), WithIgnoreEnd(), WithMaxTokens(5), WithSamplingContinued()}
	for name, prepare := range map[string]func(s *Session) error{
		"nothing was written": func(s *Session) error { return s.Evaluate(t.Context(), []int32{5, 6}, nil) },
		"taken back": func(s *Session) error {
			generate(t, s, []int32{5, 6}, sampling...)
			return s.Truncate(2)
		},
		"reused": func(s *Session) error {
			generate(t, s, []int32{5, 6}, sampling...)
			_, err := s.Reuse(s.Tokens())
			return err
		},
	} {
		path := filepath.Join(t.TempDir(), "session")
		a, b := newSession(t, m), newSession(t, m)
		if err := prepare(a); err != nil {
			t.Fatal(err)
		}
		if err := a.Save(path); err != nil {
			t.Fatal(err)
		}
		if err := b.Load(path); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := generate(t, b, []int32{7}, sampling...); len(got) != 5 || b.Len() != a.Len()+6 {
			t.Errorf("%s: %v after %d tokens", name, got, a.Len())
		}
	}
}

func TestLoadSaysWhatDiffers(t *testing.T) {
	m, other := synthModel(t, "llama-tiny"), synthModel(t, "qwen3-tiny")
	path := filepath.Join(t.TempDir(), "session")
	s := newSession(t, m, WithPolicy("window"), WithKVBudget(64))
	if err := s.Evaluate(t.Context(), text(m, 100), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		says string
		m    *Model
		opts []SessionOption
	}{
		{"model", other, []SessionOption{WithPolicy("window"), WithKVBudget(64)}},
		{"policy", m, nil},
		{"policy", m, []SessionOption{WithPolicy("h2o"), WithKVBudget(64)}},
		{"policy", m, []SessionOption{WithPolicy("window:sinks=2"), WithKVBudget(64)}},
		{"budgets", m, []SessionOption{WithPolicy("window"), WithKVBudget(65)}},
		{"rows of type", m, []SessionOption{WithPolicy("window"), WithKVBudget(64), WithKVType(quant.F32)}},
	} {
		s := newSession(t, x.m, x.opts...)
		if err := s.Evaluate(t.Context(), []int32{1, 2}, nil); err != nil {
			t.Fatal(err)
		}
		err := s.Load(path)
		if !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: error %v", x.says, err)
		}
		if !slices.Equal(s.Tokens(), []int32{1, 2}) {
			t.Errorf("%s: the session was changed", x.says)
		}
	}
}

// Damaged files are refused, wherever the damage is.
func TestLoadRefusesDamage(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	folder := t.TempDir()
	path := filepath.Join(folder, "session")
	s := newSession(t, m)
	if err := s.Evaluate(t.Context(), text(m, 30), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(folder, "bad")
	for at := 0; at < len(good); at += 1 + len(good)/97 {
		damaged := bytes.Clone(good)
		damaged[at] ^= 0x10
		for _, data := range [][]byte{damaged, good[:at]} {
			if err := os.WriteFile(bad, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := s.Load(bad); err == nil {
				t.Fatalf("a file damaged at byte %d of %d was loaded", at, len(good))
			}
		}
	}
	if err := s.Load(filepath.Join(folder, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestReuse(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	ids := text(m, 40)
	if rest, err := s.Reuse(ids); err != nil || len(rest) != 40 {
		t.Fatalf("an empty session: %d tokens left, error %v", len(rest), err)
	}
	if err := s.Evaluate(t.Context(), ids, nil); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		tokens []int32
		rest   int
	}{
		{append(slices.Clone(ids), 1, 2, 3), 3}, {ids, 1}, {ids[:20], 1}, {append(slices.Clone(ids[:10]), ids[12:]...), 28}, {[]int32{ids[0] + 1}, 1}, {nil, 0},
	} {
		if err := s.Truncate(0); err != nil {
			t.Fatal(err)
		}
		if err := s.Evaluate(t.Context(), ids, nil); err != nil {
			t.Fatal(err)
		}
		rest, err := s.Reuse(x.tokens)
		if err != nil || len(rest) != x.rest || s.Len()+len(rest) != len(x.tokens) {
			t.Errorf("a text of %d tokens: %d left after %d, error %v, want %d", len(x.tokens), len(rest), s.Len(), err, x.rest)
		}
	}
	narrow := newSession(t, m, WithPolicy("window"), WithKVBudget(16), WithPrefillBlock(8))
	if err := narrow.Evaluate(t.Context(), ids, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := narrow.Reuse(ids[:20]); !errors.Is(err, ErrEvicted) || narrow.Len() != 40 {
		t.Errorf("behind rows that are gone: error %v, %d tokens", err, narrow.Len())
	}
	if rest, err := narrow.Reuse(append(slices.Clone(ids), 3)); err != nil || len(rest) != 1 {
		t.Errorf("further on: %d tokens, error %v", len(rest), err)
	}
}

func TestSnapshotAndRestore(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 260)
	bounded(t, func(t *testing.T, opts []SessionOption) {
		s := newSession(t, m, opts...)
		if err := s.Evaluate(t.Context(), ids[:200], nil); err != nil {
			t.Fatal(err)
		}
		from, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		want := readAll(t, s, ids[200:]) // B alone
		if err := s.Restore(from); err != nil {
			t.Fatal(err)
		}
		readAll(t, s, text(m, 77)) // A
		if err := s.Restore(from); err != nil {
			t.Fatal(err)
		}
		for i, got := range readAll(t, s, ids[200:]) { // B after A
			if !slices.Equal(got, want[i]) {
				t.Fatalf("logits after token %d differ", i)
			}
		}
	})
	s, other := newSession(t, m), newSession(t, m, WithPolicy("window"), WithKVBudget(64))
	from, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Restore(from); err == nil {
		t.Error("a snapshot of a session with another policy was restored")
	}
	if err := other.Restore(nil); err == nil {
		t.Error("no snapshot was restored")
	}
}
