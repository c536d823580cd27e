package kvcache

// DropOld drops rows of blocks that are not among the newest that the index keeps (Index.Keep): from the beginning of
// every list, as many as fill whole pages, so that no row moves and less than a page of them stays. The rows after them are
// numbered anew. The cache cannot be taken back any more to when one of the blocks was in use that are gone.
func (c *Cache) DropOld() {
	x := c.cfg.Index
	if x.Keep == 0 {
		return
	}
	sealed := c.lists[0].summaries.sealed // all have the same
	had := c.lists[0].dropped
	pages := ((had+sealed)/x.Block-x.Keep)*x.Block/PageRows - had/PageRows
	if pages <= 0 {
		return
	}
	for i := range c.lists {
		c.lists[i].dropPages(pages)
	}
	c.evicted = x.since(had + pages*PageRows)
}

// since is how many rows there were at the least when blocks with rows among the first ones, so many, were not in use any more.
func (x Index) since(dropped int) int { return (x.begun(dropped) + x.Keep) * x.Block }

// begun is the number of blocks that the first rows are of, the last one's perhaps not all.
func (x Index) begun(rows int) int { return (rows + x.Block - 1) / x.Block }

// dropPages drops the first pages.
func (l *list) dropPages(n int) {
	l.wide.dropPages(n)
	l.dropped += n * PageRows
	if x := &l.summaries; l.cfg.Index.Summary != NoSummary {
		x.sealed -= n * PageRows
		x.blocks.dropPages((l.cfg.Index.begun(l.dropped) - x.dropped(l.cfg.Index)) / PageRows)
		l.refreshIndex()
	}
	l.refresh(0)
}

// dropped is how many summaries were dropped from the beginning.
func (x *summaries) dropped(c Index) int {
	if x.blocks.rows == 0 {
		return 0
	}
	return (int(x.blocks.position(0)) - c.Sinks) / c.Block
}
