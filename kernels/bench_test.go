package kernels

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkVectors times what is done to a row of activations: bytes of float32 per second.
func BenchmarkVectors(b *testing.B) {
	const n = 4096
	for _, impl := range Implementations() {
		rng := rand.New(rand.NewPCG(52, 1))
		x, y, z := randoms(rng, n), randoms(rng, n), randoms(rng, n)
		act := randomActivations(impl, rng, 1, n, FormQ8)
		act16 := randomActivations(impl, rng, 1, n, FormBF16)
		for _, c := range []struct {
			name string
			do   func()
		}{
			{"Dot", func() { impl.Dot(x, y) }},
			{"Axpy", func() { impl.Axpy(1e-9, x, y) }},
			{"RMSNorm", func() { impl.RMSNorm(z, x, y, 1e-5) }},
			{"Softmax", func() { copy(z, x); impl.Softmax(z, 1, 0) }},
			{"Softcap", func() { copy(z, x); impl.Softcap(z, 30) }},
			{"SwiGLU", func() { impl.SwiGLU(z, x, y) }},
			{"GeGLU", func() { impl.GeGLU(z, x, y) }},
			{"RopeHalves", func() { impl.RopeHalves(z, x[:n/2], y[:n/2]); copy(z, x) }},
			{"RopePairs", func() { impl.RopePairs(z, x[:n/2], y[:n/2]); copy(z, x) }},
			{"ConvertQ8", func() { impl.Convert(act, 0, 0, n) }},
			{"ConvertBF16", func() { impl.Convert(act16, 0, 0, n) }},
		} {
			b.Run(impl.Name+"/"+c.name, func(b *testing.B) {
				b.SetBytes(4 * n)
				for b.Loop() {
					c.do()
				}
			})
		}
	}
}
