// Package synth writes random models in the shapes of real ones, for benchmarks and tests: files that run, with a
// vocabulary that encodes and decodes any text, but that say nothing sensible.
package synth

import (
	"fmt"
	"slices"
	"strings"
)

// Shape is the size and kind of a model.
type Shape struct {
	Name          string
	Arch          string // llama, qwen2, qwen3, gemma2, phi3 or mneme
	Layers        int
	Embedding     int // width of the residual stream
	FeedForward   int // width inside the feed-forward block, of one expert if there are several
	Heads         int
	KVHeads       int
	HeadDim       int // 0: Embedding / Heads
	Vocab         int
	Context       int // tokens that the metadata promise
	RopeBase      float64
	NormEps       float64
	Experts       int    // 0: none; only llama
	ExpertsUsed   int    // experts that each token is sent to
	SlidingWindow int    // 0: none; only gemma2, phi3 and mneme
	Fifo          Fifo   // only mneme
	Neural        Neural // only mneme
	Tied          bool   // the token embeddings serve as the output matrix
}

// shapes are those of published models, by the name under which people benchmark them, and tiny ones for tests.
var shapes = []Shape{
	// The TinyStories model of 15 million parameters.
	{Name: "llama-15m", Arch: "llama", Layers: 6, Embedding: 288, FeedForward: 768, Heads: 6, KVHeads: 6, Vocab: 32000,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-5, Tied: true},
	// The same with a memory of chunks of 512 tokens in the last three layers.
	{Name: "mneme-fifo-15m", Arch: "mneme", Layers: 6, Embedding: 288, FeedForward: 768, Heads: 6, KVHeads: 6, Vocab: 32000,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-5, Tied: true, Fifo: Fifo{Chunk: 512, Window: 64, Slots: 128, PerChunk: 8}},
	{Name: "llama-160m", Arch: "llama", Layers: 12, Embedding: 768, FeedForward: 2048, Heads: 12, KVHeads: 12, Vocab: 32000,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-6},
	// The layers of Llama 3.2 1B with the vocabulary of Llama 2 and an output matrix of its own: 1.1 billion parameters.
	{Name: "llama-1b", Arch: "llama", Layers: 16, Embedding: 2048, FeedForward: 8192, Heads: 32, KVHeads: 8, Vocab: 32000,
		Context: 131072, RopeBase: 5e5, NormEps: 1e-5},
	{Name: "llama-7b", Arch: "llama", Layers: 32, Embedding: 4096, FeedForward: 11008, Heads: 32, KVHeads: 32, Vocab: 32000,
		Context: 4096, RopeBase: 1e4, NormEps: 1e-5},
	{Name: "qwen2-0.5b", Arch: "qwen2", Layers: 24, Embedding: 896, FeedForward: 4864, Heads: 14, KVHeads: 2, Vocab: 151936,
		Context: 131072, RopeBase: 1e6, NormEps: 1e-6, Tied: true},

	{Name: "llama-tiny", Arch: "llama", Layers: 2, Embedding: 256, FeedForward: 512, Heads: 8, KVHeads: 2, Vocab: 512,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-5},
	{Name: "moe-tiny", Arch: "llama", Layers: 2, Embedding: 256, FeedForward: 256, Heads: 8, KVHeads: 2, Vocab: 512,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-5, Experts: 4, ExpertsUsed: 2},
	{Name: "qwen2-tiny", Arch: "qwen2", Layers: 2, Embedding: 256, FeedForward: 512, Heads: 8, KVHeads: 2, Vocab: 512,
		Context: 2048, RopeBase: 1e6, NormEps: 1e-6, Tied: true},
	{Name: "qwen3-tiny", Arch: "qwen3", Layers: 2, Embedding: 256, FeedForward: 512, Heads: 8, KVHeads: 2, HeadDim: 64,
		Vocab: 512, Context: 2048, RopeBase: 1e6, NormEps: 1e-6},
	{Name: "gemma2-tiny", Arch: "gemma2", Layers: 4, Embedding: 64, FeedForward: 128, Heads: 4, KVHeads: 2, HeadDim: 32,
		Vocab: 512, Context: 2048, RopeBase: 1e4, NormEps: 1e-6, SlidingWindow: 64, Tied: true},
	{Name: "phi3-tiny", Arch: "phi3", Layers: 2, Embedding: 64, FeedForward: 128, Heads: 4, KVHeads: 4, Vocab: 512,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-5, SlidingWindow: 1024},
	// Windows in every other layer.
	{Name: "mneme-tiny", Arch: "mneme", Layers: 2, Embedding: 64, FeedForward: 128, Heads: 4, KVHeads: 2, Vocab: 512,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-6, SlidingWindow: 24},
	// Chunks, and a memory of them in the second layer.
	{Name: "mneme-fifo-tiny", Arch: "mneme", Layers: 2, Embedding: 64, FeedForward: 128, Heads: 4, KVHeads: 2, Vocab: 512,
		Context: 2048, RopeBase: 1e4, NormEps: 1e-6, Fifo: Fifo{Chunk: 16, Window: 4, Slots: 6, PerChunk: 2}},
	// Windows, or segments, and memories that learn in all layers.
	tinyNeural("lmm"), tinyNeural("mag"), tinyNeural("mal"), tinyNeural("mac"),
}

// Shapes returns the named shapes.
func Shapes() []Shape { return slices.Clone(shapes) }

// Lookup returns the shape of the given name.
func Lookup(name string) (Shape, error) {
	var names []string
	for _, s := range shapes {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Shape{}, fmt.Errorf("synth: unknown shape %q; known are %s", name, strings.Join(names, ", "))
}

// Parameters returns the number of values in all tensors of the model.
func (s Shape) Parameters() (total int64) {
	for _, t := range s.tensors() {
		total += int64(t.elements())
	}
	return total
}

func (s Shape) headDim() int {
	if s.HeadDim != 0 || s.Heads == 0 {
		return s.HeadDim
	}
	return s.Embedding / s.Heads
}

// largest bounds every size, so that no product of a few overflows.
const largest = 1 << 20

// validate finds what would make a file that cannot run.
func (s Shape) validate() error {
	sizes := []struct {
		name  string
		value int
		least int
	}{
		{"layers", s.Layers, 1}, {"embedding", s.Embedding, 1}, {"feed-forward", s.FeedForward, 1}, {"heads", s.Heads, 1},
		{"KV heads", s.KVHeads, 1}, {"head dimension", s.headDim(), 2}, {"vocabulary", s.Vocab, minVocab},
		{"context", s.Context, 1},
		{"experts", s.Experts, 0}, {"experts used", s.ExpertsUsed, 0}, {"sliding window", s.SlidingWindow, 0},
	}
	for _, size := range sizes {
		if size.value < size.least || size.value > largest {
			return fmt.Errorf("shape %q: %s %d is not within %d to %d", s.Name, size.name, size.value, size.least, largest)
		}
	}
	switch {
	case !slices.Contains([]string{"llama", "qwen2", "qwen3", "gemma2", "phi3", "mneme"}, s.Arch):
		return fmt.Errorf("shape %q: unknown architecture %q", s.Name, s.Arch)
	case s.HeadDim == 0 && s.Embedding%s.Heads != 0:
		return fmt.Errorf("shape %q: embedding %d is not a multiple of %d heads", s.Name, s.Embedding, s.Heads)
	case s.Heads%s.KVHeads != 0:
		return fmt.Errorf("shape %q: %d heads are not a multiple of %d KV heads", s.Name, s.Heads, s.KVHeads)
	case s.headDim()%2 != 0:
		return fmt.Errorf("shape %q: head dimension %d is odd", s.Name, s.headDim())
	case s.Experts > 0 && s.Arch != "llama":
		return fmt.Errorf("shape %q: experts in architecture %q", s.Name, s.Arch)
	case s.Experts > 0 && (s.ExpertsUsed < 1 || s.ExpertsUsed > s.Experts):
		return fmt.Errorf("shape %q: %d of %d experts used", s.Name, s.ExpertsUsed, s.Experts)
	}
	if err := s.validateNeural(); err != nil {
		return err
	}
	return s.validateFifo()
}
