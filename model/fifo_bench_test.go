package model

import (
	"fmt"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// BenchmarkFifoDepth is I12 by the clock: the tokens of a chunk one by one, and at once, after texts of different lengths. Whatever
// the length, a token is to take the same time.
func BenchmarkFifoDepth(b *testing.B) {
	shape := synthShape(b, "mneme-fifo-15m")
	shape.Vocab, shape.Fifo.Chunk, shape.Fifo.Window = 512, 64, 16
	m := modelOf(b, fileOf(b, shape, quant.Q8_0))
	r := newRunner(b, m, 1)
	for _, n := range []int{1, shape.Fifo.Chunk} {
		for _, depth := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("rows=%d/depth=%d", n, depth), func(b *testing.B) {
				s, err := m.NewSequence(SequenceOptions{Rows: quant.F16})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := r.Fill(s, depth, 512); err != nil {
					b.Fatal(err)
				}
				at := depth
				for b.Loop() {
					for range shape.Fifo.Chunk / n {
						var batch []Row
						for i := range n {
							batch = append(batch, Row{Token: int32(3 + (at+i)%500), Position: int32(at + i), Sequence: s, Logits: i == n-1})
						}
						if err := r.Forward(batch, nil, nil); err != nil {
							b.Fatal(err)
						}
						at += n
					}
				}
				b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*shape.Fifo.Chunk), "µs/token")
				b.ReportMetric(float64(s.Cache.PeakBytes()+s.MemoryBytes()), "bytes")
			})
		}
	}
}
