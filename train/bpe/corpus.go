package bpe

import (
	"errors"
	"math"
)

// counted is a word and how often the text has it.
type counted struct {
	word  string
	times int64
}

// pair is two tokens side by side.
type pair struct{ left, right int32 }

// places is how often the text has a pair, and where.
type places struct {
	count int64
	at    []int32 // positions of the left token, ascending; some may be past
}

// corpus is the different words of a text as lists of tokens. The words lie one after the other, with gaps around them; a merged
// token lies where its left part did.
type corpus struct {
	token      []int32 // by position; gap where there is none, or none any more
	prev, next []int32 // positions of the neighbours
	word       []int32 // the number of the word
	times      []int64 // by word
	pairs      map[pair]*places
}

const gap = -1

var errTooManyWords = errors.New("bpe: the different words of the text have more than 2 GiB")

// newCorpus makes every byte of the words a token.
func newCorpus(words []counted) (*corpus, error) {
	size := 1
	for _, w := range words {
		if size += len(w.word) + 1; size > math.MaxInt32 {
			return nil, errTooManyWords
		}
	}
	c := &corpus{
		token: make([]int32, 0, size), prev: make([]int32, size), next: make([]int32, size), word: make([]int32, size),
		times: make([]int64, len(words)), pairs: map[pair]*places{},
	}
	c.token = append(c.token, gap)
	for i, w := range words {
		c.times[i] = w.times
		for j := range len(w.word) {
			c.word[len(c.token)] = int32(i)
			c.token = append(c.token, int32(w.word[j]))
		}
		c.token = append(c.token, gap)
	}
	for i := range int32(size) {
		c.prev[i], c.next[i] = i-1, i+1
	}
	for i := range int32(size - 1) {
		c.count(i, 1)
	}
	return c, nil
}

// count adds the pair at a position, or with the sign -1 takes it away. It reports whether the pair is new.
func (c *corpus) count(at int32, sign int64) (p pair, fresh bool) {
	p = pair{c.token[at], c.token[c.next[at]]}
	if p.left == gap || p.right == gap {
		return p, false
	}
	s, ok := c.pairs[p]
	if !ok {
		if sign < 0 { // the pair that is being merged
			return p, false
		}
		s = &places{}
		c.pairs[p] = s
	}
	s.count += sign * c.times[c.word[at]]
	switch {
	case sign > 0:
		s.at = append(s.at, at)
	case s.count == 0:
		delete(c.pairs, p)
	}
	return p, !ok
}

// merge replaces a pair by a token, from left to right, and returns the pairs that have come up. The token must be new: a
// position where a pair is no more then never has it again.
func (c *corpus) merge(p pair, merged int32) (fresh []pair) {
	at := c.pairs[p].at
	delete(c.pairs, p)
	note := func(at int32) {
		if p, ok := c.count(at, 1); ok {
			fresh = append(fresh, p)
		}
	}
	for _, left := range at {
		right := c.next[left]
		if c.token[left] != p.left || c.token[right] != p.right {
			continue
		}
		before, after := c.prev[left], c.next[right]
		c.count(before, -1)
		c.count(right, -1)
		c.token[left], c.token[right] = merged, gap
		c.next[left], c.prev[after] = after, left
		note(before)
		note(left)
	}
	return fresh
}
