package attention

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
)

var modes = []Sharing{PerTokenAndHead, MaxOverHeads, MaxOverTokens, OverHeads | OverTokens, SumOfSoftmax, OverHeads | BySum, OverTokens | BySum, BySum}

// shared is what Select ranks blocks by, as it is defined: for the set that a query belongs to, the largest or the sum of the
// softmaxes of all queries that belong to it.
func (b *BlockScores) shared(token, head int, sharing Sharing) []float64 {
	ranks := make([]float64, b.Blocks)
	for t := range b.Tokens {
		for h := range b.Heads {
			if t != token && sharing&OverTokens == 0 || h != head && sharing&OverHeads == 0 {
				continue
			}
			soft, sum := make([]float64, b.Blocks), float64(0)
			for j, v := range b.Scores[(t*b.Heads+h)*b.Stride:][:b.Blocks] {
				soft[j] = math.Exp(float64(v * b.Scale))
				sum += soft[j]
			}
			for j, v := range soft {
				if sharing&BySum != 0 {
					ranks[j] += v / sum
				} else {
					ranks[j] = max(ranks[j], v/sum)
				}
			}
		}
	}
	return ranks
}

func choose(t interface{ Fatal(...any) }, impl *kernels.Implementation, b *BlockScores, k int, sharing Sharing) []int32 {
	got, err := new(Selector).Select(impl, nil, b, k, sharing)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// In every mode, what is chosen for a query ranks at least as high as anything that is not, and is sorted by age.
func TestSelect(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, shape := range [][3]int{{1, 1, 40}, {1, 4, 40}, {5, 1, 40}, {3, 2, 33}, {2, 5, 7}, {4, 3, 500}} {
			b := &BlockScores{Tokens: shape[0], Heads: shape[1], Blocks: shape[2], Stride: shape[2] + 3, Scale: 0.5}
			b.Scores = randoms(rand.New(rand.NewPCG(uint64(b.Blocks), 22)), b.Tokens*b.Heads*b.Stride-3)
			multiply(b.Scores, 4)
			for q := range b.Tokens*b.Heads - 1 {
				fill(b.Scores[q*b.Stride+b.Blocks:][:3], infinity) // between rows
			}
			for _, mode := range modes {
				for _, k := range []int{0, 1, 3, 20, b.Blocks - 1, 700} {
					each := min(k, b.Blocks)
					got := choose(t, impl, b, k, mode)
					if len(got) != each*mode.Sets(b.Tokens, b.Heads) {
						t.Fatalf("%s, %v, mode %b: %d blocks in %d sets", impl.Name, shape, mode, len(got), mode.Sets(b.Tokens, b.Heads))
					}
					for token := range b.Tokens {
						for head := range b.Heads {
							set := got[mode.Set(token, head, b.Heads)*each:][:each]
							ranks := b.shared(token, head, mode)
							sorted := slices.Sorted(slices.Values(ranks))
							for i, j := range set {
								if i > 0 && j <= set[i-1] || ranks[j] < sorted[b.Blocks-each]-1e-6 {
									t.Fatalf("%s, %v, mode %b, token %d, head %d: %v chosen, with ranks %v", impl.Name, shape, mode, token, head, set, ranks)
								}
							}
						}
					}
				}
			}
		}
	}
}

// One query chooses the same in all modes, and in each as its softmax would. With one token, sharing over tokens shares
// nothing, with one head, sharing over heads.
func TestSelectForOneQuery(t *testing.T) {
	impls := kernels.Implementations()
	rapid.Check(t, func(t *rapid.T) {
		impl := rapid.SampledFrom(impls).Draw(t, "implementation")
		b := &BlockScores{Tokens: 1, Heads: 1, Blocks: rapid.IntRange(1, 300).Draw(t, "blocks"), Scale: 1}
		b.Stride = b.Blocks
		// Scores that no softmax in float32 takes for equal unless they are.
		b.Scores = rapid.SliceOfN(rapid.Map(rapid.IntRange(-400, 400), func(i int) float32 { return float32(i) / 16 }), b.Blocks, b.Blocks).Draw(t, "scores")
		k := rapid.IntRange(0, 60).Draw(t, "k")
		want := choose(t, impl, b, k, PerTokenAndHead)
		for _, mode := range modes {
			if got := choose(t, impl, b, k, mode); !slices.Equal(got, want) {
				t.Fatalf("mode %b: %v, want %v", mode, got, want)
			}
		}
		soft := make([]float32, kernels.WholeGroups(b.Blocks))
		by := new(Selector).shares(impl, soft, b.Scores, b.Scale)
		multiply(soft, by)
		if got := new(Selector).Quickselect(nil, soft[:b.Blocks], k); !slices.Equal(got, want) {
			t.Fatalf("%v by softmax, want %v", got, want)
		}
	})
	for _, impl := range impls {
		rng := rand.New(rand.NewPCG(3, 23))
		for _, c := range []struct {
			tokens, heads int
			mode          Sharing
		}{{1, 6, MaxOverTokens}, {6, 1, MaxOverHeads}} {
			b := &BlockScores{Scores: randoms(rng, 6*90), Tokens: c.tokens, Heads: c.heads, Blocks: 90, Stride: 90, Scale: 1}
			if got, want := choose(t, impl, b, 8, c.mode), choose(t, impl, b, 8, PerTokenAndHead); !slices.Equal(got, want) {
				t.Errorf("%s, %d tokens of %d heads: %v in mode %b, want %v", impl.Name, c.tokens, c.heads, got, c.mode, want)
			}
		}
	}
}

// The softmax comes before the maximum: a query with large scores for everything does not decide for the others. The sum ranks
// what all want a little before what one wants more.
func TestSelectRanksBySoftmax(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, c := range []struct {
			what   string
			scores []float32
			mode   Sharing
			want   []int32
		}{
			{"a loud query", []float32{90, 91, 90, 90, 0, 0, 0, 9}, MaxOverHeads, []int32{3}},
			{"one that knows", []float32{0, 3, 0, 0, 0, 2, 2, 0}, MaxOverHeads, []int32{1}},
			{"what all want a little", []float32{2, 0, 1.9, -9, -9, 0, 1.9, 2}, SumOfSoftmax, []int32{2}},
			{"and by the largest", []float32{2, 0, 1.9, -9, -9, 0, 1.9, 2}, MaxOverHeads, []int32{3}},
			{"one hears nothing", []float32{hidden, hidden, hidden, hidden, 0, 1, 0, 0}, MaxOverHeads, []int32{1}},
			{"one hears one thing", []float32{0, 0, infinity, 0, 0, 1, 0, 0}, SumOfSoftmax, []int32{2}},
			{"one is no number", []float32{1, 5, nan, 1, 0, 1, 0, 0}, SumOfSoftmax, []int32{1}},
			{"none is a number", []float32{nan, nan, nan, nan, 0, 0, 1, 0}, SumOfSoftmax, []int32{2}},
			{"equals", []float32{1, 1, 1, 1, 2, 2, 2, 2}, MaxOverHeads, []int32{2}},
		} {
			b := &BlockScores{Scores: c.scores, Tokens: 1, Heads: 2, Blocks: 4, Stride: 4, Scale: 1}
			if got := choose(t, impl, b, 1, c.mode); !slices.Equal(got, c.want) {
				t.Errorf("%s, %s: %v, want %v", impl.Name, c.what, got, c.want)
			}
		}
		// Scale is part of the softmax: where it is small, what one wants much more counts for more than what two want.
		b := &BlockScores{Scores: []float32{6, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0}, Tokens: 1, Heads: 3, Blocks: 4, Stride: 4}
		for scale, want := range map[float32]int32{4: 1, 1: 1, 0.1: 0} {
			b.Scale = scale
			if got := choose(t, impl, b, 1, SumOfSoftmax); !slices.Equal(got, []int32{want}) {
				t.Errorf("%s, scale %v: %v, want %v", impl.Name, scale, got, want)
			}
		}
	}
}

func TestSets(t *testing.T) {
	for _, c := range []struct {
		mode Sharing
		sets int
		of   []int // for the heads of each token
	}{
		{PerTokenAndHead, 6, []int{0, 1, 2, 3, 4, 5}},
		{MaxOverHeads, 2, []int{0, 0, 0, 1, 1, 1}},
		{MaxOverTokens, 3, []int{0, 1, 2, 0, 1, 2}},
		{SumOfSoftmax, 1, []int{0, 0, 0, 0, 0, 0}},
		{OverHeads | BySum, 2, []int{0, 0, 0, 1, 1, 1}},
	} {
		var of []int
		for token := range 2 {
			for head := range 3 {
				of = append(of, c.mode.Set(token, head, 3))
			}
		}
		if got := c.mode.Sets(2, 3); got != c.sets || !slices.Equal(of, c.of) {
			t.Errorf("mode %b: %d sets, %v, want %d, %v", c.mode, got, of, c.sets, c.of)
		}
		if c.mode.Sets(0, 3)*c.mode.Sets(2, 0) != 0 {
			t.Errorf("mode %b: sets without queries", c.mode)
		}
	}
}

func TestSelectRefuses(t *testing.T) {
	impl := kernels.Implementations()[0]
	for _, c := range []struct {
		b    BlockScores
		k    int
		want string
	}{
		{BlockScores{Tokens: -1, Heads: 1, Blocks: 1, Stride: 1, Scale: 1}, 1, "tokens"},
		{BlockScores{Tokens: 1, Heads: 1, Blocks: 1, Stride: 1, Scale: 1, Scores: make([]float32, 1)}, -1, "-1 of 1 blocks"},
		{BlockScores{Tokens: 1, Heads: 1, Blocks: 2, Stride: 1, Scale: 1, Scores: make([]float32, 2)}, 1, "apart"},
		{BlockScores{Tokens: 2, Heads: 3, Blocks: 4, Stride: 5, Scale: 1, Scores: make([]float32, 28)}, 1, "28 scores"},
		{BlockScores{Tokens: 1, Heads: 1, Blocks: 4, Stride: 5, Scale: 1, Scores: make([]float32, 3)}, 1, "3 scores"},
		{BlockScores{Tokens: 1, Heads: 1, Blocks: 1, Stride: 1, Scores: make([]float32, 1)}, 1, "multiplied"},
		{BlockScores{Tokens: 1, Heads: 1, Blocks: 1, Stride: 1, Scale: nan, Scores: make([]float32, 1)}, 1, "multiplied"},
	} {
		if _, err := new(Selector).Select(impl, nil, &c.b, c.k, MaxOverHeads); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want an error about %q", c.b, err, c.want)
		}
	}
	for _, b := range []BlockScores{
		{Tokens: 2, Heads: 3, Blocks: 4, Stride: 5, Scale: 1, Scores: make([]float32, 29)},
		{Tokens: 2, Heads: 3, Scale: 1}, {Tokens: 0, Heads: 3, Blocks: 2, Stride: 2, Scale: 1}, {Scale: 1},
	} {
		for _, mode := range modes {
			if _, err := new(Selector).Select(impl, nil, &b, 2, mode); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSelectDoesNotAllocate(t *testing.T) {
	b := &BlockScores{Scores: randoms(rand.New(rand.NewPCG(1, 2)), 6*1000), Tokens: 2, Heads: 3, Blocks: 1000, Stride: 1000, Scale: 1}
	for _, impl := range kernels.Implementations() {
		var s Selector
		dst := make([]int32, 0, 6*32)
		for _, mode := range modes {
			work := func() {
				if _, err := s.Select(impl, dst, b, 32, mode); err != nil {
					t.Fatal(err)
				}
			}
			work()
			if n := testing.AllocsPerRun(10, work); n != 0 {
				t.Errorf("%s, mode %b: %v allocations", impl.Name, mode, n)
			}
		}
	}
}
