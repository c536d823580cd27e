package kvcache

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestAttendedIsTheKthLargest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float32Range(0, 1), 1, 300).Draw(t, "weights")
		k := rapid.IntRange(1, 310).Draw(t, "k")
		sorted := slices.Clone(weights)
		slices.Sort(sorted)
		want := sorted[max(0, len(sorted)-k)]
		if got := attended(weights, k); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
	})
	if got := attended(nil, 5); got != 0 {
		t.Errorf("of no weights: %v", got)
	}
}
