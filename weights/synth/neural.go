package synth

import (
	"fmt"
	"slices"
)

// Neural is a memory that learns while it reads, as Titans have it, in all layers; only mneme. The zero Neural is none.
type Neural struct {
	Variant     string // lmm, mag, mal or mac
	Heads       int
	HeadDim     int
	Depth       int // matrices of the network
	Expansion   int // width inside it, in HeadDims
	Chunk       int // tokens that are learned from at a time; with mac, of a segment
	Convolution int // width; 0: none
	Persistent  int // tokens before every text
}

func (s Shape) validateNeural() error {
	x := s.Neural
	if x == (Neural{}) {
		return nil
	}
	if err := x.validate(); err != nil {
		return fmt.Errorf("shape %q: %w", s.Name, err)
	}
	switch {
	case !slices.Contains([]string{"lmm", "mag", "mal", "mac"}, x.Variant):
		return fmt.Errorf("shape %q: unknown variant %q of a memory", s.Name, x.Variant)
	case s.Arch != "mneme" || s.Fifo != (Fifo{}):
		return fmt.Errorf("shape %q: a neural memory in architecture %q, beside memory %+v", s.Name, s.Arch, s.Fifo)
	case x.Variant != "mac" && s.SlidingWindow < 1:
		return fmt.Errorf("shape %q: a neural memory without windows", s.Name)
	}
	return nil
}

func (x Neural) validate() error {
	for _, n := range []int{x.Heads, x.HeadDim, x.Depth, x.Expansion, x.Chunk, x.Convolution + 1, x.Persistent + 1} {
		if n < 1 || n > largest {
			return fmt.Errorf("memory %+v: a size is not within 1 to %d", x, largest)
		}
	}
	return nil
}

// stepMax keeps memories of random weights from diverging, also on texts that are the same token again and again: what a chunk learns is a
// sum over its tokens.
const stepMax = .01

// neuralParameters are the keys that say what the memory is, and what attention stands beside it.
func (s Shape) neuralParameters() []pair {
	x := s.Neural
	pairs := []pair{{"attention.kind", "window"}}
	if x.Variant == "mac" {
		pairs = []pair{{"attention.kind", "chunked"}, {"attention.chunk_length", uint32(x.Chunk)}}
	}
	return append(pairs, x.parameters(s.allLayers())...)
}

func (s Shape) allLayers() []int32 {
	layers := make([]int32, s.Layers)
	for i := range layers {
		layers[i] = int32(i)
	}
	return layers
}

// parameters are those of the memory itself.
func (x Neural) parameters(layers []int32) []pair {
	return []pair{
		{"memory.kind", "neural"}, {"memory.neural.variant", x.Variant}, {"memory.neural.layers", layers},
		{"memory.neural.head_count", uint32(x.Heads)}, {"memory.neural.head_length", uint32(x.HeadDim)},
		{"memory.neural.depth", uint32(x.Depth)}, {"memory.neural.expansion", uint32(x.Expansion)},
		{"memory.neural.chunk", uint32(x.Chunk)}, {"memory.neural.convolution", uint32(x.Convolution)},
		{"memory.neural.persistent", uint32(x.Persistent)},
		{"memory.neural.step_max", float32(stepMax)}, {"memory.neural.momentum_max", float32(.9)},
	}
}

// neuralTensors are those of a layer with such a memory.
func (s Shape) neuralTensors() (list []tensor) {
	x, width := s.Neural, s.Neural.Heads*s.Neural.HeadDim
	if x.Variant == "" {
		return nil
	}
	if x.Variant != "mag" { // where memory and attention read the same
		list = append(list, norm("mem_norm.weight", s.Embedding))
	}
	if x.Variant == "mag" || x.Variant == "mac" {
		list = append(list, norm("mem_branch_norm.weight", s.Embedding), norm("mem_gate_norm.weight", s.Embedding))
	}
	for _, name := range []string{"mem_q.weight", "mem_k.weight", "mem_v.weight", "mem_out_gate.weight"} {
		list = append(list, matrix(name, s.Embedding, width))
	}
	list = append(list, matrix("mem_gates.weight", s.Embedding, 3*x.Heads), bias("mem_gates.bias", s.Embedding, 3*x.Heads),
		matrix("mem_output.weight", width, s.Embedding), norm("mem_read_norm.weight", width))
	if x.Convolution > 0 {
		list = append(list, matrix("mem_conv.weight", x.Convolution, 3*width))
	}
	for i := range x.Depth {
		in, out := x.Expansion*x.HeadDim, x.Expansion*x.HeadDim
		if i == 0 {
			in = x.HeadDim
		}
		if i == x.Depth-1 {
			out = x.HeadDim
		}
		list = append(list, matrix(fmt.Sprintf("mem_initial.%d.weight", i), in, out, x.Heads))
	}
	if x.Persistent > 0 {
		list = append(list, tensor{name: "mem_persistent.weight", shape: []int{s.Embedding, x.Persistent}, deviation: 1})
	}
	return list
}

// tinyNeural is mneme-tiny with a memory of two matrices for each head.
func tinyNeural(variant string) Shape {
	return Shape{
		Name: "mneme-" + variant + "-tiny", Arch: "mneme", Layers: 2, Embedding: 64, FeedForward: 128, Heads: 4, KVHeads: 2, Vocab: 512,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-6, SlidingWindow: 24,
		Neural: Neural{Variant: variant, Heads: 2, HeadDim: 32, Depth: 2, Expansion: 2, Chunk: 16, Convolution: 4, Persistent: 4},
	}
}
