package kvcache

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// nearby is a cache whose queries do not see far, and the rows that it was given.
type nearby struct {
	*Cache
	rows []refRow
}

func newNearby(t interface{ Fatal(...any) }, store *testStore, x Local) *nearby {
	cfg := small
	cfg.Local = x
	return &nearby{Cache: mustNewIn(t, store, cfg)}
}

func (c *nearby) add(t interface{ Fatal(...any) }, n int, mark float32) {
	for i := range n {
		at := int32(len(c.rows))
		row, err := c.Append([]int32{at})
		if err != nil {
			t.Fatal(err)
		}
		fill(t, c.Cache, row, mark+float32(i))
		c.rows = append(c.rows, refRow{at, mark + float32(i)})
	}
	c.DropUnseen()
}

func (c *nearby) gone() int { return len(c.rows) - c.MostRows() }

// sees is the first row that a query behind the first n sees, in whatever layer.
func (c *nearby) sees(n int) int {
	first := n
	if w := c.cfg.Local.Window; w > 0 {
		first = min(first, n-w+1)
	}
	if k := c.cfg.Local.Chunk; k > 0 {
		first = min(first, n-n%k)
	}
	return max(first, 0)
}

func (c *nearby) check(t *rapid.T) {
	n, gone := len(c.rows), c.gone()
	if gone%PageRows > 0 || gone > c.sees(n) || c.Seen() != n || int(c.LastPosition()) != n-1 {
		t.Fatalf("%d of %d rows are gone, up to position %d; the next query sees %d", gone, n, c.LastPosition(), c.sees(n))
	}
	for i := range c.lists {
		checkHead(t, c.Cache, i/c.cfg.Heads, i%c.cfg.Heads, c.rows[gone:])
		if v := c.View(i/c.cfg.Heads, i%c.cfg.Heads); v.Dropped != gone/PageRows {
			t.Fatalf("a view after %d pages, of which %d are gone", v.Dropped, gone/PageRows)
		}
	}
}

func TestUnseenRowsGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := Local{Window: rapid.SampledFrom([]int{0, 1, 40, 200}).Draw(t, "window"), Chunk: rapid.SampledFrom([]int{0, 1, 12, 64, 128, 200}).Draw(t, "chunk")}
		if x == (Local{}) {
			x.Chunk = 3
		}
		var store *testStore
		if rapid.Bool().Draw(t, "in a store") {
			store = &testStore{}
		}
		c := newNearby(t, store, x)
		var held *Snapshot
		var heldRows []refRow
		for step := range rapid.IntRange(1, 12).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"add", "add", "add", "truncate", "hold", "restore", "save"}).Draw(t, "do") {
			case "add":
				n := rapid.IntRange(0, 400).Draw(t, "rows")
				c.add(t, n, float32(step*1000))
				if all, back := len(c.rows), max(c.cfg.Local.Window, c.cfg.Local.Chunk)+windowSlack+PageRows; n > 0 && c.MostRows() > back {
					t.Fatalf("%d rows are left of %d", c.MostRows(), all)
				}
			case "truncate":
				n := rapid.IntRange(max(0, len(c.rows)-300), len(c.rows)).Draw(t, "to")
				fine := n == 0 || c.sees(n) >= c.gone()
				if all := len(c.rows); !fine && (x.Chunk > 0 && x.Window == 0 && n >= (all-1)/x.Chunk*x.Chunk || x.Chunk == 0 && n >= all-windowSlack) {
					t.Fatalf("a text of %d rows cannot be taken back to %d", all, n)
				}
				err := c.Truncate(n)
				if fine != (err == nil) || err != nil && !errors.Is(err, ErrEvicted) {
					t.Fatalf("%d rows to %d, of which %d are gone: error %v", len(c.rows), n, c.gone(), err)
				}
				if err == nil {
					c.rows = c.rows[:n:n]
				}
			case "hold":
				held, heldRows = c.Snapshot(), slices.Clone(c.rows)
			case "restore":
				if held != nil {
					if err := c.Restore(held); err != nil {
						t.Fatal(err)
					}
					c.rows = slices.Clone(heldRows)
				}
			case "save":
				rows, pages := save(t, c.Snapshot())
				s, err := ReadSnapshot(c.cfg, rows, pages, nil)
				if err != nil {
					t.Fatal(err)
				}
				c.Cache, held = mustNewIn(t, store, c.cfg), nil
				if err := c.Restore(s); err != nil {
					t.Fatal(err)
				}
			}
			c.check(t)
		}
	})
}

// However long the text, the cache takes no more than is seen and about a page for each list, on the heap as in a store.
func TestUnseenRowsTakeNoMemory(t *testing.T) {
	for _, x := range []Local{{Chunk: 64}, {Window: 100}, {Window: 30, Chunk: 300}} {
		for _, store := range []*testStore{nil, {}} {
			c, bytes := newNearby(t, store, x), int64(0)
			for i := range 200 {
				c.add(fataler{t}, 68, 0)
				if i == 20 {
					bytes = c.Bytes() + c.StoredBytes()
				}
			}
			cfg := c.cfg
			most, err := cfg.Bytes(x.MostRows(200*68, 68))
			if err != nil {
				t.Fatal(err)
			}
			if store == nil && c.PeakBytes() > most || c.Bytes()+c.StoredBytes() > bytes+int64(len(c.lists))*c.wide.pageBytes()*storePages {
				t.Errorf("%+v: %d bytes at the most, planned were %d; now %d and %d in a store, early on %d", x, c.PeakBytes(), most, c.Bytes(), c.StoredBytes(), bytes)
			}
		}
	}
}

// A text whose positions have gaps is not cut: chunks are not found by counting rows.
func TestRowsWithGapsStay(t *testing.T) {
	c := newNearby(t, nil, Local{Chunk: 16})
	for i := range 1000 {
		if _, err := c.Append([]int32{int32(2 * i)}); err != nil {
			t.Fatal(err)
		}
		c.DropUnseen()
	}
	if n := c.MostRows(); n != 1000 {
		t.Errorf("%d rows are left", n)
	}
}

func TestLocalRefuses(t *testing.T) {
	for _, change := range []func(*Config){
		func(c *Config) { c.Local.Window = -1 }, func(c *Config) { c.Local = Local{4, -1} }, func(c *Config) { c.Marks = 1 },
		func(c *Config) { c.Pruned = 1 }, func(c *Config) { c.Index = Index{Summary: Mean, Block: 16} },
	} {
		cfg := small
		cfg.Local.Chunk = 8
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
	}
	if n := (Local{Chunk: 5}).MostRows(math.MaxInt, math.MaxInt-9); n != math.MaxInt {
		t.Errorf("at most %d rows", n)
	}
}

func TestDamagedLocalsAreRefused(t *testing.T) {
	for _, x := range []Local{{Chunk: 64}, {Window: 20}} {
		c := newNearby(t, nil, x)
		c.add(fataler{t}, 700, 0)
		if c.gone() == 0 {
			t.Fatal("no row is gone")
		}
		rows, pages := save(t, c.Snapshot())
		refuseDamage(t, c.Cache, rows, pages)
		rng := rand.New(rand.NewPCG(3, 4))
		for range 300 {
			bad := slices.Clone(rows)
			bad[rng.IntN(len(bad))] ^= byte(1 << rng.IntN(8))
			s, err := ReadSnapshot(c.cfg, bad, pages, nil)
			if err != nil {
				continue
			}
			got := newNearby(t, nil, x)
			if err := got.Restore(s); err != nil {
				t.Fatal(err)
			}
			if got.LastPosition() > 1<<20 {
				continue
			}
			for n := got.Seen(); n > 0 && got.Truncate(n) == nil; n -= 7 {
				if v := got.View(1, 1); v.Rows() > 0 && int(v.Spans[0].Positions[0]) > got.sees(n) {
					t.Fatalf("%+v: the query behind row %d would see what is gone, before position %d", x, n, v.Spans[0].Positions[0])
				}
			}
		}
		again := newNearby(t, nil, x)
		s, err := ReadSnapshot(c.cfg, rows, pages, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Restore(s); err != nil {
			t.Fatal(err)
		}
		more, morePages := save(t, again.Snapshot())
		if !bytes.Equal(more, rows) || !bytes.Equal(morePages, pages) {
			t.Error("what was read is not what was written")
		}
	}
}
