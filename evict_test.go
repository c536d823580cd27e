package mneme

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// text is token ids that depend on their places in a way that repeats late.
func text(m *Model, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32((i*i*7 + i*13 + 5) % m.Config().Vocabulary)
	}
	return ids
}

// readAll returns the logits after every token.
func readAll(t *testing.T, s *Session, ids []int32) [][]float32 {
	t.Helper()
	var all [][]float32
	err := s.Evaluate(context.Background(), ids, func(_ int, logits []float32) error {
		all = append(all, append([]float32(nil), logits...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// policies runs a test with all that drop rows; with -short, with one for each way of going about it.
func policies(t *testing.T, test func(t *testing.T, kind kvcache.Kind)) {
	for _, kind := range Policies() {
		if testing.Short() && !slices.Contains([]string{"window", "h2o", "kvzip", "sirllm"}, kind.Name) {
			continue
		}
		t.Run(kind.Name, func(t *testing.T) { test(t, kind) })
	}
}

// With a budget as long as the text every policy gives what the full cache gives, bit for bit, in rows of any type: as long
// as nothing was dropped keys are stored as they are there.
func TestBudgetOfTheWholeTextIsFullAttention(t *testing.T) {
	const n = 200
	for _, shape := range []string{"llama-tiny", "qwen3-tiny", "gemma2-tiny"} {
		m := synthModel(t, shape)
		ids := text(m, n)
		for _, rows := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			if _, err := rows.RowBytes(m.Config().KeyDim); err != nil || rows != quant.F16 && shape != "llama-tiny" {
				continue // heads that are no whole blocks; one shape for all types is enough
			}
			want := readAll(t, newSession(t, m, WithPrefillBlock(64), WithKVType(rows)), ids)
			policies(t, func(t *testing.T, kind kvcache.Kind) {
				s := newSession(t, m, WithPolicy(kind.Name), WithKVBudget(n), WithPrefillBlock(64), WithKVType(rows))
				got := readAll(t, s, ids)
				for i := range want {
					if !slices.Equal(got[i], want[i]) {
						t.Fatalf("%s, rows of %s: logits after token %d: %v…, want %v…", shape, rows, i, got[i][:3], want[i][:3])
					}
				}
				if mem := s.Stats().Memory; mem.Evictions != 0 || mem.RowsKept != n {
					t.Errorf("%+v", mem)
				}
			})
		}
	}
}

// Where the first rows are dropped, keys are taken back to before RoPE. Nothing else changes: a text of which a cache drops
// none afterwards gives the logits of one that keeps the same rows at the positions in the text, if these have no gaps.
func TestKeysAreUnrotatedWhenRowsAreDropped(t *testing.T) {
	for _, shape := range []string{"llama-tiny", "qwen3-tiny", "gemma2-tiny", "phi3-tiny"} {
		m := openSynth(t, synthFile(t, shape, quant.F32))
		ids := text(m, 150)
		read := func(positions string) [][]float32 {
			s := newSession(t, m, WithPolicy("window:sinks=0,positions="+positions), WithKVBudget(100), WithPrefillBlock(64), WithKVType(quant.F32))
			if err := s.Evaluate(t.Context(), ids[:120], nil); err != nil {
				t.Fatal(err)
			}
			if s.Stats().Memory.Evictions != 1 {
				t.Fatalf("%+v", s.Stats().Memory)
			}
			return readAll(t, s, ids[120:])
		}
		// Without sinks the rows of a window are neighbours: packed, they are as far from each other as in the text.
		want, got := read("text"), read("packed")
		for i := range want {
			for j := range want[i] {
				if d := math.Abs(float64(got[i][j] - want[i][j])); !(d < 1e-4) {
					t.Fatalf("%s: logit %d after token %d: %v, want %v", shape, j, i, got[i][j], want[i][j])
				}
			}
		}
	}
}

// While a text is read in blocks and then goes on one by one, no layer ever holds more than its budget and a block, and no
// more than its budget when a block is done.
func TestBudgetIsNeverExceeded(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	const budget, block = 64, 32
	policies(t, func(t *testing.T, kind kvcache.Kind) {
		for _, heads := range []string{"uniform", "pair"} {
			s := newSession(t, m, WithPolicy(kind.Name+":heads="+heads), WithKVBudget(budget), WithPrefillBlock(block))
			bound, err := m.Plan(1000, WithPolicy(kind.Name+":heads="+heads), WithKVBudget(budget), WithPrefillBlock(block))
			if err != nil {
				t.Fatal(err)
			}
			cache := s.sequence.Cache
			check := func(where string, exact bool) {
				t.Helper()
				for l := range m.Config().Layers {
					rows := 0
					for h := range m.Config().KVHeads {
						rows += cache.Len(l, h)
					}
					if most := budget * m.Config().KVHeads; rows > most || exact && rows != most {
						t.Fatalf("%s, %s: layer %d holds %d rows, the budget is %d", where, heads, l, rows, most)
					}
				}
				if cache.PeakBytes() > bound.KVBytes {
					t.Fatalf("%s, %s: %d bytes, planned were %d", where, heads, cache.PeakBytes(), bound.KVBytes)
				}
			}
			ids := text(m, 400)
			if err := s.Evaluate(t.Context(), ids[:320], nil); err != nil {
				t.Fatal(err)
			}
			check("after a prompt", true)
			for i := 320; i < 400; i++ {
				if err := s.Evaluate(t.Context(), ids[i:i+1], nil); err != nil {
					t.Fatal(err)
				}
				check("token by token", false)
			}
			for l := range m.Config().Layers {
				for h := range m.Config().KVHeads {
					rows := cache.RowsOf(l, h)
					for i := range kvcache.DefaultSinks {
						if rows.Position(i) != int32(i) {
							t.Fatalf("%s: sink %d of layer %d, head %d is gone", heads, i, l, h)
						}
					}
				}
			}
			if err := s.Truncate(300); !errors.Is(err, ErrEvicted) {
				t.Errorf("%s: taken back to where rows are gone: error %v", heads, err)
			}
			if err := s.Truncate(0); err != nil || s.Stats().Memory.KVBytes != 0 {
				t.Errorf("%s: taken back to the beginning: error %v, %d bytes", heads, err, s.Stats().Memory.KVBytes)
			}
		}
	})
}

// Where a block is as long as the text, reading it and dropping rows once is what compression after the whole prompt is:
// the rows are scored on top of the full cache.
func TestOneBlockIsCompressionAfterPrefill(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	const n, budget = 200, 50
	ids := text(m, n)
	for _, policy := range []string{"h2o", "snapkv", "tova", "keydiff", "knorm", "lfa", "window", "window:positions=text"} {
		blocked := newSession(t, m, WithPolicy(policy), WithKVBudget(budget), WithPrefillBlock(n))
		if err := blocked.Evaluate(t.Context(), ids, nil); err != nil {
			t.Fatal(err)
		}
		// The same by hand: everything is read with room for all, then the rows go.
		after := newSession(t, m, WithPolicy(policy), WithKVBudget(budget), WithPrefillBlock(n))
		if err := after.forward(ids, nil, func(int) bool { return false }, nil); err != nil {
			t.Fatal(err)
		}
		if rows := after.sequence.Cache.MostRows(); rows != n {
			t.Fatalf("%s: %d rows before any are dropped", policy, rows)
		}
		if _, err := m.runner.Evict(after.sequence, 0); err != nil {
			t.Fatal(err)
		}
		for l := range m.Config().Layers {
			for h := range m.Config().KVHeads {
				a, b := blocked.sequence.Cache.View(l, h), after.sequence.Cache.View(l, h)
				if !slices.Equal(ranges(&a), ranges(&b)) || a.Rows() != budget {
					t.Fatalf("%s: layer %d, head %d keeps %v, want %v", policy, l, h, ranges(&a), ranges(&b))
				}
			}
		}
	}
}
