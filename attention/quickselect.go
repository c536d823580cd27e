package attention

import (
	"math/bits"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
)

// heapShare is how many times as many blocks as are chosen there have to be for a heap to be used.
const heapShare = 64

// Quickselect is Top with another choice among equals: the one that torch.topk makes on a CPU, by which models with landmarks
// were trained and measured. It matters to them: in the first layer keys are those of tokens alone, so that all landmarks have
// the same key, and those in one slot the same score.
//
// That is what is in front after the selection algorithms of the C++ library have gone through the blocks from the oldest to
// the newest: a quickselect on the median of three, or a heap of the best where k is small beside their number.
func (s *Selector) Quickselect(dst []int32, scores []float32, k int) []int32 {
	had := len(dst)
	dst = s.Top(dst, scores, k)
	if k <= 0 || k >= len(scores) || !tied(scores, dst[had:]) {
		return dst
	}
	q := quickselect{scores: scores, order: kernels.Grow(&s.order, len(scores))}
	for i := range q.order {
		q.order[i] = int32(i)
	}
	if k*heapShare <= len(scores) {
		q.heapSelect(0, k, len(scores))
	} else {
		q.selectTo(k)
	}
	chosen := q.order[:k]
	slices.Sort(chosen)
	return append(dst[:had], chosen...)
}

// tied reports whether a block that was not chosen has the score of one that was.
func tied(scores []float32, chosen []int32) bool {
	least := scores[chosen[0]]
	for _, i := range chosen {
		least = min(least, scores[i])
	}
	equals := 0
	for _, v := range scores {
		if v == least {
			equals++
		}
	}
	for _, i := range chosen {
		if scores[i] == least {
			equals--
		}
	}
	return equals > 0
}

// quickselect is an order of blocks that is brought about.
type quickselect struct {
	scores []float32
	order  []int32
}

// better reports whether block a has a larger score than block b.
func (q *quickselect) better(a, b int32) bool { return q.scores[a] > q.scores[b] }

func (q *quickselect) swap(i, j int) { q.order[i], q.order[j] = q.order[j], q.order[i] }

// selectTo brings the k best to the front.
func (q *quickselect) selectTo(k int) {
	from, to := 0, len(q.order)
	for depth := 2 * (bits.Len(uint(to)) - 1); to-from > 3; depth-- {
		if depth == 0 {
			q.heapSelect(from, k, to)
			return
		}
		if cut := q.partition(from, to); cut < k {
			from = cut
		} else {
			to = cut
		}
	}
	for i := from + 1; i < to; i++ { // equal ones stay in order
		for j := i; j > from && q.better(q.order[j], q.order[j-1]); j-- {
			q.swap(j, j-1)
		}
	}
}

// partition brings what is better than a pivot, the median of three, before what is worse, and returns where that begins.
func (q *quickselect) partition(from, to int) int {
	a, b, c := from+1, from+(to-from)/2, to-1
	if !q.better(q.order[a], q.order[b]) {
		a, b = b, a
	}
	switch {
	case q.better(q.order[b], q.order[c]):
		q.swap(from, b)
	case q.better(q.order[a], q.order[c]):
		q.swap(from, c)
	default:
		q.swap(from, a)
	}
	pivot, low, high := q.order[from], from+1, to
	for {
		for q.better(q.order[low], pivot) {
			low++
		}
		high--
		for q.better(pivot, q.order[high]) {
			high--
		}
		if low >= high {
			return low
		}
		q.swap(low, high)
		low++
	}
}

// heapSelect brings the best of [from, to) to the places before end: a heap of so many, whose worst is in front, takes in
// what is better than that.
func (q *quickselect) heapSelect(from, end, to int) {
	heap := q.order[from:end]
	for i := len(heap)/2 - 1; i >= 0; i-- {
		q.sift(heap, i, heap[i])
	}
	for i := end; i < to; i++ {
		if block := q.order[i]; q.better(block, heap[0]) {
			q.order[i] = heap[0]
			q.sift(heap, 0, block)
		}
	}
}

// sift puts a block into the heap below the place top: the worse child moves up all the way to the bottom, and from there
// the block as far as it has to.
func (q *quickselect) sift(heap []int32, top int, block int32) {
	hole := top
	for child := 2*hole + 2; child <= len(heap); child = 2*hole + 2 {
		if child == len(heap) || q.better(heap[child], heap[child-1]) {
			child--
		}
		heap[hole] = heap[child]
		hole = child
	}
	for hole > top {
		parent := (hole - 1) / 2
		if !q.better(heap[parent], block) {
			break
		}
		heap[hole] = heap[parent]
		hole = parent
	}
	heap[hole] = block
}
