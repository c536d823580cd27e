package attention

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// Attention over the rows that are left is attention over all of them in which the dropped ones are masked, also for rows
// that came later, and for a head that has none left of the old.
func TestRaggedIsMasked(t *testing.T) {
	const heads, keyDim, valueDim, had, later = 2, 16, 24, 300, 5
	p := &Params{Scale: 0.3}
	for _, impl := range kernels.Implementations() {
		for _, one := range []int{1, 2, 3, 7, had} { // of so many rows stays
			rng := rand.New(rand.NewPCG(uint64(one), 5))
			positions := make([]int32, had)
			for i := range positions {
				positions[i] = int32(2 * i)
			}
			c, keys, values := filled(t, rng, positions, keyDim, valueDim)
			var keep []int32
			for i := range int32(had) {
				if one < had && int(i)%one == one/2 {
					keep = append(keep, i)
				}
			}
			if err := c.Keep(0, 0, keep); err != nil {
				t.Fatal(err)
			}
			c.Evicted()
			var left []int32
			var leftKeys, leftValues [][]float32
			for _, i := range keep {
				left, leftKeys, leftValues = append(left, positions[i]), append(leftKeys, keys[i]), append(leftValues, values[i])
			}
			var asks []int32
			for i := range later {
				pos := int32(2*had + 3*i)
				first, err := c.Append([]int32{pos})
				if err != nil {
					t.Fatal(err)
				}
				key, value := randoms(rng, keyDim), randoms(rng, valueDim)
				if err := c.Put(0, 0, first, stored(t, key), stored(t, value)); err != nil {
					t.Fatal(err)
				}
				left, leftKeys, leftValues, asks = append(left, pos), append(leftKeys, key), append(leftValues, value), append(asks, pos)
			}
			q, out := randoms(rng, later*heads*keyDim), make([]float32, later*heads*valueDim)
			view := c.View(0, 0)
			Full(impl, queries(q, out, heads, keyDim, valueDim, asks...), &view, p, NewScratch(new(kernels.Scratch)))
			for i, pos := range asks {
				for h := range heads {
					at := i*heads + h
					want := twoPass(q[at*keyDim:(at+1)*keyDim], leftKeys, leftValues, left, pos, p)
					for j, w := range want {
						if d := math.Abs(float64(out[at*valueDim+j]) - w); d > 1e-5 {
							t.Fatalf("%s, one of %d rows left, query %d, head %d: %v, want %v", impl.Name, one, i, h, out[at*valueDim+j], w)
						}
					}
				}
			}
		}
	}
}
