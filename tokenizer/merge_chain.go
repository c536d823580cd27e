package tokenizer

// mergeBuffers are reused from word to word.
type mergeBuffers struct {
	links  []link
	queue  rankQueue
	starts []int32 // index of the first symbol of each token
	merged []int32 // value of each token
}

// bytes is the memory that the buffers hold.
func (b *mergeBuffers) bytes() int {
	return 16*cap(b.links) + 8*cap(b.queue) + 4*cap(b.starts) + 4*cap(b.merged)
}

// link is a symbol in a doubly linked list, whose last element ends the list: it has a value and is no symbol.
type link struct {
	val        int32
	prev, next int32
	rank       uint32 // of the pair with the next symbol; noRank for symbols that are no more
}

// mergeChain appends to b.starts and b.merged what remains of the symbols val[lo:hi]; val[hi] ends them. The pairs wait
// in a priority queue, so that n symbols take O(n log n).
func mergeChain[J joiner](j J, val []int32, lo, hi int, b *mergeBuffers) {
	b.fill(val[lo : hi+1])
	for i := range hi - lo - 1 {
		rate(j, b.links, int32(i))
		if rank := b.links[i].rank; rank != noRank {
			b.queue = append(b.queue, rankKey(rank, int32(i)))
		}
	}
	b.queue.init()
	for len(b.queue) > 0 {
		rank, i := b.queue.pop()
		// A pair that has changed since it was queued has another rank. If the rank is the same, so is the place in
		// the order, and which of the two entries merges the pair makes no difference.
		if b.links[i].rank == rank {
			mergeAt(j, b, i)
		}
	}
	for i := 0; i < hi-lo; i = int(b.links[i].next) {
		b.starts = append(b.starts, int32(lo+i))
		b.merged = append(b.merged, b.links[i].val)
	}
}

// fill makes a list of symbols and empties the queue.
func (b *mergeBuffers) fill(val []int32) {
	b.links, b.queue = b.links[:0], b.queue[:0]
	for i, v := range val {
		b.links = append(b.links, link{val: v, prev: int32(i - 1), next: int32(i + 1), rank: noRank})
	}
}

// mergeAt joins symbol i with the one after it.
func mergeAt[J joiner](j J, b *mergeBuffers, i int32) {
	left := &b.links[i]
	right := &b.links[left.next]
	after := &b.links[right.next]
	_, left.val = j.join(left.val, right.val, after.val)
	right.rank = noRank
	left.next = right.next
	after.prev = i
	b.requeue(rate(j, b.links, i), i)
	if left.prev >= 0 {
		b.requeue(rate(j, b.links, left.prev), left.prev)
	}
}

func (b *mergeBuffers) requeue(rank uint32, i int32) {
	if rank != noRank {
		b.queue.push(rankKey(rank, i))
	}
}

// rate finds the rank of symbol i with the one after it.
func rate[J joiner](j J, links []link, i int32) uint32 {
	left := &links[i]
	left.rank = noRank
	if int(left.next) < len(links)-1 {
		right := &links[left.next]
		left.rank, _ = j.join(left.val, right.val, links[right.next].val)
	}
	return left.rank
}
