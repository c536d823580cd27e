package attention

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// sortedTop is Top as it is defined: all blocks in order, the best first, of which k stay.
func sortedTop(scores []float32, k int) []int32 {
	order := make([]int32, len(scores))
	for i := range order {
		order[i] = int32(i)
	}
	value := func(i int32) float32 {
		if scores[i] != scores[i] {
			return hidden
		}
		return scores[i]
	}
	slices.SortFunc(order, func(a, b int32) int {
		switch x, y := value(a), value(b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return int(b - a)
	})
	order = order[:min(k, len(order))]
	slices.Sort(order)
	return order
}

func TestTop(t *testing.T) {
	zero := float32(math.Copysign(0, -1))
	for _, c := range []struct {
		scores []float32
		k      int
		want   []int32
	}{
		{[]float32{3, 1, 4, 1, 5}, 2, []int32{2, 4}},
		{[]float32{5, 1, 4, 1, 3}, 2, []int32{0, 2}},
		{[]float32{1, 1, 1, 1, 1}, 2, []int32{3, 4}}, // the newest of equals
		{[]float32{2, 1, 1, 1, 0}, 2, []int32{0, 3}},
		{[]float32{2, 2, 2, 1, 0}, 2, []int32{1, 2}},
		{[]float32{zero, 0, zero, -1}, 1, []int32{2}},
		{[]float32{0, zero, -1}, 1, []int32{1}},
		{[]float32{-2, -1, -3}, 1, []int32{1}},
		{[]float32{hidden, nan, -3e38}, 1, []int32{2}},
		{[]float32{hidden, nan, hidden, -3e38}, 2, []int32{2, 3}},
		{[]float32{hidden, nan}, 1, []int32{1}},
		{[]float32{nan, hidden}, 1, []int32{1}},
		{[]float32{infinity, 1, infinity, 2}, 1, []int32{2}},
		{[]float32{1, 2}, 2, []int32{0, 1}},
		{[]float32{1, 2}, 3, []int32{0, 1}},
		{[]float32{1, 2}, 0, nil},
		{[]float32{1, 2}, -1, nil},
		{nil, 2, nil},
	} {
		if got := new(Selector).Top(nil, c.scores, c.k); !slices.Equal(got, c.want) {
			t.Errorf("the best %d of %v: %v, want %v", c.k, c.scores, got, c.want)
		}
	}
	if got := new(Selector).Top([]int32{7}, []float32{1, 3, 2}, 2); !slices.Equal(got, []int32{7, 1, 2}) {
		t.Errorf("%v, want what was there and the best", got)
	}
}

// Top is a sort, whatever the scores: few different ones, ascending, descending, the worst for the median of three.
func TestTopIsASort(t *testing.T) {
	var s Selector // with whatever an earlier call left in it
	rapid.Check(t, func(t *rapid.T) {
		n, k := rapid.IntRange(0, 1200).Draw(t, "n"), rapid.IntRange(0, 150).Draw(t, "k")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		few := rapid.IntRange(1, 2000).Draw(t, "different scores")
		scores := make([]float32, n)
		for i := range scores {
			scores[i] = float32(rng.IntN(few)) - float32(few/2)
		}
		switch rapid.SampledFrom([]string{"random", "normal", "up", "down", "saw", "odd"}).Draw(t, "order") {
		case "normal":
			scores = randoms(rng, n)
		case "up":
			slices.Sort(scores)
		case "down":
			slices.Sort(scores)
			slices.Reverse(scores)
		case "saw":
			for i := range scores {
				scores[i] += float32(i % 64 * few)
			}
		case "odd":
			odd := []float32{nan, hidden, infinity, float32(math.Copysign(0, -1)), 0, 1e-45, -1e-45, math.MaxFloat32, -math.MaxFloat32}
			for i := range scores {
				if rng.IntN(2) == 0 {
					scores[i] = odd[rng.IntN(len(odd))]
				}
			}
		}
		if got, want := s.Top(nil, scores, k), sortedTop(scores, k); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// Every number of blocks about the sizes at which something is done otherwise.
func TestTopOfEverySize(t *testing.T) {
	var s Selector
	for _, k := range []int{1, 2, 7, 8, 9, 32, 128} {
		for _, about := range []int{0, k, 2*k + selectRoom, 2*k + selectRoom + 8, 4*k + 2*selectRoom} {
			for n := max(0, about-10); n < about+20; n++ {
				rng := rand.New(rand.NewPCG(uint64(n), uint64(k)))
				scores := randoms(rng, n)
				for _, order := range []func(){
					func() {}, func() { slices.Sort(scores) }, func() { slices.Reverse(scores) }, func() { fill(scores, 0) },
				} {
					order()
					if got, want := s.Top(nil, scores, k), sortedTop(scores, k); !slices.Equal(got, want) {
						t.Fatalf("the best %d of %d: %v, want %v", k, n, got, want)
					}
				}
			}
		}
	}
}

func TestTopOfMany(t *testing.T) {
	var s Selector
	texts := uint64(20)
	if testing.Short() {
		texts = 5
	}
	for seed := range texts {
		scores := randoms(rand.New(rand.NewPCG(seed, 2)), 16384)
		for _, k := range []int{1, 32, 128, 1000} {
			if got, want := s.Top(nil, scores, k), sortedTop(scores, k); !slices.Equal(got, want) {
				t.Fatalf("seed %d, the best %d: %v, want %v", seed, k, got, want)
			}
		}
	}
}

// The k-th largest is found although every pivot is the second smallest: in organ pipes, the ends are the two smallest of
// what is left.
func TestKthOfOrganPipes(t *testing.T) {
	for _, n := range []int{9, 10, 87, 88, 89, 90, 91, 500, 2001} {
		for k := 1; k <= n; k += max(1, n/17) {
			x := make([]uint64, n)
			for i := range x {
				x[i] = uint64(min(i, n-1-i)*2 + i*2/n)
			}
			want := slices.Clone(x)
			slices.Sort(want)
			if got := kth(x, k); got != want[n-k] {
				t.Fatalf("number %d of %d is %d, want %d", k, n, got, want[n-k])
			}
		}
	}
}

func TestTopDoesNotAllocate(t *testing.T) {
	scores, dst := randoms(rand.New(rand.NewPCG(1, 2)), 5000), make([]int32, 0, 128)
	var s Selector
	s.Top(dst, scores, 128)
	if n := testing.AllocsPerRun(20, func() { s.Top(dst, scores, 128); s.Top(dst, scores[:300], 32) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
