package kvcache

import "math"

// lfa drops the rows that were attended to least frequently: those with the smallest sum of attention, or the fewest
// queries that had them among the most attended, and of equals the oldest (Yang and Hua 2024, Attendre: the eviction policy
// LFA). Unlike H2O it favours no recent rows. Parameters:
//
//	count=weight|hits  what is summed up
//	top=64             how many of the most attended rows of a query are hits
var lfa = Kind{
	Name: "lfa", Title: "rows attended to most frequently", Paper: "Attendre, arXiv 2401.04881",
	New: func(p *Params, _ int) Policy {
		return lfaPolicy{hits: p.Word("count", "weight", "hits") == "hits", top: newTop(p)}
	},
}

// newTop takes the parameter for how many of the rows that a query sees count as attended.
func newTop(p *Params) int { return p.Int("top", 64, 1, math.MaxInt32) }

type lfaPolicy struct {
	hits bool
	top  int
}

func (lfaPolicy) Needs() Needs { return Needs{Marks: 1, Queries: AllQueries, Newest: true} }

func (p lfaPolicy) Observe(rows *Rows, _ *Query, weights []float32) {
	uses := rows.Mark(0)
	if !p.hits {
		addWeights(uses, weights)
		return
	}
	least := attended(weights, p.top)
	for i, w := range weights {
		if w >= least && w > 0 {
			uses[i]++
		}
	}
}

func (lfaPolicy) Score(l *Layer) {
	for h := range l.Heads {
		copy(l.Scores[h], l.Heads[h].Mark(0))
	}
}
