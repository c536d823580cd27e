package kvcache

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Summary is what attention looks at of a block of rows to find out whether it wants to open it.
type Summary uint8

// The summaries.
const (
	NoSummary Summary = iota
	Mean              // the mean of the block's keys
	Bounds            // for each channel the largest and the least of the block's keys (Tang et al. 2024, Quest)
	Centroid          // blocks are clusters of keys: the mean of their keys, and of their values (RetroInfer)
	Landmark          // the key of the block's last row (Mohtashami and Jaggi 2023)
)

// GroupBlocks is the number of blocks that are summarized together once more, so that most of a long text's blocks need
// not be looked at one by one.
const GroupBlocks = kernels.KeyGroup

// Index says how rows that are no longer among the newest are summarized, block by block. The zero Index does nothing.
type Index struct {
	Summary Summary
	Block   int // rows of a block; of a cluster on the average
	Sinks   int // first rows that are in no block, whole groups of keys
	Segment int // rows that are clustered together
	Keep    int // newest blocks that are of use, whose summaries are landmarks: rows of older ones go; 0: all
}

// check returns an error unless rows can be summarized so.
func (x Index) check() error {
	switch {
	case x.Summary == NoSummary:
		if x != (Index{}) {
			return fmt.Errorf("kvcache: blocks of %d rows without a summary", x.Block)
		}
		return nil
	case x.Block < 1 || x.Sinks < 0 || x.Sinks%kernels.KeyGroup != 0:
		return fmt.Errorf("kvcache: blocks of %d rows after %d sinks: want at least one, after whole groups of %d", x.Block, x.Sinks, kernels.KeyGroup)
	case x.Summary != Centroid && x.Segment != 0:
		return fmt.Errorf("kvcache: segments of %d rows, but blocks that are no clusters", x.Segment)
	case x.Keep < 0 || x.Keep > 0 && (x.Summary != Landmark || x.Sinks > 0):
		return fmt.Errorf("kvcache: the newest %d blocks kept: that is for blocks with landmarks, without sinks", x.Keep)
	case x.Summary == Landmark:
		return nil
	case x.Block%kernels.KeyGroup != 0:
		return fmt.Errorf("kvcache: blocks of %d rows: want whole groups of %d", x.Block, kernels.KeyGroup)
	case x.Summary == Centroid && (x.Segment < x.Block || x.Segment%kernels.KeyGroup != 0):
		return fmt.Errorf("kvcache: clusters of %d rows within segments of %d: want whole groups of %d, no less than a cluster", x.Block, x.Segment, kernels.KeyGroup)
	}
	return nil
}

// dims are the values of a summary and, where it comes with a mean of values, of that.
func (c Config) summaryDims() (key, value int) {
	switch c.Index.Summary {
	case Bounds:
		return 2 * c.KeyDim, 0
	case Centroid:
		return c.KeyDim, c.ValueDim
	default:
		return c.KeyDim, 0
	}
}

// summaryType is that of summaries: exact enough that choosing by them does not depend on it.
func (c Config) summaryType() quant.Type {
	if c.Type == quant.F32 {
		return quant.F32
	}
	return quant.F16
}

// grouped reports whether blocks are summarized together once more.
func (x Index) grouped() bool { return x.Summary == Mean || x.Summary == Bounds }

// IndexBytes returns the most memory that the summaries of rows rows per KV head take, whole pages as they are allocated.
func (c Config) IndexBytes(rows int) (int64, error) {
	x := c.Index
	if x.Summary == NoSummary {
		return 0, nil
	}
	if rows < 0 {
		return 0, fmt.Errorf("kvcache: %d rows", rows)
	}
	if _, _, err := c.rowBytes(); err != nil {
		return 0, err
	}
	keyDim, valueDim := c.summaryDims()
	key, err := c.summaryType().RowBytes(keyDim)
	if err != nil {
		return 0, err
	}
	value, err := c.summaryType().RowBytes(valueDim)
	if err != nil {
		return 0, err
	}
	n := x.blocks(rows - x.Sinks)
	if x.Keep > 0 {
		n += PageRows + 1 // of blocks that are gone, until they fill a page; and of one that is gone in part
	}
	pages := int64(pagesOf(n))
	if x.grouped() {
		pages += int64(pagesOf(n / GroupBlocks))
	}
	lists := int64(c.Layers) * int64(c.Heads)
	if pages > math.MaxInt64/lists/pageBytes(key, value) {
		return 0, fmt.Errorf("kvcache: summaries of %d rows take more bytes than can be counted", rows)
	}
	return lists * pages * pageBytes(key, value), nil
}

// blocks is the most blocks that there are of so many rows.
func (x Index) blocks(rows int) int {
	if x.Summary == Centroid {
		return max(0, rows) / x.Segment * (x.Segment / x.Block)
	}
	return max(0, rows) / x.Block
}

// summaries are the blocks of a list.
type summaries struct {
	blocks part // one row per block, at the position that is the number that the block's first row was given
	groups part // one row per GroupBlocks blocks
	sealed int  // rows up to here are sinks or in blocks
}

// cut drops all blocks but the first n; these end before the row that is given.
func (x *summaries) cut(n, sealed int) {
	x.blocks.cut(n)
	x.groups.cut(min(x.groups.rows, n/GroupBlocks))
	x.sealed = sealed
	if n == 0 {
		x.sealed = 0
	}
}

// unseal forgets the blocks with rows beyond the first n. Of the rows, the first ones are to stay.
func (l *list) unseal(n, stay int) {
	x, c := &l.summaries, l.cfg.Index
	if c.Summary == Centroid {
		l.uncluster(n, stay)
	} else {
		blocks := max(0, l.dropped+n-c.Sinks) / c.Block
		x.cut(blocks-x.dropped(c), c.Sinks+blocks*c.Block-l.dropped)
	}
	l.refreshIndex()
}

// IndexView is what attention sees of the blocks of one layer and KV head: their summaries in place of keys, with the
// numbers that their first rows were given in place of positions, and in place of values, where there are some, the means
// of values.
type IndexView struct {
	Blocks View
	Groups View // of GroupBlocks blocks each, as many as there are whole ones
	Sealed int  // the last block ends before the row of this number

	dropped int // rows before the first one: positions count them
}

// Rows returns the numbers [from, to) of the rows of block b.
func (v *IndexView) Rows(b int) (from, to int) {
	from = v.First(b)
	if b+1 < v.Blocks.Rows() {
		return from, v.First(b + 1)
	}
	return from, v.Sealed
}

// First is the number of the first row of block b, less than 0 if that row was dropped.
func (v *IndexView) First(b int) int {
	return int(v.Blocks.Spans[b/PageRows].Positions[b%PageRows]) - v.dropped
}

// Index returns the blocks of one layer and KV head. It is read-only, and holds until the cache's next change.
func (c *Cache) Index(layer, head int) *IndexView { return &c.list(layer, head).index }

// Sealed is the most rows of a KV head that are sinks or in blocks, 0 if there are no blocks.
func (c *Cache) Sealed() int {
	most := 0
	for i := range c.lists {
		most = max(most, c.lists[i].summaries.sealed)
	}
	return most
}

// Unsealed is the number of rows that are neither sinks nor in blocks, of the KV heads that have the most blocks.
func (c *Cache) Unsealed() int {
	rows := c.lists[0].rows() // all have the same
	return rows - max(c.Sealed(), min(rows, c.cfg.Index.Sinks))
}

// IndexBytes is the memory of the summaries.
func (c *Cache) IndexBytes() int64 {
	now, _, _ := c.indexMemory.bytes()
	return now
}

// Seal makes blocks of a layer's and KV head's rows, all but the newest ones, of which it leaves so many: blocks with any of
// these, as there may be after Truncate, are taken apart. So what is in blocks follows from how many rows there are, and not
// from how many there once were. Different heads may be worked on at once.
func (c *Cache) Seal(impl *kernels.Implementation, layer, head, leave int) error {
	x, l := c.cfg.Index, c.list(layer, head)
	step := x.Block
	if x.Summary == Centroid {
		step = x.Segment
	}
	if n := l.rows() - leave; n < l.summaries.sealed {
		l.unseal(n, l.rows())
	}
	if x.Summary == NoSummary || l.rows()-leave-step < x.Sinks {
		return nil
	}
	l.summaries.sealed = max(l.summaries.sealed, x.Sinks)
	w := l.summarizer(impl, c)
	for l.rows()-leave-l.summaries.sealed >= step {
		if err := w.seal(); err != nil {
			return fmt.Errorf("kvcache: layer %d, head %d: %w", layer, head, err)
		}
	}
	l.refreshIndex()
	return nil
}
