package kvcache

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// What is planned for summaries is what they take once all rows that can be are in blocks, and not less before.
func TestIndexBytes(t *testing.T) {
	const keyDim, valueDim = 32, 64
	rows := 2500
	if testing.Short() {
		rows = 1000
	}
	impl, err := kernels.Choose("")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []Index{
		{}, {Summary: Mean, Block: 16}, {Summary: Mean, Block: 64, Sinks: 64}, {Summary: Bounds, Block: 16, Sinks: 16},
		{Summary: Landmark, Block: 5}, {Summary: Centroid, Block: 16, Segment: 128, Sinks: 16}, {Summary: Centroid, Block: 48, Segment: 112},
	} {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			cfg := Config{Layers: 2, Heads: 3, KeyDim: keyDim, ValueDim: valueDim, Type: typ, Index: x}
			c, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			key, value, vector := make([]byte, c.wide.key), make([]byte, c.wide.value), make([]float32, keyDim)
			rng := rand.New(rand.NewPCG(6, 1))
			for n := 1; n <= rows; n++ {
				if _, err := c.Append([]int32{int32(n)}); err != nil {
					t.Fatal(err)
				}
				for i := range vector {
					vector[i] = float32(rng.NormFloat64())
				}
				if err := quant.Encode(typ, key, vector); err != nil {
					t.Fatal(err)
				}
				for l := range cfg.Layers {
					for h := range cfg.Heads {
						if err := c.Put(l, h, n-1, key, value); err != nil {
							t.Fatal(err)
						}
					}
				}
				if n%97 != 0 && n != rows {
					continue
				}
				for l := range cfg.Layers {
					for h := range cfg.Heads {
						if err := c.Seal(impl, l, h, 0); err != nil {
							t.Fatal(err)
						}
					}
				}
				want, err := cfg.IndexBytes(n)
				if got := c.IndexBytes(); err != nil || got > want || x.Summary != Centroid && got != want || want == 0 && n > 200 && x.Summary != NoSummary {
					t.Fatalf("%+v, %s, %d rows: %d bytes of summaries, planned were %d, %v", x, typ, n, got, want, err)
				}
			}
		}
	}
}

func TestIndexBytesRefuses(t *testing.T) {
	cfg := Config{Layers: 2, Heads: 3, KeyDim: 32, ValueDim: 64, Type: quant.F16, Index: Index{Summary: Mean, Block: 16}}
	if n, err := cfg.IndexBytes(math.MaxInt); err == nil {
		t.Errorf("%d bytes", n)
	}
	for _, rows := range []int{0, 15} {
		if n, err := cfg.IndexBytes(rows); err != nil || n != 0 {
			t.Errorf("%d rows: %d bytes, %v", rows, n, err)
		}
	}
	for _, rows := range []int{math.MinInt, -1} {
		if n, err := cfg.IndexBytes(rows); err == nil {
			t.Errorf("%d rows: %d bytes", rows, n)
		}
	}
	for _, x := range []Index{{Summary: Mean}, {Summary: Bounds, Block: 1}} {
		cfg.Index = x
		if n, err := cfg.IndexBytes(1000); err == nil {
			t.Errorf("%+v: %d bytes", x, n)
		}
	}
}
