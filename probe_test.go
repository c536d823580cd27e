package mneme

import (
	"hash/fnv"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// scoresOf has a session's policy score all rows, after it read its probe.
func scoresOf(t *testing.T, s *Session, prompt []int32) [][]float32 {
	t.Helper()
	if err := s.probe(s.sequence.Eviction.Policy().(kvcache.Prober), prompt, new(atomic.Bool)); err != nil {
		t.Fatal(err)
	}
	var all [][]float32
	cfg := s.sequence.Cache.Config()
	for layer := range cfg.Layers {
		l := kvcache.Layer{Index: layer, Budget: 100, Target: 100}
		for h := range cfg.Heads {
			rows := s.sequence.Cache.RowsOf(layer, h)
			l.Heads, l.Scores = append(l.Heads, rows), append(l.Scores, make([]float32, rows.Len()))
		}
		s.sequence.Eviction.Policy().Score(&l)
		all = append(all, l.Scores...)
	}
	return all
}

// rowsHash is of all rows of a cache.
func rowsHash(s *Session) uint64 {
	sum := fnv.New64a()
	cfg := s.sequence.Cache.Config()
	for layer := range cfg.Layers {
		for h := range cfg.Heads {
			view := s.sequence.Cache.View(layer, h)
			for i := range view.Spans {
				span := &view.Spans[i]
				for r, p := range span.Positions {
					sum.Write([]byte{byte(p), byte(p >> 8)})
					sum.Write(span.Values[r*view.ValueBytes:][:view.ValueBytes])
				}
			}
			rows := s.sequence.Cache.RowsOf(layer, h)
			rows.Keys(func(first int, keys []float32) {
				n := len(keys) / cfg.KeyDim
				bytes := make([]byte, 4)
				for j, v := range keys {
					if first+j%n < rows.Len() {
						if err := quant.Encode(quant.F32, bytes, []float32{v}); err != nil {
							panic(err)
						}
						sum.Write(bytes)
					}
				}
			})
		}
	}
	return sum.Sum64()
}

// I9: rows that are scored twice have the same scores, and scoring changes nothing in the cache, nor what the model says
// then.
func TestScoringByAProbeLeavesTheCacheAsItIs(t *testing.T) {
	m := synthModel(t, "gemma2-tiny")
	ids := text(m, 90)
	for _, policy := range []string{"kvzip", "snapkv-query:window=8", "kvzip:positions=packed"} {
		s := newSession(t, m, WithPolicy(policy), WithKVBudget(60), WithPrefillBlock(32))
		if err := s.Evaluate(t.Context(), ids[:80], nil); err != nil {
			t.Fatal(err)
		}
		before := rowsHash(s)
		first := scoresOf(t, s, ids)
		again := scoresOf(t, s, ids)
		if !slices.EqualFunc(first, again, slices.Equal) {
			t.Errorf("%s: scored twice: %v and %v", policy, first, again)
		}
		for i, scores := range first {
			if slices.Max(scores) <= 0 {
				t.Errorf("%s: the scores of head %d are %v", policy, i, scores)
			}
		}
		if rowsHash(s) != before || s.Len() != 80 {
			t.Errorf("%s: scoring has changed the cache", policy)
		}
		other := newSession(t, m, WithPolicy(policy), WithKVBudget(60), WithPrefillBlock(32))
		if err := other.Evaluate(t.Context(), ids[:80], nil); err != nil {
			t.Fatal(err)
		}
		if got, want := readAll(t, s, ids[80:]), readAll(t, other, ids[80:]); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: the text goes on otherwise after it was scored", policy)
		}
	}
}

// A text that is taken back has tokens as surprising as one that never was longer; the first of the new ones, which nothing
// predicted, is as surprising as any.
func TestSurpriseAfterTruncation(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 60)
	s := newSession(t, m, WithPolicy("sirllm"), WithKVBudget(100))
	whole := newSession(t, m, WithPolicy("sirllm"), WithKVBudget(100))
	for _, err := range []error{s.Evaluate(t.Context(), ids[:50], nil), s.Truncate(40), s.Evaluate(t.Context(), ids[40:], nil), whole.Evaluate(t.Context(), ids, nil)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, want := s.sequence.Cache.RowsOf(1, 0), whole.sequence.Cache.RowsOf(1, 0)
	got := slices.Clone(rows.Mark(0))
	if got[40] != slices.Max(got[40:]) || got[0] != slices.Max(got[:40]) {
		t.Errorf("%v", got)
	}
	got[0], got[40] = want.Mark(0)[0], want.Mark(0)[40]
	if !slices.Equal(got, want.Mark(0)) || slices.Min(got) <= 0 {
		t.Errorf("%v, want %v", got, want.Mark(0))
	}
}

// A policy that looks ahead keeps other rows for another end of the prompt; the others do not know the end.
func TestOnlyWhatSaysSoLooksAhead(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	policies(t, func(t *testing.T, kind kvcache.Kind) {
		var kept [2][]Eviction
		for i := range kept {
			ids := text(m, 200)
			for j := 150; j < len(ids); j++ {
				ids[j] = (ids[j] + int32(i*(j-140))) % int32(m.Config().Vocabulary)
			}
			trace := func(e Eviction) {
				if e.Step <= 150 {
					kept[i] = append(kept[i], e)
				}
			}
			s := newSession(t, m, WithPolicy(kind.Name), WithKVBudget(64), WithPrefillBlock(32), WithTrace(trace))
			if err := s.Evaluate(t.Context(), ids, nil); err != nil {
				t.Fatal(err)
			}
		}
		same := slices.EqualFunc(kept[0], kept[1], func(a, b Eviction) bool { return a.Step == b.Step && slices.Equal(a.Kept, b.Kept) })
		if same == kind.Ahead || len(kept[0]) == 0 {
			t.Errorf("the rows kept before the texts differ are the same: %v, says that it looks ahead: %v", same, kind.Ahead)
		}
	})
}
