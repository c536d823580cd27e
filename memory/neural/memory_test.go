package neural

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// naiveTolerance is how far float32 may be from the naive memory, on numbers about 1, after some tens of tokens that learn from
// one another.
const naiveTolerance = 2e-4

// TestAgreesWithNaive is I6, and all equations together: chunks of one token are the sequential rule, longer ones have their gradients
// taken at the weights that they begin with.
func TestAgreesWithNaive(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 45
		m, w, rows := random(t, c, n)
		st, out := m.NewState(), make([]float32, n*m.Heads*m.Dim)
		advance(m, s, st, rows, 0, n, out)
		reference, worst := newNaive(m.Config, w), 0.0
		for r := range n {
			for i, want := range reference.step(rows, r) {
				d := math.Abs(float64(out[r*m.Heads*m.Dim+i]) - want)
				if !(d <= naiveTolerance) {
					t.Fatalf("row %d, value %d: %g, want %g", r, i, out[r*m.Heads*m.Dim+i], want)
				}
				worst = max(worst, d)
			}
		}
		t.Logf("largest difference %.2g", worst)
	})
}

// TestHoweverCut is I10 and I11: it reads a text in pieces, and goes on with restored and copied states between them.
func TestHoweverCut(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 61
		m, _, rows := random(t, c, n)
		want := make([]float32, n*m.Heads*m.Dim)
		whole := m.NewState()
		advance(m, s, whole, rows, 0, n, want)
		rng := rand.New(rand.NewPCG(3, 4))
		for _, most := range []int{1, 3, 20, 40} {
			st, got := m.NewState(), make([]float32, len(want))
			for at := 0; at < n; {
				next := min(n, at+1+rng.IntN(most))
				advance(m, s, st, rows, at, next, got)
				switch saved := st.Save(nil); rng.IntN(3) {
				case 0:
					st = m.NewState()
					if err := st.Restore(saved, next); err != nil {
						t.Fatal(err)
					}
				case 1:
					st = st.Clone().(*State)
				}
				at = next
			}
			if !slices.Equal(got, want) {
				t.Errorf("in pieces of up to %d rows: other values", most)
			}
			if !bytes.Equal(st.Save(nil), whole.Save(nil)) {
				t.Errorf("in pieces of up to %d rows: another state", most)
			}
		}
		if got := int64(len(whole.Save(nil))); got != m.SavedBytes() || whole.Bytes() != m.StateBytes() {
			t.Errorf("a state of %d bytes, %d when saved; want %d and %d", whole.Bytes(), got, m.StateBytes(), m.SavedBytes())
		}
	})
}

func TestRevert(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 40
		m, _, rows := random(t, c, n)
		out := make([]float32, n*m.Heads*m.Dim)
		for first := range 9 {
			for _, more := range []int{0, 1, 3, 30} {
				st := m.NewState()
				advance(m, s, st, rows, 0, first, out)
				before := st.Save(nil)
				st.Hold()
				advance(m, s, st, rows, first, first+more, out)
				after := st.Save(nil)
				st.Revert()
				if !bytes.Equal(st.Save(nil), before) {
					t.Fatalf("%d rows after %d are not taken back", more, first)
				}
				st.Hold()
				advance(m, s, st, rows, first, first+more, out)
				st.Release()
				st.Revert()
				if !bytes.Equal(st.Save(nil), after) {
					t.Fatalf("%d rows after %d, taken back and read again: another state", more, first)
				}
			}
		}
	})
}

// TestCausal is I14: it changes everything about a row, to small and to huge numbers: no row before it may notice.
func TestCausal(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 24
		m, _, rows := random(t, c, n)
		width := m.Heads * m.Dim
		want, got := make([]float32, n*width), make([]float32, n*width)
		advance(m, s, m.NewState(), rows, 0, n, want)
		for _, value := range []float32{5, 1e12} {
			for r := n - 1; r > 0; r -= 3 {
				other := Rows{Gates: slices.Clone(rows.Gates)}
				for _, part := range []struct {
					to   *[]float32
					from []float32
				}{{&other.Q, rows.Q}, {&other.K, rows.K}, {&other.V, rows.V}, {&other.Out, rows.Out}} {
					*part.to = slices.Clone(part.from)
					for i := range width {
						(*part.to)[r*width+i] += value * float32(i%3)
					}
				}
				other.Gates[r*3*m.Heads] = value
				advance(m, s, m.NewState(), other, 0, r+1, got)
				if !slices.Equal(got[:r*width], want[:r*width]) {
					t.Fatalf("rows before %d changed with it", r)
				}
				if slices.Equal(got[r*width:(r+1)*width], want[r*width:(r+1)*width]) {
					t.Fatalf("row %d did not change", r)
				}
			}
		}
	})
}

// TestSequencesAndHeadsAreTheirOwn advances two states over rows that alternate, and heads in another order.
func TestSequencesAndHeadsAreTheirOwn(t *testing.T) {
	m, _, rows := random(t, shapes["MLP, read after"], 30)
	s := NewScratch(kernels.Implementations()[0], new(kernels.Scratch))
	got, want := make([]float32, 30*m.Heads*m.Dim), make([]float32, 30*m.Heads*m.Dim)
	states, alone := []*State{m.NewState(), m.NewState()}, []*State{m.NewState(), m.NewState()}
	var picks [2][]int32
	for r := range int32(30) {
		picks[r%2] = append(picks[r%2], r)
	}
	for h := m.Heads - 1; h >= 0; h-- {
		for i, st := range states {
			if err := m.Advance(s, st, h, rows, picks[i], got); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, st := range alone {
		for h := range m.Heads {
			for _, r := range picks[i] {
				if err := m.Advance(s, st, h, rows, []int32{r}, want); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !bytes.Equal(st.Save(nil), states[i].Save(nil)) {
			t.Errorf("sequence %d: another state", i)
		}
	}
	if !slices.Equal(got, want) {
		t.Error("other values")
	}
}

func TestNoAllocation(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		m, _, rows := random(t, c, 64)
		out := make([]float32, 64*m.Heads*m.Dim)
		st := m.NewState()
		pick := make([]int32, 1)
		token := func() {
			st.Hold()
			for h := range m.Heads {
				if err := m.Advance(s, st, h, rows, pick, out); err != nil {
					t.Fatal(err)
				}
			}
			st.Release()
			pick[0] = (pick[0] + 1) % 64
		}
		for range 32 {
			token()
		}
		if n := testing.AllocsPerRun(64, token); n != 0 {
			t.Errorf("%v allocations for a token", n)
		}
	})
}

// TestZeroRows reads rows of nothing, whose keys and queries have no direction.
func TestZeroRows(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 20
		m, _, rows := random(t, c, n)
		clear(rows.Q)
		clear(rows.K)
		clear(rows.V)
		out := make([]float32, n*m.Heads*m.Dim)
		advance(m, s, m.NewState(), rows, 0, n, out)
		if slices.ContainsFunc(out, func(v float32) bool { return v != 0 }) {
			t.Error("something was read by queries of nothing")
		}
	})
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(c *Config, w *Weights){
		"no heads":        func(c *Config, w *Weights) { c.Heads = 0 },
		"negative width":  func(c *Config, w *Weights) { c.Dim = -1 },
		"no depth":        func(c *Config, w *Weights) { c.Depth = 0 },
		"no expansion":    func(c *Config, w *Weights) { c.Expansion = 0 },
		"no chunk":        func(c *Config, w *Weights) { c.Chunk = 0 },
		"long chunk":      func(c *Config, w *Weights) { c.Chunk = 1 << 30 },
		"too large":       func(c *Config, w *Weights) { c.Dim, c.Expansion = maxSize, maxSize },
		"many heads":      func(c *Config, w *Weights) { c.Heads, c.Dim = maxSize, 1<<10 },
		"convolution":     func(c *Config, w *Weights) { c.Convolution = -1 },
		"no step":         func(c *Config, w *Weights) { c.MostStep = 0 },
		"NaN of a step":   func(c *Config, w *Weights) { c.MostStep = float32(math.NaN()) },
		"momentum":        func(c *Config, w *Weights) { c.MostMomentum = 1.5 },
		"NaN of an error": func(c *Config, w *Weights) { c.MostError = float32(math.NaN()) },
		"no steps":        func(c *Config, w *Weights) { c.LayerSteps = true },
		"steps":           func(c *Config, w *Weights) { w.Steps = make([]float32, 2) },
		"epsilon":         func(c *Config, w *Weights) { c.NormEpsilon = -1 },
		"a layer less":    func(c *Config, w *Weights) { w.Initial = w.Initial[:1] },
		"fewer weights":   func(c *Config, w *Weights) { w.Initial[1] = w.Initial[1][1:] },
		"a shorter norm":  func(c *Config, w *Weights) { w.Norm = w.Norm[1:] },
		"taps of nothing": func(c *Config, w *Weights) { c.Convolution = 0 },
	} {
		m, w, _ := random(t, shapes["MLP, in chunks"], 1)
		c := m.Config
		change(&c, &w)
		if _, err := New(c, w); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
