package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// TestAdd has queries attend to rows in three views, one after the other, which is to be attention to all of them; a query that saw
// nothing of the first is among them. The same bits come of a row alone.
func TestAdd(t *testing.T) {
	const heads, keyDim, valueDim, n = 3, 8, 7, 60
	for _, impl := range kernels.Implementations() {
		for seed := range uint64(10) {
			rng := rand.New(rand.NewPCG(seed, 5))
			p := &Params{Scale: 1.5}
			if seed%3 == 1 {
				p.Softcap = 2
			}
			var of [3][]int32
			for at := range int32(n) {
				i := rng.IntN(3)
				if at < 20 {
					i = 1 + rng.IntN(2)
				}
				of[i] = append(of[i], at)
			}
			var keys, values [][]float32
			var positions []int32
			s := NewScratch(new(kernels.Scratch))
			ask := []int32{2, 30, 31, 59}
			q, out, sums := randoms(rng, len(ask)*heads*keyDim), make([]float32, len(ask)*heads*valueDim), make([]float32, 2*len(ask)*heads)
			all := queries(q, out, heads, keyDim, valueDim, ask...)
			all.Sums, all.SumsStride = sums, 2*heads
			one := queries(q[heads*keyDim:], make([]float32, heads*valueDim), heads, keyDim, valueDim, ask[1])
			one.Sums, one.SumsStride = make([]float32, 2*heads), 2*heads
			for i := range of {
				c, k, v := filled(t, rng, of[i], keyDim, valueDim)
				keys, values, positions = append(keys, k...), append(values, v...), append(positions, of[i]...)
				view := c.View(0, 0)
				attend := Add
				if i == 0 {
					attend = Full
				}
				attend(impl, all, &view, p, s)
				attend(impl, one, &view, p, s)
				identical(t, fmt.Sprint(impl.Name, ": alone"), one.Out, out[heads*valueDim:2*heads*valueDim])
			}
			for i, pos := range ask {
				for h := range heads {
					want := twoPass(q[(i*heads+h)*keyDim:][:keyDim], keys, values, positions, pos, p)
					for j, w := range want {
						if got := float64(out[(i*heads+h)*valueDim+j]); !(math.Abs(got-w) < 2e-5) {
							t.Fatalf("%s, seed %d, query at %d, head %d: %g, want %g", impl.Name, seed, pos, h, got, w)
						}
					}
				}
			}
		}
	}
}
