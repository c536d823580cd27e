package kvcache

import "fmt"

// Snapshot is the contents of a cache at one moment. It shares its pages with the cache until either needs to write.
type Snapshot struct {
	cfg   Config
	pages []*page
	rows  int
}

// Len is the number of rows per KV head.
func (s *Snapshot) Len() int { return s.rows }

// Snapshot returns the cache's contents. It takes no copy of them: a shared page is copied when the cache writes to
// it.
func (c *Cache) Snapshot() *Snapshot {
	s := &Snapshot{cfg: c.cfg, pages: append([]*page(nil), c.pages...), rows: c.rows}
	for _, pg := range s.pages {
		if !pg.shared { // a page that is shared already may be in use elsewhere: not even this is written to it
			pg.shared = true
		}
	}
	return s
}

// Restore replaces the cache's contents by those of a snapshot, which stays as it is. The snapshot may come from
// another cache of the same shape.
func (c *Cache) Restore(s *Snapshot) error {
	if s.cfg != c.cfg {
		return fmt.Errorf("kvcache: a snapshot of a cache of shape %+v does not fit one of %+v", s.cfg, c.cfg)
	}
	c.pages = append([]*page(nil), s.pages...)
	c.rows = s.rows
	c.peak = max(c.peak, c.Bytes())
	for i := range c.views {
		clear(c.views[i].Spans)
	}
	c.refresh(0)
	return nil
}
