package kvcache

import (
	"math"
	"slices"
)

// treeKV thins rows out the more the older they are: a pointer goes round the rows between the sinks and the recent ones,
// and at each stop, of two neighbours the one goes that was attended to less on the average (He et al. 2025, TreeKV). What
// the pointer has passed more often is sparser. Half of the budget is for recent rows. Positions are those within the
// cache.
var treeKV = Kind{
	Name: "treekv", Title: "rows that get sparser with age", Paper: "TreeKV, arXiv 2501.04987",
	New: func(_ *Params, budget int) Policy { return treeKVPolicy{recent: budget / 2} },
}

type treeKVPolicy struct{ recent int }

func (p treeKVPolicy) Needs() Needs {
	return Needs{Packed: true, Marks: 2, Queries: AllQueries, Recent: p.recent}
}

// Observe sums up the attention to each row, and counts the queries.
func (treeKVPolicy) Observe(rows *Rows, _ *Query, weights []float32) {
	addWeights(rows.Mark(0), weights)
	count := rows.Mark(1)
	for i := range weights {
		count[i]++
	}
}

func (treeKVPolicy) Score(l *Layer) {
	for h := range l.Heads {
		thin(l, &l.Heads[h], l.Scores[h])
	}
}

// thin takes rows out of a head, one at a time, until as many are left as are to be, and gives those the lowest score. The
// cursor counts rows from the first one on that is no sink: it points to the same row when the others are gone.
func thin(l *Layer, rows *Rows, scores []float32) {
	sum, count, cursor := rows.Mark(0), rows.Mark(1), rows.Cursor()
	var order []int // the rows between the sinks and the recent ones that are left
	for i := range scores {
		scores[i] = sum[i] / max(count[i], 1)
		if int(rows.Position(i)) >= l.Sinks && i < len(scores)-l.Recent {
			order = append(order, i)
		}
	}
	for excess := len(scores) - l.Target; excess > 0 && len(order) > 0; excess-- {
		at := *cursor
		if at+1 >= len(order) {
			at = 0
		}
		out := at
		if at+1 < len(order) && scores[order[at]] > scores[order[at+1]] {
			out++
		}
		scores[order[out]] = float32(math.Inf(-1))
		order = slices.Delete(order, out, out+1)
		*cursor = (at + 1) % max(len(order), 1)
	}
}
