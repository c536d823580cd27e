package attention

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Mass sets mass to the share, for each query, of its attention over all rows of a view that the rows which it opens hold:
// the sum of their weights in the softmax over all of them. The outputs of the queries are not touched. Now and then read is
// called, with how many spans of rows have been passed since.
func Mass(impl *kernels.Implementation, q *Queries, view *kvcache.View, opened *Opened, p *Params, s *Scratch, mass []float64, read func(spans int)) {
	s.pack(q, view)
	all, some := s.sums(impl, q, view, p, &s.total, read), s.sums(impl, q, &opened.View, p, &s.next, read)
	for h := range mass {
		mass[h] = 0
		if some.sum[h] > 0 {
			mass[h] = float64(some.sum[h]) / float64(all.sum[h]) * math.Exp(float64(some.most[h])-float64(all.most[h]))
		}
	}
}

// Mass is the share of what a query opens in the softmax by which it chooses between blocks: that of equation 3 over the rows
// of its own block, the landmarks of the finished blocks that were read with it, and those of all stored blocks, in their
// slots. What is not opened is the landmarks of the other stored blocks. The query and its blocks are as for Attend.
func (r *Reading) Mass(impl *kernels.Implementation, query []float32, row int, opened []int32, p *Params, s *Scratch) float64 {
	stored := make([]float32, r.Stored)
	r.Score(impl, query, stored, s)
	scores := make([]float32, 0, len(stored)+2*r.Block+row/r.Block)
	for _, block := range opened {
		scores = append(scores, stored[block])
		stored[block] = hidden
	}
	own, first, end := r.own(row)
	scores = append(scores, make([]float32, end-first)...)
	r.score(impl, query, first, end, r.Start()+own*r.Block, scores[len(scores)-(end-first):], s)
	for b := range own {
		landmark := (b+1)*r.Block - 1
		scores = append(scores, 0)
		r.score(impl, query, r.Index.Sealed+landmark, r.Index.Sealed+landmark+1, r.Start()+landmark, scores[len(scores)-1:], s)
	}
	open := len(scores)
	scores = append(scores, stored...)
	most := hidden
	for i, v := range scores {
		if v > hidden {
			scores[i] = p.scaled(impl, v, s)
		}
		most = max(most, scores[i])
	}
	var some, all float64
	for i, v := range scores {
		weight := math.Exp(float64(v - most))
		if all += weight; i < open {
			some = all
		}
	}
	return some / all
}

// sums is the softmax over a view without its values.
func (s *Scratch) sums(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params, memory *[]float32, read func(spans int)) Partial {
	v := *view
	v.ValueDim = 0
	t := s.partial(memory, len(q.Positions)*q.Heads, &v)
	for segment := range Segments(&v) {
		s.segment(impl, q, &v, segment, p, t)
		read(SegmentSpans)
	}
	return t
}
