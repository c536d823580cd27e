package attention

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// weighFloats is about how many scores Weights holds at a time.
const weighFloats = 64 << 10

// Weights calls each for every query, row by row and head by head, with the softmax of its scores: one weight for each of
// the view's rows that it may see, which are the first ones, and of these no more than limit if limit is not negative.
// The weights are lent for the call. A query that sees nothing is left out. The outputs of the queries are not touched. Scores
// that attention kept are used, and spoiled.
func Weights(impl *kernels.Implementation, q *Queries, view *kvcache.View, limit int, p *Params, s *Scratch, each func(row, head int, weights []float32)) {
	n := view.Rows()
	if limit >= 0 {
		n = min(n, limit)
	}
	if n == 0 {
		return
	}
	if q.Kept != nil {
		s.weights(impl, q, view, 0, n, q.Kept, q.KeptStride, p, each)
		return
	}
	width := scoresWidth(view, n)
	rows := max(1, weighFloats/(width*q.Heads))
	for first := 0; first < len(q.Positions); first += rows {
		part := *q
		part.Q, part.Positions = q.Q[first*q.QStride:], q.Positions[first:min(first+rows, len(q.Positions))]
		s.pack(&part, view)
		scores := kernels.Grow(&s.scores, len(part.Positions)*q.Heads*width)
		s.score(impl, &part, view, scores, width, n)
		s.weights(impl, &part, view, first, n, scores, width, p, each)
	}
}

// weights makes scores of queries with the first n rows weights, and hands them out. The first row of queries has the given
// number.
func (s *Scratch) weights(impl *kernels.Implementation, q *Queries, view *kvcache.View, first, n int, scores []float32, stride int, p *Params, each func(row, head int, weights []float32)) {
	for i, pos := range q.Positions {
		from, to := view.Visible(p.first(pos), pos)
		to = min(to, n)
		if from >= to {
			continue
		}
		for h := range q.Heads {
			w := scores[(i*q.Heads+h)*stride:][:kernels.WholeGroups(n)]
			_, sum := p.softmax(impl, w, from, to, hidden)
			by := 1 / sum
			for j := range w[:to] {
				w[j] *= by
			}
			each(first+i, h, w[:to])
		}
	}
}

// scoresWidth is the room for a query's scores of the first n rows of a view, whole groups of keys of every span.
func scoresWidth(view *kvcache.View, n int) int {
	width := 0
	for i := range view.Spans {
		if first := view.Spans[i].First; first < n {
			width = max(width, first+kernels.WholeGroups(min(n-first, view.Spans[i].Rows())))
		}
	}
	return kernels.WholeGroups(width)
}

// score multiplies packed queries by the first n keys of a view. Where a group has fewer keys, the next span's scores come
// after those in place of the others.
func (s *Scratch) score(impl *kernels.Implementation, q *Queries, view *kvcache.View, scores []float32, width, n int) {
	for i := range view.Spans {
		span := &view.Spans[i]
		if span.First >= n {
			return
		}
		some := kernels.WholeGroups(min(n-span.First, span.Rows()))
		s.product(impl, q, view, span, 0, some, scores[span.First:], width)
	}
}
