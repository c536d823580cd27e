package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/memory/fifo"
)

// Fifo is the shape of a gated first-in-first-out memory: see package memory/fifo. The text is cut into chunks. In architecture
// mneme these are the chunks of attention, Config.ChunkLength, and in every layer three paths are weighed for each head: attention to
// the chunk, to a window in it, and what is read of the memory; layers without memory have zeros there. The memory of an adapter is
// read before the block instead: see pass.recall. The zero Fifo is none.
type Fifo struct {
	fifo.Config
	Window      int   // length of the pieces of a chunk that the second path attends to; 0: there are no paths
	Layers      []int // that have a memory
	Renormalize bool  // the first two paths have all the weight as long as the bank is empty
}

// fuses reports whether what is read is one of three paths of attention.
func (f *Fifo) fuses() bool { return f.Window > 0 }

// fused is what a layer needs to weigh its paths.
type fused struct {
	fusion   *fifo.Fusion
	windowed layer // the second path: the layer with chunks as long as a window
}

// fifo reads the memory of chunks of architecture mneme, and the paths beside it.
func (r *reader) fifo(c *Config) (f Fifo) {
	if slices.ContainsFunc(c.AttentionKinds, func(k AttentionKind) bool { return k != AttentionChunked }) {
		r.fail(r.key("attention.kind"), "a memory of kind fifo summarizes chunks: want %v attention in all layers", AttentionChunked)
		return f
	}
	f = r.bank(c, c.ChunkLength)
	f.Window = r.size("memory.fifo.window", 1, -1)
	f.Renormalize = r.bool("memory.fifo.renormalize", false)
	switch {
	case r.err != nil:
	case f.Chunk != c.ChunkLength:
		r.fail(r.key("memory.fifo.chunk"), "%d tokens, where chunks of attention have %d", f.Chunk, c.ChunkLength)
	case f.Chunk%f.Window != 0:
		r.fail(r.key("memory.fifo.window"), "chunks of %d tokens cannot be cut into windows of %d", f.Chunk, f.Window)
	case f.Width() != c.Heads*c.ValueDim:
		r.fail(r.key("memory.fifo.head_count"), "%d heads of %d cannot read the %d values of a row's attention", f.Heads, f.HeadDim, c.Heads*c.ValueDim)
	}
	return f
}

// bank reads mneme.memory.fifo.* as far as it is about the memory itself, with chunks of as many tokens as given where there is no key
// for that; a negative number makes it required.
func (r *reader) bank(c *Config, chunk int) (f Fifo) {
	f.Dim, f.Epsilon = c.Embedding, c.NormEpsilon
	f.Chunk = r.size("memory.fifo.chunk", 1, chunk)
	f.Slots = r.size("memory.fifo.slots", 1, -1)
	f.PerChunk = r.size("memory.fifo.chunk_slots", 1, 1)
	f.Heads = r.size("memory.fifo.head_count", 1, 1)
	f.HeadDim = r.size("memory.fifo.head_length", 1, c.Heads*c.ValueDim/max(f.Heads, 1))
	f.Scale = float32(r.float("memory.fifo.scale", 1/math.Sqrt(float64(max(f.HeadDim, 1)))))
	var err error
	if f.Gate, err = fifo.ParseGate(r.string("memory.fifo.gate", fifo.GateGRU.String())); err != nil {
		r.fail(r.key("memory.fifo.gate"), "%v", err)
	}
	if f.Pooling, err = fifo.ParsePooling(r.string("memory.fifo.pooling", fifo.PoolMean.String())); err != nil {
		r.fail(r.key("memory.fifo.pooling"), "%v", err)
	}
	if f.Previous, err = fifo.ParsePrevious(r.string("memory.fifo.previous", fifo.PreviousNewest.String())); err != nil {
		r.fail(r.key("memory.fifo.previous"), "%v", err)
	}
	f.Layers = r.layers("memory.fifo.layers", c.Layers)
	if r.err != nil {
		return f
	}
	if err := f.Check(); err != nil {
		r.fail(r.key("memory.fifo"), "%v", err)
	}
	return f
}

// fused takes the tensors of a layer's paths.
func (l *loader) fused(c *Config, i int) *fused {
	f := &fused{windowed: layer{index: i, chunk: c.Fifo.Window}}
	heads := c.Heads
	name := block(i, "mem_fuse.weight")
	if t, ok := l.file.Tensor(name); ok && len(t.Shape) == 2 && t.Shape[0] == 1 {
		heads = 1 // the same weights for all heads
	}
	logits := l.values(name, heads, 3)
	if l.err != nil {
		return nil
	}
	var err error
	if f.fusion, err = fifo.NewFusion(logits, c.Heads, c.Fifo.Renormalize); err != nil {
		l.fail(name, "%w", err)
	}
	return f
}

// bank takes the tensors of a layer's memory, and those that queries of it are made with.
func (l *loader) bank(c *Config, i int) (bank *fifo.Layer, query linear) {
	x, d, width := &c.Fifo.Config, c.Embedding, c.Fifo.Width()
	query = l.linear(block(i, "mem_q"), d, width)
	w := fifo.Weights{
		PoolNorm:  l.optional(block(i, "mem_pool_norm.weight"), d),
		PoolValue: l.optionalValues(block(i, "mem_pool_v.weight"), d, d),
		SlotNorm:  l.optional(block(i, "mem_norm.weight"), d),
		Key:       l.optionalValues(block(i, "mem_k.weight"), d, width),
		Value:     l.optionalValues(block(i, "mem_v.weight"), d, width),
	}
	if x.Pooling == fifo.PoolQuery {
		w.PoolQueries = l.values(block(i, "mem_pool_q.weight"), d, x.PerChunk)
		w.PoolKey = l.optionalValues(block(i, "mem_pool_k.weight"), d, d)
	}
	if n := x.Gate.Matrices(); n > 0 {
		w.GateW, w.GateU = l.values(block(i, "mem_gate_w.weight"), d, n*d), l.values(block(i, "mem_gate_u.weight"), d, n*d)
		w.GateBias = l.optional(block(i, "mem_gate_w.bias"), n*d)
	}
	if l.err != nil {
		return nil, query
	}
	bank, err := fifo.NewLayer(*x, w)
	if err != nil {
		l.err = fmt.Errorf("model: memory of layer %d: %w", i, err)
	}
	return bank, query
}

// optionalValues reads a matrix that may be absent.
func (l *loader) optionalValues(name string, shape ...int) []float32 {
	if !l.has(name) {
		return nil
	}
	return l.values(name, shape...)
}

// fuse sets attended = λ1·attention to the chunk, which attended holds, + λ2·attention to the window + λ3·what is read of the
// memory.
func (p *pass) fuse(l *layer) {
	f := l.fused
	if f == nil {
		return
	}
	m := p.model
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			copy(row(p.fullPath, i, m.Heads*m.ValueDim), p.attended.Row(i))
		}
	})
	p.w.Barrier()
	p.attend(&f.windowed)
	if l.bank != nil && len(p.chunkPieces) > 0 {
		p.multiply(p.normed, product{&l.memoryQuery, p.memoryPath, nil})
		p.remember(l, p.memoryPath)
	}
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.fuseRow(l, i)
		}
	})
	p.w.Barrier()
}

// readBank sets change = W_o·Read(bank, normed), and has the banks take in the rows. Sequences without one read zeros.
func (p *pass) readBank(l *layer) {
	x := p.bankRead
	p.multiply(p.normed, product{&l.memoryQuery, x.Float, nil})
	p.expect(&l.memoryOutput)
	p.remember(l, x.Float)
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			if p.batch[i].Sequence.memories == nil {
				clear(x.Row(i))
			}
			p.impl.Convert(x, i, 0, x.Cols)
		}
	})
	p.w.Barrier()
	p.multiply(x, product{&l.memoryOutput, p.change, nil})
}

// piece is what of a batch lies in one chunk of a sequence.
type piece struct {
	first, rows int
	round       int // number among the sequence's pieces: a piece reads what those before it wrote
}

// piece notes that a row, which is not in its cache yet, goes on with the piece before it, or begins one.
func (r *Runner) piece(i int) {
	s := r.batch[i].Sequence
	if s.memories == nil {
		return
	}
	if i > 0 && r.batch[i-1].Sequence == s && int(r.batch[i].Position)%r.model.Fifo.Chunk != 0 {
		r.chunkPieces[len(r.chunkPieces)-1].rows++
		return
	}
	from := r.before[s]
	r.chunkPieces = append(r.chunkPieces, piece{first: i, rows: 1, round: from.pieces})
	from.pieces++
	r.before[s] = from
}

// sortChunkPieces brings the pieces into the order in which they are worked on: those of a round at the same time.
func (r *Runner) sortChunkPieces() {
	slices.SortStableFunc(r.chunkPieces, func(a, b piece) int { return a.round - b.round })
}

// bank is the memory of a layer that has one.
func (s *Sequence) bank(l *layer) *fifo.Bank { return s.memories[l.index].(*fifo.Bank) }

// remember replaces queries by what they read, and has the memories take in the rows: chunk after chunk. Those of sequences without a
// memory stay.
func (p *pass) remember(l *layer, queries []float32) {
	for rest := p.chunkPieces; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].round == rest[0].round {
			n++
		}
		p.rememberRound(l, rest[:n], queries)
		rest = rest[n:]
	}
}

// rememberRound works on pieces of different sequences. Rows that are written are read of when their chunk is complete, which is
// when the next one begins.
func (p *pass) rememberRound(l *layer, round []piece, queries []float32) {
	m := p.model
	p.w.For(len(round), 1, func(from, to int) {
		for _, x := range round[from:to] {
			b := p.batch[x.first].Sequence.bank(l)
			b.Advance(p.impl, p.bank)
			if err := b.Write(p.impl, p.normed.Float[x.first*m.Embedding:(x.first+x.rows)*m.Embedding]); err != nil {
				p.fail(fmt.Errorf("model: layer %d: %w", l.index, err))
			}
		}
	})
	p.w.Barrier()
	heads, width := m.Fifo.Heads, m.Fifo.Width()
	p.w.For(len(round)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			x, h := round[at/heads], at%heads
			q := queries[x.first*width+h*m.Fifo.HeadDim:]
			p.batch[x.first].Sequence.bank(l).Read(p.impl, q, width, q, width, x.rows, h, p.bank)
		}
	})
	p.w.Barrier()
}

// fuseRow weighs the paths of a row. Reads of a memory that is not there, or of one that is empty, are zeros. A sequence that leaves
// its memory out has an empty one for as long as others have.
func (p *pass) fuseRow(l *layer, i int) {
	m := p.model
	out, full := p.attended.Row(i), row(p.fullPath, i, m.Heads*m.ValueDim)
	empty := l.bank == nil || int(p.batch[i].Position) < m.Fifo.Chunk // nothing is summarized yet
	var read []float32
	if !empty && p.batch[i].Sequence.memories != nil {
		read = row(p.memoryPath, i, m.Heads*m.ValueDim)
	}
	for h := range m.Heads {
		from, to := h*m.ValueDim, (h+1)*m.ValueDim
		var memory []float32
		if read != nil {
			memory = read[from:to]
		}
		l.fused.fusion.Mix(out[from:to], full[from:to], out[from:to], memory, h, empty)
	}
	p.impl.Convert(p.attended, i, 0, p.attended.Cols)
}
