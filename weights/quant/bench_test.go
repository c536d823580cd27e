package quant

import (
	"math/rand/v2"
	"testing"
)

// normal returns n values like those of a weight matrix.
func normal(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() / 64)
	}
	return x
}

// The benchmarks count bytes of float32, and what they read fits the caches.

func BenchmarkEncode(b *testing.B) {
	src := normal(1<<16, 1)
	for _, typ := range Types() {
		b.Run(typ.String(), func(b *testing.B) {
			dst := encoded(b, typ, src)
			b.SetBytes(int64(4 * len(src)))
			for b.Loop() {
				if err := Encode(typ, dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	dst := normal(1<<16, 1)
	for _, typ := range Types() {
		b.Run(typ.String(), func(b *testing.B) {
			src := encoded(b, typ, dst)
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				if err := Decode(typ, dst, src); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
