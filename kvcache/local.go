package kvcache

import "fmt"

// Local says how far back queries see, where that is not far in any layer: rows that no query will see any more go. The zero
// Local is for caches that keep them.
type Local struct {
	Window int // the newest positions, the query's own among them; 0: no layer has windows
	Chunk  int // the text is cut into pieces of so many positions, and a query sees its own piece; 0: no layer has chunks
}

func (x Local) check(c Config) error {
	switch {
	case x == (Local{}):
		return nil
	case x.Window < 0 || x.Chunk < 0:
		return fmt.Errorf("kvcache: windows of %d rows, chunks of %d", x.Window, x.Chunk)
	case c.Index != (Index{}) || c.Pruned > 0 || c.Marks > 0:
		return fmt.Errorf("kvcache: rows that no query sees go, and blocks and policies want to find them")
	}
	return nil
}

// windowSlack is the number of tokens that a text with windows can always be taken back by. One with chunks can be taken back to
// where the chunk of its last token begins.
const windowSlack = PageRows

// unseen is how many of the first rows no query needs any more after so many, also if the text is taken back as far as it can be.
func (x Local) unseen(rows int) int {
	first := rows
	if x.Chunk > 0 {
		first = min(first, (rows-1)/x.Chunk*x.Chunk)
	}
	if x.Window > 0 {
		first = min(first, rows-x.Window-windowSlack)
	}
	return max(first, 0)
}

// since is the least number of rows after which no query sees the first ones, so many.
func (x Local) since(unseen int) int {
	rows := unseen
	if x.Chunk > 0 {
		rows = max(rows, (unseen+x.Chunk-1)/x.Chunk*x.Chunk)
	}
	if x.Window > 0 && unseen > 0 {
		rows = max(rows, unseen+x.Window-1)
	}
	return rows
}

// MostRows is the most rows per KV head that there are of a text of so many, of which block at a time are added.
func (x Local) MostRows(rows, block int) int {
	if x == (Local{}) {
		return rows
	}
	kept := x.Chunk
	if x.Window > 0 {
		kept = max(kept, x.Window+windowSlack)
	}
	kept += PageRows - 1 // rows that fill no page
	block = min(rows, block)
	return block + min(rows-block, kept)
}

// DropUnseen drops rows that no query will see any more (Config.Local): from the beginning of every list, as many as fill whole
// pages, so that no row moves and less than a page of them stays. The rows after them are numbered anew. The cache cannot be taken
// back any more to where a query would see them. Of a text whose positions have gaps no rows go.
func (c *Cache) DropUnseen() {
	x := c.cfg.Local
	if x == (Local{}) || c.seen == 0 || int(c.last)+1 != c.seen {
		return
	}
	had := c.lists[0].dropped // all have the same
	pages := (x.unseen(c.seen) - had) / PageRows
	if pages <= 0 {
		return
	}
	for i := range c.lists {
		c.lists[i].dropPages(pages)
	}
	c.evicted = x.since(had + pages*PageRows)
}

// checkLocal finds out whether rows that are not there are the first ones, and not needed.
func (s *Snapshot) checkLocal() error {
	x := s.cfg.Local
	if x == (Local{}) {
		return nil
	}
	gone := s.seen - s.lists[0].wide.rows
	for i := range s.lists {
		l := &s.lists[i]
		if s.seen-l.wide.rows != gone || l.wide.rows > 0 && gone > 0 && int(l.wide.position(0)) != gone {
			return fmt.Errorf("layer %d, head %d: not the last %d of %d rows", i/s.cfg.Heads, i%s.cfg.Heads, s.seen-gone, s.seen)
		}
		l.dropped = gone
	}
	switch {
	case gone%PageRows > 0 || gone > 0 && int(s.last)+1 < s.seen || gone == s.seen && gone > 0 && int(s.last)+1 != s.seen:
		return fmt.Errorf("%d of %d rows are missing, up to position %d", gone, s.seen, s.last)
	case gone > 0 && s.evicted < x.since(gone):
		return fmt.Errorf("%d rows are missing, and the text can be taken back to %d, where they would be seen", gone, s.evicted)
	}
	return nil
}
