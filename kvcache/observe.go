package kvcache

// addWeights adds the attention of one query to the marks of the rows that it sees.
func addWeights(sums, weights []float32) {
	sums = sums[:len(weights)]
	for i, w := range weights {
		sums[i] += w
	}
}

// raiseTo raises the marks of the rows that one query sees to its attention, where that is larger.
func raiseTo(most, weights []float32) {
	most = most[:len(weights)]
	for i, w := range weights {
		most[i] = max(most[i], w)
	}
}

// attended returns the least of the k largest weights: rows with as much or more are among the most attended.
func attended(weights []float32, k int) float32 {
	k = min(k, len(weights))
	if k < 1 {
		return 0
	}
	var memory [128]float32
	heap := append(memory[:0], weights[:k]...) // the k largest so far, the least of them first
	for i := k/2 - 1; i >= 0; i-- {
		sink(heap, i)
	}
	for _, w := range weights[k:] {
		if w > heap[0] {
			heap[0] = w
			sink(heap, 0)
		}
	}
	return heap[0]
}

// sink moves an element of a heap down to where neither of the two below is less.
func sink(heap []float32, i int) {
	for {
		below := 2*i + 1
		if below >= len(heap) {
			return
		}
		if below+1 < len(heap) && heap[below+1] < heap[below] {
			below++
		}
		if heap[i] <= heap[below] {
			return
		}
		heap[i], heap[below] = heap[below], heap[i]
		i = below
	}
}

// takeMarks makes a layer's first marks its scores, and begins them anew.
func takeMarks(l *Layer) {
	for h := range l.Heads {
		mark := l.Heads[h].Mark(0)
		copy(l.Scores[h], mark)
		clear(mark)
	}
}
