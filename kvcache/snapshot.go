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
	evicted int // how many rows had been seen when rows were last evicted
	last    int32
}

// saved is the rows of one layer and KV head.
type saved struct {
	pages  []*page
	rows   int
	marks  [][]float32
	cursor int
}

// Seen is the number of rows per KV head that the cache had been given.
func (s *Snapshot) Seen() int { return s.seen }

// Bytes is the memory that the snapshot holds on to, shared or not.
func (s *Snapshot) Bytes() int64 {
	key, value, err := s.cfg.rowBytes()
	if err != nil {
		return 0 // never of a cache that was made
	}
	p := pool{key: key, value: value}
	var bytes int64
	for i := range s.lists {
		bytes += int64(len(s.lists[i].pages)) * p.pageBytes()
	}
	return bytes
}

// Snapshot returns the cache's contents. It takes no copy of them: a shared page is copied when the cache writes to
// it.
func (c *Cache) Snapshot() *Snapshot {
	s := &Snapshot{cfg: c.cfg, lists: make([]saved, len(c.lists)), seen: c.seen, evicted: c.evicted, last: c.last}
	for i := range c.lists {
		l := &c.lists[i]
		for _, pg := range l.pages {
			if !pg.shared { // a page that is shared already may be in use elsewhere: not even this is written to it
				pg.shared = true
			}
		}
		s.lists[i] = saved{slices.Clone(l.pages), l.rows, cloneMarks(l.marks), l.cursor}
	}
	return s
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
		c.lists[i].cut(&c.pool, 0)
	}
	c.pool.trim()
	for i := range c.lists {
		l, from := &c.lists[i], &s.lists[i]
		l.pages, l.rows, l.marks, l.cursor = slices.Clone(from.pages), from.rows, cloneMarks(from.marks), from.cursor
		c.pool.adopt(len(l.pages))
		l.refresh(0)
	}
	c.seen, c.evicted, c.last = s.seen, s.evicted, s.last
	return nil
}
