package kvcache

import (
	"slices"
	"testing"
)

// I13: with 128 sinks, the first 128 rows and the M−128 most recent ones, however the text is read.
func TestWindow(t *testing.T) {
	const budget, sinks = 200, 128
	s := newStream(t, "window:sinks=128,interval=1", budget, 0)
	for n := 0; n < 600; {
		switch {
		case n < 500:
			s.read(50)
			s.makeRoom(0, 0)
		default:
			s.makeRoom(1, 1)
			s.read(1)
		}
		n = s.c.Seen()
		var want []int32
		for p := range n {
			if p < sinks || p >= n-(budget-sinks) {
				want = append(want, int32(p))
			}
		}
		if got := s.keptBy(0, 0); !slices.Equal(got, want) {
			t.Fatalf("after %d tokens: %v, want %v", n, got, want)
		}
	}
}
