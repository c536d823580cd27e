package kvcache

import (
	"slices"
	"testing"
)

// Scores of seven rows of which the window's two are recent, worked by hand: the mean over two queries and two heads, times
// four, pooled over the other five.
func TestSnapKVPools(t *testing.T) {
	window := [][][]float32{
		{{.5, 0, .125, .25, 0, .125}, {.25, .25, .25, 0, 0, .25}},
		{{.5, 0, 0, .25, .125, 0, .125}, {.75, .25, 0, 0, 0, 0, 0}},
	}
	sums := []float32{2, .5, .375, .5, .125}
	tests := []struct {
		parameters string
		want       []float32
	}{
		{"kernel=1", sums},
		{"kernel=1,pool=max", sums},
		{"kernel=3", []float32{2.5 / 3, 2.875 / 3, 1.375 / 3, 1. / 3, .625 / 3}},
		{"kernel=3,pool=max", []float32{2, 2, .5, .5, .5}},
		{"kernel=5,pool=max", []float32{2, 2, 2, .5, .5}},
		{"", []float32{2.875 / 5, 3.375 / 5, 3.5 / 5, 1.5 / 5, 1. / 5}},
		{"kernel=99,pool=max", []float32{2, 2, 2, 2, 2}},
	}
	for _, name := range []string{"snapkv:window=2", "snapkv-query:window=2"} {
		for _, tt := range tests {
			text := name
			if tt.parameters != "" {
				text += "," + tt.parameters
			}
			s := newStream(t, text, 40, 0)
			s.append(7)
			s.show(0, window...)
			if got := s.scores(0)[0][:5]; !near(got, tt.want) {
				t.Errorf("%s: %v, want %v", text, got, tt.want)
			}
			if got := s.scores(0)[0]; slices.Max(got) != 0 {
				t.Errorf("%s: scored again: %v", text, got)
			}
		}
	}
}

// The window is the last queries of a block that has as many, and else all since rows were last scored.
func TestSnapKVWindow(t *testing.T) {
	s := newStream(t, "snapkv:window=3,kernel=1,recent=0", 40, 0)
	if n := s.e.Needs(); n.Queries != 3 || n.Recent != 3 {
		t.Errorf("%+v", n)
	}
	one := func(row int) [][]float32 {
		weights := make([]float32, 6)
		weights[row] = 1
		return [][]float32{weights}
	}
	s.append(6)
	s.show(0, one(0), one(1), one(2))
	s.show(0, one(3), one(3), one(4))
	s.show(0, one(4), one(5))
	s.show(0, one(5))
	if got, want := s.scores(0)[0], []float32{0, 0, 0, 2, 2, 2}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	s.show(0, one(2))
	if got, want := s.scores(0)[0], []float32{0, 0, 1, 0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("after they were scored: %v, want %v", got, want)
	}
}

// The window stays, where the budget has room for it.
func TestSnapKVKeepsItsWindow(t *testing.T) {
	s := newStream(t, "snapkv:window=8", 24, 0, 1)
	s.run(reads(60, 20))
	for h := range s.names {
		kept := s.keptBy(0, h)
		if got := kept[len(kept)-8:]; got[0] != 52 || got[7] != 59 {
			t.Errorf("head %d: the last ones kept are %v", h, got)
		}
	}
}
