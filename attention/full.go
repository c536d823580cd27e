package attention

import (
	"sort"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// Params is what an attention layer asks of every query.
type Params struct {
	// Scale multiplies the inner products, before Softcap.
	Scale float32
	// Softcap, if not 0, bounds the scores: c·tanh(score/c) (Gemma 2, section 2).
	Softcap float32
	// Window, if not 0, is the number of positions that a query sees, its own included.
	Window int32
	// Chunks are the lengths, if not 0, of the pieces that the text is cut into from position 0 on, once as the model says and
	// once as the method says: a query sees its own piece of both, up to its own position.
	Chunks [2]int32
}

// first is the first position that a query at pos sees.
func (p *Params) first(pos int32) int32 {
	first := int32(0)
	if p.Window > 0 {
		first = max(first, pos-p.Window+1)
	}
	for _, n := range p.Chunks {
		if n > 0 {
			first = max(first, pos-pos%n)
		}
	}
	return first
}

// Sees is the number of positions that a query at pos sees, its own among them.
func (p *Params) Sees(pos int32) int { return int(pos-p.first(pos)) + 1 }

// Queries are the queries that meet a view together: of some rows of a sequence, the heads that share a KV head.
type Queries struct {
	Q         []float32 // query h of row i at i·QStride + h·keyDim
	Out       []float32 // its output at i·OutStride + h·valueDim
	QStride   int
	OutStride int
	Heads     int     // queries of a row
	Positions []int32 // of the rows, ascending
	// Turn, if it is not nil, rotates the keys before they meet the queries. Its First is the column of the view's first
	// row.
	Turn *kernels.Turn
	// Kept, if it is not nil, receives the scores, as they are before Scale and Softcap, for Weights: of query h of row i with
	// row r of the view at (i·Heads+h)·KeptStride + r, for the rows that any of the queries sees. KeptStride is at least
	// kernels.WholeGroups of the view's rows.
	Kept       []float32
	KeptStride int
	// Sums, if it is not nil, receives what Add goes on from: of query h of row i at i·SumsStride + 2·h the largest of its scaled
	// scores and the sum of exp(score − largest).
	Sums       []float32
	SumsStride int
}

// Full attends from each query to all rows of the view that it may see: those at positions up to its own, and within the
// window and the chunk. A query that sees nothing gets zeros.
//
// The softmax runs over one span after the other with a running maximum and sum per query: when a span raises the
// maximum by δ, what has been summed is scaled by exp(−δ) (Milakov and Gimelshein 2018; Rabe and Staats 2021). The result
// for a query does not depend on the queries beside it: it is the same, bit for bit, for a row alone and in a batch.
func Full(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params, s *Scratch) {
	total := s.full(impl, q, view, p)
	total.Finish(q, view.ValueDim)
}

func (s *Scratch) full(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params) Partial {
	m := len(q.Positions) * q.Heads
	total := s.partial(&s.total, m, view)
	s.pack(q, view)
	first := (gone(view) + p.firstSpan(q, view)) / segmentSpans(view)
	for segment := first; segment < Segments(view); segment++ {
		if segment == first {
			s.segment(impl, q, view, segment, p, total)
			continue
		}
		next := s.partial(&s.next, m, view)
		s.segment(impl, q, view, segment, p, next)
		total.Merge(impl, &next)
	}
	return total
}

// SegmentSpans is the number of spans after which the softmax starts anew, to be merged with what came before, unless the view
// says otherwise. It is what a thread takes on when several work on the same query.
const SegmentSpans = 16

func segmentSpans(view *kvcache.View) int {
	if view.SegmentSpans > 0 {
		return view.SegmentSpans
	}
	return SegmentSpans
}

// Segments is the number of segments of a view.
func Segments(view *kvcache.View) int {
	each := segmentSpans(view)
	return (gone(view) + len(view.Spans) + each - 1) / each
}

// gone is the number of spans of the first segment that are not there any more.
func gone(view *kvcache.View) int { return view.Dropped % segmentSpans(view) }

// Segment attends to one segment of the view. Merging the partial results of all of them in order, the first one first,
// gives what Full gives, bit for bit.
func Segment(impl *kernels.Implementation, q *Queries, view *kvcache.View, segment int, p *Params, to Partial, s *Scratch) {
	to.clear()
	s.pack(q, view)
	s.segment(impl, q, view, segment, p, to)
}

func (s *Scratch) segment(impl *kernels.Implementation, q *Queries, view *kvcache.View, segment int, p *Params, to Partial) {
	each, gone := segmentSpans(view), gone(view)
	for i := max(segment*each-gone, p.firstSpan(q, view)); i < min((segment+1)*each-gone, len(view.Spans)); i++ {
		if i+1 < len(view.Spans) {
			expect(impl, &view.Spans[i+1])
		}
		s.span(impl, q, view, &view.Spans[i], p, to)
	}
}

// expect asks for the rows of a span that is next, where it is a part of a page: processors, and kernels, expect what follows
// in memory.
func expect(impl *kernels.Implementation, span *kvcache.Span) {
	if span.Rows() < kvcache.PageRows {
		impl.Fetch(span.Keys)
		impl.Fetch(span.Values)
	}
}

// firstSpan is the number of the first span that any of the queries sees, if there is one.
func (p *Params) firstSpan(q *Queries, view *kvcache.View) int {
	first := p.first(q.Positions[0])
	if first == 0 {
		return 0
	}
	return sort.Search(len(view.Spans), func(i int) bool { return view.Spans[i].Last >= first })
}

// visible returns the rows [from, to) of a span that a query at pos may see.
func (p *Params) visible(span *kvcache.Span, pos int32) (from, to int) {
	from = span.Skip
	if first := p.first(pos); first > 0 {
		from = max(from, span.Until(first-1))
	}
	return from, span.Until(pos)
}

// span adds a span to the running softmax of every query. All queries are multiplied by the rows that any of them sees,
// in whole groups of keys; what one of them does not see weighs nothing.
func (s *Scratch) span(impl *kernels.Implementation, q *Queries, view *kvcache.View, span *kvcache.Span, p *Params, to Partial) {
	last := len(q.Positions) - 1
	low, _ := p.visible(span, q.Positions[0])
	_, high := p.visible(span, q.Positions[last])
	if low >= high {
		return
	}
	low = low / kernels.KeyGroup * kernels.KeyGroup
	n := kernels.WholeGroups(high - low)
	valueSize := view.ValueBytes
	m := len(q.Positions) * q.Heads
	scores := kernels.Grow(&s.scores, m*max(n, kvcache.PageRows))[:m*n] // a page's at once: the next token has one row more
	s.product(impl, q, view, span, low, n, scores, n)
	if q.Kept != nil {
		for h := range m {
			copy(q.Kept[h*q.KeptStride+span.First+low:], scores[h*n:h*n+min(n, span.Rows()-low)])
		}
	}
	for i, pos := range q.Positions {
		from, end := p.visible(span, pos)
		from, end = max(from-low, 0), end-low
		for h := i * q.Heads; h < (i+1)*q.Heads; h++ {
			s.weigh(impl, scores[h*n:(h+1)*n], from, end, p, to, h)
		}
	}
	impl.AddValues(to.out, scores, n, view.ValueDim, span.Values[low*valueSize:high*valueSize], view.Type, high-low, s.kernels)
}

// weigh makes the scores [from, end) of query h the weights of their rows, and all others 0.
func (s *Scratch) weigh(impl *kernels.Implementation, scores []float32, from, end int, p *Params, to Partial, h int) {
	if from >= end {
		clear(scores)
		return
	}
	most, sum := p.softmax(impl, scores, from, end, to.most[h])
	to.raise(h, most)
	to.sum[h] += sum
}

// softmax makes the scores [from, end) exp(score−m), all others 0, and returns m, which is at least most, and the sum.
func (p *Params) softmax(impl *kernels.Implementation, scores []float32, from, end int, most float32) (m, sum float32) {
	scale := p.Scale
	if p.Softcap > 0 {
		seen := scores[from:end]
		for j := range seen {
			seen[j] *= scale
		}
		impl.Softcap(seen, p.Softcap)
		scale = 1
	}
	fill(scores[:from], hidden)
	fill(scores[end:], hidden)
	return impl.Softmax(scores, scale, most)
}

// turned is the rotation of the keys from number row of the view on.
func (s *Scratch) turned(q *Queries, row int) *kernels.Turn {
	if q.Turn == nil {
		return nil
	}
	s.turn = *q.Turn
	s.turn.First += row
	return &s.turn
}
