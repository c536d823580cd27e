package kvcache

import (
	"slices"
	"unsafe"
)

// Store is memory that pages of a cache can lie in, in place of the heap: a mapped file, say, which the system can write out
// and drop. What is allocated stays until the store ends as a whole, which must not be before the caches, and the
// snapshots, that have pages in it.
type Store interface {
	// Reserve makes sure that pieces of n bytes in total can be had, each rounded up to 4096 bytes, unless others take
	// them before.
	Reserve(n int64) error
	// Allocate returns n bytes, aligned to 4096.
	Allocate(n int) ([]byte, error)
	// Cold reports whether what is asked for may have to be read from somewhere slow.
	Cold() bool
	// Ahead says that pieces will be read soon. It does not wait.
	Ahead(pieces ...[]byte)
	// Release takes the memory out of what the process has resident. The content stays.
	Release() error
}

// storeAlignment is what a Store rounds pieces up to.
const storeAlignment = 4096

// storePages is the number of pages that are allocated together in a store, with their positions behind the rows of them all:
// positions of one page would take a page of the system, and rows of a page begin on one if their size is right.
const storePages = 8

// storedBytes is what a page takes of a store.
func (p *pool) storedBytes() int64 {
	all := (storePages*p.pageBytes() + storeAlignment - 1) / storeAlignment * storeAlignment
	return all / storePages
}

// fill sees to it that there is a free page. The pool, which has a store, must be locked.
func (p *pool) fill() error {
	if len(p.free) > 0 {
		return nil
	}
	data, err := p.store.Allocate(int(storePages * p.storedBytes()))
	if err != nil {
		return err
	}
	keys, size := p.key*PageRows, (p.key+p.value)*PageRows
	for i := storePages - 1; i >= 0; i-- { // so that they are handed out in the order in which they lie
		rows, positions := data[i*size:][:size:size], data[storePages*size+i*4*PageRows:][:4*PageRows]
		pg := &page{
			keys: rows[:keys:keys], values: rows[keys:], stored: true,
			positions: unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(positions))), PageRows),
		}
		p.count(pg, 1)
		p.free = append(p.free, pg)
	}
	return nil
}

// reserve asks the store for room for so many pages beyond the free ones.
func (p *pool) reserve(pages int) error {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if pages -= len(p.free); p.store == nil || pages <= 0 {
		return nil
	}
	return p.store.Reserve(int64(pages+storePages-1) / storePages * storePages * p.storedBytes())
}

// obtain is take for those who can still turn back.
func (p *pool) obtain() (*page, error) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if err := p.fill(); err != nil {
		return nil, err
	}
	return p.pop(), nil
}

// reserve sees to it that the next n pages that the part takes are there. Where pages lie on the heap they always are.
func (p *part) reserve(n int) error {
	for p.pool.store != nil && len(p.spare) < n {
		pg, err := p.pool.obtain()
		if err != nil {
			return err
		}
		p.spare = append(p.spare, pg)
	}
	return nil
}

// take returns a page, of those that were reserved if there are some.
func (p *part) take() *page {
	if len(p.spare) == 0 {
		return p.pool.take()
	}
	pg := p.spare[0]
	p.spare = slices.Delete(p.spare, 0, 1)
	return pg
}

// needs is the number of pages that it takes to extend the part by so many rows.
func (p *part) needs(rows int) int {
	n := pagesOf(p.rows+rows) - len(p.pages)
	if rows > 0 && p.rows%PageRows > 0 && p.pages[len(p.pages)-1].shared {
		n++
	}
	return n
}

// reserve sees to it that rows can be appended.
func (c *Cache) reserve(rows int) error {
	if c.wide.store == nil {
		return nil
	}
	pages := 0
	for i := range c.lists {
		p := &c.lists[i].wide
		pages += max(0, p.needs(rows)-len(p.spare))
	}
	if err := c.wide.reserve(pages); err != nil { // before some lists have pages that the others lack
		return err
	}
	for i := range c.lists {
		p := &c.lists[i].wide
		if err := p.reserve(p.needs(rows)); err != nil {
			return err
		}
	}
	return nil
}

// Store returns the store that the cache's pages lie in, nil if they lie on the heap.
func (c *Cache) Store() Store { return c.wide.store }

// StoredBytes is what the cache takes of its store: pages that are in use or kept for the next rows. Such pages are used
// again, but never given back. Those that a snapshot alone has do not count, and are of no use to the cache any more.
func (c *Cache) StoredBytes() int64 {
	_, _, stored := c.memory.bytes()
	return stored
}
