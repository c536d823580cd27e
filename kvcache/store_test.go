package kvcache

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/mneme-lm/mneme/internal/filemem"
	"github.com/mneme-lm/mneme/weights/quant"
	"pgregory.net/rapid"
)

var errStoreFull = errors.New("the store is full")

// testStore is a store whose memory holds anything but zeros, and that can be full.
type testStore struct {
	full      bool
	refused   bool // ever
	pieces    int  // that may be had before the store is full, if that is not 0
	allocated int64
}

func (s *testStore) Reserve(int64) error {
	if s.full {
		return errStoreFull
	}
	return nil
}

func (s *testStore) Allocate(n int) ([]byte, error) {
	if s.full {
		s.refused = true
		return nil, errStoreFull
	}
	if s.pieces > 0 {
		s.pieces--
		s.full = s.pieces == 0
	}
	s.allocated += int64(n)
	return bytes.Repeat([]byte{0xa5}, n), nil
}

func (s *testStore) Ahead(...[]byte) {}

func (s *testStore) Cold() bool { return true }

func (s *testStore) Release() error { return nil }

// checkStored compares what is counted with what the store gave. So many bytes of pages are in use.
func checkStored(t *rapid.T, c *Cache, store *testStore, pages int64) {
	t.Helper()
	if c.StoredBytes()+c.Bytes() < pages || c.Bytes() > 0 && !store.refused {
		t.Fatalf("%d bytes in the store and %d on the heap, for %d", c.StoredBytes(), c.Bytes(), pages)
	}
	if c.Bytes() < 0 || c.StoredBytes() < 0 || c.Bytes()%pageBytes(c.wide.key, c.wide.value) != 0 {
		t.Fatalf("%d bytes in the store, %d on the heap", c.StoredBytes(), c.Bytes())
	}
}

// TestStoredCacheAgainstReference has pages lie in a store, which is full now and then.
func TestStoredCacheAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { cacheAgainstReference(t, &testStore{}) })
}

// upTo returns positions [from, to).
func upTo(from, to int) []int32 {
	var positions []int32
	for p := from; p < to; p++ {
		positions = append(positions, int32(p))
	}
	return positions
}

// TestFullStore lets the store end after each number of pieces: rows are appended to all lists or to none, and what is
// there can be worked with.
func TestFullStore(t *testing.T) {
	const rows = 20 * PageRows
	for pieces := 1; ; pieces++ {
		store := &testStore{pieces: pieces}
		c, want := mustNewIn(t, store, small), newReference(small)
		refused := 0
		for first := 0; first < rows && refused < 2; {
			n := min(rows-first, 3*PageRows/2)
			if _, err := c.Append(upTo(first, first+n)); err != nil {
				if !errors.Is(err, errStoreFull) {
					t.Fatal(err)
				}
				check(t, c, want)
				refused++
				store.full, store.pieces = false, 1 // one more piece: it is refused again, or accepted
				continue
			}
			for i := range n {
				fill(t, c, first+i, float32(first+i))
				for j := range want.heads {
					want.heads[j] = append(want.heads[j], refRow{int32(first + i), float32(first + i)})
				}
			}
			first += n
			want.seen = first
		}
		check(t, c, want)
		if c.Bytes() != 0 || c.StoredBytes() != store.allocated {
			t.Fatalf("%d bytes on the heap, %d in the store, of %d allocated", c.Bytes(), c.StoredBytes(), store.allocated)
		}
		if refused == 0 {
			if pieces < 10 {
				t.Errorf("%d pieces were enough", pieces)
			}
			return
		}
	}
}

// TestStoredPagesAreUsedAgain grows and truncates a cache over and over: the store gives once.
func TestStoredPagesAreUsedAgain(t *testing.T) {
	store := &testStore{}
	c := mustNewIn(t, store, small)
	for round := range 5 {
		if _, err := c.Append(upTo(0, 5*PageRows)); err != nil {
			t.Fatal(err)
		}
		if round == 0 {
			store.full = true
		}
		if err := c.Truncate(0); err != nil {
			t.Fatal(err)
		}
		c.Trim()
	}
	if c.StoredBytes() != store.allocated || c.Bytes() != 0 {
		t.Errorf("%d bytes in the store, of %d; %d on the heap", c.StoredBytes(), store.allocated, c.Bytes())
	}
}

// TestCopyWithoutRoom changes rows that a snapshot shares, in a store that is full: the change is made whole, on the heap,
// and the snapshot stays as it was.
func TestCopyWithoutRoom(t *testing.T) {
	store := &testStore{}
	c := mustNewIn(t, store, small)
	const rows = 2*PageRows + 7
	if _, err := c.Append(upTo(0, rows)); err != nil {
		t.Fatal(err)
	}
	var all, odd []refRow
	var keep []int32
	for i := range rows {
		fill(t, c, i, float32(i))
		all = append(all, refRow{int32(i), float32(i)})
		if i%2 == 1 {
			odd, keep = append(odd, all[i]), append(keep, int32(i))
		}
	}
	s := c.Snapshot()
	if n := s.Bytes(); n != 0 {
		t.Errorf("the snapshot counts %d bytes of the heap", n)
	}
	for len(c.wide.free) > 0 { // none is left
		c.wide.take()
	}
	store.full = true
	if _, err := c.Append([]int32{rows}); !errors.Is(err, errStoreFull) {
		t.Fatalf("a row more: %v, want %v", err, errStoreFull)
	}
	check(t, c, uniform(small, all...))
	for i := range c.lists {
		if err := c.Keep(i/small.Heads, i%small.Heads, keep); err != nil {
			t.Fatal(err)
		}
	}
	c.Evicted()
	want := uniform(small, odd...)
	want.seen = rows
	check(t, c, want)
	if c.Bytes() == 0 {
		t.Error("nothing is on the heap")
	}
	if err := c.Restore(s); err != nil {
		t.Fatal(err)
	}
	check(t, c, uniform(small, all...))
}

// TestPruneWithoutRoom prunes keys in a store that has no room for narrow ones: it says so, and goes on once there is some, to
// what pruning gives on the heap.
func TestPruneWithoutRoom(t *testing.T) {
	cfg := Config{Layers: 1, Heads: 2, KeyDim: 32, ValueDim: 32, Type: quant.F16}
	plain, e := thinking(t, cfg, "full+think:ratio=0.5,recent=16,interval=32", nil)
	store := &testStore{}
	c := mustNewIn(t, store, plain.Config())
	for _, cache := range []*Cache{plain, c} {
		read(t, cache, e, rand.New(rand.NewPCG(1, 2)), 3*PageRows, 2)
	}
	store.full = true
	if err := e.Prune(c, 0); !errors.Is(err, errStoreFull) {
		t.Fatalf("pruning: %v, want %v", err, errStoreFull)
	}
	e.Pruned(c)
	store.full = false
	prune(t, plain, e)
	prune(t, c, e)
	rows, pages := save(t, c.Snapshot())
	wantRows, wantPages := save(t, plain.Snapshot())
	if !bytes.Equal(rows, wantRows) || !bytes.Equal(pages, wantPages) {
		t.Error("pruned keys in a store are not those on the heap")
	}
	if c.Bytes() != 0 {
		t.Errorf("%d bytes are on the heap", c.Bytes())
	}
}

// TestCacheInAFile keeps a cache in a mapped file and drops it from memory again and again.
func TestCacheInAFile(t *testing.T) {
	file, err := filemem.Create(filepath.Join(t.TempDir(), "kv"))
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c, err := NewIn(file, small)
	if err != nil {
		t.Fatal(err)
	}
	const rows = 7*PageRows + 3
	var all []refRow
	for i := range rows {
		if _, err := c.Append([]int32{int32(2 * i)}); err != nil {
			t.Fatal(err)
		}
		fill(t, c, i, float32(i))
		all = append(all, refRow{int32(2 * i), float32(i)})
		if i%100 == 0 {
			view := c.View(1, 2)
			for _, span := range view.Spans {
				c.Store().Ahead(span.Keys, span.Values)
			}
			if err := c.Store().Release(); err != nil {
				t.Fatal(err)
			}
			check(t, c, uniform(small, all...))
		}
	}
	check(t, c, uniform(small, all...))
	if c.StoredBytes() != file.Bytes() || c.Bytes() != 0 {
		t.Errorf("%d bytes are counted in the file, where %d are; %d on the heap", c.StoredBytes(), file.Bytes(), c.Bytes())
	}
}
