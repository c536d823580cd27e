package kernels

import (
	"sync"
	"sync/atomic"
)

// spinRounds is how often a waiting thread looks before it parks. A look costs about a nanosecond: the steps of a
// layer end within microseconds of each other, and sampling a token takes tens of microseconds, so threads stay
// awake while a text is generated and sleep soon after.
const spinRounds = 50_000

// barrier lets n threads wait for each other, any number of times. A waiting thread spins for a while, then parks.
type barrier struct {
	n       int32
	_       [60]byte
	arrived atomic.Int32
	_       [60]byte
	phase   atomic.Uint32
	_       [60]byte
	parked  atomic.Int32
	mu      sync.Mutex
	wake    *sync.Cond
}

func newBarrier(n int) *barrier {
	b := &barrier{n: int32(n)}
	b.wake = sync.NewCond(&b.mu)
	return b
}

// wait returns once all n threads have called it. The last to arrive runs last (if not nil) before any is released,
// and what it wrote is seen by all.
func (b *barrier) wait(last func()) {
	phase := b.phase.Load()
	if b.arrived.Add(1) == b.n {
		b.arrived.Store(0)
		if last != nil {
			last()
		}
		b.phase.Add(1)
		// A thread counts itself as parked before it looks at the phase for the last time, so either it sees the
		// new phase or it is seen here.
		if b.parked.Load() > 0 {
			b.mu.Lock()
			b.wake.Broadcast()
			b.mu.Unlock()
		}
		return
	}
	for range spinRounds {
		if b.phase.Load() != phase {
			return
		}
	}
	b.mu.Lock()
	b.parked.Add(1)
	for b.phase.Load() == phase {
		b.wake.Wait()
	}
	b.parked.Add(-1)
	b.mu.Unlock()
}
