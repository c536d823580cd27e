package kvcache

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
)

// keyDiff keeps the rows whose keys differ most from the others: with the smallest cosine between the key and the mean of
// all keys of its head, each normalized (Park et al. 2025, KeyDiff). It looks at no queries.
var keyDiff = Kind{
	Name: "keydiff", Title: "rows with the most distinctive keys", Paper: "KeyDiff, arXiv 2504.15364",
	New: func(*Params, int) Policy { return keyDiffPolicy{} },
}

type keyDiffPolicy struct{}

func (keyDiffPolicy) Needs() Needs { return Needs{} }

func (keyDiffPolicy) Observe(*Rows, *Query, []float32) {}

func (keyDiffPolicy) Score(l *Layer) {
	for h := range l.Heads {
		scoreByAnchor(&l.Heads[h], l.Scores[h])
	}
}

// scoreByAnchor sets a head's scores to −⟨k, a⟩ / |k|, with the anchor a, the mean of k / |k|.
func scoreByAnchor(rows *Rows, scores []float32) {
	keyNorms(rows, scores)
	var anchor []float64
	eachKey(rows, func(d int, first int, values []float32) {
		if d == len(anchor) {
			anchor = append(anchor, 0)
		}
		for i, v := range values {
			anchor[d] += unit(v, scores[first+i])
		}
	})
	dots := make([]float64, len(scores))
	eachKey(rows, func(d int, first int, values []float32) {
		for i, v := range values {
			dots[first+i] += unit(v, scores[first+i]) * anchor[d]
		}
	})
	for i, dot := range dots {
		scores[i] = float32(-dot / float64(len(dots)))
	}
}

// unit is a component of a key of the given norm when it is normalized. A key of zeros has no direction.
func unit(v, norm float32) float64 {
	if norm == 0 {
		return 0
	}
	return float64(v) / float64(norm)
}

// keyNorms sets norms to the lengths of a head's keys.
func keyNorms(rows *Rows, norms []float32) {
	sums := make([]float64, len(norms))
	eachKey(rows, func(_ int, first int, values []float32) {
		for i, v := range values {
			sums[first+i] += float64(v) * float64(v)
		}
	})
	for i, sum := range sums {
		norms[i] = float32(math.Sqrt(sum))
	}
}

// eachKey calls f for every dimension of every group of a head's keys, with the number of the group's first row and the
// values that the rows have there.
func eachKey(rows *Rows, f func(d, first int, values []float32)) {
	rows.Keys(func(first int, keys []float32) {
		n := min(kernels.KeyGroup, rows.Len()-first)
		for d := range len(keys) / kernels.KeyGroup {
			f(d, first, keys[d*kernels.KeyGroup:][:n])
		}
	})
}
