package kvcache

// h2o keeps heavy hitters: rows with the largest sums of attention over all queries so far, beside the most recent rows
// (Zhang et al. 2023, H2O: Heavy-Hitter Oracle, section 4 and algorithm 1). Half of the budget is for recent rows.
var h2o = Kind{
	Name: "h2o", Title: "rows with the largest sum of attention, and recent ones", Paper: "H2O, arXiv 2306.14048",
	New: func(_ *Params, budget int) Policy { return h2oPolicy{recent: budget / 2} },
}

type h2oPolicy struct{ recent int }

func (p h2oPolicy) Needs() Needs { return Needs{Marks: 1, Queries: AllQueries, Recent: p.recent} }

func (h2oPolicy) Observe(rows *Rows, _ *Query, weights []float32) {
	addWeights(rows.Mark(0), weights)
}

func (h2oPolicy) Score(l *Layer) {
	for h := range l.Heads {
		copy(l.Scores[h], l.Heads[h].Mark(0))
	}
}
