package kvcache

import (
	"slices"
	"testing"
)

func TestLFACounts(t *testing.T) {
	block := [][][]float32{{{.5, .3, .2}, {.1, .6, .3}}, {{0, .25, .25, .5}, {1, 0, 0, 0}}}
	tests := []struct {
		text string
		want []float32
	}{
		{"lfa", []float32{1.6, 1.15, .75, .5}},
		{"lfa:count=hits,top=1", []float32{2, 1, 0, 1}},
		{"lfa:count=hits,top=2", []float32{2, 3, 2, 1}}, // equals are hits together
		{"lfa:count=hits", []float32{3, 3, 3, 1}},
	}
	for _, tt := range tests {
		s := newStream(t, tt.text, 40, 0)
		s.append(4)
		s.show(0, block...)
		for range 2 {
			if got := s.scores(0)[0]; !near(got, tt.want) {
				t.Errorf("%s: %v, want %v", tt.text, got, tt.want)
			}
		}
	}
}

// Rows of equal use go first in, first out; one that is used more stays.
func TestLFAOfEqualUseIsFirstInFirstOut(t *testing.T) {
	s := newStream(t, "lfa:sinks=0,interval=1", 12, 0)
	for n := range 60 {
		s.makeRoom(1, 1)
		s.append(1)
		if n == 5 {
			s.show(0, [][]float32{{0, 0, 0, 0, 0, 1}})
		}
		var want []int32
		for p := max(0, n-11); p <= n; p++ {
			want = append(want, int32(p))
		}
		if n > 16 {
			want[0] = 5
		}
		if got := s.keptBy(0, 0); !slices.Equal(got, want) {
			t.Fatalf("after %d rows: %v, want %v", n+1, got, want)
		}
	}
}
