package train

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/memory/fifo"
)

// Fifo is the shape of a gated first-in-first-out memory: see package memory/fifo. The text is cut into chunks. In every layer
// three paths are weighed for each head: attention to the chunk, to a window in it, and what is read of the memory, zeros in layers
// without one and in the first chunk. On a backbone, what is read is a branch of its own (see Adapter).
type Fifo struct {
	Chunk, Window   int     // rows; a chunk is cut into windows
	Slots, PerChunk int     // of the bank, and of a chunk in it
	Layers          []int   // that have a memory; in the others the third path is zeros
	Heads           int     // that read; 0: as many as attend
	Scale           float32 // of the inner products of queries and keys; 0: 1/√(width of a head)
	Gate            fifo.Gate
	Pooling         fifo.Pooling
	Previous        fifo.Previous
	Plain           bool // heads read slices of the slots as they are, without norm and projections
	Renormalize     bool // the first two paths have all the weight where there is nothing to read
	Zeroed          bool // what is read is zeros
	Detach          bool // gradients do not go from a slot to those that its gate mixed it with
}

// NewFifo returns what small models with such a memory have in some of their layers.
func NewFifo(layers ...int) *Fifo {
	return &Fifo{Chunk: 64, Window: 16, Slots: 128, PerChunk: 8, Layers: layers, Gate: fifo.GateSimple, Pooling: fifo.PoolQuery}
}

// fifoConfig is the shape of the memory as the engine has it.
func (s *Shape) fifoConfig() fifo.Config {
	f := s.Fifo
	c := fifo.Config{
		Dim: s.Dim, Chunk: f.Chunk, Slots: f.Slots, PerChunk: f.PerChunk, Gate: f.Gate, Pooling: f.Pooling, Previous: f.Previous,
		Heads: f.Heads, Scale: f.Scale, Epsilon: s.Epsilon,
	}
	if c.Heads == 0 {
		c.Heads = s.Heads
	}
	width := s.Dim
	if s.Backbone != nil {
		width = s.Backbone.config.Heads * s.Backbone.config.ValueDim
	}
	c.HeadDim = width / max(c.Heads, 1)
	if c.Scale == 0 {
		c.Scale = float32(1 / math.Sqrt(float64(max(c.HeadDim, 1))))
	}
	return c
}

// has reports whether a layer has a memory.
func (f *Fifo) has(layer int) bool { return f != nil && slices.Contains(f.Layers, layer) }

func (s *Shape) checkFifo() error {
	f := s.Fifo
	if f == nil {
		return nil
	}
	c := s.fifoConfig()
	if err := c.Check(); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	switch {
	case s.Backbone != nil: // whose attention stays as it is
	case c.Heads*c.HeadDim != s.Dim:
		return fmt.Errorf("train: %d heads cannot read the %d values of a row's attention", c.Heads, s.Dim)
	case f.Window < 1 || f.Chunk%f.Window != 0:
		return fmt.Errorf("train: chunks of %d rows cannot be cut into windows of %d", f.Chunk, f.Window)
	case s.Landmark != Landmark{} || s.Sight != Sight{} || len(s.Sights) > 0:
		return fmt.Errorf("train: paths of chunks and windows in all layers, and landmarks or sights besides")
	}
	for i, l := range f.Layers {
		if l < 0 || l >= s.Layers || i > 0 && l <= f.Layers[i-1] {
			return fmt.Errorf("train: memories in layers %v: want numbers of the %d layers that ascend", f.Layers, s.Layers)
		}
	}
	return nil
}

// fifoParams makes the parameters of a layer. All paths begin with the same weight; the simple gate with more of the summary
// than of what was there, that of GRU with less, since its candidate knows nothing yet.
func (m *Model) fifoParams(layer int, matrix func(name string, out, in int, deviation float64), norm func(name string)) {
	f := m.Shape.Fifo
	if f == nil {
		return
	}
	c := m.Shape.fifoConfig()
	d, width, name := m.Shape.Dim, c.Width(), func(of string) string { return block(layer, "mem_"+of) }
	fanIn := 1 / math.Sqrt(float64(d))
	if m.Shape.Backbone == nil {
		m.param(name("fuse.weight"), 3, m.Shape.Heads)
	}
	if !f.has(layer) {
		return
	}
	matrix(name("q.weight"), width, d, fanIn)
	if !f.Plain {
		norm(name("norm.weight"))
		matrix(name("k.weight"), width, d, fanIn)
		matrix(name("v.weight"), width, d, fanIn)
	}
	if f.Pooling == fifo.PoolQuery {
		norm(name("pool_norm.weight"))
		matrix(name("pool_q.weight"), f.PerChunk, d, 0.5)
		matrix(name("pool_k.weight"), d, d, fanIn)
		matrix(name("pool_v.weight"), d, d, fanIn)
	}
	n := f.Gate.Matrices() * d
	if n == 0 {
		return
	}
	matrix(name("gate_w.weight"), n, d, fanIn)
	matrix(name("gate_u.weight"), n, d, fanIn)
	bias := m.param(name("gate_w.bias"), n).Values[:d]
	for i := range bias {
		if bias[i] = 1; f.Gate == fifo.GateGRU {
			bias[i] = -1
		}
	}
}

// fused adds the paths of a layer up, for its normed rows and their rotated queries, keys and values. Both paths of attention
// are within chunks, where RoPE, which sees differences of positions alone, gives the same for those of the text as for those
// of the chunk.
func (b *builder) fused(qkv, rows *gorgonia.Node, layer int, heads Heads) *gorgonia.Node {
	f := b.m.Shape.Fifo
	full := b.next(func() (*gorgonia.Node, error) { return b.c.Attention(qkv, heads, Sight{Chunk: f.Chunk}) })
	windowed := b.next(func() (*gorgonia.Node, error) { return b.c.Attention(qkv, heads, Sight{Chunk: f.Window}) })
	memory := b.memory(rows, layer, heads.Length)
	return b.next(func() (*gorgonia.Node, error) {
		return b.c.Fuse(b.of[block(layer, "mem_fuse.weight")], full, windowed, memory,
			Fusion{Heads: heads.Count, Length: heads.Length, Empty: f.Chunk, Renormalize: f.Renormalize, Zeroed: f.Zeroed && f.has(layer)})
	})
}

// reads reports whether something is read of a layer's memory: there is one, and texts are so long that chunks are summarized.
func (b *builder) reads(layer, length int) bool {
	f := b.m.Shape.Fifo
	return !f.Zeroed && f.has(layer) && Chunks{Length: length, Chunk: f.Chunk}.summarized() > 0
}

// memory returns what rows read of a layer's memory, nil if that is nothing.
func (b *builder) memory(rows *gorgonia.Node, layer, length int) *gorgonia.Node {
	if !b.reads(layer, length) {
		return nil
	}
	f, c := b.m.Shape.Fifo, b.m.Shape.fifoConfig()
	ch := Chunks{Length: length, Chunk: f.Chunk, Slots: f.PerChunk, Bank: f.Slots}
	name := func(of string) string { return block(layer, "mem_"+of) }
	slots := b.gated(b.pooled(rows, ch, name), ch, name)
	keys, values := slots, slots
	if !f.Plain {
		normed := b.norm(slots, name("norm.weight"))
		keys, values = b.linear(normed, name("k.weight"), ""), b.linear(normed, name("v.weight"), "")
	}
	queries := b.linear(rows, name("q.weight"), "")
	return b.next(func() (*gorgonia.Node, error) { return b.c.ReadBank(queries, keys, values, c.Heads, c.Scale, ch) })
}

// pooled returns the summaries of the chunks.
func (b *builder) pooled(rows *gorgonia.Node, ch Chunks, name func(string) string) *gorgonia.Node {
	if b.m.Shape.Fifo.Pooling == fifo.PoolMean {
		return b.next(func() (*gorgonia.Node, error) { return b.c.PoolMeans(rows, ch) })
	}
	rows = b.norm(rows, name("pool_norm.weight"))
	keys := b.linear(rows, name("pool_k.weight"), "")
	pooled := b.next(func() (*gorgonia.Node, error) { return b.c.PoolQueries(rows, keys, b.of[name("pool_q.weight")], ch) })
	return b.linear(pooled, name("pool_v.weight"), "")
}

// gated returns the slots that summaries become.
func (b *builder) gated(h *gorgonia.Node, ch Chunks, name func(string) string) *gorgonia.Node {
	f := b.m.Shape.Fifo
	if f.Gate == fifo.GateNone {
		return h
	}
	products := b.linear(h, name("gate_w.weight"), name("gate_w.bias"))
	return b.next(func() (*gorgonia.Node, error) {
		return b.c.FifoGate(h, products, b.of[name("gate_u.weight")], SlotGate{f.Gate, f.Previous, f.Detach}, ch)
	})
}
