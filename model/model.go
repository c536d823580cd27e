// Package model holds the architectures: for each, the configuration read from metadata, the tensors it is made of and
// the order in which a layer's steps follow one another. One forward pass serves prefill and decode, over a batch of
// rows from any number of sequences.
package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/weights"
)

// Model is the immutable part: configuration and weights. It is safe for concurrent use.
type Model struct {
	Config
	arch      architecture
	embedding kernels.Matrix // [vocabulary, embedding]
	layers    []layer
	norm      []float32    // before the output matrix
	output    linear       // [vocabulary, embedding]
	forms     kernels.Form // of activations that some matrix reads
	rope      *ropeTable
	longRope  *ropeTable // beyond the original context; nil if the same
	bytes     int64
}

// architecture is what one family of models has of its own. Each file that declares one reads like its paper.
type architecture interface {
	// configure completes the configuration, and may refuse it.
	configure(c *Config, r *reader)
	// load takes a layer's tensors.
	load(l *loader, c *Config, i int) layer
	// forward runs one layer over the batch, which is normalized for its attention, and normalizes it for what comes first in
	// the next one, nil after the last: every thread of the team calls it.
	forward(p *pass, l, next *layer)
}

// architectures by the name in general.architecture.
var architectures = map[string]architecture{
	"llama":  llama{},
	"qwen2":  qwen2{},
	"qwen3":  qwen3{},
	"gemma2": gemma2{},
	"phi3":   phi3{},
	"mneme":  mneme{},
}

// Architectures lists the names of the known architectures.
func Architectures() []string { return slices.Sorted(maps.Keys(architectures)) }

// layer holds the tensors of one transformer block. What an architecture does not have is nil.
type layer struct {
	index  int
	window int // sliding window of its attention; 0: none
	chunk  int // length of the pieces of the text that it attends to by themselves; 0: none

	attentionNorm     []float32
	q, k, v, o        linear
	qNorm, kNorm      []float32 // per head
	attentionPostNorm []float32

	feedForwardNorm     []float32
	gate, up, down      linear
	feedForwardPostNorm []float32

	fused        *fused      // paths of attention; nil: there is but one
	bank         *fifo.Layer // memory of chunks; nil: it has none
	memoryQuery  linear      // of the bank: [width of its heads, embedding]
	memoryOutput linear      // W_o of what is read of it, where that is no path of attention: [embedding, width of its heads]

	router                              linear
	gateExperts, upExperts, downExperts []linear

	neural *neuralLayer // nil: it has none

	recallNorm []float32 // of its memory, where that stands before the block: see pass.recall
}

// local reports whether the layer's queries see only what lies nearby.
func (l *layer) local() bool { return l.window > 0 || l.chunk > 0 }

// Load checks a file's metadata and tensors and makes a model of them. The file must stay open as long as the model
// is in use: the matrices are read where they lie.
func Load(f *weights.File) (*Model, error) {
	if kind, _ := f.Metadata().String("general.type"); kind == adapterFile {
		return nil, fmt.Errorf("model: the file is an adapter for a model, and none itself: %w", ErrAdapter)
	}
	name, ok := f.Metadata().String("general.architecture")
	if !ok {
		return nil, fmt.Errorf("model: metadata key %q: missing", "general.architecture")
	}
	arch, ok := architectures[name]
	if !ok {
		return nil, fmt.Errorf("model: unknown architecture %q (known: %s)", name, strings.Join(Architectures(), ", "))
	}
	cfg, err := readConfig(f.Metadata(), name)
	if err != nil {
		return nil, err
	}
	r := &reader{md: f.Metadata(), arch: name}
	if arch.configure(&cfg, r); r.err != nil {
		return nil, r.err
	}
	m := &Model{Config: cfg, arch: arch}
	return m, m.load(newLoader(f))
}

func (m *Model) load(l *loader) error {
	embedding, ok := l.file.Tensor("token_embd.weight")
	if !ok || len(embedding.Shape) != 2 {
		return fmt.Errorf("model: tensor %q: missing or not a matrix", "token_embd.weight")
	}
	if embedding.Shape[1] < 1 {
		return fmt.Errorf("model: tensor %q: no rows: the vocabulary is empty", embedding.Name)
	}
	m.Vocabulary = embedding.Shape[1]
	table := l.linear("token_embd", m.Embedding, m.Vocabulary)
	m.embedding = table.Matrix
	m.norm = l.vector("output_norm.weight", m.Embedding)
	m.output = table // tied, unless there is a matrix of its own
	if l.has("output.weight") {
		m.output = l.linear("output", m.Embedding, m.Vocabulary)
	}
	m.loadRope(l)
	for i := 0; i < m.Layers && l.err == nil; i++ {
		layer := m.arch.load(l, &m.Config, i)
		layer.index = i
		m.layers = append(m.layers, layer)
	}
	m.forms = l.forms
	for _, t := range l.file.Tensors() {
		m.bytes += int64(len(t.Data))
	}
	return l.finish("architecture " + m.Architecture)
}

// loadRope reads factors that divide the frequencies: one list (Llama 3), or a short and a long one (Phi-3).
func (m *Model) loadRope(l *loader) {
	pairs := m.Rope.Dimensions / 2
	short := l.optional("rope_factors_short.weight", pairs)
	long := l.optional("rope_factors_long.weight", pairs)
	if short == nil {
		short = l.optional("rope_freqs.weight", pairs)
	}
	table, err := m.Rope.table(short)
	if err == nil && long != nil {
		m.longRope, err = m.Rope.table(long)
	}
	if err != nil && l.err == nil {
		l.err = err
	}
	m.rope = table
}

// block names a tensor of layer i.
func block(i int, name string) string { return fmt.Sprintf("blk.%d.%s", i, name) }
