package kvcache

import (
	"slices"
	"testing"
)

// The score is the sum over all heads of the layer of the last query's attention, and an earlier block leaves nothing.
func TestTova(t *testing.T) {
	s := newStream(t, "tova", 40, 0, 1)
	s.append(3)
	for h := range 2 {
		s.show(h, [][]float32{{.9, .05, .05}, {.9, .05, .05}})
	}
	s.append(1)
	s.show(0, [][]float32{{.1, .2, .3, .4}, {0, .5, .5, 0}})
	s.show(1, [][]float32{{.25, .25, .25, .25}, {.1, 0, 0, .9}})
	want := []float32{.45, .95, 1.05, 1.55}
	for range 2 { // scores do not change what is remembered
		for h, got := range s.scores(0) {
			if !near(got, want) {
				t.Errorf("head %d: %v, want %v", h, got, want)
			}
		}
	}
}

// All heads of a layer keep the same rows, also where they share a budget, and whatever the ties.
func TestTovaKeepsTheSameRowsInAllHeads(t *testing.T) {
	for _, heads := range []string{"uniform", "pair"} {
		s := newStream(t, "tova:heads="+heads, 24, 0, 1, 2)
		s.run(append(reads(100, 20), step{tokens: 30, single: true}))
		for h := range s.names {
			if got, want := s.keptBy(0, h), s.keptBy(0, 0); !slices.Equal(got, want) {
				t.Errorf("%s: head %d has %v, the first one %v", heads, h, got, want)
			}
		}
	}
	s := newStream(t, "tova:heads=pair", 24, 0, 1, 2)
	s.append(60)
	s.makeRoom(0, 0)
	for h := range s.names {
		if got := s.c.Len(0, h); got != 24 {
			t.Errorf("all rows equal: head %d has %d", h, got)
		}
	}
}
