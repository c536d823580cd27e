package train

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/model"
)

// Adapter says what memory is trained on a backbone, whose own weights stay as they are: in some layers, before the backbone's block,
//
//	h ← h + W_o·Memory(RMSNorm(h))
//
// with W_o zero at first, so that training begins with what the backbone is.
type Adapter struct {
	Memory string // its kind, model.MemoryFifo or model.MemoryNeural
	Layers []int  // that have one, ascending; nil: the one in the middle
	// Window is the most rows that the backbone's attention sees, the query's own among them, so that what lies further back must be
	// remembered; 0: it sees what it does by itself.
	Window int
}

// shape is that of graphs of a backbone with the adapter.
func (a Adapter) shape(b *Backbone) (s Shape, err error) {
	s = b.shape()
	s.Sight.Window = a.Window
	layers := a.Layers
	if layers == nil {
		layers = []int{s.Layers / 2}
	}
	switch a.Memory {
	case model.MemoryFifo:
		s.Fifo = adapterFifo(a.Window, layers)
	case model.MemoryNeural:
		s.Neural = adapterNeural(s.Dim, layers)
	default:
		return s, fmt.Errorf("train: no adapter has a memory of kind %q (but %s or %s)", a.Memory, model.MemoryFifo, model.MemoryNeural)
	}
	return s, s.check()
}

// mostChunk is the most rows of a chunk in the bank of an adapter.
const mostChunk = 64

// adapterFifo has chunks that are no longer than the window: what a query does not see any more is in a complete one.
func adapterFifo(window int, layers []int) *Fifo {
	f := NewFifo(layers...)
	f.Window, f.Detach = 0, true
	if window > 0 {
		f.Chunk = min(mostChunk, window)
	}
	f.PerChunk = max(1, f.Chunk/8)
	f.Slots = 16 * f.PerChunk
	return f
}

// truncated is the number of chunks that gradients go through in the neural memory of an adapter.
const truncated = 32

// adapterNeural has two heads, of as many values as half of the backbone's rows, but no more than small models have.
func adapterNeural(dim int, layers []int) *Neural {
	n := SmallNeural()
	n.Layers, n.Truncate = layers, truncated
	n.Dim = max(2, min(n.Dim, dim/n.Heads)&^1)
	return n
}

// checkBackbone says what is wrong with a shape that has a backbone.
func (s *Shape) checkBackbone() error {
	if own := s.Backbone.shape(); s.Dim != own.Dim || s.Layers != own.Layers || len(s.Sights) > 0 {
		return fmt.Errorf("train: %d layers of %d values on a backbone of %d layers of %d", s.Layers, s.Dim, own.Layers, own.Dim)
	}
	if s.Neural == nil && s.Fifo == nil && !s.Tuned {
		return errors.New("train: nothing of the backbone is to be learned, and there is no memory on it")
	}
	if err := s.Sight.check(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if f := s.Fifo; f != nil && len(f.Layers) == 0 {
		return errors.New("train: a memory in no layer")
	}
	return s.checkMemories()
}

// onBackbone adds what is learned on a backbone: its own parameters, if they are, and what its memory has, with W_o zero.
func (m *Model) onBackbone(seed uint64, matrix func(name string, out, in int, deviation float64), norm func(name string)) {
	if m.Shape.Tuned {
		m.tuned()
	}
	m.newNeural(seed)
	for l := range m.Shape.Layers {
		if m.Shape.Neural.has(l) {
			clear(m.byName[block(l, "mem_output.weight")].Values)
		}
		if m.Shape.Fifo.has(l) {
			norm(block(l, "mem_input_norm.weight"))
			m.fifoParams(l, matrix, norm)
			c := m.Shape.fifoConfig()
			m.param(block(l, "mem_output.weight"), m.Shape.Dim, c.Width())
		}
	}
}

// recall adds what is read of the bank of a layer, if there is something in it. Nothing that is read of it is zeros only.
func (b *builder) recall(x *gorgonia.Node, l, length int) *gorgonia.Node {
	if !b.reads(l, length) {
		return x
	}
	read := b.memory(b.norm(x, block(l, "mem_input_norm.weight")), l, length)
	return b.add(x, b.linear(read, block(l, "mem_output.weight"), ""))
}

// Recipe is how the adapter is trained on a backbone.
func (a Adapter) Recipe(b *Backbone, c Course) (r Recipe, err error) {
	shape, err := a.shape(b)
	if err != nil {
		return r, err
	}
	if a.Window >= c.Length {
		return r, fmt.Errorf("train: texts of %d tokens, all of which attention to %d rows sees: nothing is to be remembered", c.Length, a.Window)
	}
	stages, err := c.stages()
	if err != nil {
		return r, err
	}
	if f := shape.Fifo; f != nil && f.Chunk >= c.Length {
		return r, fmt.Errorf("train: texts of %d tokens, in which no chunk of %d ends before another begins: nothing is to be remembered", c.Length, f.Chunk)
	}
	if err := b.fit(1, stages); err != nil {
		return r, err
	}
	return recipe("adapter "+a.Memory, "a memory on a model that stays as it is", func(int) Shape { return shape }, stages), nil
}
