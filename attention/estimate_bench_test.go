package attention

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// BenchmarkEstimate times the estimation of a thousand clusters, whose scores are known, for the four heads of one row and of
// twelve, in clusters per second.
func BenchmarkEstimate(b *testing.B) {
	const dim, heads, clusters = 64, 4, 1000
	for _, impl := range kernels.Implementations() {
		for _, rows := range []int{1, 12} {
			b.Run(fmt.Sprintf("%s/rows=%d", impl.Name, rows), func(b *testing.B) {
				rng, c := rand.New(rand.NewPCG(1, 32)), new(clustered)
				c.centroids, c.means, c.sizes = many(rng, clusters, dim), many(rng, clusters, dim), make([]int32, clusters)
				for j := range c.sizes {
					c.sizes[j] = int32(1 + rng.IntN(40))
				}
				at := numbers(rows)
				q, s := queries(randoms(rng, rows*heads*dim), nil, heads, dim, dim, at...), NewScratch(new(kernels.Scratch))
				e, p := c.estimation(b, impl, quant.F16, q, numbers(clusters), s), &Params{Scale: .125}
				to := emptyPartial(rows*heads, dim)
				for b.Loop() {
					to.Estimate(impl, e, p, s)
				}
				b.ReportMetric(clusters*float64(b.N)/b.Elapsed().Seconds(), "clusters/s")
			})
		}
	}
}
