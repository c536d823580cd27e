package sample

import "math"

// history holds the tokens that were accepted last, as many as the samplers of a chain look at.
type history struct {
	tokens []int32 // oldest first; for a limit > 0 at most 2·limit, of which only the last limit count
	limit  int     // 0: none are kept; -1: all
}

// maxHistory is where a limit is as good as none.
const maxHistory = math.MaxInt32 / 2

// widest returns the limit that serves two windows, each a number of tokens or -1 for all.
func widest(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return max(a, b)
}

// lastN resolves a "last n" option: -1 stands for the context size, or for all tokens if that is not known.
func (o *Options) lastN(n int) int {
	if n < 0 && o.ContextSize > 0 {
		n = o.ContextSize
	}
	if n > maxHistory {
		return -1
	}
	return n
}

// add appends a token. A bounded history moves its last half to the front when full, so that a window is always one
// slice, at a constant cost per token on average.
func (h *history) add(id int32) {
	if h.limit == 0 {
		return
	}
	if h.limit > 0 && len(h.tokens) == 2*h.limit {
		copy(h.tokens, h.tokens[h.limit:])
		h.tokens = h.tokens[:h.limit]
	}
	h.tokens = append(h.tokens, id)
}

// last returns the last n tokens, oldest first, or as many as there are; all for n < 0.
func (h *history) last(n int) []int32 {
	if n < 0 || n > len(h.tokens) {
		return h.tokens
	}
	return h.tokens[len(h.tokens)-n:]
}

// kept returns the tokens that may still matter.
func (h *history) kept() []int32 { return h.last(h.limit) }
