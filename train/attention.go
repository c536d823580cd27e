package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Sight says which earlier rows of its text a query sees, itself always among them. At most one of its fields is set; without
// one, a query sees all.
type Sight struct {
	Window   int // so many rows, the query's own among them
	Chunk    int // those of its own piece of the text, which is cut into pieces of so many
	Landmark int // all, by the grouped softmax: blocks of so many rows are each followed by the row of a landmark (see grouped)
}

func (s Sight) check() error {
	set := 0
	for _, n := range []int{s.Window, s.Chunk, s.Landmark} {
		if n < 0 {
			return fmt.Errorf("sight %+v", s)
		}
		set += min(n, 1)
	}
	if set > 1 {
		return fmt.Errorf("a window of %d, chunks of %d and blocks of %d: at most one of them", s.Window, s.Chunk, s.Landmark)
	}
	return nil
}

// first returns the first row that the query at a position sees.
func (s Sight) first(position int) int {
	switch {
	case s.Window > 0:
		return max(0, position-s.Window+1)
	case s.Chunk > 0:
		return position / s.Chunk * s.Chunk
	}
	return 0
}

// Attention returns [rows, heads·dim], causal attention by the softmax of q·k/√dim, for rows qkv, which h says how they lie.
func (c Compute) Attention(qkv *gorgonia.Node, h Heads, s Sight) (*gorgonia.Node, error) {
	return apply(newAttention(c, h, s), qkv)
}

// Scores says what the products of queries and keys become before the softmax: multiplied by Scale, which is positive, and then,
// if there is a Softcap c, c·tanh(x/c).
type Scores struct{ Scale, Softcap float32 }

// ScoredAttention is Attention with other scores.
func (c Compute) ScoredAttention(qkv *gorgonia.Node, h Heads, s Sight, scores Scores) (*gorgonia.Node, error) {
	a := newAttention(c, h, s)
	a.scores = scores
	return apply(a, qkv)
}

// attention goes through the queries of a text and head in tiles: of a tile's weights only those are computed that some query
// of it may have. Its gradient computes the weights once more, so that nothing of the size of the text's square is kept.
type attention struct {
	c      Compute
	h      Heads
	s      Sight
	scores Scores
	tiles  []tile // of each thread
}

// tile is the memory for the weights of some queries, for gradients with respect to them, and for the slopes of soft caps.
type tile struct{ w, d, slopes []float32 }

// tileRows is the most queries of a tile.
const tileRows = 64

func newAttention(c Compute, h Heads, s Sight) *attention {
	return &attention{c, h, s, Scores{Scale: float32(1 / math.Sqrt(float64(h.Dim)))}, make([]tile, c.Team.Threads())}
}

func (*attention) String() string { return "attention" }

func (a *attention) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2); err != nil {
		return nil, err
	}
	if err := a.s.check(); err != nil {
		return nil, err
	}
	if x := a.scores; !(x.Scale > 0) || !(x.Softcap >= 0) || x.Softcap > 0 && a.s.Landmark > 0 {
		return nil, fmt.Errorf("scores %+v with landmarks after %d rows", x, a.s.Landmark)
	}
	return tensor.Shape{in[0][0], a.h.width()}, a.h.check(in[0])
}

// place is where a head's values of a text's first row begin: queries, keys and values in rows of qkv, and results.
type place struct{ q, k, v, out int }

// heads has the team call body for each text and head. Heads that share keys and values are one thread's, one after the other.
func (a *attention) heads(rows int, body func(w *kernels.Worker, t *tile, at place)) error {
	n, kv := a.h.width(), a.h.kvWidth()
	group := a.h.Count / a.h.kv()
	return a.c.each(rows/a.h.Length*a.h.kv(), 1, func(w *kernels.Worker, from, to int) {
		t := &a.tiles[w.ID]
		if t.w == nil {
			size := tileRows * kernels.WholeGroups(a.h.Length)
			t.w, t.d = make([]float32, size), make([]float32, size)
			if a.scores.Softcap > 0 {
				t.slopes = make([]float32, size)
			}
		}
		for i := from; i < to; i++ {
			row, shared := i/a.h.kv()*a.h.Length, i%a.h.kv()
			first := row * a.h.row()
			k := first + n + shared*a.h.Dim
			for head := shared * group; head < (shared+1)*group; head++ {
				body(w, t, place{q: first + head*a.h.Dim, k: k, v: k + kv, out: row*n + head*a.h.Dim})
			}
		}
	})
}

// weigh makes w [to−from, stride] the weights of the queries [from, to) for the keys [first, to), from q and k, whose rows are
// apart by ld. All others are 0.
func (a *attention) weigh(w *kernels.Worker, weights []float32, stride int, q, k []float32, ld, first, from, to int) {
	a.score(w, weights, stride, q, k, ld, first, from, to)
	a.soften(weights, stride, first, from, to)
}

// score makes w the scores of these queries and keys.
func (a *attention) score(w *kernels.Worker, scores []float32, stride int, q, k []float32, ld, first, from, to int) {
	a.c.Impl.Gemm(&kernels.Gemm{
		TransB: true, M: to - from, N: to - first, K: a.h.Dim, Alpha: a.scores.Scale,
		A: q[from*ld:], LDA: ld, B: k[first*ld:], LDB: ld, C: scores, LDC: stride,
	}, &w.Scratch)
	if a.scores.Softcap == 0 {
		return
	}
	for i := range to - from {
		a.c.Impl.Softcap(scores[i*stride:][:to-first], a.scores.Softcap)
	}
}

// soften makes scores weights.
func (a *attention) soften(weights []float32, stride, first, from, to int) {
	for i := from; i < to; i++ {
		row := weights[(i-from)*stride:][:stride]
		if a.s.Landmark > 0 {
			a.grouped(row, i)
			continue
		}
		hide(row[:a.s.first(i)-first])
		hide(row[i+1-first:])
		a.c.softmaxRow(row)
	}
}

func (a *attention) run(out []float32, in []operand) error {
	n, ld := a.h.width(), a.h.row()
	return a.heads(in[0].shape[0], func(w *kernels.Worker, t *tile, at place) {
		q, k, v := in[0].values[at.q:], in[0].values[at.k:], in[0].values[at.v:]
		for from := 0; from < a.h.Length; from += tileRows {
			to := min(from+tileRows, a.h.Length)
			first := a.s.first(from)
			stride := kernels.WholeGroups(to - first)
			a.weigh(w, t.w, stride, q, k, ld, first, from, to)
			a.c.Impl.Gemm(&kernels.Gemm{
				M: to - from, N: a.h.Dim, K: to - first, Alpha: 1,
				A: t.w, LDA: stride, B: v[first*ld:], LDB: ld, C: out[at.out+from*n:], LDC: n,
			}, &w.Scratch)
		}
	})
}

func (*attention) differentiable() []bool { return []bool{true} }

func (a *attention) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	back := newAttention(a.c, a.h, a.s)
	back.scores = a.scores
	return collect(in, lazy(attentionToInput{of: back}, in[0], grad))
}

// attentionToInput is the gradient with respect to queries, keys and values, from these and grad.
type attentionToInput struct {
	terminal
	of *attention
}

func (attentionToInput) String() string { return "attention to its input" }

func (attentionToInput) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

// run has for a tile with weights P, and G the rows of grad: to values PᵀG; to weights D = G·Vᵀ, hence to scores
// P∘(D − Σ P∘D), or what groupedToScores makes of them, with a soft cap times its slope; from there to queries and keys by their
// product.
func (g attentionToInput) run(out []float32, in []operand) error {
	a := g.of
	n, ld, dim, impl, scale := a.h.width(), a.h.row(), a.h.Dim, a.c.Impl, a.scores.Scale
	clear(out)
	return a.heads(in[0].shape[0], func(w *kernels.Worker, t *tile, at place) {
		q, k, v := in[0].values[at.q:], in[0].values[at.k:], in[0].values[at.v:]
		toQ, toK, toV := out[at.q:], out[at.k:], out[at.v:]
		for from := 0; from < a.h.Length; from += tileRows {
			to := min(from+tileRows, a.h.Length)
			first := a.s.first(from)
			rows, keys := to-from, to-first
			stride := kernels.WholeGroups(keys)
			grad := in[1].values[at.out+from*n:]
			a.score(w, t.w, stride, q, k, ld, first, from, to)
			if a.scores.Softcap > 0 {
				slopes(t.slopes, t.w[:rows*stride], a.scores.Softcap)
			}
			a.soften(t.w, stride, first, from, to)
			impl.Gemm(&kernels.Gemm{TransA: true, M: keys, N: dim, K: rows, Alpha: 1, A: t.w, LDA: stride, B: grad, LDB: n, Beta: 1, C: toV[first*ld:], LDC: ld}, &w.Scratch)
			impl.Gemm(&kernels.Gemm{TransB: true, M: rows, N: keys, K: dim, Alpha: 1, A: grad, LDA: n, B: v[first*ld:], LDB: ld, C: t.d, LDC: stride}, &w.Scratch)
			for i := range rows {
				p, d := t.w[i*stride:][:keys], t.d[i*stride:][:keys]
				if a.s.Landmark > 0 {
					a.groupedToScores(p, d, from+i, scale)
				} else {
					toScores(p, d, impl.Dot(p, d), scale)
				}
				if a.scores.Softcap > 0 {
					for j, slope := range t.slopes[i*stride:][:keys] {
						d[j] *= slope
					}
				}
			}
			impl.Gemm(&kernels.Gemm{M: rows, N: dim, K: keys, Alpha: 1, A: t.d, LDA: stride, B: k[first*ld:], LDB: ld, C: toQ[from*ld:], LDC: ld}, &w.Scratch)
			impl.Gemm(&kernels.Gemm{TransA: true, M: keys, N: dim, K: rows, Alpha: 1, A: t.d, LDA: stride, B: q[from*ld:], LDB: ld, Beta: 1, C: toK[first*ld:], LDC: ld}, &w.Scratch)
		}
	})
}

// slopes makes them those of the soft cap, of which scores are the results: 1 − (score/cap)².
func slopes(slopes, scores []float32, limit float32) {
	for j, s := range scores {
		slopes[j] = 1 - s/limit*(s/limit)
	}
}

// toScores makes d, the gradient with respect to the weights p of a softmax of scaled scores, the one with respect to the scores.
// mean is that of d under the weights.
func toScores(p, d []float32, mean, scale float32) {
	p = p[:len(d)]
	for j, w := range p {
		d[j] = scale * w * (d[j] - mean)
	}
}
