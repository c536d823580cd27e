package neural

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// TestRetrieve is equation 21 against the naive memory: what is retrieved does not know of its chunk's rows, and comes to the same
// however the text is cut, saved, copied and taken back.
func TestRetrieve(t *testing.T) {
	onEachImplementation(t, func(t *testing.T, impl *kernels.Implementation) {
		const n = 33
		for _, c := range []Config{
			shapes["retrieving"], {Depth: 2, Expansion: 2, Chunk: 7, Momentum: true, UnitHidden: true, LayerSteps: true, MostError: .1, DecayToInitial: true, Retrieving: true},
			{Depth: 1, Chunk: 1, Momentum: true, Retrieving: true}, {Depth: 1, Chunk: 5, ReadAfter: true, Convolution: 4, SiLU: true, Retrieving: true},
		} {
			m, w, rows := random(t, c, n)
			asked := Rows{Q: slices.Clone(rows.V), Out: slices.Clone(rows.K)}
			s := NewScratch(impl, new(kernels.Scratch))
			width := m.Heads * m.Dim
			read := func(st *State, from, to int, found, out []float32) {
				var pick []int32
				for r := from; r < to; r++ {
					pick = append(pick, int32(r))
				}
				for h := range m.Heads {
					if err := m.Retrieve(s, st, h, asked, pick, found); err != nil {
						t.Fatal(err)
					}
					if err := m.Advance(s, st, h, rows, pick, out); err != nil {
						t.Fatal(err)
					}
				}
			}
			want, wantOut := make([]float32, n*width), make([]float32, n*width)
			whole := m.NewState()
			reference := newNaive(m.Config, w)
			for at := 0; at < n; at += m.Chunk {
				end := min(n, at+m.Chunk)
				read(whole, at, end, want, wantOut)
				for r := at; r < end; r++ {
					for i, v := range reference.retrieve(asked, r) {
						if d := math.Abs(float64(want[r*width+i]) - v); !(d <= naiveTolerance) {
							t.Fatalf("row %d, value %d: %g, want %g", r, i, want[r*width+i], v)
						}
					}
					for i, v := range reference.step(rows, r) {
						if d := math.Abs(float64(wantOut[r*width+i]) - v); !(d <= naiveTolerance) {
							t.Fatalf("row %d, read %d: %g, want %g", r, i, wantOut[r*width+i], v)
						}
					}
				}
			}
			found, out := make([]float32, n*width), make([]float32, n*width)
			st, rng := m.NewState(), rand.New(rand.NewPCG(1, 2))
			for at := 0; at < n; {
				end := min(n, at+1+rng.IntN(m.Chunk), (at/m.Chunk+1)*m.Chunk)
				st.Hold()
				read(st, at, end, found, out)
				st.Revert()
				read(st, at, end, found, out)
				saved := st.Save(nil)
				st = m.NewState()
				if err := st.Restore(saved, end); err != nil {
					t.Fatal(err)
				}
				st = st.Clone().(*State)
				at = end
			}
			if !slices.Equal(found, want) || !slices.Equal(out, wantOut) || !bytes.Equal(st.Save(nil), whole.Save(nil)) {
				t.Errorf("chunks of %d: in pieces something else is read", m.Chunk)
			}
		}
	})
}
