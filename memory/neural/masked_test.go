package neural

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// TestMaskedTokens is I13 where there is more than the token that is masked: what keys and values it has changes no bit of weights and
// momentum, in whatever chunk and whatever momentum and decay the tokens have; and without these it changes no bit itself.
func TestMaskedTokens(t *testing.T) {
	onEach(t, func(t *testing.T, s *Scratch, c Config) {
		const n = 60
		m, _, rows := random(t, c, n)
		k := rows.K[:n*m.Dim]
		for r := range n {
			normalize(s, k[r*m.Dim:(r+1)*m.Dim])
		}
		read := func(masked bool, other []float32) (all [][]float32) {
			x := tried{m, s, &m.NewState().heads[0]}
			for r := range n / m.Chunk * m.Chunk {
				k, v := k[r*m.Dim:(r+1)*m.Dim], rows.V[r*m.Dim:(r+1)*m.Dim]
				g := gate{step: .1, momentum: .5, decay: .1}
				if r%3 == 1 && masked {
					g.step = 0
					if other != nil {
						k, v = other[:m.Dim], other[m.Dim:]
					}
				}
				x.write(k, v, g)
			}
			for i := range m.Depth {
				all = append(all, x.matrix(x.x.weights, i))
				if m.Momentum {
					all = append(all, x.matrix(x.x.momentumOf, i))
				}
			}
			return all
		}
		other := randomVector(rand.New(rand.NewPCG(13, 0)), 2*m.Dim)
		normalize(s, other[:m.Dim])
		want := read(true, nil)
		if !slices.EqualFunc(read(true, other), want, slices.Equal) {
			t.Error("what a masked token is makes a difference")
		}
		if slices.EqualFunc(read(false, nil), want, slices.Equal) {
			t.Error("it makes no difference that tokens are masked")
		}
	})
}

// TestOrthonormalKeysInChunks is I4 for any chunk: keys that are orthogonal, of whatever direction, do not see that they are learned
// together, from the weights of the beginning; each is read as it was written.
func TestOrthonormalKeysInChunks(t *testing.T) {
	onEachImplementation(t, func(t *testing.T, impl *kernels.Implementation) {
		const dim = 16
		rng := rand.New(rand.NewPCG(4, 4))
		var keys, values [][]float32
		for range dim {
			k := randomVector(rng, dim)
			for range 2 { // once is not orthogonal enough
				for _, have := range keys {
					dot := impl.Dot(k, have)
					for i := range k {
						k[i] -= dot * have[i]
					}
				}
			}
			normalize(NewScratch(impl, new(kernels.Scratch)), k)
			keys, values = append(keys, k), append(values, randomVector(rng, dim))
		}
		for _, chunk := range []int{1, 4, 16} {
			x := try(t, impl, Config{Dim: dim, Depth: 1, Chunk: chunk, Momentum: true}, randomVector(rng, dim*dim))
			for i := range keys {
				x.write(keys[i], values[i], gate{step: 1})
			}
			for i, k := range keys {
				near(t, fmt.Sprintf("chunks of %d, key %d", chunk, i), x.readAt(k...), 2e-5, wide(values[i])...)
			}
		}
	})
}
