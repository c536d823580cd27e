package kvcache

import "math"

// snapKV keeps the rows that the last queries attend to, with the rows around them: the mean attention of the queries of
// an observation window, pooled over neighbouring rows (Li et al. 2024, SnapKV, section 4). The window's own rows stay.
//
// The window is the end of a block that is read; where tokens come one by one it is all of them since rows were last
// dropped. Parameters:
//
//	window=64     queries of the window
//	pool=avg|max  what is taken of a row and its neighbours
//	kernel=5      how many rows that are, an odd number
var snapKV = Kind{
	Name: "snapkv", Title: "rows that the last queries attend to", Paper: "SnapKV, arXiv 2404.14469",
	New: func(p *Params, _ int) Policy { return newSnapKV(p) },
}

type snapKVPolicy struct {
	window, kernel int
	most           bool // of neighbours, not their mean
}

func newSnapKV(p *Params) snapKVPolicy {
	s := snapKVPolicy{window: p.Int("window", 64, 1, math.MaxInt32), kernel: p.Int("kernel", 5, 1, PageRows-1)}
	s.most = p.Word("pool", "avg", "max") == "max"
	if s.kernel%2 == 0 {
		p.Fail("kernel", "%d is not an odd number", s.kernel)
	}
	return s
}

func (s snapKVPolicy) Needs() Needs { return Needs{Marks: 1, Queries: s.window, Recent: s.window} }

// Observe sums up: a sum ranks rows as the mean does, for the window's queries see all rows that can be dropped.
func (s snapKVPolicy) Observe(rows *Rows, q *Query, weights []float32) {
	if q.First() && q.Of >= s.window {
		clear(rows.Mark(0))
	}
	addWeights(rows.Mark(0), weights)
}

func (s snapKVPolicy) Score(l *Layer) {
	takeMarks(l)
	for h, scores := range l.Scores {
		copy(scores, s.pooled(scores[:max(0, l.Heads[h].Len()-l.Recent)]))
	}
}

// pooled returns what a window of kernel values around each one pools to; beyond the ends there are zeros.
func (s snapKVPolicy) pooled(values []float32) []float32 {
	pooled := make([]float32, len(values))
	for i := range values {
		var sum, most float32
		for _, v := range values[max(0, i-s.kernel/2):min(len(values), i+s.kernel/2+1)] {
			sum, most = sum+v, max(most, v)
		}
		pooled[i] = sum / float32(s.kernel)
		if s.most {
			pooled[i] = most
		}
	}
	return pooled
}
