package tokenizer

// rankQueue is a priority queue of pairs: a heap with four children to a node, whose keys order by rank and then by
// position, so that one comparison of integers decides.
type rankQueue []uint64

func rankKey(rank uint32, position int32) uint64 { return uint64(rank)<<32 | uint64(uint32(position)) }

const heapArity = 4

// init orders the keys that were appended so far.
func (q rankQueue) init() {
	if len(q) < 2 {
		return
	}
	for i := (len(q) - 2) / heapArity; i >= 0; i-- {
		q.sink(i)
	}
}

func (q *rankQueue) push(key uint64) {
	*q = append(*q, key)
	h := *q
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / heapArity
		if h[parent] <= key {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = key
}

// pop removes the lowest key.
func (q *rankQueue) pop() (rank uint32, position int32) {
	h := *q
	top := h[0]
	h[0] = h[len(h)-1]
	*q = h[:len(h)-1]
	if len(*q) > 1 {
		q.sink(0)
	}
	return uint32(top >> 32), int32(uint32(top))
}

// sink moves the key at i down to where no child is lower.
func (q rankQueue) sink(i int) {
	key := q[i]
	for {
		first := i*heapArity + 1
		if first >= len(q) {
			break
		}
		low := first
		for c := first + 1; c < min(first+heapArity, len(q)); c++ {
			if q[c] < q[low] {
				low = c
			}
		}
		if q[low] >= key {
			break
		}
		q[i] = q[low]
		i = low
	}
	q[i] = key
}
