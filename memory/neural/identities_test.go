package neural

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// The identities that a neural memory has to keep go by the numbers I1 to I15. Those that are not in this file: I4 and I13, TestRecall;
// I5, TestGates; I6, TestAgreesWithNaive, whose reference works out the weights of every token; I7, TestScan; I9,
// TestGradientsAreDifferences; I10 and I11, TestHoweverCut; I14, TestCausal. I12 is one of models.

// randomVector has values about 1.
func randomVector(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// TestDeltaRule is I2 and I3: a linear memory without momentum is M(I − θ·k·kᵀ) + θ·v·kᵀ, and with a decay (1−α)·M − θ·(M·k − v)·kᵀ.
func TestDeltaRule(t *testing.T) {
	onEachImplementation(t, func(t *testing.T, impl *kernels.Implementation) {
		const dim = 9
		rng := rand.New(rand.NewPCG(4, 2))
		for _, most := range []float64{0, 1} {
			initial := randomVector(rng, dim*dim)
			x := try(t, impl, Config{Dim: dim, Depth: 1, Chunk: 1}, initial)
			want := wide(initial)
			for range 20 {
				k, v := randomVector(rng, dim), randomVector(rng, dim)
				normalize(x.s, k)
				g := gate{step: rng.Float32(), decay: float32(most * rng.Float64() / 4)}
				x.write(k, v, g)
				for r := range dim {
					row, product := want[r*dim:(r+1)*dim], 0.
					for i, w := range row {
						product += w * float64(k[i])
					}
					for i := range row {
						row[i] = (1-float64(g.decay))*row[i] - float64(g.step)*(product-float64(v[r]))*float64(k[i])
					}
				}
			}
			near(t, "M", x.matrix(x.x.weights, 0), 2e-5, want...)
		}
	})
}

// TestSurpriseDecays is I1: without steps, momentum only decays, and the weights take in what is left of it.
func TestSurpriseDecays(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		if !c.Momentum || c.DecayToInitial {
			return
		}
		m, _, rows := random(t, c, 1)
		x := tried{m, s, &m.NewState().heads[0]}
		chunk := func(g gate) {
			for range m.Chunk {
				x.write(rows.K[:m.Dim], rows.V[:m.Dim], g)
			}
		}
		chunk(gate{step: .1, momentum: .5})
		var momentum, weights [][]float64
		for i := range m.Depth {
			momentum, weights = append(momentum, wide(x.matrix(x.x.momentumOf, i))), append(weights, wide(x.matrix(x.x.weights, i)))
		}
		chunk(gate{momentum: .5})
		left := math.Pow(.5, float64(m.Chunk))
		for i := range m.Depth {
			for j := range momentum[i] {
				weights[i][j] += momentum[i][j] * (1 - left) // Σ 0.5ⁿ of it, n from 1 to the chunk's length
				momentum[i][j] *= left
			}
			near(t, "S", x.matrix(x.x.momentumOf, i), 1e-6, momentum[i]...)
			near(t, "M", x.matrix(x.x.weights, i), 1e-5, weights[i]...)
		}
	})
}

// TestClosedForm is I8: without momentum the scan is equation 16, M_t = β_t·M_0 − Σ θ_i·(β_t/β_i)·u_i with β_i = Π (1 − α_j) up to i.
func TestClosedForm(t *testing.T) {
	const n = 24
	m, err := New(Config{Heads: 1, Dim: 1, Depth: 1, Chunk: n, MostStep: 1}, Weights{Initial: [][]float32{{1}}, Norm: []float32{1}})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(6, 1))
	x := &m.NewState().heads[0]
	var step, beta []float64
	keep := 1.
	for i := range n {
		g := gate{step: rng.Float32(), momentum: rng.Float32(), decay: rng.Float32() / 2} // a momentum that is not asked for
		m.weigh(x, g)
		keep *= 1 - float64(g.decay)
		step, beta = append(step, float64(g.step)), append(beta, keep)
		var want []float64
		for j := range step {
			want = append(want, step[j]*keep/beta[j])
		}
		near(t, "factors", x.values[m.inWeights:][:i+1], 1e-6, want...)
		near(t, "β", x.carried(m)[:2], 1e-6, keep, 0)
	}
}

// TestStateBytesAreConstant is I15.
func TestStateBytesAreConstant(t *testing.T) {
	for name, c := range shapes {
		m, _, rows := random(t, c, 64)
		s := NewScratch(kernels.Implementations()[len(kernels.Implementations())-1], new(kernels.Scratch))
		st, out := m.NewState(), make([]float32, 64*m.Heads*m.Dim)
		bytes, saved := st.Bytes(), len(st.Save(nil))
		for read := 0; read < 512; read += 64 {
			advance(m, s, st, rows, 0, 64, out)
			if st.Bytes() != bytes || len(st.Save(nil)) != saved || bytes != m.StateBytes() {
				t.Fatalf("%s: %d bytes after %d rows, %d at first", name, st.Bytes(), read+64, bytes)
			}
		}
	}
}
