package kvcache

import (
	"slices"
	"testing"
)

func TestSnapKVQueryProbesByTheEndOfThePrompt(t *testing.T) {
	s := newStream(t, "snapkv-query:window=3", 40, 0)
	p, ok := s.e.Policy().(Prober)
	if !ok || !s.e.Kind().Ahead {
		t.Fatal("it does not say that it looks ahead")
	}
	block, prompt := []int32{1, 2, 3, 4}, []int32{1, 2, 3, 4, 5, 6, 7, 8}
	tests := []struct {
		probing Probing
		want    []int32
	}{
		{Probing{Block: block, Prompt: prompt, Room: 9}, []int32{6, 7, 8}},
		{Probing{Block: block, Prompt: prompt, Room: 2}, []int32{7, 8}},
		{Probing{Block: block, Prompt: prompt[:2], Room: 9}, []int32{1, 2}},
		{Probing{Block: block, Room: 9}, []int32{2, 3, 4}},
		{Probing{Room: 9}, nil},
	}
	for _, tt := range tests {
		if got := p.Probe(&tt.probing); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.probing, got, tt.want)
		}
	}
	for block, want := range map[int]int{1: 1, 2: 1, 3: 2, 6: 3, 7: 4, 100: 97} {
		if got := p.Text(block); got != want {
			t.Errorf("a block of %d has %d tokens of text, want %d", block, got, want)
		}
	}
}

// Every probe counts for itself.
func TestSnapKVQueryForgetsTheLastProbe(t *testing.T) {
	s := newStream(t, "snapkv-query:window=2,kernel=1,recent=0", 40, 0)
	s.append(3)
	s.show(0, [][]float32{{1, 0, 0}}, [][]float32{{1, 0, 0}})
	s.show(0, [][]float32{{0, 1, 0}}, [][]float32{{0, .5, .5}})
	if got, want := s.scores(0)[0], []float32{0, 1.5, .5}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
