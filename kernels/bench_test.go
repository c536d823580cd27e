package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// BenchmarkRows times attention's products with a page of cached rows of one head: the rows' bytes per second, and
// operations.
func BenchmarkRows(b *testing.B) {
	const n = 256
	for _, impl := range Implementations() {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			for _, dim := range []int{64, 128} {
				for _, heads := range []int{1, 4, 32} {
					rng := rand.New(rand.NewPCG(51, 1))
					size, _ := typ.RowBytes(dim)
					rows := make([]byte, n*size)
					if err := quant.Encode(typ, rows, randoms(rng, n*dim)); err != nil {
						b.Fatal(err)
					}
					q, w, s := randoms(rng, heads*dim), randoms(rng, heads*n), new(Scratch)
					for name, do := range map[string]func(){
						"dot": func() { impl.DotRows(w, q, dim, rows, typ, n, s) },
						"add": func() { impl.AddRows(q, w, dim, rows, typ, n, s) },
					} {
						b.Run(fmt.Sprintf("%s/%s/%s/dim=%d/heads=%d", impl.Name, name, typ, dim, heads), func(b *testing.B) {
							b.SetBytes(int64(len(rows)))
							for b.Loop() {
								clear(w)
								clear(q)
								do()
							}
							b.ReportMetric(2*n*float64(dim*heads)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
						})
					}
				}
			}
		}
	}
}

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
			{"ExpSum", func() { copy(z, x); impl.ExpSum(z, 1) }},
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
