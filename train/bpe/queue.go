package bpe

import (
	"cmp"
	"container/heap"
)

// queue has pairs, that which the text has most often first. A pair that becomes rarer keeps its place until it comes to
// the front, and then gets a new one.
type queue struct {
	entries []entry
	tokens  []string
	corpus  *corpus
}

type entry struct {
	pair
	count int64
}

func newQueue(tokens []string, c *corpus) *queue {
	q := &queue{tokens: tokens, corpus: c}
	for p, s := range c.pairs {
		q.entries = append(q.entries, entry{p, s.count})
	}
	heap.Init((*entryHeap)(q))
	return q
}

func (q *queue) push(p pair) {
	if s, ok := q.corpus.pairs[p]; ok {
		heap.Push((*entryHeap)(q), entry{p, s.count})
	}
}

// next takes out the most frequent pair, and reports whether there is one that is frequent enough.
func (q *queue) next() (pair, bool) {
	for len(q.entries) > 0 {
		front := heap.Pop((*entryHeap)(q)).(entry)
		s, ok := q.corpus.pairs[front.pair]
		switch {
		case !ok || s.count < leastCount:
		case s.count == front.count:
			return front.pair, true
		default:
			q.push(front.pair)
		}
	}
	return pair{}, false
}

// entryHeap is the queue as package heap sees it.
type entryHeap queue

func (h *entryHeap) Len() int { return len(h.entries) }

func (h *entryHeap) Less(i, j int) bool {
	a, b := h.entries[i], h.entries[j]
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(h.tokens[a.left], h.tokens[b.left]),
		cmp.Compare(h.tokens[a.right], h.tokens[b.right])) < 0
}

func (h *entryHeap) Swap(i, j int) { h.entries[i], h.entries[j] = h.entries[j], h.entries[i] }

func (h *entryHeap) Push(x any) { h.entries = append(h.entries, x.(entry)) }

func (h *entryHeap) Pop() any {
	last := len(h.entries) - 1
	x := h.entries[last]
	h.entries = h.entries[:last]
	return x
}
