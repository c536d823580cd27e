package attention

import (
	"math"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
)

// Selector chooses blocks, in memory that it reuses from call to call. One thread uses it at a time. The zero Selector is ready
// for use.
type Selector struct {
	ranks, sorted         []uint64
	pooled, soft, numbers []float32
	order                 []int32 // see Quickselect
}

// selectRoom is how many blocks Top holds beyond those that it is to choose, before it drops all but the best. A larger one
// is cleared less often, but later makes the threshold that turns blocks away.
const selectRoom = 128

// Top appends the k blocks with the largest scores to dst, from the oldest, number 0, to the newest. With no more than k
// blocks, these are all.
//
// Among equals the newest come first: what is near is likelier to be needed, positions of the newest blocks are true ones
// (Slots), and where scores say nothing at all, what is chosen is the window that one would have taken without scores.
// A score that is not a number counts as −Inf, the lowest one; −0 is 0.
func (s *Selector) Top(dst []int32, scores []float32, k int) []int32 {
	n := len(scores)
	if k >= n {
		for i := range n {
			dst = append(dst, int32(i))
		}
		return dst
	}
	if k <= 0 {
		return dst
	}
	ranks := kernels.Grow(&s.ranks, 2*k+selectRoom)
	next := max(0, n-len(ranks)) // blocks from next on have been looked at
	have := n - next
	for i := range have {
		ranks[i] = rank(scores[n-1-i], n-1-i)
	}
	least := s.keep(ranks[:have], k)
	for next > 0 {
		next, have = above(ranks, k, scores, next, least)
		least = s.keep(ranks[:have], k)
	}
	for i := k - 1; i >= 0; i-- {
		dst = append(dst, int32(uint32(ranks[i])))
	}
	return dst
}

// above puts the ranks larger than least of blocks before next, from the newest to the oldest, after the first ones, while there is
// room for a step. It returns how far it came, and how many ranks there are then.
func above(ranks []uint64, have int, scores []float32, next int, least uint64) (int, int) {
	const step = 8
	limit := scoreOf(least)
	for ; next >= step && have <= len(ranks)-step; next -= step {
		x := (*[step]float32)(scores[next-step:])
		if !(x[0] > limit || x[1] > limit || x[2] > limit || x[3] > limit || x[4] > limit || x[5] > limit || x[6] > limit || x[7] > limit) {
			continue
		}
		for i := step - 1; i >= 0; i-- {
			r := rank(x[i], next-step+i)
			ranks[have] = r
			if r > least {
				have++
			}
		}
	}
	for ; next > 0 && next < step && have < len(ranks); next-- {
		r := rank(scores[next-1], next-1)
		ranks[have] = r
		if r > least {
			have++
		}
	}
	return next, have
}

// rank is a number that is larger for a larger score and, among equal ones, for a larger index.
func rank(score float32, index int) uint64 {
	if score != score {
		score = hidden
	}
	bits := math.Float32bits(score + 0) // −0 + 0 is 0
	if bits>>31 == 0 {
		bits |= 1 << 31
	} else {
		bits = ^bits
	}
	return uint64(bits)<<32 | uint64(uint32(index))
}

// scoreOf is the score that a rank was made of.
func scoreOf(rank uint64) float32 {
	bits := uint32(rank >> 32)
	if bits>>31 != 0 {
		return math.Float32frombits(bits &^ (1 << 31))
	}
	return math.Float32frombits(^bits)
}

// keep brings the k largest ranks to the front, in the order in which they are, and returns the least of them.
func (s *Selector) keep(ranks []uint64, k int) uint64 {
	x := kernels.Grow(&s.sorted, len(ranks))
	copy(x, ranks)
	least := kth(x, k)
	kept := 0
	for _, r := range ranks {
		ranks[kept] = r
		if r >= least {
			kept++
		}
	}
	return least
}

// kth returns the k-th largest of different numbers, of which there are at least so many, and reorders them (Hoare's selection,
// on the median of three).
func kth(x []uint64, k int) uint64 {
	for rounds := 0; len(x) > 8; rounds++ {
		if rounds == 40 { // pivots were bad again and again
			break
		}
		a, b, c := x[0], x[len(x)/2], x[len(x)-1]
		p := max(min(a, b), min(max(a, b), c))
		larger := 0
		for i, v := range x { // without a branch that would depend on v
			x[i] = x[larger]
			x[larger] = v
			if v > p {
				larger++
			}
		}
		// those larger than p, then p itself somewhere among the others
		if k <= larger {
			x = x[:larger]
			continue
		}
		if k == larger+1 {
			return p
		}
		x, k = x[larger:], k-larger
	}
	slices.Sort(x)
	return x[len(x)-k]
}
