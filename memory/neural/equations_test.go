package neural

import (
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// tried is a head by itself, given keys and values as they are.
type tried struct {
	*Memory
	s *Scratch
	x *head
}

// try makes a memory of one head with the given weights of each layer.
func try(t *testing.T, impl *kernels.Implementation, c Config, initial ...[]float32) tried {
	t.Helper()
	c.Heads, c.MostStep = 1, 1
	norm := make([]float32, c.Dim)
	m, err := New(c, Weights{Initial: initial, Norm: norm})
	if err != nil {
		t.Fatal(err)
	}
	return tried{m, NewScratch(impl, new(kernels.Scratch)), &m.NewState().heads[0]}
}

// write has the head learn from one token.
func (x tried) write(k, v []float32, g gate) {
	x.advance(x.s, false, x.x, k, k, v, []gate{g}, make([]float32, x.Dim))
}

// matrix is the weights or the momentum of a layer as equations have them, [out, in].
func (x tried) matrix(of func(m *Memory, layer int) []float32, layer int) []float32 {
	return transposed(of(x.Memory, layer), x.Width(layer-1), x.Width(layer))
}

func (x tried) readAt(q ...float32) []float32 {
	y := make([]float32, x.Dim)
	x.read(x.s, x.x, y, q, 1)
	return y
}

func near(t *testing.T, what string, got []float32, tolerance float64, want ...float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
	for i, v := range got {
		if !(math.Abs(float64(v)-want[i]) <= tolerance) {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// The vectors that the equations were worked out on by hand.
var (
	goldenKeys   = [][]float32{{1, 0}, {.6, .8}, {0, 1}}
	goldenValues = [][]float32{{1, 2}, {0, 1}, {-1, .5}}
	goldenGates  = []gate{{.5, 0, 0}, {.25, .5, .1}, {.5, .9, .2}}
)

const handTolerance = 2e-6

func onEachImplementation(t *testing.T, test func(t *testing.T, impl *kernels.Implementation)) {
	for _, impl := range kernels.Implementations() {
		t.Run(impl.Name, func(t *testing.T) { test(t, impl) })
	}
}

func TestGoldenLinear(t *testing.T) {
	onEachImplementation(t, func(t *testing.T, impl *kernels.Implementation) {
		x := try(t, impl, Config{Dim: 2, Depth: 1, Chunk: 1, Momentum: true, MostMomentum: 1}, make([]float32, 4))
		for i, want := range [][]float64{{.5, 0, 1, 0}, {.655, -.06, 1.46, .08}, {.7085, -.572, 1.672, .346}} {
			x.write(goldenKeys[i], goldenValues[i], goldenGates[i])
			near(t, "M", x.matrix(x.x.weights, 0), handTolerance, want...)
		}
		near(t, "S", x.matrix(x.x.momentumOf, 0), handTolerance, .1845, -.524, .504, .282)
		near(t, "read (1, 1)", x.readAt(1, 1), handTolerance, .1365, 2.018)
		near(t, "read (.6, .8)", x.readAt(.6, .8), handTolerance, -.0325, 1.28)

		x = try(t, impl, Config{Dim: 2, Depth: 1, Chunk: 3, Momentum: true, MostMomentum: 1}, make([]float32, 4))
		for i := range goldenKeys {
			x.write(goldenKeys[i], goldenValues[i], goldenGates[i])
		}
		near(t, "M of a chunk", x.matrix(x.x.weights, 0), handTolerance, .785, -.5, 1.825, .59)
		near(t, "S of a chunk", x.matrix(x.x.momentumOf, 0), handTolerance, .225, -.5, .585, .43)
		near(t, "read (1, 1) of a chunk", x.readAt(1, 1), handTolerance, .285, 2.415)

		for _, momentum := range []bool{false, true} { // η = 0 either way
			for _, c := range []struct {
				chunk   int
				decay   bool
				initial []float32
				want    []float64
			}{
				{1, false, make([]float32, 4), []float64{.455, -.53, 1.06, .29}},
				{1, true, make([]float32, 4), []float64{.324, -.518, .768, .274}},
				{3, true, []float32{.2, -.1, .3, .4}, []float64{.4272, -.5284, .888, .418}}, // equation 16
			} {
				x := try(t, impl, Config{Dim: 2, Depth: 1, Chunk: c.chunk, Momentum: momentum}, c.initial)
				for i, g := range goldenGates {
					g.momentum = 0
					if !c.decay {
						g.decay = 0
					}
					x.write(goldenKeys[i], goldenValues[i], g)
				}
				near(t, "M without momentum", x.matrix(x.x.weights, 0), handTolerance, c.want...)
			}
		}
	})
}

func TestGoldenMLP(t *testing.T) {
	onEachImplementation(t, func(t *testing.T, impl *kernels.Implementation) {
		c := Config{Dim: 2, Depth: 2, Expansion: 1, Chunk: 1, Momentum: true, FullLoss: true}
		x := try(t, impl, c, []float32{.5, -.3, .2, .4}, []float32{1, .1, -.2, .6})
		k, v := []float32{.6, .8}, []float32{1, -1}
		loss := func() float64 {
			y := wide(x.readAt(k...))
			return (y[0]-1)*(y[0]-1) + (y[1]+1)*(y[1]+1)
		}
		near(t, "read", x.readAt(k...), handTolerance, .057663, .154400)
		near(t, "loss", []float32{float32(loss())}, handTolerance, 2.220639)
		x.observe(x.s, x.x, k, v, nil, nil, 1)
		near(t, "G_1", x.gradient(0, 0), handTolerance, -.746141, -.994854, .512070, .682760)
		near(t, "G_2", x.gradient(0, 1), handTolerance, -.058236, -.504403, .071341, .617914)
		x.write(k, v, gate{step: .1, decay: .01})
		near(t, "W_1", x.matrix(x.x.weights, 0), handTolerance, .569614, -.197515, .146793, .327724)
		near(t, "W_2", x.matrix(x.x.weights, 1), handTolerance, .995824, .149440, -.205134, .532209)
		near(t, "loss after", []float32{float32(loss())}, handTolerance, 1.941341)
		near(t, "read (0, 1)", x.readAt(0, 1), handTolerance, -.060199, .119637)
	})
}

// gradient is that of a token of the chunk by the weights of a layer.
func (x tried) gradient(token, layer int) []float32 {
	in, out := x.Width(layer-1), x.Width(layer)
	var g []float32
	for _, e := range x.x.errors(x.Memory, layer)[token*out:][:out] {
		for _, h := range x.x.inputs(x.Memory, layer)[token*in:][:in] {
			g = append(g, e*h)
		}
	}
	return g
}

// TestGradientsAreDifferences is I9: it compares gradients with differences of the loss.
func TestGradientsAreDifferences(t *testing.T) {
	for depth := 1; depth <= 5; depth++ {
		for i := range 4 {
			m, w, rows := random(t, Config{Depth: depth, Expansion: 2, Chunk: 3, FullLoss: i%2 == 1, UnitHidden: i >= 2}, 3)
			for _, impl := range kernels.Implementations() {
				x := tried{m, NewScratch(impl, new(kernels.Scratch)), &m.NewState().heads[0]}
				x.observe(x.s, x.x, rows.K[:3*m.Dim], rows.V[:3*m.Dim], nil, nil, 3)
				reference := newNaive(m.Config, w).heads[0].weights
				for token := range 3 {
					k, v := wide(rows.K[token*m.Dim:][:m.Dim]), wide(rows.V[token*m.Dim:][:m.Dim])
					for layer, weights := range reference {
						g := x.gradient(token, layer)
						for i := 0; i < len(weights); i += 7 {
							const h = 1e-5
							at := weights[i]
							weights[i] = at + h
							up := m.loss(reference, k, v)
							weights[i] = at - h
							down := m.loss(reference, k, v)
							weights[i] = at
							if want := (up - down) / (2 * h); !(math.Abs(float64(g[i])-want) <= 2e-5*(1+math.Abs(want))) {
								t.Fatalf("%s, depth %d, token %d, layer %d, weight %d: %g, want %g", impl.Name, depth, token, layer, i, g[i], want)
							}
						}
					}
				}
			}
		}
	}
}

// TestScan is I7, the scalar recurrence of momentum and weights, with a momentum and weights to begin with.
func TestScan(t *testing.T) {
	m, err := New(Config{Heads: 1, Dim: 1, Depth: 1, Chunk: 8, Momentum: true, MostStep: 1, MostMomentum: 1}, Weights{Initial: [][]float32{{1}}, Norm: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	x := &m.NewState().heads[0]
	surprise := []float32{1, -2, .5, 3}
	gates := []gate{{.1, .9, .1}, {.2, .5, .2}, {.3, 0, 0}, {.4, .8, .5}}
	var s, w []float32
	for i, g := range gates {
		m.weigh(x, g)
		carried := x.carried(m)
		momentum := carried[momentumInMomentum] * .25
		weight := carried[weightsInWeights] + carried[momentumInWeights]*.25
		for j := range i + 1 {
			momentum -= x.values[m.inMomentum+j] * surprise[j]
			weight -= x.values[m.inWeights+j] * surprise[j]
		}
		s, w = append(s, momentum), append(w, weight)
	}
	near(t, "S", s, handTolerance, .125, .4625, -.15, -1.32)
	near(t, "M", w, handTolerance, 1.025, 1.2825, 1.1325, -.75375)
}

// TestGates is I1 and I5: it holds what steps, momentum and decay of nothing, or of all, do to every kind of memory.
func TestGates(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		m, w, rows := random(t, c, 64)
		x := tried{m, s, &m.NewState().heads[0]}
		write := func(r int, g gate) { x.write(rows.K[r*m.Dim:][:m.Dim], rows.V[r*m.Dim:][:m.Dim], g) }
		chunk := func(g gate) {
			for r := range m.Chunk {
				write(r, g)
			}
		}
		chunk(gate{})
		for i := range m.Depth {
			if n := m.Width(i) * m.Width(i-1); !slices.Equal(x.matrix(x.x.weights, i), w.Initial[i][:n]) {
				t.Fatalf("layer %d: no step and no decay, and the weights changed", i)
			}
		}
		chunk(gate{decay: .25})
		for i := range m.Depth {
			keep := math.Pow(.75, float64(m.Chunk))
			for j, v := range x.matrix(x.x.weights, i) {
				want := keep * float64(w.Initial[i][j])
				if m.DecayToInitial {
					want = float64(w.Initial[i][j])
				}
				if math.Abs(float64(v)-want) > 1e-6 {
					t.Fatalf("layer %d: decay to %g of %g", i, v, w.Initial[i][j])
				}
			}
		}
		if !m.Momentum {
			return
		}
		// After a decay of 1 nothing is left but the momentum.
		for r := range m.Chunk {
			write(r, gate{step: .01, momentum: .5, decay: float32(r+1) / float32(m.Chunk)})
		}
		for i := range m.Depth {
			for j, v := range x.matrix(x.x.weights, i) {
				d := v - x.matrix(x.x.momentumOf, i)[j]
				if m.DecayToInitial { // but for what it decayed to
					d -= w.Initial[i][j]
				}
				if !(math.Abs(float64(d)) <= 2e-7) {
					t.Fatalf("layer %d: weight %g, momentum %g", i, v, x.matrix(x.x.momentumOf, i)[j])
				}
			}
		}
	})
}

// TestRecall is I4 and I13: it writes orthogonal keys with steps of 1: each is read back as it was written, and the delta rule replaces one.
func TestRecall(t *testing.T) {
	onEachImplementation(t, func(t *testing.T, impl *kernels.Implementation) {
		const dim = 16
		x := try(t, impl, Config{Dim: dim, Depth: 1, Chunk: 1, Momentum: true}, make([]float32, dim*dim))
		unit := func(i int) []float32 {
			k := make([]float32, dim)
			k[i] = 1
			return k
		}
		value := func(i int) []float32 {
			v := make([]float32, dim)
			for j := range v {
				v[j] = float32(i*j%7) - 3
			}
			return v
		}
		for i := range dim {
			x.write(unit(i), value(i), gate{step: 1})
		}
		x.write(unit(3), value(dim+2), gate{step: 1})
		x.write(unit(5), value(9), gate{}) // masked
		for i := range dim {
			want := value(i)
			if i == 3 {
				want = value(dim + 2)
			}
			if got := x.readAt(unit(i)...); !slices.Equal(got, want) {
				t.Errorf("key %d: %v, want %v", i, got, want)
			}
		}
	})
}
