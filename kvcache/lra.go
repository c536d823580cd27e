package kvcache

// lra drops the rows that were not attended to for longest: it notes the position of the last query that had a row among
// the most attended (Yang and Hua 2024, Attendre: the eviction policy LRA). A row begins as attended by its own token.
// Positions are exact up to 2^24. Parameter:
//
//	top=64  how many of the rows that a query sees count as attended
var lra = Kind{
	Name: "lra", Title: "rows attended to most recently", Paper: "Attendre, arXiv 2401.04881",
	New: func(p *Params, _ int) Policy { return lraPolicy{newTop(p)} },
}

type lraPolicy struct{ top int }

func (lraPolicy) Needs() Needs { return Needs{Marks: 1, Queries: AllQueries, Newest: true} }

func (p lraPolicy) Observe(rows *Rows, q *Query, weights []float32) {
	last := rows.Mark(0)
	least := attended(weights, p.top)
	for i, w := range weights {
		if w >= least && w > 0 {
			last[i] = float32(q.Position)
		}
	}
}

func (lraPolicy) Score(l *Layer) {
	for h := range l.Heads {
		rows := &l.Heads[h]
		for i, at := range rows.Mark(0) {
			l.Scores[h][i] = max(at, float32(rows.Position(i)))
		}
	}
}
