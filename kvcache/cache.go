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

// ErrEvicted is wrapped where a cache is to go back behind rows that are gone.
var ErrEvicted = errors.New("rows were evicted since")

// Config is the shape of a cache.
type Config struct {
	Layers, Heads    int // Heads: KV heads per layer
	KeyDim, ValueDim int
	Type             quant.Type // of the rows: F32, F16 or Q8_0
	Marks            int        // numbers that go with each row, for a policy
}

// rowBytes returns the sizes of a stored key and value.
func (c Config) rowBytes() (key, value int, err error) {
	switch c.Type {
	case quant.F32, quant.F16, quant.Q8_0:
	default:
		return 0, 0, fmt.Errorf("kvcache: rows of type %s are not supported (f32, f16, q8_0 are)", c.Type)
	}
	if c.Layers < 1 || c.Heads < 1 || c.KeyDim < 1 || c.ValueDim < 1 || c.Marks < 0 {
		return 0, 0, fmt.Errorf("kvcache: %d layers of %d heads with keys of %d and values of %d", c.Layers, c.Heads, c.KeyDim, c.ValueDim)
	}
	if key, err = c.Type.RowBytes(c.KeyDim); err != nil {
		return 0, 0, fmt.Errorf("kvcache: keys of a head: %w", err)
	}
	if value, err = c.Type.RowBytes(c.ValueDim); err != nil {
		return 0, 0, fmt.Errorf("kvcache: values of a head: %w", err)
	}
	return key, value, nil
}

// Bytes returns the memory that rows rows per KV head take, whole pages as they are allocated.
func (c Config) Bytes(rows int) (int64, error) {
	key, value, err := c.rowBytes()
	if err != nil {
		return 0, err
	}
	if rows < 0 {
		return 0, fmt.Errorf("kvcache: %d rows", rows)
	}
	page := int64(c.Layers) * int64(c.Heads) * (&pool{key: key, value: value}).pageBytes()
	pages := int64(rows) / PageRows
	if rows%PageRows > 0 {
		pages++
	}
	if pages > math.MaxInt64/page {
		return 0, fmt.Errorf("kvcache: %d rows take more bytes than can be counted", rows)
	}
	return pages * page, nil
}

// Cache keeps the rows that it is given until it is told to drop some. One goroutine at a time may change it, but for Put
// and Keep.
type Cache struct {
	cfg     Config
	pool    pool
	lists   []list // [layers · heads]
	seen    int    // rows per KV head, those dropped among them
	evicted int    // what seen was when rows were last dropped by Keep
	last    int32  // position of the newest row
}

// New makes an empty cache. The row type must be F32, F16 or Q8_0, and fit the head sizes.
func New(cfg Config) (*Cache, error) {
	key, value, err := cfg.rowBytes()
	if err != nil {
		return nil, err
	}
	c := &Cache{cfg: cfg, pool: pool{cfg: cfg, key: key, value: value}, lists: make([]list, cfg.Layers*cfg.Heads), last: -1}
	for i := range c.lists {
		c.lists[i].view = View{Type: cfg.Type, KeyDim: cfg.KeyDim, ValueDim: cfg.ValueDim, KeyBytes: key, ValueBytes: value}
		c.lists[i].marks = make([][]float32, cfg.Marks)
	}
	return c, nil
}

// Config returns the shape of the cache.
func (c *Cache) Config() Config { return c.cfg }

// Seen is the number of rows per KV head that the cache was given, whether they are still there or not.
func (c *Cache) Seen() int { return c.seen }

// Len is the number of rows that a KV head of a layer has.
func (c *Cache) Len(layer, head int) int { return c.list(layer, head).rows }

func (c *Cache) list(layer, head int) *list { return &c.lists[layer*c.cfg.Heads+head] }

// MostRows is the number of rows of the KV head that has the most.
func (c *Cache) MostRows() int {
	most := 0
	for i := range c.lists {
		most = max(most, c.lists[i].rows)
	}
	return most
}

// Rows is the number of rows of all layers and KV heads together.
func (c *Cache) Rows() int64 {
	var n int64
	for i := range c.lists {
		n += int64(c.lists[i].rows)
	}
	return n
}

// LastPosition is the position of the newest row that the cache was given, -1 if there was none.
func (c *Cache) LastPosition() int32 { return c.last }

// Bytes is the memory allocated for rows now: for keys, values and positions, in pages that are in use or kept for the
// next rows. Pages shared with snapshots count.
func (c *Cache) Bytes() int64 {
	now, _ := c.pool.bytes()
	return now
}

// PeakBytes is the most that Bytes has been.
func (c *Cache) PeakBytes() int64 {
	_, peak := c.pool.bytes()
	return peak
}

// MarkBytes is the memory of the numbers that go with the rows, and of those that are held.
func (c *Cache) MarkBytes() int64 {
	var n int64
	for i := range c.lists {
		for _, list := range [2][][]float32{c.lists[i].marks, c.lists[i].held} {
			for _, marks := range list {
				n += 4 * int64(cap(marks))
			}
		}
	}
	return n
}

// Trim gives memory back that no row needs now.
func (c *Cache) Trim() { c.pool.trim() }

// Append makes a row for each position, in every layer and head, and returns the number of the first: how many the cache
// had been given before. Positions must ascend, and lie after those already there; otherwise nothing is changed. The
// rows are to be filled with Put.
func (c *Cache) Append(positions []int32) (first int, err error) {
	last := c.last
	for _, p := range positions {
		if p <= last {
			return 0, fmt.Errorf("kvcache: position %d after %d: %w", p, last, ErrPosition)
		}
		last = p
	}
	for i := range c.lists {
		c.lists[i].extend(&c.pool, positions)
	}
	first = c.seen
	c.last, c.seen = last, c.seen+len(positions)
	return first, nil
}

// Put fills rows from number first on (see Append), of one layer and KV head, with keys and values in their stored form:
// whole rows of the cache's type, as many keys as values. The rows must have been appended, and none dropped by Keep
// since. It may run in several goroutines at once for different rows or heads.
func (c *Cache) Put(layer, head, first int, keys, values []byte) error {
	n := len(keys) / c.pool.key
	if len(keys) != n*c.pool.key || len(values) != n*c.pool.value {
		return fmt.Errorf("kvcache: %d bytes of keys and %d of values are not as many rows of %d and %d", len(keys), len(values), c.pool.key, c.pool.value)
	}
	if layer < 0 || layer >= c.cfg.Layers || head < 0 || head >= c.cfg.Heads {
		return fmt.Errorf("kvcache: no head %d in layer %d", head, layer)
	}
	l := c.list(layer, head)
	at := l.rows - (c.seen - first)
	if first < c.evicted || at < 0 || at > l.rows || n > l.rows-at {
		return fmt.Errorf("kvcache: no %d rows from %d on of head %d in layer %d", n, first, head, layer)
	}
	l.put(c.cfg.Type, at, keys, values)
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
	l := c.list(layer, head)
	last := int32(-1)
	for _, r := range rows {
		if r <= last || int(r) >= l.rows {
			return fmt.Errorf("kvcache: row %d after %d of the %d of head %d in layer %d cannot be kept", r, last, l.rows, head, layer)
		}
		last = r
	}
	l.keep(&c.pool, rows)
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

// Evicted notes that rows were dropped: what lies before cannot be gone back to.
func (c *Cache) Evicted() { c.evicted = c.seen }

// Truncate takes the cache back to when it had been given n rows per KV head. It fails, and changes nothing, if rows were
// evicted since.
func (c *Cache) Truncate(n int) error {
	if n < 0 || n > c.seen {
		return fmt.Errorf("kvcache: cannot truncate %d rows to %d", c.seen, n)
	}
	if n > 0 && n < c.evicted {
		return fmt.Errorf("kvcache: cannot truncate %d rows to %d: %w", c.seen, n, ErrEvicted)
	}
	drop := c.seen - n
	for i := range c.lists {
		l := &c.lists[i]
		if n == 0 {
			l.cut(&c.pool, 0)
			continue
		}
		l.cut(&c.pool, l.rows-drop)
	}
	if n == 0 {
		c.evicted = 0
	}
	c.seen, c.last = n, -1
	for i := range c.lists {
		if l := &c.lists[i]; l.rows > 0 {
			c.last = max(c.last, l.position(l.rows-1))
		}
	}
	return nil
}
