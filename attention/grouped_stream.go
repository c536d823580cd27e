package attention

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Finished is a block that has got its landmark, as queries of later blocks see it.
type Finished struct {
	View   *kvcache.View // its ordinary rows, without the landmark
	Scores []float32     // of the landmark with each query, scaled; −Inf for a query that the block is not open to
}

// Grouped attends from each query to finished blocks, behind their landmarks, and to the ordinary rows of its own block: the
// grouped softmax (Mohtashami and Jaggi 2023, equations 1 to 4) over these alone, in one pass. What a softmax over a block's
// rows comes to is a row of the running softmax, with the landmark's score (Partial.Fold). A query sees rows at positions up
// to its own. Blocks that are not given get nothing, and the others share what they would have had.
func Grouped(impl *kernels.Implementation, q *Queries, blocks []Finished, own *kvcache.View, p *Params, s *Scratch) {
	m := len(q.Positions) * q.Heads
	total := s.partial(&s.total, m, own)
	for i := range blocks {
		inner := s.partial(&s.next, m, own)
		s.block(impl, q, blocks[i].View, p, inner)
		for h, score := range blocks[i].Scores[:m] {
			total.Fold(impl, h, score, &inner, h)
		}
	}
	s.block(impl, q, own, p, total)
	total.Finish(q, own.ValueDim)
}

// block adds the rows of a block, which are too few for more than one segment.
func (s *Scratch) block(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params, to Partial) {
	s.pack(q, view)
	for i := range view.Spans {
		s.span(impl, q, view, &view.Spans[i], p, to)
	}
}
