package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// PoolMeans returns [slots, d]: each chunk of rows x [rows, d] is cut into as many pieces as it has slots, and these are their
// means.
func (c Compute) PoolMeans(x *gorgonia.Node, ch Chunks) (*gorgonia.Node, error) {
	return apply(poolMeans{c, ch}, x)
}

type poolMeans struct {
	c  Compute
	ch Chunks
}

func (poolMeans) String() string { return "pool means" }

func (p poolMeans) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	slots, err := p.ch.slotsOf(in[0])
	if err == nil && p.ch.Chunk%p.ch.Slots != 0 {
		err = fmt.Errorf("chunks of %d rows cannot be cut into %d equal pieces", p.ch.Chunk, p.ch.Slots)
	}
	return slots, err
}

// first is the row where the piece of a slot begins.
func (p poolMeans) first(slot int) int {
	n := p.ch.slots()
	return slot/n*p.ch.Length + slot%n*(p.ch.Chunk/p.ch.Slots)
}

func (p poolMeans) run(out []float32, in []operand) error {
	d, piece := in[0].shape[1], p.ch.Chunk/p.ch.Slots
	return p.c.each(len(out)/d, 16, func(_ *kernels.Worker, from, to int) {
		clear(out[from*d : to*d])
		for s := from; s < to; s++ {
			for i := range piece {
				p.c.Impl.Axpy(1/float32(piece), in[0].values[(p.first(s)+i)*d:][:d], out[s*d:(s+1)*d])
			}
		}
	})
}

func (poolMeans) differentiable() []bool { return []bool{true} }

func (p poolMeans) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(poolMeansToInput{of: p, input: in[0].Shape().Clone()}, grad))
}

// poolMeansToInput gives each row of a piece its part of the gradient of the mean.
type poolMeansToInput struct {
	terminal
	of    poolMeans
	input tensor.Shape
}

func (poolMeansToInput) String() string { return "pool means to its input" }

func (p poolMeansToInput) shape([]tensor.Shape) (tensor.Shape, error) { return p.input, nil }

func (p poolMeansToInput) run(out []float32, in []operand) error {
	m := p.of
	d, piece := in[0].shape[1], m.ch.Chunk/m.ch.Slots
	clear(out)
	return m.c.each(in[0].shape[0], 16, func(_ *kernels.Worker, from, to int) {
		for s := from; s < to; s++ {
			for i := range piece {
				m.c.Impl.Axpy(1/float32(piece), in[0].values[s*d:(s+1)*d], out[(m.first(s)+i)*d:][:d])
			}
		}
	})
}

// PoolQueries returns [slots, d]: of each chunk of rows x [rows, d] the sums under the softmax of queries·keys/√d, for queries
// [Slots, d] and the rows' keys [rows, d].
func (c Compute) PoolQueries(x, keys, queries *gorgonia.Node, ch Chunks) (*gorgonia.Node, error) {
	return apply(newPoolQueries(c, ch), x, keys, queries)
}

type poolQueries struct {
	c     Compute
	ch    Chunks
	tiles []tile // of each thread, [Slots, Chunk] in whole groups
}

func newPoolQueries(c Compute, ch Chunks) *poolQueries {
	return &poolQueries{c, ch, make([]tile, c.Team.Threads())}
}

func (*poolQueries) String() string { return "pool by queries" }

func (p *poolQueries) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 2, 2); err != nil {
		return nil, err
	}
	if !in[0].Eq(in[1]) || in[2][1] != in[0][1] || in[2][0] != p.ch.Slots {
		return nil, fmt.Errorf("rows %v, keys %v and %d queries %v do not fit", in[0], in[1], p.ch.Slots, in[2])
	}
	return p.ch.slotsOf(in[0])
}

// first is the first row of a chunk, of which there are those of all texts that are summarized.
func (p *poolQueries) first(chunk int) int {
	n := p.ch.summarized()
	return chunk/n*p.ch.Length + chunk%n*p.ch.Chunk
}

// chunks has the team call body for each of these chunks.
func (p *poolQueries) chunks(slots int, body func(w *kernels.Worker, t *tile, chunk, row int)) error {
	return p.c.each(slots/p.ch.Slots, 1, func(w *kernels.Worker, from, to int) {
		t := &p.tiles[w.ID]
		if t.w == nil {
			size := p.ch.Slots * kernels.WholeGroups(p.ch.Chunk)
			t.w, t.d = make([]float32, size), make([]float32, size)
		}
		for n := from; n < to; n++ {
			body(w, t, n, p.first(n))
		}
	})
}

// weigh makes the weights of a chunk's rows, of which keys are the first's and those after it.
func (p *poolQueries) weigh(w *kernels.Worker, weights, keys, queries []float32, d int) {
	stride := kernels.WholeGroups(p.ch.Chunk)
	p.c.Impl.Gemm(&kernels.Gemm{
		TransB: true, M: p.ch.Slots, N: p.ch.Chunk, K: d, Alpha: float32(1 / math.Sqrt(float64(d))),
		A: queries, LDA: d, B: keys, LDB: d, C: weights, LDC: stride,
	}, &w.Scratch)
	softmaxRows(p.c, weights, p.ch.Slots, p.ch.Chunk)
}

// softmaxRows makes rows of n scores, which are whole groups apart, their softmax.
func softmaxRows(c Compute, x []float32, rows, n int) {
	stride := kernels.WholeGroups(n)
	for i := range rows {
		row := x[i*stride:][:stride]
		hide(row[n:])
		c.softmaxRow(row)
	}
}

// softmaxRow makes a row of scores, which is whole groups, its softmax.
func (c Compute) softmaxRow(row []float32) {
	_, sum := c.Impl.Softmax(row, 1, -math.MaxFloat32)
	times(row, 1/sum)
}

// hide makes scores those of rows that have no weight.
func hide(scores []float32) {
	for j := range scores {
		scores[j] = float32(math.Inf(-1))
	}
}

func (p *poolQueries) run(out []float32, in []operand) error {
	d, stride := in[0].shape[1], kernels.WholeGroups(p.ch.Chunk)
	return p.chunks(len(out)/d, func(w *kernels.Worker, t *tile, chunk, row int) {
		p.weigh(w, t.w, in[1].values[row*d:], in[2].values, d)
		p.c.Impl.Gemm(&kernels.Gemm{
			M: p.ch.Slots, N: d, K: p.ch.Chunk, Alpha: 1, A: t.w, LDA: stride, B: in[0].values[row*d:], LDB: d, C: out[chunk*p.ch.Slots*d:], LDC: d,
		}, &w.Scratch)
	})
}

func (*poolQueries) differentiable() []bool { return []bool{true, true, true} }

func (p *poolQueries) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	parts := shapesOf(in...)
	return parts.apart(&poolQueriesToInputs{packed: parts, of: newPoolQueries(p.c, p.ch)}, in[0], in[1], in[2], grad)
}

// poolQueriesToInputs are the gradients with respect to rows, keys and queries, from these and grad.
type poolQueriesToInputs struct {
	packed
	of     *poolQueries
	scores []float32 // gradients with respect to all chunks' scores
}

func (*poolQueriesToInputs) String() string { return "pool by queries to its inputs" }

func (p *poolQueriesToInputs) run(out []float32, in []operand) error {
	d, n, rows, impl := in[0].shape[1], p.of.ch.Slots, p.of.ch.Chunk, p.of.c.Impl
	stride, scale := kernels.WholeGroups(rows), float32(1/math.Sqrt(float64(d)))
	slots := in[3].shape[0]
	if p.scores == nil {
		p.scores = make([]float32, slots*stride)
	}
	clear(out) // of the last chunks, too
	parts := p.cut(out)
	err := p.of.chunks(slots, func(w *kernels.Worker, t *tile, chunk, row int) {
		x, queries, grad := in[0].values[row*d:], in[2].values, in[3].values[chunk*n*d:]
		scores := p.scores[chunk*n*stride:][:n*stride]
		p.of.weigh(w, t.w, in[1].values[row*d:], queries, d)
		impl.Gemm(&kernels.Gemm{TransA: true, M: rows, N: d, K: n, Alpha: 1, A: t.w, LDA: stride, B: grad, LDB: d, C: parts[0][row*d:], LDC: d}, &w.Scratch)
		impl.Gemm(&kernels.Gemm{TransB: true, M: n, N: rows, K: d, Alpha: 1, A: grad, LDA: d, B: x, LDB: d, C: scores, LDC: stride}, &w.Scratch)
		for i := range n {
			weights, toRow := t.w[i*stride:][:rows], scores[i*stride:][:rows]
			toScores(weights, toRow, impl.Dot(weights, toRow), scale)
		}
		impl.Gemm(&kernels.Gemm{TransA: true, M: rows, N: d, K: n, Alpha: 1, A: scores, LDA: stride, B: queries, LDB: d, C: parts[1][row*d:], LDC: d}, &w.Scratch)
	})
	if err != nil {
		return err
	}
	for chunk := range slots / n { // in this order, whoever worked on what
		err := p.of.c.Team.Gemm(impl, &kernels.Gemm{
			M: n, N: d, K: rows, Alpha: 1, A: p.scores[chunk*n*stride:], LDA: stride, B: in[1].values[p.of.first(chunk)*d:], LDB: d, Beta: 1, C: parts[2], LDC: d,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
