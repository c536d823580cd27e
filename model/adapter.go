package model

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/weights"
)

// ErrAdapter is wrapped when a file is to be used as an adapter and is none, or as a model and is an adapter.
var ErrAdapter = errors.New("a model and its adapter are two files")

// ErrBackbone is wrapped when an adapter is to be added to another model than it was trained for.
var ErrBackbone = errors.New("the adapter is for another model")

// Adapter is a file with memories that were trained for a model whose weights stayed as they are, its backbone, of whatever
// architecture: one kind of memory, before the blocks of some layers (see pass.recall).
type Adapter struct {
	file *weights.File

	Name         string
	Architecture string // of the backbone
	Backbone     string // fingerprint of the backbone's file
}

const (
	adapterFile   = "adapter" // general.type
	adapterMemory = "memory"  // adapter.type
)

// ReadAdapter reads what an adapter's file is for. The file must stay open as long as a model with the adapter is in use.
func ReadAdapter(f *weights.File) (*Adapter, error) {
	md := f.Metadata()
	if kind, _ := md.String("general.type"); kind != adapterFile {
		return nil, fmt.Errorf("model: the file is no adapter (metadata key %q: %q, want %q): %w", "general.type", kind, adapterFile, ErrAdapter)
	}
	if kind, _ := md.String("adapter.type"); kind != adapterMemory {
		return nil, fmt.Errorf("model: metadata key %q: adapters of type %q are not supported (known: %s)", "adapter.type", kind, adapterMemory)
	}
	a := &Adapter{file: f}
	for key, to := range map[string]*string{"general.architecture": &a.Architecture, "adapter.backbone.fingerprint": &a.Backbone} {
		if *to, _ = md.String(key); *to == "" {
			return nil, fmt.Errorf("model: metadata key %q: missing", key)
		}
	}
	name, _ := md.String("general.name")
	a.Name = cmp.Or(name, "unnamed")
	return a, nil
}

// WithAdapter returns the model with the memories of an adapter, which must be for a model whose file has this fingerprint. It shares
// its weights with m, which stays as it is.
func (m *Model) WithAdapter(a *Adapter, fingerprint string) (*Model, error) {
	switch kind := m.Memory(); {
	case a.Architecture != m.Architecture:
		return nil, fmt.Errorf("model: it was trained for a model of architecture %s, this one has %s: %w", a.Architecture, m.Architecture, ErrBackbone)
	case a.Backbone != fingerprint:
		return nil, fmt.Errorf("model: it was trained for the model with fingerprint %s, this one has %s: %w", a.Backbone, fingerprint, ErrBackbone)
	case kind != MemoryNone:
		return nil, fmt.Errorf("model: the model has a memory of kind %s already, an adapter cannot add one", kind)
	}
	own := *m
	own.Adapter, own.layers = a.Name, slices.Clone(m.layers)
	l := newLoader(a.file)
	layers, window, err := l.adapter(&own.Config)
	if err != nil {
		return nil, err
	}
	if window > 0 && m.Landmark.Block > 0 {
		return nil, fmt.Errorf("model: the adapter has attention see %d rows, and the model goes by landmarks", window)
	}
	for i := range layers {
		from := &layers[i]
		to := &own.layers[from.index]
		to.recallNorm, to.neural, to.bank, to.memoryQuery, to.memoryOutput = from.recallNorm, from.neural, from.bank, from.memoryQuery, from.memoryOutput
	}
	if window > 0 {
		own.narrow(window)
	}
	own.forms |= l.forms
	for _, t := range a.file.Tensors() {
		own.bytes += int64(len(t.Data))
	}
	return &own, nil
}

// adapter takes an adapter's memories for a model of the given shape, to which it adds theirs: layers with nothing else. window is the
// most rows that attention is to see; 0: what it sees anyhow.
func (l *loader) adapter(c *Config) (layers []layer, window int, err error) {
	r := &reader{md: l.file.Metadata(), arch: "mneme"}
	switch kind := r.string("memory.kind", MemoryNone); {
	case r.err != nil:
	case kind == MemoryFifo:
		c.Fifo = r.bank(c, -1)
	case kind == MemoryNeural:
		c.Neural = r.neuralMemory(c)
		if c.Neural.Variant != VariantLMM || c.Neural.Persistent > 0 {
			r.fail(r.key("memory.neural.variant"), "%v with %d persistent tokens: the memory of an adapter is of variant %v without any",
				c.Neural.Variant, c.Neural.Persistent, VariantLMM)
		}
	default:
		r.fail(r.key("memory.kind"), "an adapter with a memory of kind %q is not supported (known: %s, %s)", kind, MemoryFifo, MemoryNeural)
	}
	window = r.size("attention.sliding_window", 1, 0)
	c.ContextLength = max(c.ContextLength, r.size("context_length", 1, 1))
	if r.err != nil {
		return nil, 0, r.err
	}
	for _, i := range slices.Concat(c.Fifo.Layers, c.Neural.Layers) {
		x := layer{index: i}
		if c.Memory() == MemoryFifo {
			x.recallNorm = l.vector(block(i, "mem_input_norm.weight"), c.Embedding)
			x.bank, x.memoryQuery = l.bank(c, i)
			x.memoryOutput = l.linear(block(i, "mem_output"), c.Fifo.Width(), c.Embedding)
		} else {
			x.neural = l.neuralLayer(c, i)
			x.recallNorm, x.neural.norm = x.neural.norm, nil
		}
		if l.err != nil {
			break
		}
		layers = append(layers, x)
	}
	return layers, window, l.finish("the adapter")
}

// narrow has no layer attend to more than the last rows, so many: fewer where its own window is smaller.
func (m *Model) narrow(window int) {
	m.SlidingWindow = 0
	for i := range m.layers {
		l := &m.layers[i]
		if l.window == 0 || l.window > window {
			l.window = window
		}
		m.SlidingWindow = max(m.SlidingWindow, l.window)
	}
	m.AttentionKinds = slices.Repeat([]AttentionKind{AttentionWindow}, m.Layers)
}

// StateBytes is the size of what a session's memories take, as the adapter's file alone tells it.
func (a *Adapter) StateBytes() (int64, error) {
	c := Config{Layers: maxSize, Heads: 1, NormEpsilon: 1}
	for _, t := range a.file.Tensors() { // of the backbone's shape, what the tensors must have
		var layer int
		var name string
		if n, _ := fmt.Sscanf(t.Name, "blk.%d.%s", &layer, &name); n != 2 || len(t.Shape) == 0 {
			continue
		}
		switch name {
		case "mem_q.weight":
			c.Embedding = t.Shape[0]
		case "mem_output.weight":
			c.ValueDim = t.Shape[0]
		}
	}
	layers, _, err := newLoader(a.file).adapter(&c)
	if err != nil {
		return 0, err
	}
	m := &Model{Config: c, layers: layers}
	return m.MemoryBytes(), nil
}
