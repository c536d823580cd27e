package attention

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Add brings the rows of a further view into the outputs of queries that attended to another one before, as though both had been
// one: the two softmaxes are merged by their sums (Partial.Merge). q.Sums are those that were left then, and become those over
// all rows.
func Add(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params, s *Scratch) {
	more := s.full(impl, q, view, p)
	n := len(q.Positions) * q.Heads
	total := NewPartial(kernels.Grow(&s.before, PartialFloats(n, view.ValueDim)), n, view.ValueDim)
	total.clear()
	for i := range q.Positions {
		for h := range q.Heads {
			at, sums := i*q.Heads+h, q.Sums[i*q.SumsStride+2*h:]
			total.most[at], total.sum[at] = sums[0], sums[1]
			row := total.row(at)
			for j, v := range q.Out[i*q.OutStride+h*view.ValueDim:][:view.ValueDim] {
				row[j] = v * sums[1]
			}
		}
	}
	total.Merge(impl, &more)
	total.Finish(q, view.ValueDim)
}
