package kvcache

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// steps draws a text.
func steps(t *rapid.T, label string) []step {
	one := rapid.Custom(func(t *rapid.T) step {
		return step{rapid.IntRange(1, 25).Draw(t, "tokens"), rapid.Bool().Draw(t, "single"), rapid.Bool().Draw(t, "turn")}
	})
	return rapid.SliceOfN(one, 1, 5).Draw(t, label)
}

// Whatever the policy and the text, rows are dropped as [stream] checks; and a restored snapshot goes on as the cache did
// that it was taken of, whose rows the snapshot kept.
func TestEveryPolicy(t *testing.T) {
	each(t, func(t *testing.T, kind Kind) {
		rapid.Check(t, func(t *rapid.T) {
			budget := rapid.IntRange(12, 40).Draw(t, "budget")
			text := with(kind, "heads=%s,sinks=%d,interval=%d", rapid.SampledFrom([]string{"uniform", "pair"}).Draw(t, "heads"),
				rapid.IntRange(0, 5).Draw(t, "sinks"), rapid.IntRange(1, 6).Draw(t, "interval"))
			if rapid.Bool().Draw(t, "some are recent") {
				text += ",recent=1"
			}
			s := newStream(t, text, budget, 0, 1, 2)
			s.run(steps(t, "before"))
			at, was := s.c.Snapshot(), s.kept()
			after := steps(t, "after")
			evictedAt := s.evictedAt
			s.run(after)
			want, cursor := s.kept(), *s.c.list(0, 0)
			if err := s.c.Restore(at); err != nil {
				t.Fatal(err)
			}
			s.evictedAt = evictedAt
			if got := s.kept(); !slices.EqualFunc(got, was, slices.Equal) {
				t.Fatalf("restored: %v, want %v", got, was)
			}
			s.run(after)
			if got := s.kept(); !slices.EqualFunc(got, want, slices.Equal) || s.c.list(0, 0).cursor != cursor.cursor {
				t.Fatalf("a second time: %v, want %v", got, want)
			}
		})
	})
}

// A text that goes through twice leaves the same rows, however many rows are dropped at a time in between: every policy
// drops some, and all of them different ones.
func TestPoliciesAreDeterministicAndDiffer(t *testing.T) {
	all := map[string]string{}
	each(t, func(t *testing.T, kind Kind) {
		text := append(reads(120, 20), step{tokens: 40, single: true})
		s := newStream(t, with(kind, ""), 32, 0, 1)
		s.run(text)
		again := newStream(t, with(kind, ""), 32, 0, 1)
		again.run(text)
		if !slices.EqualFunc(s.kept(), again.kept(), slices.Equal) || s.evictions < 6 {
			t.Errorf("%v and then %v, after %d evictions", s.kept(), again.kept(), s.evictions)
		}
		var name strings.Builder
		for _, p := range s.keptBy(0, 0) {
			name.WriteRune(p)
		}
		if other, twice := all[name.String()]; twice {
			t.Errorf("keeps what %s keeps", other)
		}
		all[name.String()] = kind.Name
	})
}

// I5: one KV head has the budget of its layer for itself.
func TestPairOfOneHeadIsUniform(t *testing.T) {
	each(t, func(t *testing.T, kind Kind) {
		rapid.Check(t, func(t *rapid.T) {
			text := steps(t, "text")
			var kept [2][][]int32
			for i, heads := range []string{"uniform", "pair"} {
				s := newStream(t, with(kind, "heads=%s", heads), 24, 7)
				s.run(text)
				kept[i] = s.kept()
			}
			if !slices.EqualFunc(kept[0], kept[1], slices.Equal) {
				t.Fatalf("uniform: %v, pair: %v", kept[0], kept[1])
			}
		})
	})
}

// I7: it does not matter in which order the KV heads come.
func TestHeadsMayBePermuted(t *testing.T) {
	each(t, func(t *testing.T, kind Kind) {
		rapid.Check(t, func(t *rapid.T) {
			text := steps(t, "text")
			names := rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "heads")
			s, permuted := newStream(t, with(kind, ""), 24, 0, 1, 2, 3), newStream(t, with(kind, ""), 24, names...)
			s.run(text)
			permuted.run(text)
			for l := range s.c.cfg.Layers {
				for h, name := range names {
					if got, want := permuted.keptBy(l, h), s.keptBy(l, name); !slices.Equal(got, want) {
						t.Fatalf("layer %d, head %d: %v, want %v", l, name, got, want)
					}
				}
			}
		})
	})
}

// Where heads share a budget, some have more than others: the sum is exact, which stream checks.
func TestPairedHeadsAreRagged(t *testing.T) {
	for _, name := range []string{"h2o", "keydiff", "knorm", "kvzip", "lfa", "snapkv"} {
		s := newStream(t, name+":heads=pair", 24, 0, 1, 2)
		s.run(reads(80, 20))
		if a, b, c := s.c.Len(0, 0), s.c.Len(0, 1), s.c.Len(0, 2); a == b && b == c {
			t.Errorf("%s: all heads have %d rows", name, a)
		}
	}
}

func TestParametersAreChecked(t *testing.T) {
	tests := []struct{ text, want string }{
		{"", `no policy ""`},
		{"lru", "there is: full, episodic, h2o, keydiff, knorm, kvzip, lfa, lra, sirllm, snapkv, snapkv-query, tova, treekv, window"},
		{"full", "nothing to choose"},
		{"window:", `"" is not key=value`},
		{"window:sinks", `"sinks" is not key=value`},
		{"window:sinks=", `"sinks=" is not key=value`},
		{"window:sinks=1,sinks=2", "sinks is given twice"},
		{"window:sinks=-1", `sinks: "-1" is not a whole number from 0 to`},
		{"window:sinks=100", "a budget of 100 rows has no room beside 100 sinks and the 6 rows"},
		{"window:interval=96", "no room beside 4 sinks and the 96 rows"},
		{"window:recent=91", `recent: "91" is not a whole number from 0 to 90`},
		{"window:heads=one", `heads: "one" is none of uniform, pair`},
		{"window:positions=x", `positions: "x" is none of packed, text`},
		{"h2o:positions=x", `positions: "x" is none of text, packed`},
		{"window:kernel=5", "has no parameter kernel (it has heads, interval, positions, recent, sinks)"},
		{"snapkv:windows=5", "has no parameter windows (it has heads, interval, kernel, pool, positions, recent, sinks, window)"},
		{"snapkv:kernel=4", "kernel: 4 is not an odd number"},
		{"snapkv-query:window=0", `window: "0" is not a whole number from 1`},
		{"snapkv:pool=sum", `pool: "sum" is none of avg, max`},
		{"sirllm:decay=1.5", `decay: "1.5" is not a number from 0 to 1`},
		{"sirllm:decay=NaN", `decay: "NaN" is not a number from 0 to 1`},
		{"sirllm:entropy=x", `entropy: "x" is not a whole number`},
		{"lfa:count=uses", `count: "uses" is none of weight, hits`},
		{"lra:top=0", `top: "0" is not a whole number from 1`},
	}
	for _, tt := range tests {
		if _, err := NewEviction(tt.text, []int{100, 200}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q in it", tt.text, err, tt.want)
		}
	}
	for _, budget := range [][]int{nil, {0}, {100, -1}} {
		if _, err := NewEviction("window", budget); err == nil {
			t.Errorf("budget %v: no error", budget)
		}
	}
}

// Of equals the oldest stay unless the policy says otherwise, and heads whose rows are equal keep the same.
func TestTies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		newest := rapid.Bool().Draw(t, "newest")
		e := &Eviction{needs: Needs{Newest: newest}, sinks: 2, recent: 3, pooled: rapid.Bool().Draw(t, "pair")}
		n, target := rapid.IntRange(8, 40).Draw(t, "rows"), rapid.IntRange(5, 8).Draw(t, "target")
		c := mustNew(t, Config{Layers: 1, Heads: 2, KeyDim: 4, ValueDim: 2, Type: small.Type})
		positions := make([]int32, n)
		for i := range positions {
			positions[i] = int32(i)
		}
		if _, err := c.Append(positions); err != nil {
			t.Fatal(err)
		}
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(rapid.IntRange(0, 2).Draw(t, "score"))
		}
		l := &Layer{Heads: []Rows{c.RowsOf(0, 0), c.RowsOf(0, 1)}, Target: target, Scores: [][]float32{scores, scores}}
		order := positions[2 : n-3]
		if newest {
			slices.Reverse(order)
		}
		slices.SortStableFunc(order, func(a, b int32) int { return int(scores[b] - scores[a]) })
		want := append(slices.Clone(order[:target-5]), 0, 1, int32(n-3), int32(n-2), int32(n-1))
		slices.Sort(want)
		for h, got := range e.choose(l) {
			if !slices.Equal(got, want) {
				t.Fatalf("head %d: %v, want %v of the scores %v", h, got, want, scores)
			}
		}
	})
}

// A score that is not a number is the worst.
func TestNoNumberIsTheWorstScore(t *testing.T) {
	s := newStream(t, "window:sinks=0,interval=1", 12, 0)
	s.append(14)
	l := s.e.layer(s.c, 0, 0)
	nan := float32(math.NaN())
	copy(l.Scores[0], []float32{nan, -1, -2, nan})
	if got := s.e.choose(l)[0]; len(got) != 12 || got[0] != 1 || got[1] != 2 || got[2] != 4 {
		t.Errorf("%v", got)
	}
}

// A budget that is larger than any cache can be does not overflow.
func TestBudgetBeyondCounting(t *testing.T) {
	const most = int(^uint(0) >> 1)
	for _, heads := range []string{"uniform", "pair"} {
		s := newStream(t, "window:heads="+heads, most-3, 0, 1, 2)
		s.run(reads(60, 20))
		if s.evictions != 0 || s.c.Len(0, 0) != 60 {
			t.Errorf("%s: %d rows are left of 60", heads, s.c.Len(0, 0))
		}
	}
}

func FuzzNewEviction(f *testing.F) {
	for _, kind := range Kinds() {
		f.Add(kind.Name, 40)
		f.Add(with(kind, "sinks=1,recent=3,interval=2,heads=pair,positions=text"), 33)
	}
	f.Add("snapkv:window=3,kernel=7,pool=max", 20)
	f.Add("sirllm:entropy=5,decay=0.5", 20)
	f.Add("lfa:count=hits,top=3", 20)
	f.Fuzz(func(t *testing.T, text string, budget int) {
		e, err := NewEviction(text, []int{budget})
		if err != nil {
			return
		}
		if e.Name() != text || e.sinks+e.recent+e.interval > budget || e.Kind().Name == "" {
			t.Fatalf("%q with %d rows: %+v", text, budget, e)
		}
		if budget > 100 {
			return
		}
		newStream(t, text, budget, 0, 1).run([]step{{tokens: 70}, {tokens: 70, turn: true}, {tokens: 20, single: true}})
	})
}
