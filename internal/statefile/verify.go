package statefile

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// verify compares all checksums, and says which is the first in the file that is wrong. Chunks are handed out in the
// order of the file, so that it is read from front to back.
func verify(data []byte, entries []entry) error {
	var chunks int64
	for i := range entries {
		chunks += int64(entries[i].chunks())
	}
	var next, bad atomic.Int64 // bad: the lowest number of a chunk that is wrong
	bad.Store(math.MaxInt64)
	work := func() {
		at := cursor{entries: entries}
		for {
			n := next.Add(1) - 1
			if n >= chunks || n > bad.Load() {
				return
			}
			section, chunk := at.find(n)
			if stored, sum, _, _ := section.check(data, chunk); stored != sum {
				lower(&bad, n)
			}
		}
	}
	var wg sync.WaitGroup
	for range min(int64(runtime.GOMAXPROCS(0)), chunks) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	n := bad.Load()
	if n == math.MaxInt64 {
		return nil
	}
	at := cursor{entries: entries}
	section, chunk := at.find(n)
	stored, sum, from, to := section.check(data, chunk)
	return fmt.Errorf("section %q: %w of its bytes %d to %d: %08x, the table says %08x",
		section.Name, ErrChecksum, from, to-1, sum, stored)
}

// lower makes x at most n.
func lower(x *atomic.Int64, n int64) {
	for {
		old := x.Load()
		if old <= n || x.CompareAndSwap(old, n) {
			return
		}
	}
}

// chunks returns the number of the section's chunks.
func (e *entry) chunks() int { return len(e.sums) / 4 }

// check returns a chunk's checksum as it is stored and as it is, and where in the section the chunk lies.
func (e *entry) check(file []byte, chunk int) (stored, sum uint32, from, to int64) {
	from = int64(chunk) * chunkBytes
	to = min(e.Length, from+chunkBytes)
	return binary.LittleEndian.Uint32(e.sums[4*chunk:]), crc32.Checksum(e.of(file)[from:to], castagnoli), from, to
}

// cursor finds chunks by their numbers in the file, which may only grow.
type cursor struct {
	entries []entry
	first   int64 // number of the first chunk of entries[0]
}

func (c *cursor) find(n int64) (section *entry, chunk int) {
	for n >= c.first+int64(c.entries[0].chunks()) {
		c.first += int64(c.entries[0].chunks())
		c.entries = c.entries[1:]
	}
	return &c.entries[0], int(n - c.first)
}
