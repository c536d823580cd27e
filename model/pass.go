package model

import (
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/weights/quant"
)

// pass is one thread's view of a batch on its way through the layers. All threads call the same steps in the same
// order; a step shares its work out and ends at a barrier.
type pass struct {
	*Runner
	w           *kernels.Worker
	attn        *attention.Scratch
	learner     *neural.Scratch
	params      attention.Params
	turn        kernels.Turn
	opened      attention.Opened
	blocks      []int32  // that queries open of a store
	ahead       [][]byte // pieces of a store that will be read
	view        kvcache.View
	read        attention.Reading
	selector    attention.Selector
	blockScores []float32 // of stored blocks with the queries of a set
	key, value  []byte    // rows for the cache
	gate, up    []float32 // products of a piece of the feed-forward layer's matrices
	bank        *fifo.Scratch
}

// rowGrain is the number of activation rows that a thread takes at a time, matrixGrain that of weight rows, smallGrain
// that of a matrix which would not make enough pieces for the threads to end together.
const (
	rowGrain    = 4
	matrixGrain = 64
	smallGrain  = 32
)

func (p *pass) begin(r *Runner, w *kernels.Worker) {
	p.Runner, p.w = r, w
	if p.attn == nil {
		p.attn = attention.NewScratch(&w.Scratch)
		p.bank = fifo.NewScratch(&w.Scratch)
		p.learner = neural.NewScratch(r.impl, &w.Scratch)
	}
}

// row returns row i of a matrix of the given width.
func row(values []float32, i, width int) []float32 { return values[i*width : (i+1)*width] }

// embed looks the tokens up and works out the angles of their positions.
func (p *pass) embed() {
	m, pairs := p.model, p.model.Rope.Dimensions/2
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			h := row(p.hidden, i, m.Embedding)
			if err := quant.Decode(m.embedding.Type, h, m.embedding.Row(int(p.batch[i].Token))); err != nil {
				p.fail(err)
			}
			for j := range h {
				h[j] *= m.EmbeddingScale
			}
			p.batch[i].Sequence.rope.angles(p.ropeAt[i], row(p.cos, i, pairs), row(p.sin, i, pairs))
		}
	})
	p.w.Barrier()
}

// normalize sets normed = RMSNorm(hidden)·w, in the forms that the next matrices read (Zhang and Sennrich 2019).
func (p *pass) normalize(w []float32) {
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.normalizeRow(i, w)
		}
	})
	p.w.Barrier()
}

func (p *pass) normalizeRow(i int, w []float32) {
	p.impl.RMSNorm(p.normed.Row(i), row(p.hidden, i, p.model.Embedding), w, p.model.NormEpsilon)
	p.impl.Convert(p.normed, i, 0, p.normed.Cols)
}

// add adds a sublayer's output, RMS-normed first if the architecture has a norm there, to the residual stream, and
// normalizes it for what comes next, unless that is nil: the last norm is for fewer rows.
func (p *pass) add(norm, next []float32) {
	m := p.model
	p.w.For(p.rows, rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			change := row(p.change, i, m.Embedding)
			if norm != nil {
				p.impl.RMSNorm(change, change, norm, m.NormEpsilon)
			}
			p.impl.Axpy(1, change, row(p.hidden, i, m.Embedding))
			if next != nil {
				p.normalizeRow(i, next)
			}
		}
	})
	p.w.Barrier()
}

// end adds a layer's last sublayer's output to the residual stream, and normalizes it for the next layer, if there is one.
func (p *pass) end(norm []float32, next *layer) {
	if next == nil {
		p.add(norm, nil)
		return
	}
	if next.recallNorm == nil {
		p.expect(&next.q, &next.k, &next.v)
	} else {
		p.expectMemory(next)
	}
	p.add(norm, next.entryNorm())
}

// attention sets change = W_o·Attention(normed).
func (p *pass) attention(l *layer) {
	p.attendNormed(l)
	p.multiply(p.attended, product{&l.o, p.change, nil})
}

// attendNormed sets attended = Attention(normed).
func (p *pass) attendNormed(l *layer) {
	p.multiply(p.normed, product{&l.q, p.q, nil}, product{&l.k, p.k, nil}, product{&l.v, p.v, nil})
	p.expect(&l.o)
	p.rotateAndStore(l)
	p.chooseBlocks(l)
	p.attend(l)
	p.fuse(l)
	p.observe(l)
	p.weighMass(l)
	p.releaseStores()
}

// narrow drops, after the last layer's attention, the rows whose logits nobody asks for: with their keys and values stored,
// they are done. It reports whether none is left.
func (p *pass) narrow(l *layer) (done bool) {
	m := p.model
	if l.index < m.Layers-1 || len(p.wanted) == len(p.batch) {
		return false
	}
	if p.w.ID == 0 {
		for i, r := range p.wanted {
			copy(row(p.hidden, i, m.Embedding), row(p.hidden, int(r), m.Embedding))
			copy(row(p.change, i, m.Embedding), row(p.change, int(r), m.Embedding))
		}
		p.setRows(m, len(p.wanted))
	}
	p.w.Barrier()
	return len(p.wanted) == 0
}

// rotateAndStore brings queries and keys to their positions and puts keys and values into the caches. Keys of sequences
// whose positions are packed are stored as they are.
func (p *pass) rotateAndStore(l *layer) {
	m := p.model
	heads := m.Heads + m.KVHeads
	p.w.For(len(p.batch)*heads, 8*rowGrain, func(from, to int) {
		for at := from; at < to; at++ {
			i, h := at/heads, at%heads
			if h < m.Heads {
				q := row(p.q, i*m.Heads+h, m.KeyDim)
				p.normalizeHead(q, l.qNorm)
				if l.neural != nil && l.neural.persistent != nil {
					copy(row(p.plain, i*m.Heads+h, m.KeyDim), q)
				}
				p.rotate(q, i)
				continue
			}
			h -= m.Heads
			key := row(p.k, i*m.KVHeads+h, m.KeyDim)
			p.normalizeHead(key, l.kNorm)
			if !p.batch[i].Sequence.packed() {
				p.rotate(key, i)
			}
			if err := p.store(l, i, h, key, row(p.v, i*m.KVHeads+h, m.ValueDim)); err != nil {
				p.fail(err)
			}
		}
	})
	p.w.Barrier()
}

// normalizeHead norms a head's query or key, if the architecture does.
func (p *pass) normalizeHead(x, norm []float32) {
	if norm != nil {
		p.impl.RMSNorm(x, x, norm, p.model.NormEpsilon)
	}
}

// rotate rotates a head's query or key to the position of batch row i.
func (p *pass) rotate(x []float32, i int) {
	pairs := p.model.Rope.Dimensions / 2
	rope := p.impl.RopePairs
	if p.model.Rope.Halves {
		rope = p.impl.RopeHalves
	}
	rope(x, row(p.cos, i, pairs), row(p.sin, i, pairs))
}

// gated is an activation of the feed-forward layer: dst = f(gate)·up.
type gated func(dst, gate, up []float32)

// feedForward sets change = W_down·(f(W_gate·normed)·(W_up·normed)) (Shazeer 2020).
func (p *pass) feedForward(l *layer, f gated) {
	p.activate(f, gatePair{gate: &l.gate, up: &l.up})
	p.multiply(p.inner, product{&l.down, p.change, nil})
}

// gatePair is the first half of a feed-forward layer: the rows of normed that pick names (all, if it is nil) become
// the rows of inner from first on.
type gatePair struct {
	gate, up *linear
	first    int
	pick     []int32
}

// activate sets inner = f(W_gate·normed)·(W_up·normed), both products and what follows from them in one step: a thread
// that has some rows of the two matrices has all that it needs.
func (p *pass) activate(f gated, pairs ...gatePair) {
	pieces := p.pieces(p.model.FeedForward)
	p.w.For(pieces*len(pairs), 1, func(from, to int) {
		for at := from; at < to; at++ {
			p.activatePiece(f, &pairs[at/pieces], at%pieces)
		}
	})
	p.w.Barrier()
}

// activatePiece works in memory of the thread's own. Products lie matrixGrain apart in it, but begin at the piece's first
// row, wherever that is.
func (p *pass) activatePiece(f gated, pair *gatePair, piece int) {
	from := piece * p.grain(p.model.FeedForward)
	to := min(from+p.grain(p.model.FeedForward), p.model.FeedForward)
	n := p.columns(p.normed, pair.pick)
	kernels.Grow(&p.gate, p.model.FeedForward+n*matrixGrain)
	kernels.Grow(&p.up, p.model.FeedForward+n*matrixGrain)
	p.multiplyRows(p.normed, product{pair.gate, p.gate, pair.pick}, matrixGrain, from, to)
	p.multiplyRows(p.normed, product{pair.up, p.up, pair.pick}, matrixGrain, from, to)
	for c := range n {
		at := c*matrixGrain + from
		f(p.inner.Row(pair.first + c)[from:to], p.gate[at:at+to-from], p.up[at:at+to-from])
		p.impl.Convert(p.inner, pair.first+c, from, to)
	}
}

// project sets the logits of the rows that are left.
func (p *pass) project() {
	m := p.model
	if len(p.wanted) == 0 {
		return
	}
	p.w.For(len(p.wanted), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.impl.RMSNorm(p.last.Row(i), row(p.hidden, i, m.Embedding), m.norm, m.NormEpsilon)
			p.impl.Convert(p.last, i, 0, p.last.Cols)
		}
	})
	p.w.Barrier()
	if p.hiddenOnly {
		return
	}
	p.multiply(p.last, product{&p.output, p.logits, nil})
	if m.LogitSoftcap > 0 {
		p.w.For(len(p.wanted), 1, func(from, to int) {
			for i := from; i < to; i++ {
				p.impl.Softcap(row(p.logits, i, m.Vocabulary), m.LogitSoftcap)
			}
		})
		p.w.Barrier()
	}
}

// aheadBytes is how much of a matrix is asked for ahead of a step: enough to have its reading under way.
const aheadBytes = 16 << 10

// expect asks for what this thread will read first of matrices that are multiplied as one list. Between steps a thread
// waits for others, or works on a row of activations while they wait; memory would wait with them. Packed matrices, in
// huge pages, come by themselves fast enough.
func (p *pass) expect(list ...*linear) {
	if p.rows > rowGrain {
		return // bound by arithmetic, and a tile is brought in far ahead of its use
	}
	pieces := 0
	for _, l := range list {
		pieces += p.pieces(l.Rows)
	}
	piece := pieces * p.w.ID / p.w.Threads()
	for _, l := range list {
		if n := p.pieces(l.Rows); piece >= n {
			piece -= n
			continue
		}
		if l.Packing == nil {
			at := piece * p.grain(l.Rows) * l.RowBytes
			p.impl.Fetch(l.Data[at:min(at+aheadBytes, len(l.Data))])
		}
		return
	}
}

// product is one matrix product: to[c, :] = w·x_c + bias, with c counting the rows of x that pick names (all,
// if it is nil).
type product struct {
	w    *linear
	to   []float32
	pick []int32
}

// multiply runs the products of a step, all with the same activations, as one list of weight rows that the threads
// share.
func (p *pass) multiply(x *kernels.Activations, products ...product) {
	pieces := 0
	for i := range products {
		pieces += p.pieces(products[i].w.Rows)
	}
	p.w.For(pieces, 1, func(from, to int) {
		for piece := from; piece < to; piece++ {
			p.multiplyPiece(x, products, piece)
		}
	})
	p.w.Barrier()
}

// grain is the number of rows of a matrix that a thread takes at a time.
func (p *pass) grain(rows int) int {
	if rows < 8*matrixGrain*p.w.Threads() {
		return smallGrain
	}
	return matrixGrain
}

func (p *pass) pieces(rows int) int { return (rows + p.grain(rows) - 1) / p.grain(rows) }

func (p *pass) multiplyPiece(x *kernels.Activations, products []product, piece int) {
	i := 0
	for n := p.pieces(products[i].w.Rows); piece >= n; n = p.pieces(products[i].w.Rows) {
		piece -= n
		i++
	}
	rows := products[i].w.Rows
	from := piece * p.grain(rows)
	p.multiplyRows(x, products[i], rows, from, min(from+p.grain(rows), rows))
}

// multiplyRows computes rows [from, to) of a product, bias and all. Its columns are stride apart.
func (p *pass) multiplyRows(x *kernels.Activations, q product, stride, from, to int) {
	p.impl.Product(&q.w.Matrix)(q.to, stride, &q.w.Matrix, from, to, x, q.pick, &p.w.Scratch)
	if q.w.bias == nil {
		return
	}
	for c := range p.columns(x, q.pick) {
		p.impl.Axpy(1, q.w.bias[from:to], q.to[c*stride+from:c*stride+to])
	}
}

// columns is the number of rows of x that a product reads.
func (p *pass) columns(x *kernels.Activations, pick []int32) int {
	if pick == nil {
		return x.Rows
	}
	return len(pick)
}
