package kvcache

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// savedCache is a cache of two pages that some rows were dropped from, saved.
func savedCache(t testing.TB) (c *Cache, rows, pages []byte) {
	cfg := small
	cfg.Marks = 1
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	positions := make([]int32, PageRows+9)
	for i := range positions {
		positions[i] = int32(2 * i)
	}
	if _, err := c.Append(positions); err != nil {
		t.Fatal(err)
	}
	for i := range positions {
		fill(fataler{t}, c, i, float32(i))
	}
	for l := range cfg.Layers {
		for h := range cfg.Heads {
			var keep []int32
			for i := range int32(len(positions)) {
				if int(i)%(l+h+2) > 0 {
					keep = append(keep, i)
				}
			}
			if err := c.Keep(l, h, keep); err != nil {
				t.Fatal(err)
			}
			head := c.RowsOf(l, h)
			*head.Cursor() = h
			for i := range head.Mark(0) {
				head.Mark(0)[i] = float32(i * (l + 1))
			}
		}
	}
	c.Evicted()
	if _, err := c.Append([]int32{1000}); err != nil {
		t.Fatal(err)
	}
	fill(fataler{t}, c, len(positions), 77)
	rows, pages = save(t, c.Snapshot())
	return c, rows, pages
}

type fataler struct{ testing.TB }

// prunedCache is a cache whose old keys have lost channels, saved; and one in which queries wait for that.
func prunedCache(t testing.TB, rows int) (c *Cache, saved, pages []byte) {
	e, err := NewEviction("full+think:ratio=0.5,interval=8,recent=8", nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := e.Shape(small)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	positions := make([]int32, rows)
	for i := range positions {
		positions[i] = int32(i)
	}
	if _, err := c.Append(positions); err != nil {
		t.Fatal(err)
	}
	for i := range positions {
		fill(fataler{t}, c, i, float32(i))
	}
	for l := range cfg.Layers {
		for h := range cfg.Heads {
			c.Note(l, h, positions[rows-1:], []float32{1, float32(l), 3, float32(h)}, 4, 1)
		}
	}
	if e.Old(c) {
		for l := range cfg.Layers {
			if err := e.Prune(c, l); err != nil {
				t.Fatal(err)
			}
		}
		e.Pruned(c)
	}
	saved, pages = save(t, c.Snapshot())
	return c, saved, pages
}

func TestSavedNarrowKeysAreTheSame(t *testing.T) {
	for _, rows := range []int{10, PageRows + 30} {
		c, saved, pages := prunedCache(t, rows)
		s, err := ReadSnapshot(c.Config(), saved, pages, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := mustNew(t, c.Config())
		if err := got.Restore(s); err != nil {
			t.Fatal(err)
		}
		again, pagesAgain := save(t, got.Snapshot())
		if !bytes.Equal(again, saved) || !bytes.Equal(pagesAgain, pages) {
			t.Fatalf("%d rows: what was loaded is saved otherwise", rows)
		}
		if narrow := c.lists[0].narrow.rows; (narrow > 0) != (rows > 20) || got.lists[0].narrow.rows != narrow || len(got.lists[0].queries.positions) != len(c.lists[0].queries.positions) {
			t.Fatalf("%d rows: %d narrow, loaded %d", rows, narrow, got.lists[0].narrow.rows)
		}
	}
}

func save(t interface{ Fatal(...any) }, s *Snapshot) (rows, pages []byte) {
	var r, p bytes.Buffer
	if err := s.WriteRows(&r); err != nil {
		t.Fatal(err)
	}
	if err := s.WritePages(&p); err != nil {
		t.Fatal(err)
	}
	return r.Bytes(), p.Bytes()
}

func TestSavedSnapshotIsTheSame(t *testing.T) {
	c, rows, pages := savedCache(t)
	s, err := ReadSnapshot(c.Config(), rows, pages, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := mustNew(t, c.Config())
	if err := got.Restore(s); err != nil {
		t.Fatal(err)
	}
	again, pagesAgain := save(t, got.Snapshot())
	if !bytes.Equal(again, rows) || !bytes.Equal(pagesAgain, pages) {
		t.Fatal("what was loaded is saved otherwise")
	}
	// Both go on alike, and the memory that was loaded from stays as it is.
	before := slices.Clone(pages)
	for _, c := range []*Cache{c, got} {
		first, err := c.Append([]int32{1001, 1002})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, c, first, 5)
		fill(t, c, first+1, 6)
		if err := c.Keep(1, 1, []int32{0, 3, 40}); err != nil {
			t.Fatal(err)
		}
		c.Evicted()
	}
	a, pagesA := save(t, c.Snapshot())
	b, pagesB := save(t, got.Snapshot())
	if !bytes.Equal(a, b) || !bytes.Equal(pagesA, pagesB) {
		t.Fatal("the loaded cache goes on otherwise")
	}
	if !bytes.Equal(before, pages) {
		t.Fatal("the memory that was loaded from was written to")
	}
}

// What was dropped from the cache is not in what is saved.
func TestSavedPagesHoldNothingElse(t *testing.T) {
	c := mustNew(t, small)
	if _, err := c.Append([]int32{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		fill(t, c, i, float32(100+i))
	}
	if err := c.Truncate(1); err != nil {
		t.Fatal(err)
	}
	fresh := mustNew(t, small)
	if _, err := fresh.Append([]int32{0}); err != nil {
		t.Fatal(err)
	}
	fill(t, fresh, 0, 100)
	_, got := save(t, c.Snapshot())
	_, want := save(t, fresh.Snapshot())
	if !bytes.Equal(got, want) {
		t.Fatal("rows that are gone were saved")
	}
}

func TestDamagedSnapshotsAreRefused(t *testing.T) {
	t.Run("evicted", func(t *testing.T) {
		c, rows, pages := savedCache(t)
		refuseDamage(t, c, rows, pages)
	})
	t.Run("pruned", func(t *testing.T) {
		c, rows, pages := prunedCache(t, PageRows+30)
		refuseDamage(t, c, rows, pages)
	})
	t.Run("to be pruned", func(t *testing.T) {
		c, rows, pages := prunedCache(t, 10)
		refuseDamage(t, c, rows, pages)
	})
}

func refuseDamage(t *testing.T, c *Cache, rows, pages []byte) {
	for n := range rows {
		if _, err := ReadSnapshot(c.Config(), rows[:n], pages, nil); err == nil {
			t.Fatalf("the first %d bytes were read", n)
		}
	}
	for _, n := range []int{0, 1, len(pages) - 1} {
		if _, err := ReadSnapshot(c.Config(), rows, pages[:n], nil); err == nil {
			t.Fatalf("%d bytes of pages were read", n)
		}
	}
	for _, x := range [][2][]byte{{append(slices.Clone(rows), 0), pages}, {rows, append(slices.Clone(pages), 0)}} {
		if _, err := ReadSnapshot(c.Config(), x[0], x[1], nil); err == nil {
			t.Fatal("data that is too long was read")
		}
	}
	other := c.Config()
	other.Marks++
	if _, err := ReadSnapshot(other, rows, pages, nil); err == nil {
		t.Fatal("rows of a cache with other marks were read")
	}
	times := 2000
	if testing.Short() {
		times = 500
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range times {
		bad := slices.Clone(rows)
		for range 1 + rng.IntN(3) {
			bad[rng.IntN(len(bad))] ^= byte(1 << rng.IntN(8))
		}
		s, err := ReadSnapshot(c.Config(), bad, pages, nil)
		if err != nil {
			continue
		}
		got := mustNew(t, c.Config()) // whatever it is, it can be worked with
		if err := got.Restore(s); err != nil {
			t.Fatal(err)
		}
		if p := got.LastPosition(); p < 1<<31-1 {
			if _, err := got.Append([]int32{p + 1}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range got.lists {
			if err := got.Seal(fastest(), i/got.cfg.Heads, i%got.cfg.Heads, 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []int{got.Seen() - 20, 0} {
			if err := got.Truncate(max(n, 0)); err != nil && !errors.Is(err, ErrEvicted) {
				t.Fatal(err)
			}
		}
	}
}
