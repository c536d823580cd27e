package kvcache

// knorm keeps the rows with the shortest keys, which tend to be attended to most (Devoto et al. 2024, A Simple and
// Effective L2 Norm-Based Strategy for KV Cache Compression).
var knorm = Kind{
	Name: "knorm", Title: "rows with the shortest keys", Paper: "L2 norm, arXiv 2406.11430",
	New: func(*Params, int) Policy { return knormPolicy{} },
}

type knormPolicy struct{}

func (knormPolicy) Needs() Needs { return Needs{} }

func (knormPolicy) Observe(*Rows, *Query, []float32) {}

func (knormPolicy) Score(l *Layer) {
	for h := range l.Heads {
		keyNorms(&l.Heads[h], l.Scores[h])
		for i := range l.Scores[h] {
			l.Scores[h][i] = -l.Scores[h][i]
		}
	}
}
