package fifo

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory"
)

// Scratch is memory that a thread reuses from call to call.
type Scratch struct {
	kernels *kernels.Scratch
	product kernels.Gemm
	scores  []float32
	pooled  []float32 // [PerChunk, Dim]
	mixed   []float32 // [PerChunk, Dim]
	before  []float32 // [PerChunk, Dim] p
	gates   []float32 // [PerChunk, 3·Dim]
}

// NewScratch makes memory for a thread.
func NewScratch(s *kernels.Scratch) *Scratch { return &Scratch{kernels: s} }

// ScratchValues is the most values that the scratch has where a bank is read for so many rows at a time.
func (c *Config) ScratchValues(rows int) int {
	scores := min(rows, c.Chunk) * kernels.WholeGroups(c.Slots)
	if c.Pooling == PoolQuery {
		scores = max(scores, c.PerChunk*kernels.WholeGroups(c.Chunk))
	}
	return scores + (3+c.Gate.Matrices())*c.PerChunk*c.Dim
}

// multiply sets c = beta·c + a·Wᵀ: a is [rows, in], w is [out, in], and the rows of c are stride apart.
func (s *Scratch) multiply(impl *kernels.Implementation, c []float32, stride int, beta float32, a, w []float32, rows, in int) {
	s.gemm(impl, kernels.Gemm{
		TransB: true, M: rows, N: len(w) / in, K: in, Alpha: 1, A: a, LDA: in, B: w, LDB: in, Beta: beta, C: c, LDC: stride,
	})
}

// gemm computes a product that lies in the scratch meanwhile: what is behind a function's value would be on the heap.
func (s *Scratch) gemm(impl *kernels.Implementation, g kernels.Gemm) {
	s.product = g
	impl.Gemm(&s.product, s.kernels)
	s.product = kernels.Gemm{}
}

// Write takes rows of the text, [n, Dim], at most Room of them.
func (b *Bank) Write(impl *kernels.Implementation, x []float32) error {
	n := len(x) / b.Dim
	if len(x)%b.Dim != 0 || n > b.Room() {
		return fmt.Errorf("fifo: %d values for at most %d rows of %d", len(x), b.Room(), b.Dim)
	}
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("fifo: dimension %d of a row is %v", i%b.Dim, v)
		}
	}
	for i := range n {
		row, from := b.rows[(b.count+i)*b.Dim:][:b.Dim], x[i*b.Dim:(i+1)*b.Dim]
		if b.PoolNorm == nil {
			copy(row, from)
		} else {
			impl.RMSNorm(row, from, b.PoolNorm, b.Epsilon)
		}
	}
	b.count += n
	return nil
}

// Advance folds the chunk into the slots, if it is complete. It comes before reads: all rows of a chunk read what there was before
// it.
func (b *Bank) Advance(impl *kernels.Implementation, s *Scratch) {
	b.project(impl, s)
	if b.count < b.Chunk {
		return
	}
	if b.held && !b.copied {
		copy(b.shadow.slots, b.slots)
		copy(b.shadow.rows, b.rows)
		b.copied = true
	}
	h := b.pool(impl, s)
	p := b.previous(impl, s)
	b.gate(impl, h, p, s)
	copy(b.group(b.next), h)
	b.projectGroup(impl, b.next, s)
	groups := b.Slots / b.PerChunk
	b.next = (b.next + 1) % groups
	b.filled = min(b.filled+1, groups)
	b.count = 0
}

// pool returns the summaries of the chunk, [PerChunk, Dim].
func (b *Bank) pool(impl *kernels.Implementation, s *Scratch) []float32 {
	n, d, rows := b.PerChunk, b.Dim, b.Chunk
	pooled := kernels.Grow(&s.pooled, n*d)
	if b.Pooling == PoolQuery {
		stride := kernels.WholeGroups(rows)
		scores := kernels.Grow(&s.scores, n*stride)
		s.multiply(impl, scores, stride, 0, b.queries, b.rows, n, d)
		weigh(impl, scores, n, rows, 1)
		s.gemm(impl, kernels.Gemm{M: n, N: d, K: rows, Alpha: 1, A: scores, LDA: stride, B: b.rows, LDB: d, C: pooled, LDC: d})
	} else {
		clear(pooled)
		piece := rows / n
		for i := range rows {
			impl.Axpy(1/float32(piece), b.rows[i*d:(i+1)*d], pooled[i/piece*d:])
		}
	}
	if b.PoolValue == nil {
		return pooled
	}
	mixed := kernels.Grow(&s.mixed, n*d)
	s.multiply(impl, mixed, d, 0, pooled, b.PoolValue, n, d)
	return mixed
}

// weigh makes softmax weights of rows of n scores, which are whole groups of keys apart.
func weigh(impl *kernels.Implementation, scores []float32, rows, n int, scale float32) {
	stride := kernels.WholeGroups(n)
	none, least := float32(math.Inf(-1)), float32(-math.MaxFloat32)
	for i := range rows {
		w := scores[i*stride : (i+1)*stride]
		for j := n; j < stride; j++ {
			w[j] = none
		}
		_, sum := impl.Softmax(w, scale, least)
		for j := range w {
			w[j] /= sum
		}
	}
}

// previous returns what the gate mixes the summaries with, [PerChunk, Dim].
func (b *Bank) previous(impl *kernels.Implementation, s *Scratch) []float32 {
	groups := b.Slots / b.PerChunk
	p := kernels.Grow(&s.before, b.PerChunk*b.Dim)
	clear(p)
	switch {
	case b.filled == 0 || b.Gate == GateNone:
	case b.Previous == PreviousNewest:
		copy(p, b.group((b.next+groups-1)%groups))
	case b.Previous == PreviousOldest:
		copy(p, b.group(b.next%b.filled)) // group 0 until all are filled
	default:
		for g := range b.filled {
			impl.Axpy(1/float32(b.filled), b.group(g), p)
		}
	}
	return p
}

// gate makes new slots of the summaries h, which it overwrites, and of the slots p.
func (b *Bank) gate(impl *kernels.Implementation, h, p []float32, s *Scratch) {
	if b.Gate == GateNone {
		return
	}
	n, d := b.PerChunk, b.Dim
	width := b.Gate.Matrices() * d
	gates := kernels.Grow(&s.gates, n*width)
	for i := range n {
		row := gates[i*width : (i+1)*width]
		clear(row)
		copy(row, b.GateBias)
	}
	s.multiply(impl, gates, width, 1, h, b.GateW, n, d)
	if b.Gate == GateSimple {
		s.multiply(impl, gates, width, 1, p, b.GateU, n, d)
		for i, v := range gates {
			g := memory.Sigmoid(v)
			h[i] = float32(g*h[i]) + float32((1-g)*p[i])
		}
		return
	}
	s.multiply(impl, gates, width, 1, p, b.GateU[:2*d*d], n, d)
	for i := range n {
		row := gates[i*width : (i+1)*width]
		for j := range d {
			row[j] = memory.Sigmoid(row[j])
			h[i*d+j] = memory.Sigmoid(row[d+j]) * p[i*d+j] // the candidate's product reads h no more
		}
	}
	s.multiply(impl, gates[2*d:], width, 1, h, b.GateU[2*d*d:], n, d)
	for i := range n {
		row := gates[i*width : (i+1)*width]
		for j := range d {
			z, c := row[j], float32(math.Tanh(float64(row[2*d+j])))
			h[i*d+j] = float32((1-z)*p[i*d+j]) + float32(z*c)
		}
	}
}

// projectGroup makes the keys and values of a group's slots. Groups are projected one by one, so that a slot's key has the same
// bits whenever it is made.
func (b *Bank) projectGroup(impl *kernels.Implementation, g int, s *Scratch) {
	if b.Key == nil {
		return
	}
	n, d, width := b.PerChunk, b.Dim, b.Width()
	slots := b.group(g)
	if b.SlotNorm != nil {
		normed := kernels.Grow(&s.before, n*d)
		for i := range n {
			impl.RMSNorm(normed[i*d:(i+1)*d], slots[i*d:(i+1)*d], b.SlotNorm, b.Epsilon)
		}
		slots = normed
	}
	s.multiply(impl, b.keys[g*n*width:], width, 0, slots, b.Key, n, d)
	s.multiply(impl, b.values[g*n*width:], width, 0, slots, b.Value, n, d)
}
