package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
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
			{"Scale", func() { impl.Scale(z, x, y, 0.5) }},
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

// BenchmarkPackedMul times products with packed matrices: the weights' bytes per second, and operations.
func BenchmarkPackedMul(b *testing.B) {
	const rows, cols = 512, 2048
	for _, impl := range Implementations() {
		for _, typ := range quant.Types() {
			if impl.Packings[typ] == nil {
				continue
			}
			rng := rand.New(rand.NewPCG(53, 1))
			size, _ := typ.RowBytes(cols)
			data := make([]byte, rows*size)
			if err := quant.Encode(typ, data, randoms(rng, rows*cols)); err != nil {
				b.Fatal(err)
			}
			m, err := NewMatrix(typ, rows, cols, data)
			if err != nil {
				b.Fatal(err)
			}
			p := packed(b, impl, &m)
			for _, n := range []int{1, 2, 4, 8, 16, 64} {
				b.Run(fmt.Sprintf("%s/%s/columns=%d", impl.Name, typ, n), func(b *testing.B) {
					x := randomActivations(impl, rng, n, cols, FormQ8)
					dst, s := make([]float32, n*rows), new(Scratch)
					b.SetBytes(int64(len(p.Data)))
					for b.Loop() {
						p.Packing.Mul(dst, rows, &p, 0, rows, x, nil, s)
					}
					b.ReportMetric(2*rows*cols*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
			b.Run(fmt.Sprintf("%s/%s/pack", impl.Name, typ), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					p.Pack(&m, 0, p.Groups())
				}
			})
		}
	}
}
