package kvcache

import (
	"fmt"
	"slices"
)

// Snapshot is the contents of a cache at one moment. It shares its pages with the cache until either needs to write.
type Snapshot struct {
	cfg     Config
	lists   []saved // [layers · heads]
	seen    int
	evicted int // the least number of rows that the text can be taken back to, 0 beside
	pruned  int // the number of the first row whose key was not pruned
	last    int32
}

// saved is the rows of one layer and KV head.
type saved struct {
	narrow, wide sharedRows
	channels     []int32
	marks        [][]float32
	cursor       int
	queries      asked

	blocks, groups sharedRows
	sealed         int
	dropped        int
}

// sharedRows is a part of them.
type sharedRows struct {
	pages []*page
	rows  int
}

// Seen is the number of rows per KV head that the cache had been given.
func (s *Snapshot) Seen() int { return s.seen }

// Bytes is the memory of the heap that the snapshot holds on to, shared or not.
func (s *Snapshot) Bytes() int64 {
	var bytes int64
	for i := range s.lists {
		l := &s.lists[i]
		for _, p := range []*sharedRows{&l.narrow, &l.wide, &l.blocks, &l.groups} {
			for _, pg := range p.pages {
				bytes += pg.bytes()
			}
		}
	}
	return bytes
}

// Snapshot returns the cache's contents. It takes no copy of them: a shared page is copied when the cache writes to
// it.
func (c *Cache) Snapshot() *Snapshot {
	s := &Snapshot{cfg: c.cfg, lists: make([]saved, len(c.lists)), seen: c.seen, evicted: c.evicted, pruned: c.pruned, last: c.last}
	for i := range c.lists {
		l := &c.lists[i]
		s.lists[i] = saved{
			narrow: l.narrow.share(), wide: l.wide.share(), channels: l.channels, marks: cloneMarks(l.marks), cursor: l.cursor,
			queries: l.queries.clone(),
			blocks:  l.summaries.blocks.share(), groups: l.summaries.groups.share(), sealed: l.summaries.sealed, dropped: l.dropped,
		}
	}
	return s
}

// share returns the part for a snapshot.
func (p *part) share() sharedRows {
	for _, pg := range p.pages {
		if !pg.shared { // a page that is shared already may be in use elsewhere: not even this is written to it
			pg.shared = true
		}
	}
	return sharedRows{slices.Clone(p.pages), p.rows}
}

// adopt makes the part's rows those of a snapshot.
func (p *part) adopt(from *sharedRows) {
	p.pages, p.rows = slices.Clone(from.pages), from.rows
	p.pool.adopt(p.pages)
}

func cloneMarks(marks [][]float32) [][]float32 {
	copies := make([][]float32, len(marks))
	for k := range marks {
		copies[k] = slices.Clone(marks[k])
	}
	return copies
}

// Restore replaces the cache's contents by those of a snapshot, which stays as it is. The snapshot may come from
// another cache of the same shape.
func (c *Cache) Restore(s *Snapshot) error {
	if s.cfg != c.cfg {
		return fmt.Errorf("kvcache: a snapshot of a cache of shape %+v does not fit one of %+v", s.cfg, c.cfg)
	}
	for i := range c.lists {
		c.lists[i].clear()
	}
	c.Trim()
	for i := range c.lists {
		l, from := &c.lists[i], &s.lists[i]
		l.narrow.adopt(&from.narrow)
		l.wide.adopt(&from.wide)
		l.channels, l.marks, l.cursor, l.queries = from.channels, cloneMarks(from.marks), from.cursor, from.queries.clone()
		l.summaries.blocks.adopt(&from.blocks)
		l.summaries.groups.adopt(&from.groups)
		l.summaries.sealed, l.dropped = from.sealed, from.dropped
		l.refreshIndex()
		l.refresh(0)
	}
	c.seen, c.evicted, c.pruned, c.last = s.seen, s.evicted, s.pruned, s.last
	return nil
}
