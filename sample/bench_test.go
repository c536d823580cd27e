package sample

import (
	"fmt"
	"testing"
)

func BenchmarkSample(b *testing.B) {
	only := func(set func(*Options)) Options {
		o := plain()
		set(&o)
		return o
	}
	cases := []struct {
		name string
		o    Options
	}{
		{"greedy", Options{}},
		{"default", Default()},
		{"penalties+default", func() Options { o := Default(); o.RepeatPenalty = 1.1; return o }()},
		{"plain", plain()},
		{"top_k=40", only(func(o *Options) { o.TopK = 40 })},
		{"top_k=10000", only(func(o *Options) { o.TopK = 10000 })},
		{"top_p=.95", only(func(o *Options) { o.TopP = .95 })},
		{"min_p=.05", only(func(o *Options) { o.MinP = .05 })},
		{"typ_p=.95", only(func(o *Options) { o.TypicalP = .95 })},
		{"top_n_sigma=1", only(func(o *Options) { o.TopNSigma = 1 })},
		{"xtc", only(func(o *Options) { o.XTCProbability, o.XTCThreshold = 1, .1 })},
		{"dynamic", only(func(o *Options) { o.DynamicRange = .5 })},
		{"mirostat", only(func(o *Options) { o.Mirostat = 2 })},
		{"dry=8192", only(func(o *Options) { o.DRYMultiplier, o.DRYBreakers, o.DRYLastN, o.TopK = .8, nil, 8192, 40 })},
	}
	for _, vocabulary := range []int{32000, 151936} {
		row := noise(1, vocabulary)
		for _, c := range cases {
			b.Run(fmt.Sprintf("%s/%d", c.name, vocabulary), func(b *testing.B) {
				chain, err := New(c.o)
				if err != nil {
					b.Fatal(err)
				}
				for i := range 20000 {
					chain.Accept(int32(i * i % 997))
				}
				b.ReportAllocs()
				for b.Loop() {
					id, err := chain.Sample(row)
					if err != nil {
						b.Fatal(err)
					}
					chain.Accept(id)
				}
			})
		}
	}
}

func BenchmarkLogProb(b *testing.B) {
	row := noise(1, 151936)
	for b.Loop() {
		if _, err := LogProb(row, 7); err != nil {
			b.Fatal(err)
		}
	}
}
