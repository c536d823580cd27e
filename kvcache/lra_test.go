package kvcache

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Where a row is attended to, it is the one used last: the policy is LRU. A row that is attended to at every step is never
// dropped.
func TestLRAIsLeastRecentlyUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const budget = 12
		s := newStream(t, "lra:sinks=0,interval=1,top=2", budget, 0)
		var used []int32 // by use, the longest ago first
		use := func(p int32) {
			if i := slices.Index(used, p); i >= 0 {
				used = slices.Delete(used, i, i+1)
			}
			used = append(used, p)
		}
		for n := range int32(50) {
			s.makeRoom(1, 1)
			if len(used) == budget {
				used = used[1:]
			}
			s.append(1)
			rows := s.keptBy(0, 0)
			weights := make([]float32, len(rows))
			other := rapid.IntRange(0, len(rows)-1).Draw(t, "attended")
			weights[0], weights[other] = .5, .75
			s.show(0, [][]float32{weights})
			// Of rows that were used at the same step the older one goes first: it is used first.
			use(0)
			if rows[other] != 0 {
				use(rows[other])
			}
			if rows[other] != n && n != 0 {
				use(n)
			}
			want := slices.Sorted(slices.Values(used))
			if !slices.Equal(rows, want) {
				t.Fatalf("after %d rows: %v, want %v", n+1, rows, want)
			}
		}
		if rows := s.keptBy(0, 0); rows[0] != 0 {
			t.Fatalf("the row that was always attended to is gone: %v", rows)
		}
	})
}

func TestLRAScores(t *testing.T) {
	s := newStream(t, "lra:top=1", 40, 0)
	s.append(4)
	s.show(0, [][]float32{{.9, .1, 0}, {0, 1, 0}}, [][]float32{{.1, .2, .6, .1}, {0, .5, .5, 0}})
	if got, want := s.scores(0)[0], []float32{2, 3, 3, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
