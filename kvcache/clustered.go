package kvcache

import (
	"cmp"
	"slices"
)

// uncluster forgets the clusters of rows beyond the first n. Rows before these in the same segment are brought back into the
// order of their positions.
func (l *list) uncluster(n int) {
	x, c := &l.summaries, l.cfg.Index
	first := c.Sinks + max(0, n-c.Sinks)/c.Segment*c.Segment
	if first < n {
		l.sort(first, c.Segment)
	}
	blocks := 0
	for blocks < x.blocks.rows && int(x.blocks.position(blocks)) < first {
		blocks++
	}
	x.cut(blocks, first)
}

// sort brings rows into the order of their positions.
func (l *list) sort(first, rows int) {
	order := make([]int32, rows)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Compare(l.wide.position(first+int(a)), l.wide.position(first+int(b)))
	})
	l.wide.reorder(first, order)
	l.refresh(first)
}
