package kvcache

import (
	"math"
	"slices"
	"testing"
)

// Three keys in the plane, worked by hand; the scores do not depend on the lengths of keys, and a key of zeros has none.
func TestKeyDiff(t *testing.T) {
	const a, b = -.569036, -.804738
	tests := []struct {
		keys [][]float32
		want []float32
	}{
		{[][]float32{{1, 0}, {0, 1}, {1, 1}}, []float32{a, a, b}},
		{[][]float32{{5, 0}, {0, .25}, {3, 3}}, []float32{a, a, b}},
		{[][]float32{{1, 0}, {0, 0}}, []float32{-.5, 0}},
		{[][]float32{{1e30, 0}, {0, -1e-30}}, []float32{-.5, -.5}},
	}
	for _, tt := range tests {
		s := newStream(t, "keydiff", 40, 0, 1)
		s.append(len(tt.keys))
		s.putKeys(1, tt.keys...)
		if got := s.scores(0)[1]; !near(got, tt.want) {
			t.Errorf("%v: %v, want %v", tt.keys, got, tt.want)
		}
	}
}

// The scores of rows on several pages are the formula's, each head with its own anchor.
func TestKeyDiffOfManyRows(t *testing.T) {
	s := newStream(t, "keydiff", 400, 0, 1)
	s.read(300)
	got := s.scores(0)
	for h, name := range s.names {
		var keys [300][4]float64
		var anchor [4]float64
		for p := range keys {
			var sum float64
			for i := range keys[p] {
				keys[p][i] = float64(value(forKeys, 0, name, p, i))
				sum += keys[p][i] * keys[p][i]
			}
			for i := range keys[p] {
				keys[p][i] /= math.Sqrt(sum)
				anchor[i] += keys[p][i] / 300
			}
		}
		want := make([]float32, 300)
		for p := range keys {
			for i := range anchor {
				want[p] -= float32(keys[p][i] * anchor[i])
			}
		}
		if !near(got[h], want) {
			t.Errorf("head %d: %v, want %v", h, got[h], want)
		}
	}
	if slices.Equal(got[0], got[1]) {
		t.Error("two heads with different keys have the same scores")
	}
}
