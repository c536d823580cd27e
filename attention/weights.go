package attention

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// weighFloats is about how many scores Weights holds at a time.
const weighFloats = 64 << 10

// Weights calls each for every query, row by row and head by head, with the softmax of its scores: one weight for each of
// the view's rows that it may see, which are the first ones, and of these no more than limit if limit is not negative.
// The weights are lent for the call. A query that sees nothing is left out. The outputs of the queries are not touched.
func Weights(impl *kernels.Implementation, q *Queries, view *kvcache.View, limit int, p *Params, s *Scratch, each func(row, head int, weights []float32)) {
	n := view.Rows()
	if limit >= 0 {
		n = min(n, limit)
	}
	if n == 0 {
		return
	}
	width := (n + kernels.KeyGroup - 1) / kernels.KeyGroup * kernels.KeyGroup
	rows := max(1, weighFloats/(width*q.Heads))
	for first := 0; first < len(q.Positions); first += rows {
		part := *q
		part.Q, part.Positions = q.Q[first*q.QStride:], q.Positions[first:min(first+rows, len(q.Positions))]
		s.pack(&part, view)
		scores := s.room(&s.scores, len(part.Positions)*q.Heads*width)
		s.score(impl, &part, view, scores, width)
		for i, pos := range part.Positions {
			from, to := view.Visible(pos, p.Window)
			to = min(to, n)
			if from >= to {
				continue
			}
			for h := range q.Heads {
				w := scores[(i*q.Heads+h)*width:][:width]
				_, sum := p.softmax(impl, w, from, to, hidden)
				by := 1 / sum
				for j := range w[:to] {
					w[j] *= by
				}
				each(first+i, h, w[:to])
			}
		}
	}
}

// score multiplies packed queries by the first width keys of a view.
func (s *Scratch) score(impl *kernels.Implementation, q *Queries, view *kvcache.View, scores []float32, width int) {
	for i := range view.Spans {
		span := &view.Spans[i]
		n := min(len(span.Keys)/view.KeyBytes, width-span.First)
		if n <= 0 {
			return
		}
		impl.Scores(scores[span.First:], width, s.queries, view.KeyDim, span.Keys[:n*view.KeyBytes], view.Type, n, s.turned(q, span.First), s.kernels)
	}
}
