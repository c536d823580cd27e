package attention

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// What std::nth_element and std::partial_sort of libstdc++ leave in front, the one or the other as torch.topk calls them, for
// scores (7·i² + 3·i) mod m.
func TestQuickselect(t *testing.T) {
	var s Selector
	for _, c := range []struct {
		n, k, mod int
		want      []int32
	}{
		{6, 1, 1, []int32{3}},
		{12, 4, 3, []int32{1, 7, 8, 10}},
		{12, 4, 1, []int32{6, 7, 8, 9}},
		{56, 8, 1, []int32{30, 35, 36, 37, 38, 39, 40, 41}},
		{56, 8, 2, []int32{30, 35, 36, 37, 38, 39, 40, 41}},
		{57, 8, 5, []int32{14, 19, 22, 24, 32, 37, 47, 49}},
		{40, 39, 3, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39}},
		{100, 5, 1, []int32{65, 66, 67, 68, 69}},
		{512, 8, 1, []int32{0, 1, 2, 3, 4, 5, 6, 7}},
		{512, 8, 2, []int32{0, 1, 2, 3, 4, 5, 6, 7}},
		{700, 8, 7, []int32{2, 9, 16, 23, 30, 37, 44, 51}},
		{700, 3, 3, []int32{1, 2, 4}},
		{1000, 15, 4, []int32{1, 2, 5, 6, 9, 10, 13, 14, 17, 18, 21, 22, 25, 26, 29}},
		{64, 1, 2, []int32{0}},
	} {
		scores := make([]float32, c.n)
		for i := range scores {
			scores[i] = float32((i*i*7 + i*3) % c.mod)
		}
		if got := s.Quickselect(nil, scores, c.k); !slices.Equal(got, c.want) {
			t.Errorf("%d of %d scores modulo %d: %v, want %v", c.k, c.n, c.mod, got, c.want)
		}
	}
}

// Among different scores, and where a score that is tied is chosen with all of its equals, there is nothing to choose; else what is
// chosen is as good as what Top chooses.
func TestQuickselectIsAsGoodAsTop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.IntRange(1, 12).Draw(t, "values")
		scores := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float32 { return float32(rapid.IntRange(0, values).Draw(t, "score")) }), 1, 300).Draw(t, "scores")
		k := rapid.IntRange(0, len(scores)+1).Draw(t, "k")
		var s Selector
		prefix := []int32{-7}
		got, top := s.Quickselect(prefix, scores, k), s.Top(nil, scores, k)
		if got[0] != -7 || len(got) != 1+len(top) {
			t.Fatalf("%v, Top has %v", got, top)
		}
		got = got[1:]
		of := func(chosen []int32) []float32 {
			var x []float32
			for _, i := range chosen {
				x = append(x, scores[i])
			}
			slices.Sort(x)
			return x
		}
		if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) || !slices.Equal(of(got), of(top)) {
			t.Fatalf("%v of %v, Top has %v", got, scores, top)
		}
	})
}

func TestQuickselectOfNoNumbers(t *testing.T) {
	var s Selector
	for _, scores := range [][]float32{{nan, nan, nan, nan, nan}, {1, nan, 1, nan, 1, nan}, {hidden, nan, hidden, hidden, nan}, {infinity, infinity, nan, infinity}} {
		for k := range len(scores) + 1 {
			got := s.Quickselect(nil, scores, k)
			if len(got) != k || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != k {
				t.Errorf("%d of %v: %v", k, scores, got)
			}
		}
	}
}
