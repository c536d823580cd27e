// Package kvcache stores the keys and values of past tokens: rows in pages that are allocated as they are needed, one
// list of rows per layer and KV head, each row with the position of its token in the text. Policies, one to a file, decide
// which rows a cache of a given budget keeps.
package kvcache

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/weights/quant"
)

// ErrPosition is wrapped by the errors about positions that do not ascend.
var ErrPosition = errors.New("positions must ascend")

// ErrEvicted is wrapped where a cache is to go back behind rows that are gone, or whose keys were
// pruned.
var ErrEvicted = errors.New("rows were evicted or pruned since")

// Config is the shape of a cache.
type Config struct {
	Layers, Heads    int // Heads: KV heads per layer
	KeyDim, ValueDim int
	Type             quant.Type // of the rows: F32, F16 or Q8_0
	Marks            int        // numbers that go with each row, for a policy
	Pruned           int        // channels that keys do without once their rows are old; 0: they keep all
	Index            Index      // how older rows are summarized
	Local            Local      // how far back queries see
}

// rowBytes returns the sizes of a stored key and value.
func (c Config) rowBytes() (key, value int, err error) {
	switch c.Type {
	case quant.F32, quant.F16, quant.Q8_0:
	default:
		return 0, 0, fmt.Errorf("kvcache: rows of type %s are not supported (f32, f16, q8_0 are)", c.Type)
	}
	if c.Pruned < 0 || c.Pruned > 0 && c.Pruned >= c.KeyDim {
		return 0, 0, fmt.Errorf("kvcache: %d channels pruned of keys of %d", c.Pruned, c.KeyDim)
	}
	if c.Layers < 1 || c.Heads < 1 || c.KeyDim < 1 || c.ValueDim < 1 || c.Marks < 0 {
		return 0, 0, fmt.Errorf("kvcache: %d layers of %d heads with keys of %d and values of %d", c.Layers, c.Heads, c.KeyDim, c.ValueDim)
	}
	if err := c.Index.check(); err != nil {
		return 0, 0, err
	}
	if c.Index.Summary != NoSummary && (c.Pruned > 0 || c.Marks > 0) {
		return 0, 0, fmt.Errorf("kvcache: rows that a policy drops or prunes cannot be in blocks")
	}
	if err := c.Local.check(c); err != nil {
		return 0, 0, err
	}
	if key, err = c.Type.RowBytes(c.KeyDim); err != nil {
		return 0, 0, fmt.Errorf("kvcache: keys of a head: %w", err)
	}
	if value, err = c.Type.RowBytes(c.ValueDim); err != nil {
		return 0, 0, fmt.Errorf("kvcache: values of a head: %w", err)
	}
	return key, value, nil
}

// narrowBytes returns the size of a stored key without the channels that are pruned.
func (c Config) narrowBytes() (int, error) {
	key, err := c.Type.RowBytes(c.KeyDim - c.Pruned)
	if err != nil {
		return 0, fmt.Errorf("kvcache: keys of a head without %d of their channels: %w", c.Pruned, err)
	}
	return key, nil
}

// Bytes returns the memory that rows rows per KV head take, whole pages as they are allocated, with all channels of their
// keys.
func (c Config) Bytes(rows int) (int64, error) {
	if rows < 0 {
		return 0, fmt.Errorf("kvcache: %d rows", rows)
	}
	return c.pageBytes(rows, pagesOf(rows), 0)
}

// pageBytes returns the memory of the pages that rows are in, per KV head: those for keys with all their channels, and
// those of narrow ones.
func (c Config) pageBytes(rows, wide, narrow int) (int64, error) {
	key, value, err := c.rowBytes()
	if err != nil {
		return 0, err
	}
	narrowKey, err := c.narrowBytes()
	if err != nil {
		return 0, err
	}
	lists, left := int64(c.Layers)*int64(c.Heads), int64(math.MaxInt64)
	for _, x := range [][2]int64{{int64(wide), pageBytes(key, value)}, {int64(narrow), pageBytes(narrowKey, value)}} {
		if x[0] > left/lists/x[1] {
			return 0, fmt.Errorf("kvcache: %d rows take more bytes than can be counted", rows)
		}
		left -= lists * x[0] * x[1]
	}
	return math.MaxInt64 - left, nil
}

// Cache keeps the rows that it is given until it is told to drop some. One goroutine at a time may change it, but for Put
// and Keep.
type Cache struct {
	cfg         Config
	memory      memory
	indexMemory memory
	wide        pool   // of pages for keys with all their channels
	narrow      pool   // for those without the ones that are pruned
	index       pool   // for summaries of blocks
	lists       []list // [layers · heads]
	seen        int    // rows per KV head, those dropped among them
	evicted     int    // the least number of rows that the text can be taken back to, 0 beside: rows are gone that fewer would need
	pruned      int    // the number of the first row whose key was not pruned
	last        int32  // position of the newest row
}

// New makes an empty cache. The row type must be F32, F16 or Q8_0, and fit the head sizes.
func New(cfg Config) (*Cache, error) { return NewIn(nil, cfg) }

// NewIn makes an empty cache whose rows lie in a store, on the heap if that is nil. The summaries of blocks, which are few
// and often read, lie on the heap.
func NewIn(store Store, cfg Config) (*Cache, error) {
	key, value, err := cfg.rowBytes()
	if err != nil {
		return nil, err
	}
	narrow, err := cfg.narrowBytes()
	if err != nil {
		return nil, err
	}
	c := &Cache{cfg: cfg, lists: make([]list, cfg.Layers*cfg.Heads), last: -1}
	c.wide = pool{typ: cfg.Type, keyDim: cfg.KeyDim, key: key, value: value, release: cfg.Pruned > 0, store: store, memory: &c.memory}
	c.narrow = c.wide
	c.narrow.keyDim, c.narrow.key = cfg.KeyDim-cfg.Pruned, narrow
	dim, mean := cfg.summaryDims()
	typ := cfg.summaryType()
	c.index = pool{typ: typ, keyDim: dim, memory: &c.indexMemory}
	if c.index.key, err = typ.RowBytes(dim); err != nil {
		return nil, err
	}
	if c.index.value, err = typ.RowBytes(mean); err != nil {
		return nil, err
	}
	for i := range c.lists {
		l := &c.lists[i]
		l.cfg = &c.cfg
		l.wide.pool, l.narrow.pool = &c.wide, &c.narrow
		l.wide.clustered = cfg.Index.Summary == Centroid
		l.summaries.blocks.pool, l.summaries.groups.pool = &c.index, &c.index
		l.index.Blocks = View{Type: typ, KeyDim: dim, ValueDim: mean, KeyBytes: c.index.key, ValueBytes: c.index.value}
		l.index.Groups = l.index.Blocks
		l.view = View{Type: cfg.Type, KeyDim: cfg.KeyDim, ValueDim: cfg.ValueDim, KeyBytes: key, NarrowBytes: narrow, ValueBytes: value}
		l.marks = make([][]float32, cfg.Marks)
	}
	return c, nil
}

// Config returns the shape of the cache.
func (c *Cache) Config() Config { return c.cfg }

// Seen is the number of rows per KV head that the cache was given, whether they are still there or not.
func (c *Cache) Seen() int { return c.seen }

// Len is the number of rows that a KV head of a layer has.
func (c *Cache) Len(layer, head int) int { return c.list(layer, head).rows() }

func (c *Cache) list(layer, head int) *list { return &c.lists[layer*c.cfg.Heads+head] }

// MostSpans is the number of spans of the view that has the most.
func (c *Cache) MostSpans() int {
	most := 0
	for i := range c.lists {
		most = max(most, len(c.lists[i].view.Spans))
	}
	return most
}

// MostRows is the number of rows of the KV head that has the most.
func (c *Cache) MostRows() int {
	most := 0
	for i := range c.lists {
		most = max(most, c.lists[i].rows())
	}
	return most
}

// Rows is the number of rows of all layers and KV heads together.
func (c *Cache) Rows() int64 {
	var n int64
	for i := range c.lists {
		n += int64(c.lists[i].rows())
	}
	return n
}

// LastPosition is the position of the newest row that the cache was given, -1 if there was none.
func (c *Cache) LastPosition() int32 { return c.last }

// Bytes is the memory allocated for rows now: for keys, values and positions, in pages that are in use or kept for the
// next rows. Pages shared with snapshots count, those in a store do not (see StoredBytes).
func (c *Cache) Bytes() int64 {
	now, _, _ := c.memory.bytes()
	return now
}

// PeakBytes is the most that Bytes has been.
func (c *Cache) PeakBytes() int64 {
	_, peak, _ := c.memory.bytes()
	return peak
}

// MarkBytes is the memory of the numbers that go with the rows, of those that are held, and of queries by which channels are
// to be chosen.
func (c *Cache) MarkBytes() int64 {
	var n int64
	for i := range c.lists {
		for _, list := range [2][][]float32{c.lists[i].marks, c.lists[i].held} {
			for _, marks := range list {
				n += 4 * int64(cap(marks))
			}
		}
		n += c.lists[i].queries.bytes()
	}
	return n
}

// Trim gives memory back that no row needs now.
func (c *Cache) Trim() {
	c.wide.trim()
	c.narrow.trim()
	c.index.trim()
}

// Append makes a row for each position, in every layer and head, and returns the number of the first: how many the cache
// had been given before. Positions must ascend, and lie after those already there, and the cache's store must have room;
// otherwise nothing is changed. The rows are to be filled with Put.
func (c *Cache) Append(positions []int32) (first int, err error) {
	last := c.last
	for _, p := range positions {
		if p <= last {
			return 0, fmt.Errorf("kvcache: position %d after %d: %w", p, last, ErrPosition)
		}
		last = p
	}
	if err := c.reserve(len(positions)); err != nil {
		return 0, fmt.Errorf("kvcache: %d rows after %d: %w", len(positions), c.seen, err)
	}
	for i := range c.lists {
		c.lists[i].extend(positions)
	}
	first = c.seen
	c.last, c.seen = last, c.seen+len(positions)
	return first, nil
}

// Put fills rows from number first on (see Append), of one layer and KV head, with keys and values in their stored form:
// whole rows of the cache's type, as many keys as values. The rows must have been appended, and none dropped by Keep or
// pruned since. It may run in several goroutines at once for different rows or heads.
func (c *Cache) Put(layer, head, first int, keys, values []byte) error {
	n := len(keys) / c.wide.key
	if len(keys) != n*c.wide.key || len(values) != n*c.wide.value {
		return fmt.Errorf("kvcache: %d bytes of keys and %d of values are not as many rows of %d and %d", len(keys), len(values), c.wide.key, c.wide.value)
	}
	if layer < 0 || layer >= c.cfg.Layers || head < 0 || head >= c.cfg.Heads {
		return fmt.Errorf("kvcache: no head %d in layer %d", head, layer)
	}
	l := c.list(layer, head)
	at := l.wide.rows - (c.seen - first)
	if first < c.evicted || first < c.pruned || at < 0 || at > l.wide.rows || n > l.wide.rows-at {
		return fmt.Errorf("kvcache: no %d rows from %d on of head %d in layer %d", n, first, head, layer)
	}
	l.wide.put(at, keys, values)
	return nil
}

// View returns the rows of one layer and KV head.
func (c *Cache) View(layer, head int) View { return c.list(layer, head).view }

// Keep drops all rows of a layer and KV head but those whose numbers in its view are given, which must ascend. The rows
// that stay keep their order, their positions and their bits. It may run in several goroutines at once for different
// heads; afterwards, Evicted says that it is done.
func (c *Cache) Keep(layer, head int, rows []int32) error {
	if layer < 0 || layer >= c.cfg.Layers || head < 0 || head >= c.cfg.Heads {
		return fmt.Errorf("kvcache: no head %d in layer %d", head, layer)
	}
	if c.cfg.Index.Summary != NoSummary {
		return fmt.Errorf("kvcache: rows that are in blocks cannot be dropped one by one")
	}
	l := c.list(layer, head)
	last := int32(-1)
	for _, r := range rows {
		if r <= last || int(r) >= l.rows() {
			return fmt.Errorf("kvcache: row %d after %d of the %d of head %d in layer %d cannot be kept", r, last, l.rows(), head, layer)
		}
		last = r
	}
	l.keep(rows)
	return nil
}

// HoldMarks notes what the marks of all rows are, so that RestoreMarks can take back what a policy makes of a batch that
// fails.
func (c *Cache) HoldMarks() {
	for i := range c.lists {
		l := &c.lists[i]
		l.held = slices.Grow(l.held[:0], len(l.marks))[:len(l.marks)]
		for k, marks := range l.marks {
			l.held[k] = append(l.held[k][:0], marks...)
		}
	}
}

// RestoreMarks makes the marks what they were at the last call of HoldMarks, when the cache had the rows that it has now.
func (c *Cache) RestoreMarks() {
	for i := range c.lists {
		l := &c.lists[i]
		for k, marks := range l.held {
			copy(l.marks[k], marks)
		}
	}
}

// HasEvicted reports whether rows were dropped from what the cache holds.
func (c *Cache) HasEvicted() bool { return c.evicted > 0 }

// Evicted notes that rows were dropped: what lies before cannot be gone back to.
func (c *Cache) Evicted() { c.evicted = c.seen }

// Truncate takes the cache back to when it had been given n rows per KV head. It fails, and changes nothing, if rows were
// evicted, or their keys pruned, since.
func (c *Cache) Truncate(n int) error {
	if n < 0 || n > c.seen {
		return fmt.Errorf("kvcache: cannot truncate %d rows to %d", c.seen, n)
	}
	if n > 0 && n < max(c.evicted, c.pruned) {
		return fmt.Errorf("kvcache: cannot truncate %d rows to %d: %w", c.seen, n, ErrEvicted)
	}
	drop := c.seen - n
	for i := range c.lists {
		l := &c.lists[i]
		if n == 0 {
			l.clear()
			continue
		}
		l.cut(l.rows() - drop)
	}
	if n == 0 {
		c.evicted, c.pruned = 0, 0
	}
	c.seen, c.last = n, -1
	for i := range c.lists {
		c.last = max(c.last, c.lists[i].last())
	}
	for i := range c.lists {
		c.lists[i].queries.until(c.last)
	}
	return nil
}
