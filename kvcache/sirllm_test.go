package kvcache

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// surprised is a cache whose rows were as surprising as given.
func surprised(t tester, text string, budget int, values ...float32) *stream {
	s := newStream(t, text, budget, 0, 1)
	s.e.Surprise(s.c, s.append(len(values)), values)
	return s
}

// The rows that stay are those of the authors' rule: the most surprising ones and the sinks, then the most recent ones
// until the cache is full but for the room that is made.
func TestSirLLMKeepsWhatTheRuleSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const budget, sinks = 24, 4
		entropy := rapid.IntRange(-1, 30).Draw(t, "entropy")
		recent, interval := rapid.IntRange(0, 8).Draw(t, "recent"), rapid.IntRange(1, 6).Draw(t, "interval")
		kind, _ := kindOf("sirllm")
		text := with(kind, "recent=%d,interval=%d,heads=%s", recent, interval, rapid.SampledFrom([]string{"uniform", "pair"}).Draw(t, "heads"))
		size := budget
		if entropy >= 0 {
			text, size = text+with(Kind{}, ",entropy=%d", entropy)[1:], entropy
		}
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float32 { return float32(rapid.IntRange(0, 30).Draw(t, "value")) }), 25, 60).Draw(t, "surprise")
		s := surprised(t, text, budget, values...)
		room := rapid.IntRange(0, interval).Draw(t, "room")

		order := make([]int32, len(values))
		for i := range order {
			order[i] = int32(len(values) - 1 - i)
		}
		bySurprise := slices.Clone(order)
		slices.SortStableFunc(bySurprise, func(a, b int32) int { return int(values[b] - values[a]) })
		want := []int32{0, 1, 2, 3}
		for _, p := range bySurprise[:max(0, min(size-room, budget-room-sinks-recent))] {
			if p >= sinks {
				want = append(want, p)
			}
		}
		for _, p := range order {
			if len(want) < budget-room && !slices.Contains(want, p) {
				want = append(want, p)
			}
		}
		slices.Sort(want)
		s.evict(0, room)
		for h := range s.names {
			if got := s.keptBy(0, h); !slices.Equal(got, want) {
				t.Fatalf("%s: head %d: %v, want %v", text, h, got, want)
			}
		}
	})
}

// Equal scores and no decay: sinks and the most recent rows.
func TestSirLLMOfEqualSurpriseIsAWindow(t *testing.T) {
	s := surprised(t, "sirllm", 20, slices.Repeat([]float32{2.5}, 50)...)
	s.makeRoom(0, 0)
	want := []int32{0, 1, 2, 3}
	for p := int32(34); p < 50; p++ {
		want = append(want, p)
	}
	if got := s.keptBy(0, 0); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// With a decay of 0 only later tokens can win; with another one earlier turns count less by that factor.
func TestSirLLMDecays(t *testing.T) {
	tests := []struct {
		text string
		want []int32 // beside sinks
	}{
		{"sirllm:decay=0,interval=1", []int32{6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
		{"sirllm:decay=0.5,interval=1", []int32{5, 6, 7, 9, 10, 11, 12, 13, 14, 15}},
		{"sirllm:interval=1", []int32{4, 5, 6, 7, 8, 9, 12, 13, 14, 15}},
	}
	for _, tt := range tests {
		s := surprised(t, tt.text, 14, 0, 0, 0, 0, 8, 9, 8.5, 8.5, 8.25, 8.5)
		s.e.EndTurn(s.c)
		s.e.Surprise(s.c, s.append(6), []float32{4.3, 4.3, 5, 5, 5, 5})
		s.makeRoom(0, 0)
		if got := s.keptBy(0, 1)[4:]; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.text, got, tt.want)
		}
	}
}

// Surprise goes to the rows of a block also after rows were dropped.
func TestSurpriseGoesWithRows(t *testing.T) {
	s := newStream(t, "sirllm", 20, 0, 1)
	s.run(append(reads(60, 15), step{tokens: 20, single: true}))
	for h := range s.names {
		rows := s.c.RowsOf(1, h)
		for i, v := range rows.Mark(0) {
			if want := 1 + value(forSurprise, int(rows.Position(i))); v != want {
				t.Errorf("head %d: the row at position %d has %v, want %v", h, rows.Position(i), v, want)
			}
		}
	}
}
