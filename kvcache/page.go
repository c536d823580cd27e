package kvcache

import "sync"

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

// pool hands out pages and takes them back. It counts them: what it handed out and what it keeps for the next one.
type pool struct {
	cfg        Config
	key, value int // bytes of a stored row

	mu    sync.Mutex
	free  []*page
	pages int // allocated: in use, or free
	peak  int
}

func (p *pool) pageBytes() int64 { return (int64(p.key) + int64(p.value) + 4) * PageRows }

// take returns a page, which may have been used before.
func (p *pool) take() *page {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		pg := p.free[n-1]
		p.free[n-1], p.free = nil, p.free[:n-1]
		return pg
	}
	p.pages++
	p.peak = max(p.peak, p.pages)
	slab := make([]byte, (p.key+p.value)*PageRows)
	keys := p.key * PageRows
	return &page{keys: slab[:keys:keys], values: slab[keys:], positions: make([]int32, PageRows)}
}

// give takes a page back that its list no longer needs. One that a snapshot shares is the snapshot's alone from then on.
func (p *pool) give(pg *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if pg.shared {
		p.pages--
		return
	}
	p.free = append(p.free, pg)
}

// adopt counts pages that come from a snapshot.
func (p *pool) adopt(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages += n
	p.peak = max(p.peak, p.pages)
}

// trim gives free pages back to the system.
func (p *pool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages -= len(p.free)
	p.free = nil
}

func (p *pool) bytes() (now, peak int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(p.pages) * p.pageBytes(), int64(p.peak) * p.pageBytes()
}
