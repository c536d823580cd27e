package neural

import (
	"fmt"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// BenchmarkAdvance reads a text of 512 rows with a head of 64, in blocks and token by token.
func BenchmarkAdvance(b *testing.B) {
	const n = 512
	for _, c := range []Config{
		{Depth: 1, Chunk: 1, Momentum: true}, {Depth: 1, Chunk: 16, Momentum: true, Convolution: 4}, {Depth: 1, Chunk: 64, Momentum: true, Convolution: 4},
		{Depth: 1, Chunk: 16, Momentum: true, ReadAfter: true}, {Depth: 2, Expansion: 4, Chunk: 16, Momentum: true},
	} {
		c.Heads, c.Dim, c.MostStep, c.MostMomentum, c.NormEpsilon = 1, 64, .1, .9, 1e-5
		w := Weights{Norm: make([]float32, c.Dim), Convolution: make([]float32, parts*c.Dim*c.Convolution)}
		for i := range c.Depth {
			w.Initial = append(w.Initial, make([]float32, c.Width(i)*c.Width(i-1)))
		}
		m, err := New(c, w)
		if err != nil {
			b.Fatal(err)
		}
		x := make([]float32, n*c.Dim)
		for i := range x {
			x[i] = float32(i*i%17) - 8
		}
		rows, out := Rows{Q: x, K: x, V: x, Gates: x, Out: x}, make([]float32, n*c.Dim)
		pick := make([]int32, n)
		for i := range pick {
			pick[i] = int32(i)
		}
		for _, impl := range kernels.Implementations() {
			s := NewScratch(impl, new(kernels.Scratch))
			for _, block := range []int{1, n} {
				b.Run(fmt.Sprintf("depth=%d/chunk=%d/after=%v/%s/block=%d", c.Depth, c.Chunk, c.ReadAfter, impl.Name, block), func(b *testing.B) {
					st := m.NewState()
					for b.Loop() {
						st.Reset()
						for at := 0; at < n; at += block {
							if err := m.Advance(s, st, 0, rows, pick[at:at+block], out); err != nil {
								b.Fatal(err)
							}
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/token")
				})
			}
		}
	}
}
