package attention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// TestGroupedBackwardIsTheChain is the training form's backward identity: within each softmax a score's gradient is p·(g − Σ p·g),
// where the g of a landmark in the outer one is Σ a·g over its block, and its block has the outer weight of it on top. Scores are such
// that differences of the equations, which hold it otherwise, would see nothing but rounding.
func TestGroupedBackwardIsTheChain(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for name, landmark := range layouts {
			for _, spread := range []float32{1, 8, 30} {
				n := len(landmark)
				rng := rand.New(rand.NewPCG(uint64(n), 22))
				scores, loss := randoms(rng, n*n), randoms(rng, n*n)
				multiply(scores, spread)
				d := slices.Clone(loss)
				groups := NewGroups(landmark)
				if err := GroupedBackward(impl, d, weightsOf(t, impl, scores, landmark), groups, NewGroupedScratch(new(kernels.Scratch))); err != nil {
					t.Fatal(err)
				}
				weights := equations(wide(scores, n), landmark)
				for i := range n {
					want := chained(weights[i], wide(loss[i*n:(i+1)*n], n)[0], groups, i)
					what := fmt.Sprintf("%s, %s, scores ±%v, query %d", impl.Name, name, spread, i)
					sums := map[int]float64{} // of a softmax's gradients: scores that all grow by the same change nothing
					for j := range n {
						got := float64(d[i*n+j])
						if !near(got, want[j], 4e-6) {
							t.Fatalf("%s: gradient %d is %v, want %v", what, j, got, want[j])
						}
						if group := groups.Landmark(j); landmark[j] || group == groups.Landmark(i) {
							sums[-1] += got
						} else {
							sums[group] += got
						}
					}
					for group, sum := range sums {
						if !near(sum, 0, 1e-5) {
							t.Fatalf("%s: gradients of softmax %d add up to %v", what, group, sum)
						}
					}
				}
			}
		}
	}
}

// chained are the gradients of query i's scores, from its weights and the loss's gradients by them.
func chained(w, g []float64, groups *Groups, i int) []float64 {
	own := groups.Landmark(i)
	gates, sums := map[int]float64{}, map[int]float64{} // of the blocks before: Σ w, Σ w·g
	total := 0.
	for j := range i + 1 {
		total += w[j] * g[j]
		if p := groups.Landmark(j); p != own && j != p {
			gates[p] += w[j]
			sums[p] += w[j] * g[j]
		}
	}
	d := make([]float64, len(w))
	for j := range i + 1 {
		switch p := groups.Landmark(j); {
		case p == own && j != p:
			d[j] = w[j] * (g[j] - total)
		case p == own:
		case j == p:
			d[j] = sums[p] - gates[p]*total // gate·(Σ a·g − Σ over all)
		case gates[p] > 0:
			d[j] = w[j] * (g[j] - sums[p]/gates[p])
		}
	}
	return d
}
