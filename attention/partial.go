package attention

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// hidden is the score of a row that a query does not see.
var hidden = float32(math.Inf(-1))

// Partial is the softmax-weighted sum over some of the rows, for some queries: Σ exp(score−most)·value, and the sum of
// those weights. Of a query that saw nothing, the sum is 0.
type Partial struct {
	most, sum []float32 // [queries]
	out       []float32 // [queries, width]
	width     int
}

// PartialFloats is the memory that a Partial of so many queries takes, in float32 values.
func PartialFloats(queries, valueDim int) int { return queries * (2 + kernels.ValueWidth(valueDim)) }

// NewPartial makes a Partial in memory of PartialFloats values.
func NewPartial(memory []float32, queries, valueDim int) Partial {
	return Partial{
		most: memory[:queries], sum: memory[queries : 2*queries],
		out: memory[2*queries : PartialFloats(queries, valueDim)], width: kernels.ValueWidth(valueDim),
	}
}

func (t *Partial) clear() {
	fill(t.most, hidden)
	clear(t.sum)
	clear(t.out)
}

func (t *Partial) row(h int) []float32 { return t.out[h*t.width : (h+1)*t.width] }

// rescale multiplies what query h has summed.
func (t *Partial) rescale(h int, by float32) {
	if t.sum[h] == 0 {
		return
	}
	t.sum[h] *= by
	row := t.row(h)
	for i := range row {
		row[i] *= by
	}
}

// raise makes most the maximum of query h, if it is larger than what that was.
func (t *Partial) raise(h int, most float32) {
	if most > t.most[h] {
		t.rescale(h, exp(t.most[h]-most))
		t.most[h] = most
	}
}

// Merge adds the sums over other rows: both are brought to the larger maximum, which is to merge them by the logarithm
// of their sums (Rabe and Staats 2021). The other one is spoiled.
func (t *Partial) Merge(impl *kernels.Implementation, other *Partial) {
	for h := range t.sum {
		if other.sum[h] == 0 {
			continue
		}
		t.raise(h, other.most[h])
		by := exp(other.most[h] - t.most[h])
		t.sum[h] += float32(by * other.sum[h])
		impl.Axpy(by, other.row(h), t.row(h))
	}
}

// Fold adds, for query h, what query row of another softmax came to, as though that were the value of one row with the given
// score: a block of rows behind its landmark (Mohtashami and Jaggi 2023, equation 4). A softmax that saw nothing adds
// nothing, nor does a score of −Inf.
func (t *Partial) Fold(impl *kernels.Implementation, h int, score float32, inner *Partial, row int) {
	if inner.sum[row] == 0 || score == hidden {
		return
	}
	t.raise(h, score)
	by := float32(1)
	if score != t.most[h] { // where both are +Inf, their difference is no number
		by = exp(score - t.most[h])
	}
	t.sum[h] += by
	impl.Axpy(by/inner.sum[row], inner.row(row), t.row(h))
}

// Finish writes the results of the queries.
func (t *Partial) Finish(q *Queries, valueDim int) {
	for i := range q.Positions {
		for h := range q.Heads {
			at := i*q.Heads + h
			if q.Sums != nil {
				sums := q.Sums[i*q.SumsStride+2*h:]
				sums[0], sums[1] = t.most[at], t.sum[at]
			}
			out := q.Out[i*q.OutStride+h*valueDim:][:valueDim]
			if t.sum[at] == 0 {
				clear(out)
				continue
			}
			by := 1 / t.sum[at]
			for j, v := range t.row(at)[:valueDim] {
				out[j] = v * by
			}
		}
	}
}

// Scratch is memory that one thread reuses from call to call.
type Scratch struct {
	kernels     *kernels.Scratch
	packed      []float32
	queries     []float32 // [queries, keyDim], in packed or where the caller has them
	narrow      []float32 // [queries, channels] those that older keys of the view have, if these have not all
	scores      []float32
	total, next []float32
	before      []float32 // what was summed over another view
	turn        kernels.Turn
	chosen      choice
	signed      []float32 // queries as they meet bounds
	groups      []int32   // of blocks, that are looked at
	one         [1]int32
	one32       [1]float32
	estimate    estimate
}

// NewScratch makes scratch memory that shares a thread's kernel scratch.
func NewScratch(k *kernels.Scratch) *Scratch { return &Scratch{kernels: k} }

// partial makes an empty Partial in memory of the scratch's.
func (s *Scratch) partial(p *[]float32, queries int, view *kvcache.View) Partial {
	t := NewPartial(kernels.Grow(p, PartialFloats(queries, view.ValueDim)), queries, view.ValueDim)
	t.clear()
	return t
}

// pack brings the queries side by side, and the channels of them that narrow keys have.
func (s *Scratch) pack(q *Queries, view *kvcache.View) {
	n := q.Heads * view.KeyDim
	if len(q.Positions) == 1 {
		s.queries = q.Q[:n]
	} else {
		s.queries = kernels.Grow(&s.packed, len(q.Positions)*n)
		for i := range q.Positions {
			copy(s.queries[i*n:(i+1)*n], q.Q[i*q.QStride:])
		}
	}
	if channels := view.Channels(); channels != nil {
		s.gather(view.KeyDim, channels)
	}
}

// gather takes some channels of the packed queries.
func (s *Scratch) gather(keyDim int, channels []int32) {
	m, n := len(s.queries)/keyDim, len(channels)
	if cap(s.narrow) < m*n {
		s.narrow = make([]float32, m*n)
	}
	s.narrow = s.narrow[:m*n]
	for i := range m {
		q, to := s.queries[i*keyDim:(i+1)*keyDim], s.narrow[i*n:(i+1)*n]
		for j, c := range channels {
			to[j] = q[c]
		}
	}
}

// product multiplies the queries by n keys of a span from number first on, both of them whole groups: row i of the result
// is at i·stride.
func (s *Scratch) product(impl *kernels.Implementation, q *Queries, view *kvcache.View, span *kvcache.Span, first, n int, scores []float32, stride int) {
	queries := s.queries
	if span.Channels != nil {
		queries = s.narrow
	}
	dim, size := view.Key(span)
	impl.Scores(scores, stride, queries, dim, span.Keys[first*size:(first+n)*size], view.Type, n, s.turned(q, span.First+first), s.kernels)
}

func exp(x float32) float32 { return float32(math.Exp(float64(x))) }

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
