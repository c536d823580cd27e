package attention

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Mass sets mass to the share, for each query, of its attention over all rows of a view that the rows which it opens hold:
// the sum of their weights in the softmax over all of them. The outputs of the queries are not touched. Now and then read is
// called, with how many bytes of rows have been passed since.
func Mass(impl *kernels.Implementation, q *Queries, view *kvcache.View, opened *Opened, p *Params, s *Scratch, mass []float64, read func(bytes int)) {
	s.pack(q, view)
	all, some := s.sums(impl, q, view, p, &s.total, read), s.sums(impl, q, &opened.View, p, &s.next, read)
	for h := range mass {
		mass[h] = 0
		if some.sum[h] > 0 {
			mass[h] = float64(some.sum[h]) / float64(all.sum[h]) * math.Exp(float64(some.most[h])-float64(all.most[h]))
		}
	}
}

// sums is the softmax over a view without its values.
func (s *Scratch) sums(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params, memory *[]float32, read func(bytes int)) Partial {
	v := *view
	v.ValueDim = 0
	t := s.partial(memory, len(q.Positions)*q.Heads, &v)
	for segment := range Segments(&v) {
		s.segment(impl, q, &v, segment, p, t)
		read(SegmentSpans * kvcache.PageRows * (v.KeyBytes + v.ValueBytes))
	}
	return t
}
