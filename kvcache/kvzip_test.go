package kvcache

import (
	"slices"
	"testing"
)

// The probe is an instruction and the block, and where they do not fit, as much of its end as does.
func TestKVzipProbe(t *testing.T) {
	p := kvzipPolicy{}
	words := slices.Repeat([]int32{-1}, 50)
	encode := func(string) []int32 { return words }
	for block := 1; block < 600; block++ {
		text := max(p.Text(block), 1)
		room := max(block-p.Text(block), 1)
		tokens := make([]int32, text)
		for i := range tokens {
			tokens[i] = int32(i)
		}
		probe := p.Probe(&Probing{Block: tokens, Room: room, Encode: encode})
		if len(probe) > room || text+room > max(block, 2) {
			t.Fatalf("a block of %d: %d tokens of text and %d of probe", block, text, len(probe))
		}
		if !slices.Equal(probe[len(probe)-text:], tokens) {
			t.Fatalf("a block of %d: %d tokens of text, the probe is %v", block, text, probe)
		}
		if n := len(probe) - text; block >= 4*repeatRoom && (n < repeatRoom || n > len(words)) {
			t.Fatalf("a block of %d: %d tokens of instruction", block, n)
		}
		long := make([]int32, 1000)
		if probe := p.Probe(&Probing{Block: long, Room: room, Encode: encode}); len(probe) != room {
			t.Fatalf("a long text: %d tokens of probe for room of %d", len(probe), room)
		}
	}
	if got, want := p.Probe(&Probing{Block: []int32{7, 8}, Room: 40}), []int32{7, 8}; !slices.Equal(got, want) {
		t.Errorf("without a tokenizer: %v, want %v", got, want)
	}
	if words[:cap(words)][0] != -1 || len(p.Probe(&Probing{Room: 3})) != 0 {
		t.Error("a probe of nothing")
	}
}

// A row's mark is the largest weight of any query and head since the probe began, and is taken once.
func TestMaxima(t *testing.T) {
	s := newStream(t, "kvzip", 40, 0)
	s.append(3)
	s.show(0, [][]float32{{.9, .1, 0}})
	s.show(0, [][]float32{{.5, .25, .25}, {.1, .2, .7}}, [][]float32{{.4, .6}, {.3, .1}})
	if got, want := s.scores(0)[0], []float32{.5, .6, .7}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := s.scores(0)[0], []float32{0, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("scored again: %v, want %v", got, want)
	}
}
