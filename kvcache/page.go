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
	owner        any // of memory that is not the page's own, nil: it is
}

func (pg *page) bytes() int64 { return int64(len(pg.keys)+len(pg.values)) + 4*PageRows }

// pool hands out pages of one size and takes them back.
type pool struct {
	typ        quant.Type // of the rows
	keyDim     int
	key, value int // bytes of a stored row
	// release has pages given back to the system at once: where there are pages of another size, these cannot use them.
	release bool

	memory *memory
	free   []*page // kept for the next ones to be handed out
}

// memory counts the bytes of the pages of a cache: what its pools handed out and what they keep.
type memory struct {
	mu        sync.Mutex
	now, peak int64
}

func (m *memory) add(bytes int64) {
	m.now += bytes
	m.peak = max(m.peak, m.now)
}

func (m *memory) bytes() (now, peak int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now, m.peak
}

func pageBytes(key, value int) int64 { return (int64(key) + int64(value) + 4) * PageRows }

func (p *pool) pageBytes() int64 { return pageBytes(p.key, p.value) }

// take returns a page, which may have been used before.
func (p *pool) take() *page {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if n := len(p.free); n > 0 {
		pg := p.free[n-1]
		p.free[n-1], p.free = nil, p.free[:n-1]
		return pg
	}
	p.memory.add(p.pageBytes())
	slab := make([]byte, (p.key+p.value)*PageRows)
	keys := p.key * PageRows
	return &page{keys: slab[:keys:keys], values: slab[keys:], positions: make([]int32, PageRows)}
}

// give takes a page back that its list no longer needs. One that a snapshot shares is the snapshot's alone from then on.
func (p *pool) give(pg *page) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	if pg.shared || p.release {
		p.memory.add(-p.pageBytes())
		return
	}
	p.free = append(p.free, pg)
}

// adopt counts pages that come from a snapshot.
func (p *pool) adopt(n int) {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	p.memory.add(int64(n) * p.pageBytes())
}

// trim gives free pages back to the system.
func (p *pool) trim() {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	p.memory.add(-int64(len(p.free)) * p.pageBytes())
	p.free = nil
}
