package attention

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// BenchmarkTop chooses blocks for one query whose scores are normal, or grow with the number of the block as they do
// where all that is new beats what is old, or with its age.
func BenchmarkTop(b *testing.B) {
	for _, order := range []string{"random", "newer", "older"} {
		for _, n := range []int{256, 1024, 4096, 16384} {
			for _, k := range []int{32, 128} {
				b.Run(fmt.Sprintf("%s/n=%d/k=%d", order, n, k), func(b *testing.B) {
					rng := rand.New(rand.NewPCG(1, 9))
					scores := make([][]float32, 16)
					for i := range scores {
						scores[i] = randoms(rng, n)
						for j := range scores[i] {
							switch order {
							case "newer":
								scores[i][j] += float32(j)
							case "older":
								scores[i][j] -= float32(j)
							}
						}
					}
					var s Selector
					dst := make([]int32, 0, k)
					i := 0
					for b.Loop() {
						s.Top(dst, scores[i%len(scores)], k)
						i++
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
				})
			}
		}
	}
}

// BenchmarkSelect chooses blocks that queries share.
func BenchmarkSelect(b *testing.B) {
	const n, k = 4096, 32
	for _, impl := range kernels.Implementations() {
		for _, queries := range []int{4, 48} {
			for name, mode := range map[string]Sharing{"max": MaxOverHeads, "sum": SumOfSoftmax} {
				b.Run(fmt.Sprintf("%s/%s/queries=%d/n=%d/k=%d", impl.Name, name, queries, n, k), func(b *testing.B) {
					scores := &BlockScores{Scores: randoms(rand.New(rand.NewPCG(1, 9)), queries*n), Tokens: 1, Heads: queries, Blocks: n, Stride: n, Scale: 1}
					var s Selector
					dst := make([]int32, 0, k)
					for b.Loop() {
						if _, err := s.Select(impl, dst, scores, k, mode); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n*queries), "ns/element")
				})
			}
		}
	}
}
