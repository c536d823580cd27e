package kvcache

import (
	"sync"

	"github.com/mneme-lm/mneme/weights/quant"
)

// PageRows is the number of rows in a page. Small enough that a short text wastes little, large enough that attention
// works on long runs of memory.
const PageRows = 128

// page holds PageRows rows, whole groups of keys, of one layer and KV head. A page that a snapshot shares is never
// written to.
type page struct {
	keys, values []byte
	positions    []int32 // [PageRows]
	shared       bool
	stored       bool // its memory is a Store's
	owner        any  // of memory that is not the page's own, nil: it is
}

// bytes is what the page takes of the heap.
func (pg *page) bytes() int64 {
	if pg.stored {
		return 0
	}
	return int64(len(pg.keys)+len(pg.values)) + 4*PageRows
}

// pool hands out pages of one size and takes them back.
type pool struct {
	typ        quant.Type // of the rows
	keyDim     int
	key, value int // bytes of a stored row
	// release has pages given back to the system at once: where there are pages of another size, these cannot use them.
	release bool

	store  Store // that new pages lie in, nil: the heap
	memory *memory
	free   []*page // kept for the next ones to be handed out
}

// memory counts the bytes of the pages of a cache: what its pools handed out and what they keep.
type memory struct {
	mu        sync.Mutex
	now, peak int64 // on the heap
	stored    int64 // in a Store
}

func (m *memory) add(bytes int64) {
	m.now += bytes
	m.peak = max(m.peak, m.now)
}

func (m *memory) bytes() (now, peak, stored int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now, m.peak, m.stored
}

func pageBytes(key, value int) int64 { return (int64(key) + int64(value) + 4) * PageRows }

func (p *pool) pageBytes() int64 { return pageBytes(p.key, p.value) }

// count adds n times a page to what is counted.
func (p *pool) count(pg *page, n int64) {
	if pg.stored {
		p.memory.stored += n * p.storedBytes()
	} else {
		p.memory.add(n * p.pageBytes())
	}
}

// take returns a page, which may have been used before. Rows are appended and pruned with pages that were reserved, so that
// the pool's store, if it has one, can refuse them. What else takes a page replaces a shared one, and goes on to the end: if
// the store has none, it lies on the heap.
func (p *pool) take() *page {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if p.store != nil && p.fill() == nil || len(p.free) > 0 {
		return p.pop()
	}
	slab := make([]byte, (p.key+p.value)*PageRows)
	keys := p.key * PageRows
	pg := &page{keys: slab[:keys:keys], values: slab[keys:], positions: make([]int32, PageRows)}
	p.count(pg, 1)
	return pg
}

// pop hands out the free page that was added last. There must be one.
func (p *pool) pop() *page {
	n := len(p.free)
	pg := p.free[n-1]
	p.free[n-1], p.free = nil, p.free[:n-1]
	return pg
}

// give takes a page back that its list no longer needs. One that a snapshot shares is the snapshot's alone from then on.
func (p *pool) give(pg *page) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if pg.shared || p.release && !pg.stored {
		p.count(pg, -1)
		return
	}
	p.free = append(p.free, pg)
}

// adopt counts pages that come from a snapshot.
func (p *pool) adopt(pages []*page) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	for _, pg := range pages {
		p.count(pg, 1)
	}
}

// trim gives free pages back to the system, but for those of a store.
func (p *pool) trim() {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	had := p.free
	p.free = nil
	for _, pg := range had {
		if pg.stored {
			p.free = append(p.free, pg)
		} else {
			p.count(pg, -1)
		}
	}
}
