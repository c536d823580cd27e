package attention

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
)

// Sharing says which queries open the same blocks, and by what these are ranked where they do.
type Sharing uint8

// Queries that share are ranked by the softmax of each one's scores over all blocks: by the largest that a block gets from any
// of them or, BySum, by the sum. Scores themselves would not do, since the query with the longest vector would decide for all.
const (
	OverHeads  Sharing = 1 << iota // the heads of a token
	OverTokens                     // the tokens of a head
	BySum
)

// The modes of landmark attention (Mohtashami and Jaggi 2023, section 4.1), and that of RetroInfer.
const (
	PerTokenAndHead         = Sharing(0)
	MaxOverHeads    Sharing = OverHeads
	MaxOverTokens   Sharing = OverTokens
	SumOfSoftmax    Sharing = OverHeads | OverTokens | BySum
)

// Sets is how many sets of blocks are chosen for the heads of some tokens.
func (s Sharing) Sets(tokens, heads int) int {
	if s&OverHeads != 0 {
		heads = min(heads, 1)
	}
	if s&OverTokens != 0 {
		tokens = min(tokens, 1)
	}
	return tokens * heads
}

// Set is the number of the set of a head of a token.
func (s Sharing) Set(token, head, heads int) int {
	switch s & (OverHeads | OverTokens) {
	case OverHeads:
		return token
	case OverTokens:
		return head
	case OverHeads | OverTokens:
		return 0
	}
	return token*heads + head
}

// Queries are those that share a set: so many, the first one, and how far one is from the next.
func (s Sharing) Queries(set, tokens, heads int) (first, step, count int) {
	switch s & (OverHeads | OverTokens) {
	case OverHeads:
		return set * heads, 1, heads
	case OverTokens:
		return set, heads, tokens
	case OverHeads | OverTokens:
		return 0, 1, tokens * heads
	}
	return set, 1, 1
}

// BlockScores are the scores of blocks with the queries of the heads of some tokens: of block b with head h of token t at
// (t·Heads+h)·Stride + b.
type BlockScores struct {
	Scores                []float32
	Tokens, Heads, Blocks int
	Stride                int
	Scale                 float32 // multiplies them before a softmax; positive
}

func (b *BlockScores) check(k int) error {
	if b.Tokens < 0 || b.Heads < 0 || b.Blocks < 0 || k < 0 {
		return fmt.Errorf("attention: %d of %d blocks for %d heads of %d tokens", k, b.Blocks, b.Heads, b.Tokens)
	}
	if b.Stride < b.Blocks {
		return fmt.Errorf("attention: scores of %d blocks are %d apart", b.Blocks, b.Stride)
	}
	if !(b.Scale > 0) {
		return fmt.Errorf("attention: scores of blocks are multiplied by %v", b.Scale)
	}
	queries := b.Tokens * b.Heads
	if rest := len(b.Scores) - b.Blocks; queries > 0 && (rest < 0 || b.Stride > 0 && rest/b.Stride < queries-1) {
		return fmt.Errorf("attention: %d scores of %d blocks with %d queries that are %d apart", len(b.Scores), b.Blocks, queries, b.Stride)
	}
	return nil
}

func (b *BlockScores) of(query int) []float32 { return b.Scores[query*b.Stride:][:b.Blocks] }

// Select appends, for each set of queries that share, the blocks that they open: k, or all if there are no more, from the
// oldest to the newest; ties are broken as Quickselect breaks them. A query that shares with no other is ranked by its scores
// alone, which its softmax would leave in their order.
func (s *Selector) Select(impl *kernels.Implementation, dst []int32, b *BlockScores, k int, sharing Sharing) ([]int32, error) {
	if err := b.check(k); err != nil {
		return dst, err
	}
	for set := range sharing.Sets(b.Tokens, b.Heads) {
		first, step, count := sharing.Queries(set, b.Tokens, b.Heads)
		scores := b.of(first)
		if count > 1 && 0 < k && k < b.Blocks {
			scores = s.pool(impl, b, first, step, count, sharing&BySum != 0)
		}
		dst = s.Quickselect(dst, scores, k)
	}
	return dst, nil
}

// pool returns what blocks are ranked by for several queries.
func (s *Selector) pool(impl *kernels.Implementation, b *BlockScores, first, step, count int, sum bool) []float32 {
	pooled, soft := kernels.Grow(&s.pooled, b.Blocks), kernels.Grow(&s.soft, kernels.WholeGroups(b.Blocks))
	clear(pooled)
	for i := range count {
		by := s.shares(impl, soft, b.of(first+i*step), b.Scale)
		if sum {
			impl.Axpy(by, soft[:b.Blocks], pooled)
			continue
		}
		for j, v := range soft[:len(pooled)] { // as whole numbers, which the bits of positive ones are ordered like
			pooled[j] = math.Float32frombits(max(math.Float32bits(v*by), math.Float32bits(pooled[j])))
		}
	}
	return pooled
}

// shares makes soft the exponentials of scores, and returns what makes a softmax of them. What is not a number gets nothing.
func (s *Selector) shares(impl *kernels.Implementation, soft, scores []float32, scale float32) (by float32) {
	if by = softmax(impl, soft, scores, scale); by == by {
		return by
	}
	numbers := kernels.Grow(&s.numbers, len(scores))
	for j, v := range scores {
		if v != v {
			v = hidden
		}
		numbers[j] = v
	}
	return softmax(impl, soft, numbers, scale)
}
