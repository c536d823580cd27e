package kvcache

// tova keeps the rows that the newest query attends to, on the average over all heads of the layer, so that all of them
// keep the same ones (Oren et al. 2024, Transformers are Multi-State RNNs: token omission via attention).
var tova = Kind{
	Name: "tova", Title: "rows that the last query attends to", Paper: "TOVA, arXiv 2401.06104",
	New: func(*Params, int) Policy { return tovaPolicy{} },
}

type tovaPolicy struct{}

func (tovaPolicy) Needs() Needs { return Needs{Marks: 1, Queries: 1} }

func (tovaPolicy) Observe(rows *Rows, q *Query, weights []float32) {
	if q.First() {
		clear(rows.Mark(0))
	}
	addWeights(rows.Mark(0), weights)
}

// Score sums over the heads, which ranks rows as the mean does.
func (tovaPolicy) Score(l *Layer) {
	var sums []float64
	for h := range l.Heads {
		for i, w := range l.Heads[h].Mark(0) {
			if i == len(sums) {
				sums = append(sums, 0)
			}
			sums[i] += float64(w)
		}
	}
	for _, scores := range l.Scores {
		for i := range scores {
			scores[i] = float32(sums[i])
		}
	}
}
