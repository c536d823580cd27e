// Package kvcache stores the keys and values of past tokens: rows in pages that are allocated as they are needed, one
// list of rows per layer and KV head, each row with the position of its token in the text.
package kvcache

import (
	"errors"
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// PageRows is the number of rows in a page. Small enough that a short text wastes little, large enough that attention
// works on long runs of memory.
const PageRows = 128

// ErrPosition is wrapped by the errors about positions that do not ascend.
var ErrPosition = errors.New("positions must ascend")

// Config is the shape of a cache.
type Config struct {
	Layers, Heads    int // Heads: KV heads per layer
	KeyDim, ValueDim int
	Type             quant.Type // of the rows: F32, F16 or Q8_0
}

// rowBytes returns the sizes of a stored key and value.
func (c Config) rowBytes() (key, value int, err error) {
	switch c.Type {
	case quant.F32, quant.F16, quant.Q8_0:
	default:
		return 0, 0, fmt.Errorf("kvcache: rows of type %s are not supported (f32, f16, q8_0 are)", c.Type)
	}
	if c.Layers < 1 || c.Heads < 1 || c.KeyDim < 1 || c.ValueDim < 1 {
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
	page := int64(c.Layers) * int64(c.Heads) * int64(key+value) * PageRows
	pages := int64(rows) / PageRows
	if rows%PageRows > 0 {
		pages++
	}
	if pages > math.MaxInt64/page {
		return 0, fmt.Errorf("kvcache: %d rows take more bytes than can be counted", rows)
	}
	return pages * page, nil
}

// Cache keeps every row it is given. One goroutine at a time may change it, but for Put.
type Cache struct {
	cfg      Config
	keyBytes int
	valBytes int
	pages    []*page
	rows     int
	views    []View // [layers · heads]
	peak     int64
}

// page holds PageRows rows, whole groups of keys, of every layer and head. A page that a snapshot shares is never written to.
type page struct {
	layers    [][]byte // per layer: for each head the keys, then the values
	positions []int32  // of the rows in use
	shared    bool
}

// New makes an empty cache. The row type must be F32, F16 or Q8_0, and fit the head sizes.
func New(cfg Config) (*Cache, error) {
	key, value, err := cfg.rowBytes()
	if err != nil {
		return nil, err
	}
	c := &Cache{cfg: cfg, keyBytes: key, valBytes: value, views: make([]View, cfg.Layers*cfg.Heads)}
	for i := range c.views {
		c.views[i] = View{Type: cfg.Type, KeyDim: cfg.KeyDim, ValueDim: cfg.ValueDim, KeyBytes: key, ValueBytes: value}
	}
	return c, nil
}

// Config returns the shape of the cache.
func (c *Cache) Config() Config { return c.cfg }

// Len is the number of rows per KV head.
func (c *Cache) Len() int { return c.rows }

// LastPosition is the position of the newest row, -1 if there is none.
func (c *Cache) LastPosition() int32 {
	if c.rows == 0 {
		return -1
	}
	return c.pages[(c.rows-1)/PageRows].positions[(c.rows-1)%PageRows]
}

func (c *Cache) pageBytes() int64 {
	return int64(c.cfg.Layers) * int64(c.cfg.Heads) * int64(c.keyBytes+c.valBytes) * PageRows
}

// Bytes is the memory allocated for keys and values now. Pages shared with snapshots count.
func (c *Cache) Bytes() int64 { return int64(len(c.pages)) * c.pageBytes() }

// PeakBytes is the most that Bytes has been.
func (c *Cache) PeakBytes() int64 { return c.peak }

// Append makes a row for each position, in every layer and head, and returns the index of the first. Positions must
// ascend, and lie after those already there; otherwise nothing is changed. The rows are to be filled with Put.
func (c *Cache) Append(positions []int32) (first int, err error) {
	last := c.LastPosition()
	for _, p := range positions {
		if p <= last {
			return 0, fmt.Errorf("kvcache: position %d after %d: %w", p, last, ErrPosition)
		}
		last = p
	}
	first = c.rows
	for _, p := range positions {
		pg := c.writable(c.rows / PageRows)
		pg.positions = append(pg.positions, p)
		c.rows++
	}
	c.refresh(first / PageRows)
	return first, nil
}

// writable returns page i, which is new, or the last one, and not shared.
func (c *Cache) writable(i int) *page {
	switch {
	case i == len(c.pages):
		c.pages = append(c.pages, c.newPage())
		c.peak = max(c.peak, c.Bytes())
	case c.pages[i].shared:
		pg := c.newPage()
		for l, slab := range c.pages[i].layers {
			copy(pg.layers[l], slab)
		}
		pg.positions = append(pg.positions, c.pages[i].positions...)
		c.pages[i] = pg
	}
	return c.pages[i]
}

func (c *Cache) newPage() *page {
	pg := &page{layers: make([][]byte, c.cfg.Layers), positions: make([]int32, 0, PageRows)}
	for l := range pg.layers {
		pg.layers[l] = make([]byte, c.cfg.Heads*(c.keyBytes+c.valBytes)*PageRows)
	}
	return pg
}

// head returns the memory of a head's keys and values in a page.
func (c *Cache) head(pg *page, layer, head int) (keys, values []byte) {
	size := (c.keyBytes + c.valBytes) * PageRows
	slab := pg.layers[layer][head*size : (head+1)*size]
	return slab[:c.keyBytes*PageRows], slab[c.keyBytes*PageRows:]
}

// refresh brings the views up to date from page first on.
func (c *Cache) refresh(first int) {
	for i := range c.views {
		v := &c.views[i]
		v.Spans = v.Spans[:min(first, len(v.Spans))]
		for _, pg := range c.pages[first:] {
			keys, values := c.head(pg, i/c.cfg.Heads, i%c.cfg.Heads)
			n := len(pg.positions)
			groups := (n + kernels.KeyGroup - 1) / kernels.KeyGroup * kernels.KeyGroup
			v.Spans = append(v.Spans, Span{Keys: keys[:groups*c.keyBytes], Values: values[:n*c.valBytes], Positions: pg.positions})
		}
	}
}

// Put fills rows from row first on, of one layer and KV head, with keys and values in their stored form: whole rows of
// the cache's type, as many keys as values. The rows must have been appended. It may run in several goroutines at once
// for different rows or heads.
func (c *Cache) Put(layer, head, first int, keys, values []byte) error {
	n := len(keys) / c.keyBytes
	if len(keys) != n*c.keyBytes || len(values) != n*c.valBytes {
		return fmt.Errorf("kvcache: %d bytes of keys and %d of values are not as many rows of %d and %d", len(keys), len(values), c.keyBytes, c.valBytes)
	}
	if first < 0 || first > c.rows || n > c.rows-first || layer < 0 || layer >= c.cfg.Layers || head < 0 || head >= c.cfg.Heads {
		return fmt.Errorf("kvcache: no %d rows from %d on of head %d in layer %d", n, first, head, layer)
	}
	for i := range n {
		k, v := c.head(c.pages[(first+i)/PageRows], layer, head)
		at := (first + i) % PageRows
		kernels.PutKey(k, c.cfg.Type, c.cfg.KeyDim, at, keys[i*c.keyBytes:(i+1)*c.keyBytes])
		copy(v[at*c.valBytes:], values[i*c.valBytes:(i+1)*c.valBytes])
	}
	return nil
}

// View returns the rows of one layer and KV head.
func (c *Cache) View(layer, head int) View { return c.views[layer*c.cfg.Heads+head] }

// Truncate drops all rows but the first n and frees their pages.
func (c *Cache) Truncate(n int) error {
	if n < 0 || n > c.rows {
		return fmt.Errorf("kvcache: cannot truncate %d rows to %d", c.rows, n)
	}
	if n == c.rows {
		return nil
	}
	keep := (n + PageRows - 1) / PageRows
	clear(c.pages[keep:])
	c.pages = c.pages[:keep]
	c.rows = n
	if keep > 0 {
		last := c.pages[keep-1]
		used := n - (keep-1)*PageRows
		if last.shared {
			last = &page{layers: last.layers, positions: last.positions, shared: true}
			c.pages[keep-1] = last
		}
		last.positions = last.positions[:used:PageRows]
	}
	for i := range c.views {
		clear(c.views[i].Spans[keep:])
	}
	c.refresh(max(keep-1, 0))
	return nil
}
