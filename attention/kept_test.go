package attention

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// Weights from scores that attention kept are those that are worked out anew, bit for bit, and keeping them changes nothing.
func TestKeptScores(t *testing.T) {
	const heads, keyDim, valueDim = 3, 16, 8
	for _, impl := range kernels.Implementations() {
		for _, rows := range []int{1, 15, 16, 130, 400} {
			for _, p := range []*Params{{Scale: 0.3}, {Scale: 0.3, Softcap: 5}, {Scale: 0.3, Window: 40}} {
				rng := rand.New(rand.NewPCG(uint64(rows), 1))
				positions := make([]int32, rows)
				for i := range positions {
					positions[i] = int32(3 * i)
				}
				c, _, _ := filled(t, rng, positions, keyDim, valueDim)
				view := c.View(0, 0)
				at := positions[max(0, rows-2):]
				q, out, again := randoms(rng, 2*heads*keyDim), make([]float32, 2*heads*valueDim), make([]float32, 2*heads*valueDim)
				s := NewScratch(new(kernels.Scratch))
				plain, keeping := queries(q, out, heads, keyDim, valueDim, at...), queries(q, again, heads, keyDim, valueDim, at...)
				keeping.KeptStride = kernels.WholeGroups(rows) + 7
				keeping.Kept = make([]float32, len(at)*heads*keeping.KeptStride)
				Full(impl, plain, &view, p, s)
				Full(impl, keeping, &view, p, s)
				if !slices.Equal(out, again) {
					t.Fatalf("%s, %d rows: keeping scores changes attention", impl.Name, rows)
				}
				for _, limit := range []int{-1, rows / 2} {
					var want, got [][]float32
					Weights(impl, plain, &view, limit, p, s, func(_, _ int, w []float32) { want = append(want, slices.Clone(w)) })
					kept := *keeping
					kept.Kept = slices.Clone(keeping.Kept)
					Weights(impl, &kept, &view, limit, p, s, func(_, _ int, w []float32) { got = append(got, slices.Clone(w)) })
					if !slices.EqualFunc(want, got, slices.Equal[[]float32]) {
						t.Fatalf("%s, %d rows, limit %d, %+v: other weights", impl.Name, rows, limit, *p)
					}
				}
			}
		}
	}
}
