package train

import (
	"fmt"
	"math"
	"slices"

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

// Beside is rows that queries see beside those of their text, in one softmax with them. They lie as rows of qkv do, which have no use
// for their own queries.
type Beside struct {
	Fixed     *gorgonia.Node // [n, row], which all queries of all texts see; nil: none
	Plain     *gorgonia.Node // [rows, row], of which the queries are those that meet Fixed
	Retrieved *gorgonia.Node // [rows, row], of which a query sees those at the positions that it sees of its text; nil: none
}

// AttentionBeside is Attention to further rows, too.
func (c Compute) AttentionBeside(qkv *gorgonia.Node, h Heads, s Sight, beside Beside) (*gorgonia.Node, error) {
	a, in := newAttention(c, h, s), gorgonia.Nodes{qkv}
	if beside.Retrieved != nil {
		a.seen, in = append(a.seen, seen{q: 0, kv: len(in)}), append(in, beside.Retrieved)
	}
	if beside.Fixed != nil {
		a.seen, in = append(a.seen, seen{q: len(in), kv: len(in) + 1, fixed: true}), append(in, beside.Plain, beside.Fixed)
	}
	return apply(a, in...)
}

// seen is rows that queries see, by the inputs that have the queries that meet them, and their keys and values.
type seen struct {
	q, kv int
	fixed bool // all of them, whatever the text
}

// attention goes through the queries of a text and head in tiles: of a tile's weights only those are computed that some query
// of it may have. Its gradient computes the weights once more, so that nothing of the size of the text's square is kept.
type attention struct {
	c      Compute
	h      Heads
	s      Sight
	scores Scores
	seen   []seen // at first those of the text
	fixed  int    // rows that all queries see
	tiles  []tile // of each thread
}

// tile is the memory for the weights of some queries, for gradients with respect to them, and for the slopes of soft caps.
type tile struct{ w, d, slopes []float32 }

// tileRows is the most queries of a tile.
const tileRows = 64

func newAttention(c Compute, h Heads, s Sight) *attention {
	return &attention{c: c, h: h, s: s, scores: Scores{Scale: float32(1 / math.Sqrt(float64(h.Dim)))}, seen: []seen{{}}, tiles: make([]tile, c.Team.Threads())}
}

func (*attention) String() string { return "attention" }

func (a *attention) shape(in []tensor.Shape) (tensor.Shape, error) {
	dims := make([]int, len(in))
	for i := range dims {
		dims[i] = 2
	}
	if err := wantDims(in, dims...); err != nil {
		return nil, err
	}
	if err := a.s.check(); err != nil {
		return nil, err
	}
	if x := a.scores; !(x.Scale > 0) || !(x.Softcap >= 0) || x.Softcap > 0 && a.s.Landmark > 0 {
		return nil, fmt.Errorf("scores %+v with landmarks after %d rows", x, a.s.Landmark)
	}
	if len(in) > 1 && a.s.Landmark > 0 {
		return nil, fmt.Errorf("rows beside those of texts with landmarks after %d", a.s.Landmark)
	}
	if err := a.h.check(in[0]); err != nil {
		return nil, err
	}
	for _, x := range a.seen[1:] {
		for _, i := range []int{x.q, x.kv} {
			if want := (tensor.Shape{in[0][0], in[0][1]}); (i != x.kv || !x.fixed) && !in[i].Eq(want) {
				return nil, fmt.Errorf("rows beside those of texts are %v, want %v", in[i], want)
			}
		}
		if !x.fixed {
			continue
		}
		if a.fixed = in[x.kv][0]; in[x.kv][1] != in[0][1] {
			return nil, fmt.Errorf("rows that all queries see have %d values, want %d", in[x.kv][1], in[0][1])
		}
	}
	return tensor.Shape{in[0][0], a.h.width()}, nil
}

// span is the queries [from, to) of a tile, which see rows of their text from first on, and in all total rows. Their weights are apart
// by stride.
type span struct{ from, to, first, total, stride int }

// span is the one from a row on.
func (a *attention) span(from int) span {
	s := span{from: from, to: min(from+tileRows, a.h.Length), first: a.s.first(from)}
	for _, x := range a.seen {
		s.total += a.count(x, s)
	}
	s.stride = kernels.WholeGroups(s.total)
	return s
}

// count is the number of rows of a kind that some query of a span sees.
func (a *attention) count(x seen, s span) int {
	if x.fixed {
		return a.fixed
	}
	return s.to - s.first
}

// place is where a head's values of a text are: its queries, keys and values in a row, the text's first row in qkv, and results.
type place struct{ q, k, v, row, text, out int }

// keys is where the keys begin that a span's queries may see.
func (a *attention) keys(x seen, at place, s span) int {
	if x.fixed {
		return at.k
	}
	return at.row + s.first*a.h.row() + at.k
}

// heads has the team call body for each text and head. Heads that share keys and values are one thread's, one after the other.
func (a *attention) heads(rows int, body func(w *kernels.Worker, t *tile, at place)) error {
	n, kv := a.h.width(), a.h.kvWidth()
	group := a.h.Count / a.h.kv()
	return a.c.each(rows/a.h.Length*a.h.kv(), 1, func(w *kernels.Worker, from, to int) {
		t := &a.tiles[w.ID]
		if t.w == nil {
			most := 0
			for _, x := range a.seen {
				most += a.count(x, span{to: a.h.Length})
			}
			size := tileRows * kernels.WholeGroups(most)
			t.w, t.d = make([]float32, size), make([]float32, size)
			if a.scores.Softcap > 0 {
				t.slopes = make([]float32, size)
			}
		}
		for i := from; i < to; i++ {
			text, shared := i/a.h.kv(), i%a.h.kv()
			row, k := text*a.h.Length, n+shared*a.h.Dim
			for head := shared * group; head < (shared+1)*group; head++ {
				body(w, t, place{q: head * a.h.Dim, k: k, v: k + kv, row: row * a.h.row(), text: text, out: row*n + head*a.h.Dim})
			}
		}
	})
}

// score makes scores [to−from, stride] those of a span's queries and the keys that they may see.
func (a *attention) score(w *kernels.Worker, scores []float32, in []operand, at place, s span) {
	ld, col := a.h.row(), 0
	for _, x := range a.seen {
		n := a.count(x, s)
		a.c.Impl.Gemm(&kernels.Gemm{
			TransB: true, M: s.to - s.from, N: n, K: a.h.Dim, Alpha: a.scores.Scale,
			A: in[x.q].values[at.row+s.from*ld+at.q:], LDA: ld, B: in[x.kv].values[a.keys(x, at, s):], LDB: ld, C: scores[col:], LDC: s.stride,
		}, &w.Scratch)
		col += n
	}
	if a.scores.Softcap == 0 {
		return
	}
	for i := range s.to - s.from {
		a.c.Impl.Softcap(scores[i*s.stride:][:s.total], a.scores.Softcap)
	}
}

// soften makes scores weights. Those of rows that a query does not see are 0.
func (a *attention) soften(weights []float32, s span) {
	for i := s.from; i < s.to; i++ {
		row, col := weights[(i-s.from)*s.stride:][:s.stride], 0
		if a.s.Landmark > 0 {
			a.grouped(row, i)
			continue
		}
		for _, x := range a.seen {
			n := a.count(x, s)
			if !x.fixed {
				hide(row[col:][:a.s.first(i)-s.first])
				hide(row[col:][i+1-s.first : n])
			}
			col += n
		}
		hide(row[s.total:])
		a.c.softmaxRow(row)
	}
}

func (a *attention) run(out []float32, in []operand) error {
	n, ld := a.h.width(), a.h.row()
	return a.heads(in[0].shape[0], func(w *kernels.Worker, t *tile, at place) {
		for from := 0; from < a.h.Length; from += tileRows {
			s, col := a.span(from), 0
			a.score(w, t.w, in, at, s)
			a.soften(t.w, s)
			for i, x := range a.seen {
				keys := a.count(x, s)
				a.c.Impl.Gemm(&kernels.Gemm{
					M: s.to - from, N: a.h.Dim, K: keys, Alpha: 1, Beta: float32(min(i, 1)),
					A: t.w[col:], LDA: s.stride, B: in[x.kv].values[a.keys(x, at, s)+at.v-at.k:], LDB: ld, C: out[at.out+from*n:], LDC: n,
				}, &w.Scratch)
				col += keys
			}
		}
	})
}

func (a *attention) differentiable() []bool {
	return slices.Repeat([]bool{true}, a.seen[len(a.seen)-1].kv+1)
}

func (a *attention) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	of := newAttention(a.c, a.h, a.s)
	of.scores, of.seen, of.fixed = a.scores, a.seen, a.fixed
	back := &attentionToInputs{packed: shapesOf(in...), of: of}
	inputs := append(slices.Clone(in), grad)
	if len(in) == 1 {
		return collect(in, lazy(back, inputs...))
	}
	all, err := back.apart(back, inputs...)
	if err != nil {
		return nil, err
	}
	for i, x := range in {
		if !learned(x) {
			all[i] = nil
		}
	}
	return all, nil
}

// attentionToInputs is the gradient with respect to queries, keys and values, from these and grad: that of the text's rows, or that
// of all inputs one after the other.
type attentionToInputs struct {
	packed
	of   *attention
	sums []float32 // for each text, to rows that all queries see
}

func (*attentionToInputs) String() string { return "attention to its input" }

func (g *attentionToInputs) shape(in []tensor.Shape) (tensor.Shape, error) {
	if len(g.parts) == 1 {
		return in[0], nil
	}
	return g.packed.shape(in)
}

// run has for a tile with weights P, and G the rows of grad: to values PᵀG; to weights D = G·Vᵀ, hence to scores
// P∘(D − Σ P∘D), or what groupedToScores makes of them, with a soft cap times its slope; from there to queries and keys by their
// product.
func (g *attentionToInputs) run(out []float32, in []operand) error {
	a, impl := g.of, g.of.c.Impl
	ld, dim, fixed := a.h.row(), a.h.Dim, a.fixed*a.h.row()
	clear(out)
	to := g.cut(out)
	if texts := in[0].shape[0] / a.h.Length; fixed > 0 && g.sums == nil {
		g.sums = make([]float32, texts*fixed)
	}
	clear(g.sums)
	err := a.heads(in[0].shape[0], func(w *kernels.Worker, t *tile, at place) {
		for from := 0; from < a.h.Length; from += tileRows {
			s, col := a.span(from), 0
			rows := s.to - from
			g.toValues(w, t, in, to, at, s)
			g.toScores(t, s)
			for _, x := range a.seen {
				n, keys, k, q := a.count(x, s), a.keys(x, at, s), g.keys(x, to, at), at.row+from*ld+at.q
				impl.Gemm(&kernels.Gemm{M: rows, N: dim, K: n, Alpha: 1, A: t.d[col:], LDA: s.stride, B: in[x.kv].values[keys:], LDB: ld, Beta: 1, C: to[x.q][q:], LDC: ld}, &w.Scratch)
				impl.Gemm(&kernels.Gemm{TransA: true, M: n, N: dim, K: rows, Alpha: 1, A: t.d[col:], LDA: s.stride, B: in[x.q].values[q:], LDB: ld, Beta: 1, C: k[keys:], LDC: ld}, &w.Scratch)
				col += n
			}
		}
	})
	for i := 0; i < len(g.sums); i += fixed {
		impl.Axpy(1, g.sums[i:i+fixed], to[len(to)-1])
	}
	return err
}

// keys is where the gradients with respect to keys and values belong.
func (g *attentionToInputs) keys(x seen, to [][]float32, at place) []float32 {
	if x.fixed {
		return g.sums[at.text*g.of.fixed*g.of.h.row():]
	}
	return to[x.kv]
}

// toValues makes t.w a tile's weights, and t.d the gradients with respect to them, and adds those with respect to values.
func (g *attentionToInputs) toValues(w *kernels.Worker, t *tile, in []operand, to [][]float32, at place, s span) {
	a, impl, rows, col := g.of, g.of.c.Impl, s.to-s.from, 0
	n, ld, dim := a.h.width(), a.h.row(), a.h.Dim
	a.score(w, t.w, in, at, s)
	if a.scores.Softcap > 0 {
		slopes(t.slopes, t.w[:rows*s.stride], a.scores.Softcap)
	}
	a.soften(t.w, s)
	grad := in[len(in)-1].values[at.out+s.from*n:]
	for _, x := range a.seen {
		keys, v := a.count(x, s), a.keys(x, at, s)+at.v-at.k
		impl.Gemm(&kernels.Gemm{TransA: true, M: keys, N: dim, K: rows, Alpha: 1, A: t.w[col:], LDA: s.stride, B: grad, LDB: n, Beta: 1, C: g.keys(x, to, at)[v:], LDC: ld}, &w.Scratch)
		impl.Gemm(&kernels.Gemm{TransB: true, M: rows, N: keys, K: dim, Alpha: 1, A: grad, LDA: n, B: in[x.kv].values[v:], LDB: ld, C: t.d[col:], LDC: s.stride}, &w.Scratch)
		col += keys
	}
}

// toScores makes the gradients with respect to a tile's weights, which it spoils, those with respect to its scores.
func (g *attentionToInputs) toScores(t *tile, s span) {
	a, impl := g.of, g.of.c.Impl
	for i := range s.to - s.from {
		p, d := t.w[i*s.stride:][:s.total], t.d[i*s.stride:][:s.total]
		if a.s.Landmark > 0 {
			a.groupedToScores(p, d, s.from+i, a.scores.Scale)
		} else {
			toScores(p, d, impl.Dot(p, d), a.scores.Scale)
		}
		if a.scores.Softcap > 0 {
			for j, slope := range t.slopes[i*s.stride:][:s.total] {
				d[j] *= slope
			}
		}
	}
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
