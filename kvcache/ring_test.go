package kvcache

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"pgregory.net/rapid"
)

// ring is a cache that keeps the newest blocks, and the rows that it was given.
type ring struct {
	*Cache
	rows []refRow
}

func newRing(t interface{ Fatal(...any) }, block, keep int) *ring {
	cfg := small
	cfg.Index = Index{Summary: Landmark, Block: block, Keep: keep}
	return &ring{Cache: mustNew(t, cfg)}
}

// add appends rows, makes blocks of what is finished, and drops old ones.
func (r *ring) add(t interface{ Fatal(...any) }, n int, mark float32) {
	for i := range n {
		at := int32(len(r.rows))
		row, err := r.Append([]int32{at})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, r.Cache, row, mark+float32(i))
		r.rows = append(r.rows, refRow{at, mark + float32(i)})
	}
	for l := range r.cfg.Layers {
		for h := range r.cfg.Heads {
			if err := r.Seal(kernels.Implementations()[0], l, h, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.DropOld()
}

// gone is the number of rows that were dropped.
func (r *ring) gone() int { return len(r.rows) - r.MostRows() }

// whole reports whether the newest blocks of the first n rows are there.
func (r *ring) whole(n int) bool {
	x := r.cfg.Index
	return r.gone() == 0 || (n/x.Block-x.Keep)*x.Block >= r.gone()
}

func (r *ring) check(t *rapid.T) {
	x, blocks, gone := r.cfg.Index, len(r.rows)/r.cfg.Index.Block, r.gone()
	if gone%PageRows > 0 || !r.whole(len(r.rows)) {
		t.Fatalf("%d of %d rows are gone, of blocks of %d of which %d are kept", gone, len(r.rows), x.Block, x.Keep)
	}
	if left := (blocks-x.Keep)*x.Block - gone; left >= PageRows {
		t.Fatalf("%d old rows are left", left)
	}
	for i := range r.lists {
		l, h := i/r.cfg.Heads, i%r.cfg.Heads
		checkHead(t, r.Cache, l, h, r.rows[gone:])
		index, key := r.Index(l, h), make([]byte, 4*r.cfg.KeyDim)
		n := index.Blocks.Rows()
		if n < min(blocks, x.Keep) || index.Sealed != blocks*x.Block-gone || r.Unsealed() != len(r.rows)%x.Block {
			t.Fatalf("%d blocks up to row %d, %d rows beyond, of %d rows of which %d are gone", n, index.Sealed, r.Unsealed(), len(r.rows), gone)
		}
		if n >= x.Keep+2*PageRows {
			t.Fatalf("%d summaries are left where %d blocks are kept", n, x.Keep)
		}
		for age := 1; age <= min(blocks, x.Keep); age++ {
			from, to := index.Rows(n - age)
			if from != (blocks-age)*x.Block-gone || to != from+x.Block {
				t.Fatalf("block %d from the end is rows %d to %d, %d of %d are gone", age, from, to, gone, len(r.rows))
			}
			span := &index.Blocks.Spans[(n-age)/PageRows]
			kernels.TakeKey(key, index.Blocks.Type, r.cfg.KeyDim, (n-age)-span.First, span.Keys)
			if got, want := decode(t, key)[1], entry(r.rows[gone+to-1].mark, l, h, 1); got != want {
				t.Fatalf("the landmark of block %d from the end is %v, want %v", age, got, want)
			}
		}
	}
}

func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRing(t, rapid.SampledFrom([]int{2, 3, 17, 64, 200}).Draw(t, "block"), rapid.IntRange(1, 9).Draw(t, "keep"))
		var held *Snapshot
		var heldRows []refRow
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"add", "add", "add", "truncate", "hold", "restore", "save"}).Draw(t, "do") {
			case "add":
				r.add(t, rapid.IntRange(0, 400).Draw(t, "rows"), float32(step*1000))
			case "truncate":
				n := rapid.IntRange(max(0, len(r.rows)-300), len(r.rows)).Draw(t, "to")
				fine := n == 0 || r.whole(n)
				err := r.Truncate(n)
				if fine != (err == nil) || err != nil && !errors.Is(err, ErrEvicted) {
					t.Fatalf("%d rows to %d, of which %d are gone: error %v", len(r.rows), n, r.gone(), err)
				}
				if err == nil {
					r.rows = r.rows[:n:n]
				}
			case "hold":
				held, heldRows = r.Snapshot(), slices.Clone(r.rows)
			case "restore":
				if held != nil {
					if err := r.Restore(held); err != nil {
						t.Fatal(err)
					}
					r.rows = slices.Clone(heldRows)
				}
			case "save":
				var rows, pages bytes.Buffer
				if err := errors.Join(r.Snapshot().WriteRows(&rows), r.Snapshot().WritePages(&pages)); err != nil {
					t.Fatal(err)
				}
				s, err := ReadSnapshot(r.cfg, rows.Bytes(), pages.Bytes(), nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Cache = mustNew(t, r.cfg)
				if err := r.Restore(s); err != nil {
					t.Fatal(err)
				}
			}
			r.check(t)
		}
	})
}

// However long the text, the cache takes no more than its blocks and about a page for each list.
func TestRingIsBounded(t *testing.T) {
	r := newRing(t, 17, 20)
	for range 200 {
		r.add(t, 68, 0)
	}
	page := pageBytes(r.wide.key, r.wide.value)
	if most := int64(pagesOf(20*17+17+PageRows+68)) * page * int64(len(r.lists)); r.PeakBytes() > most {
		t.Errorf("%d bytes at the most, want no more than %d", r.PeakBytes(), most)
	}
	if n := r.Index(0, 0).Blocks.Rows(); n >= 20+2*PageRows {
		t.Errorf("%d summaries of 20 blocks", n)
	}
}

// A tail that is put back makes a ring what it was.
func TestTailOfARing(t *testing.T) {
	r := newRing(t, 17, 5)
	r.add(fataler{t}, 400, 0)
	rows, pages := save(t, r.Snapshot())
	tail := r.Tail(397)
	if err := r.Truncate(397); err != nil {
		t.Fatal(err)
	}
	r.rows = r.rows[:397]
	r.add(fataler{t}, 3, 7)
	if err := r.Replace(tail); err != nil {
		t.Fatal(err)
	}
	rowsNow, pagesNow := save(t, r.Snapshot())
	if r.gone() == 0 || !bytes.Equal(rows, rowsNow) || !bytes.Equal(pages, pagesNow) {
		t.Errorf("%d rows are gone; the others are not what they were", r.gone())
	}
}

func TestKeepingBlocksIsForLandmarks(t *testing.T) {
	for _, x := range []Index{
		{Summary: Mean, Block: 16, Keep: 4}, {Summary: Landmark, Block: 16, Keep: -1}, {Summary: Landmark, Block: 16, Sinks: 16, Keep: 4}, {Keep: 3},
	} {
		cfg := small
		cfg.Index = x
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was taken", x)
		}
	}
}

func TestDamagedRingsAreRefused(t *testing.T) {
	r := newRing(t, 3, 5)
	r.add(fataler{t}, 700, 0)
	if r.gone() == 0 {
		t.Fatal("no row is gone")
	}
	rows, pages := save(t, r.Snapshot())
	refuseDamage(t, r.Cache, rows, pages)
	rng := rand.New(rand.NewPCG(3, 4))
	times, taken := 1000, 0
	if testing.Short() {
		times = 250
	}
	for range times {
		bad := slices.Clone(rows)
		bad[rng.IntN(len(bad))] ^= byte(1 << rng.IntN(8))
		s, err := ReadSnapshot(r.cfg, bad, pages, nil)
		if err != nil {
			continue
		}
		taken++
		got := &ring{Cache: mustNew(t, r.cfg)}
		if err := got.Restore(s); err != nil {
			t.Fatal(err)
		}
		got.rows = make([]refRow, got.LastPosition()+1) // positions go on from there
		if len(got.rows) > 1<<20 {
			continue
		}
		got.add(fataler{t}, 150, 0)
		for n := got.Seen(); n > 0; n -= 10 {
			if got.Truncate(n) != nil {
				break
			}
			for h := range r.cfg.Heads {
				index := got.Index(1, h)
				for age := 1; age <= min(r.cfg.Index.Keep, got.Seen()/r.cfg.Index.Block); age++ {
					if from, to := index.Rows(index.Blocks.Rows() - age); from < 0 || to > got.Len(1, h) {
						t.Fatalf("a block of rows %d to %d, of %d", from, to, got.Len(1, h))
					}
				}
			}
		}
	}
	if taken == 0 {
		t.Error("no damage was harmless")
	}
}
