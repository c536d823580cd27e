package kvcache

import (
	"math"
	"slices"
)

// candidate is a row that may stay or go.
type candidate struct {
	score float32
	row   int32 // its number, or where the newest of equals come first that number's complement
	head  int32
}

// choose returns the rows of each head that stay: sinks, recent rows, and those with the largest scores. Among equals the
// oldest come first, or the newest if the policy says so, and then those of a lower head: heads whose rows have the same
// scores keep the same rows. As many stay as the budget allows, no fewer.
func (e *Eviction) choose(l *Layer) [][]int32 {
	keep := make([][]int32, len(l.Heads))
	if e.pooled {
		e.pick(l, keep, 0, len(l.Heads))
		return keep
	}
	for h := range l.Heads {
		e.pick(l, keep, h, h+1)
	}
	return keep
}

// pick chooses among the rows of heads [from, to).
func (e *Eviction) pick(l *Layer, keep [][]int32, from, to int) {
	var list []candidate
	room := (to - from) * l.Target
	for h := from; h < to; h++ {
		rows := &l.Heads[h]
		n := rows.Len()
		if h == from {
			list = make([]candidate, 0, n*(to-from))
		}
		for i := range n {
			if int(rows.Position(i)) < e.sinks || i >= n-e.recent {
				keep[h] = append(keep[h], int32(i))
				room--
				continue
			}
			s := l.Scores[h][i]
			if s != s {
				s = float32(math.Inf(-1))
			}
			list = append(list, candidate{s, e.order(i), int32(h)})
		}
	}
	room = max(0, min(room, len(list)))
	best(list, room)
	for _, c := range list[:room] {
		keep[c.head] = append(keep[c.head], max(c.row, ^c.row))
	}
	for h := from; h < to; h++ {
		slices.Sort(keep[h])
	}
}

// order is what row i comes by among equals.
func (e *Eviction) order(i int) int32 {
	if e.needs.Newest {
		return ^int32(i)
	}
	return int32(i)
}

// before orders candidates: the better first.
func (c candidate) before(d candidate) bool {
	if c.score != d.score {
		return c.score > d.score
	}
	if c.row != d.row {
		return c.row < d.row
	}
	return c.head < d.head
}

// best brings the n best candidates to the front, in no order (Hoare's selection, on the median of three).
func best(list []candidate, n int) {
	if n < 1 || n >= len(list) {
		return
	}
	last := n - 1
	low, high := 0, len(list)-1
	for low < high {
		p := pivot(list[low], list[(low+high)/2], list[high])
		i, j := low, high
		for i <= j {
			for list[i].before(p) {
				i++
			}
			for p.before(list[j]) {
				j--
			}
			if i <= j {
				list[i], list[j] = list[j], list[i]
				i++
				j--
			}
		}
		switch {
		case last <= j:
			high = j
		case last >= i:
			low = i
		default:
			return
		}
	}
}

// pivot is the median of three.
func pivot(a, b, c candidate) candidate {
	if b.before(a) {
		a, b = b, a
	}
	if c.before(b) {
		b = c
		if b.before(a) {
			b = a
		}
	}
	return b
}
