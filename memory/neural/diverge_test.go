package neural

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// TestDivergence has memories learn with steps that are far too large. As long as rows are read, what is saved can be restored; those
// that would leave anything that is not finite are refused, and can be taken back.
func TestDivergence(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 200
		m, _, rows := random(t, c, n)
		m.MostStep = 1e18
		st, out := m.NewState(), make([]float32, n*m.Heads*m.Dim)
		for r := range int32(n) {
			before := st.Save(nil)
			st.Hold()
			for h := range m.Heads {
				err := m.Advance(s, st, h, rows, []int32{r}, out)
				if err == nil {
					continue
				}
				if !errors.Is(err, ErrDiverged) {
					t.Fatal(err)
				}
				if st.Revert(); !bytes.Equal(st.Save(nil), before) {
					t.Errorf("row %d is not taken back", r)
				}
				return
			}
			st.Release()
			if err := m.NewState().Restore(st.Save(nil), int(r)+1); err != nil {
				t.Fatalf("after row %d: %v", r, err)
			}
		}
		if c.MostError == 0 { // which bounds how fast hidden layers grow
			t.Error("nothing diverged")
		}
	})
}

// Rows that are no numbers are refused, whichever part of them it is.
func TestRowsThatAreNotFinite(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		for name, of := range map[string]func(x *Rows) []float32{
			"queries": func(x *Rows) []float32 { return x.Q }, "keys": func(x *Rows) []float32 { return x.K },
			"values": func(x *Rows) []float32 { return x.V }, "gates": func(x *Rows) []float32 { return x.Gates },
		} {
			m, _, rows := random(t, c, 1)
			of(&rows)[0] = float32(math.NaN())
			if err := m.Advance(s, m.NewState(), 0, rows, []int32{0}, make([]float32, m.Heads*m.Dim)); !errors.Is(err, ErrDiverged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Values whose squares are not finite are still finite.
func TestLargeIsFinite(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		s := NewScratch(impl, new(kernels.Scratch))
		for _, n := range []int{1, 7, 16, 100} {
			x := make([]float32, n)
			for i := range x {
				x[i] = 0
				if !s.finite(x) {
					t.Errorf("%s: zeros", impl.Name)
				}
				for _, v := range []float32{math.MaxFloat32, -math.MaxFloat32} {
					if x[i] = v; !s.finite(x) {
						t.Errorf("%s: %v", impl.Name, v)
					}
				}
				for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
					if x[i] = float32(v); s.finite(x) {
						t.Errorf("%s: %v as value %d of %d", impl.Name, v, i, n)
					}
				}
				x[i] = 0
			}
		}
	}
}
