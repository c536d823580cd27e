package cluster

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// BenchmarkKMeans times the clustering of a segment of keys without any structure, which takes all iterations, in rows per
// second, and what each part of an iteration takes.
func BenchmarkKMeans(b *testing.B) {
	for _, impl := range kernels.Implementations() {
		for _, dim := range []int{64, 128} {
			for _, n := range []int{1024, 8192} {
				if impl.Name == "generic" && (n > 1024 || dim > 64) {
					continue // seconds
				}
				rng := rand.New(rand.NewPCG(7, 1))
				keys := grouped(planted(rng, n, dim, 1, 1))
				s := NewScratch(new(kernels.Scratch))
				if _, err := s.KMeans(impl, keys, n, dim, Count(n)); err != nil {
					b.Fatal(err)
				}
				name := fmt.Sprintf("%s/%dx%d", impl.Name, n, dim)
				perRow := func(b *testing.B) {
					b.Helper()
					b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
				}
				b.Run(name+"/all", func(b *testing.B) {
					for b.Loop() {
						if _, err := s.KMeans(impl, keys, n, dim, Count(n)); err != nil {
							b.Fatal(err)
						}
					}
					perRow(b)
				})
				if impl != kernels.Implementations()[len(kernels.Implementations())-1] || n > 1024 {
					continue
				}
				s.load(impl, keys, n, dim)
				s.room(n, dim, Count(n))
				s.assign(impl, dim)
				s.update(impl, dim)
				for _, part := range []struct {
					name string
					do   func()
				}{
					{"load", func() { s.load(impl, keys, n, dim) }},
					{"assign", func() { s.assign(impl, dim) }},
					{"scores", func() {
						for first := 0; first < n; first += tileRows {
							m := min(tileRows, n-first)
							impl.Scores(s.scores, Count(n), s.rows[first*dim:(first+m)*dim], dim, s.groups, quant.F32, Count(n), nil, s.kernels)
						}
					}},
					{"update", func() { s.update(impl, dim) }},
				} {
					b.Run(name+"/"+part.name, func(b *testing.B) {
						for b.Loop() {
							part.do()
						}
						perRow(b)
					})
				}
			}
		}
	}
}
