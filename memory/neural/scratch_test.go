package neural

import (
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

func TestScratchValues(t *testing.T) {
	for name, c := range shapes {
		for _, n := range []int{1, 3, 60} {
			m, _, rows := random(t, c, n)
			s := NewScratch(kernels.Implementations()[0], new(kernels.Scratch))
			st, out := m.NewState(), make([]float32, n*m.Heads*m.Dim)
			for range m.Chunk {
				advance(m, s, st, rows, 0, n, out)
			}
			got := cap(s.both) + cap(s.scaled) + cap(s.first) + cap(s.similar) + cap(s.sigmas) + cap(s.tapped) + cap(s.ones) + cap(s.raw) + cap(s.read) +
				3*cap(s.gates) + mixValues*cap(s.mixes) + cap(s.factors)
			for _, list := range [][][]float32{s.layers, s.inner, s.lengths, s.parts[:]} {
				for _, x := range list {
					got += cap(x)
				}
			}
			if want := m.ScratchValues(n); got > want || 3*got < 2*want {
				t.Errorf("%s: %d values for %d rows, want at most %d", name, got, n, want)
			}
		}
	}
}
