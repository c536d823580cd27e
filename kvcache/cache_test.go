package kvcache

import (
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
	"pgregory.net/rapid"
)

var small = Config{Layers: 2, Heads: 3, KeyDim: 4, ValueDim: 2, Type: quant.F32}

func mustNew(t interface{ Fatal(...any) }, cfg Config) *Cache {
	return mustNewIn(t, nil, cfg)
}

func mustNewIn(t interface{ Fatal(...any) }, store *testStore, cfg Config) *Cache {
	var in Store
	if store != nil {
		in = store
	}
	c, err := NewIn(in, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reference is a cache as one would write it down: for each layer and head the rows' positions, and a number from which
// the row follows.
type reference struct {
	heads   [][]refRow // [layers · heads]
	seen    int
	evicted int
	last    int32
}

type refRow struct {
	position int32
	mark     float32
}

func newReference(cfg Config) *reference {
	return &reference{heads: make([][]refRow, cfg.Layers*cfg.Heads), last: -1}
}

// uniform is a reference whose heads all have the same rows.
func uniform(cfg Config, rows ...refRow) *reference {
	r := newReference(cfg)
	for i := range r.heads {
		r.heads[i] = rows
	}
	r.seen = len(rows)
	return r
}

func (r *reference) clone() *reference {
	c := *r
	c.heads = make([][]refRow, len(r.heads))
	for i := range c.heads {
		c.heads[i] = slices.Clone(r.heads[i])
	}
	return &c
}

// fill puts rows that name their mark, layer, head and dimension.
func fill(t interface{ Fatal(...any) }, c *Cache, row int, mark float32) {
	for l := range c.cfg.Layers {
		for h := range c.cfg.Heads {
			key, value := make([]float32, c.cfg.KeyDim), make([]float32, c.cfg.ValueDim)
			for i := range key {
				key[i] = entry(mark, l, h, i)
			}
			for i := range value {
				value[i] = -entry(mark, l, h, i)
			}
			if err := c.Put(l, h, row, encode(t, c.cfg.Type, key), encode(t, c.cfg.Type, value)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func encode(t interface{ Fatal(...any) }, typ quant.Type, x []float32) []byte {
	size, err := typ.RowBytes(len(x))
	if err != nil {
		t.Fatal(err)
	}
	row := make([]byte, size)
	if err := quant.Encode(typ, row, x); err != nil {
		t.Fatal(err)
	}
	return row
}

// keyRows are the keys of a span as rows.
func keyRows(view *View, span *Span) []byte {
	rows := make([]byte, span.Rows()*view.KeyBytes)
	for r := range span.Rows() {
		kernels.TakeKey(rows[r*view.KeyBytes:(r+1)*view.KeyBytes], view.Type, view.KeyDim, r, span.Keys)
	}
	return rows
}

func entry(mark float32, layer, head, i int) float32 {
	return mark*1000 + float32(layer*100+head*10+i)
}

// check compares every view with the reference.
func check(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, c *Cache, want *reference) {
	if c.Seen() != want.seen {
		t.Fatalf("%d rows were seen, want %d", c.Seen(), want.seen)
	}
	for l := range c.cfg.Layers {
		for h := range c.cfg.Heads {
			checkHead(t, c, l, h, want.heads[l*c.cfg.Heads+h])
		}
	}
}

func checkHead(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, c *Cache, l, h int, want []refRow) {
	view, rows, at := c.View(l, h), c.RowsOf(l, h), 0
	if c.Len(l, h) != len(want) || view.Rows() != len(want) || rows.Len() != len(want) {
		t.Fatalf("%d rows, a view of %d, want %d", c.Len(l, h), view.Rows(), len(want))
	}
	for _, span := range view.Spans {
		keys, values := decode(t, keyRows(&view, &span)), decode(t, span.Values)
		if span.First != at || len(keys) != span.Rows()*c.cfg.KeyDim || len(values) != span.Rows()*c.cfg.ValueDim {
			t.Fatalf("a span of %d rows from %d holds %d and %d values", span.Rows(), span.First, len(keys), len(values))
		}
		for r, pos := range span.Positions {
			if pos != want[at].position || rows.Position(at) != pos {
				t.Fatalf("row %d is at position %d, want %d", at, pos, want[at].position)
			}
			for i := range c.cfg.KeyDim {
				if got := keys[r*c.cfg.KeyDim+i]; got != entry(want[at].mark, l, h, i) {
					t.Fatalf("key of row %d, layer %d, head %d: %v", at, l, h, got)
				}
			}
			if got := values[r*c.cfg.ValueDim]; got != -entry(want[at].mark, l, h, 0) {
				t.Fatalf("value of row %d, layer %d, head %d: %v", at, l, h, got)
			}
			for k := range c.cfg.Marks {
				if got := rows.Mark(k)[at]; got != want[at].mark+float32(k) {
					t.Fatalf("mark %d of row %d, layer %d, head %d: %v", k, at, l, h, got)
				}
			}
			at++
		}
	}
}

func decode(t interface{ Fatal(...any) }, rows []byte) []float32 {
	values := make([]float32, len(rows)/4)
	if err := quant.Decode(quant.F32, values, rows); err != nil {
		t.Fatal(err)
	}
	return values
}

func TestCacheAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { cacheAgainstReference(t, nil) })
}

// cacheAgainstReference changes a cache in a store, or on the heap, at random.
func cacheAgainstReference(t *rapid.T, store *testStore) {
	cfg := small
	cfg.Marks = 2
	want := newReference(cfg)
	c := mustNewIn(t, store, cfg)
	type saved struct {
		snapshot *Snapshot
		contents *reference
	}
	var snapshots []saved
	mark := float32(0)
	t.Repeat(map[string]func(*rapid.T){
		"append": func(t *rapid.T) {
			gaps := rapid.SliceOfN(rapid.Int32Range(1, 3), 1, 100).Draw(t, "gaps")
			pos := c.LastPosition()
			var positions []int32
			for _, gap := range gaps {
				pos += gap
				positions = append(positions, pos)
			}
			first, err := c.Append(positions)
			if store != nil && store.full && errors.Is(err, errStoreFull) {
				return // and nothing has changed
			}
			if err != nil || first != want.seen {
				t.Fatalf("first row %d, want %d; error %v", first, want.seen, err)
			}
			for i, p := range positions {
				mark++
				fill(t, c, first+i, mark)
				for j := range want.heads {
					rows := c.RowsOf(j/cfg.Heads, j%cfg.Heads)
					for k := range cfg.Marks {
						rows.Mark(k)[rows.Len()-len(positions)+i] += mark + float32(k)
					}
					want.heads[j] = append(want.heads[j], refRow{p, mark})
				}
			}
			want.seen, want.last = want.seen+len(positions), pos
		},
		"keep": func(t *rapid.T) {
			for j := range want.heads {
				var keep []int32
				var left []refRow
				share := rapid.IntRange(0, 4).Draw(t, "quarters")
				for i, row := range want.heads[j] {
					if share == 4 || rapid.IntRange(0, 3).Draw(t, "row") < share {
						keep, left = append(keep, int32(i)), append(left, row)
					}
				}
				if err := c.Keep(j/cfg.Heads, j%cfg.Heads, keep); err != nil {
					t.Fatal(err)
				}
				want.heads[j] = left
			}
			c.Evicted()
			want.evicted = want.seen
		},
		"truncate": func(t *rapid.T) {
			n := rapid.IntRange(0, c.Seen()).Draw(t, "rows")
			err := c.Truncate(n)
			if n > 0 && n < want.evicted {
				if !errors.Is(err, ErrEvicted) {
					t.Fatalf("went back to %d rows, after rows were dropped at %d: error %v", n, want.evicted, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want.last = -1
			for j, rows := range want.heads {
				want.heads[j] = rows[:max(0, len(rows)-(want.seen-n))]
				if n == 0 {
					want.heads[j] = nil
				}
			}
			want.seen, want.evicted = n, min(n, want.evicted)
		},
		"snapshot": func(t *rapid.T) {
			snapshots = append(snapshots, saved{c.Snapshot(), want.clone()})
		},
		"restore": func(t *rapid.T) {
			if len(snapshots) == 0 {
				t.Skip("no snapshot yet")
			}
			s := rapid.SampledFrom(snapshots).Draw(t, "snapshot")
			if err := c.Restore(s.snapshot); err != nil {
				t.Fatal(err)
			}
			want = s.contents.clone()
		},
		"": func(t *rapid.T) {
			check(t, c, want)
			pages := 0
			for _, rows := range want.heads {
				pages += (len(rows) + PageRows - 1) / PageRows
			}
			c.Trim()
			bytes := int64(pages) * ((4+2)*4 + 4) * PageRows
			if store != nil {
				checkStored(t, c, store, bytes)
				return
			}
			if c.Bytes() != bytes || c.PeakBytes() < bytes {
				t.Fatalf("%d bytes, peak %d, for %d pages", c.Bytes(), c.PeakBytes(), pages)
			}
		},
		"fill or empty the store": func(t *rapid.T) {
			if store == nil {
				t.Skip("there is none")
			}
			store.full = !store.full
		},
	})
}

func TestKeepRefusesRowsThatAreNotThere(t *testing.T) {
	c := mustNew(t, small)
	if _, err := c.Append([]int32{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		layer, head int
		rows        []int32
	}{{0, 0, []int32{3}}, {0, 0, []int32{-1}}, {0, 0, []int32{1, 1}}, {0, 0, []int32{2, 0}}, {2, 0, nil}, {0, 3, nil}, {-1, 0, nil}} {
		if err := c.Keep(x.layer, x.head, x.rows); err == nil {
			t.Errorf("%+v was accepted", x)
		}
		if c.Len(0, 0) != 3 {
			t.Fatalf("%+v left %d rows", x, c.Len(0, 0))
		}
	}
}

func TestSnapshotIsSharedBetweenCaches(t *testing.T) {
	a, b := mustNew(t, small), mustNew(t, small)
	if _, err := a.Append([]int32{0, 1}); err != nil {
		t.Fatal(err)
	}
	fill(t, a, 0, 1)
	fill(t, a, 1, 2)
	s := a.Snapshot()
	if err := b.Restore(s); err != nil {
		t.Fatal(err)
	}
	for i, c := range []*Cache{a, b} {
		if _, err := c.Append([]int32{7}); err != nil {
			t.Fatal(err)
		}
		fill(t, c, 2, float32(10+i))
	}
	check(t, a, uniform(small, refRow{0, 1}, refRow{1, 2}, refRow{7, 10}))
	check(t, b, uniform(small, refRow{0, 1}, refRow{1, 2}, refRow{7, 11}))
	other := small
	other.Heads++
	if err := mustNew(t, other).Restore(s); err == nil {
		t.Fatal("a snapshot of another shape was restored")
	}
}

func TestAppendRefusesPositionsThatDoNotAscend(t *testing.T) {
	c := mustNew(t, small)
	for _, positions := range [][]int32{{-1}, {3, 3}, {4, 2}} {
		if _, err := c.Append(positions); !errors.Is(err, ErrPosition) || c.Seen() != 0 {
			t.Fatalf("positions %v: error %v, %d rows", positions, err, c.Seen())
		}
	}
	if _, err := c.Append([]int32{5}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append([]int32{5}); !errors.Is(err, ErrPosition) {
		t.Fatalf("position 5 twice: error %v", err)
	}
}

func TestRowTypes(t *testing.T) {
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		c := mustNew(t, Config{Layers: 1, Heads: 1, KeyDim: 32, ValueDim: 64, Type: typ})
		if _, err := c.Append([]int32{0}); err != nil {
			t.Fatal(err)
		}
		key, value := make([]float32, 32), make([]float32, 64)
		for i := range value {
			key[i/2], value[i] = float32(i), float32(-i)
		}
		if err := c.Put(0, 0, 0, encode(t, typ, key), encode(t, typ, value)); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 64)
		if err := quant.Decode(typ, got, c.View(0, 0).Spans[0].Values); err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if d := v - value[i]; d > 0.3 || d < -0.3 {
				t.Fatalf("%s: value %d is %v", typ, i, v)
			}
		}
	}
}

func TestConfigsAreChecked(t *testing.T) {
	for _, cfg := range []Config{
		{Layers: 0, Heads: 1, KeyDim: 1, ValueDim: 1, Type: quant.F32},
		{Layers: 1, Heads: 1, KeyDim: 8, ValueDim: 32, Type: quant.Q8_0},
		{Layers: 1, Heads: 1, KeyDim: 32, ValueDim: 8, Type: quant.Q8_0},
		{Layers: 1, Heads: 1, KeyDim: 32, ValueDim: 32, Type: quant.Q4_0},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was taken", cfg)
		}
		if _, err := cfg.Bytes(1); err == nil {
			t.Errorf("%+v has a size", cfg)
		}
	}
	for _, rows := range []int{-1, 1 << 62, math.MaxInt} {
		if _, err := small.Bytes(rows); err == nil {
			t.Errorf("%d rows have a size", rows)
		}
	}
}

func TestMisuseIsAnError(t *testing.T) {
	c := mustNew(t, small)
	if err := c.Truncate(1); err == nil {
		t.Error("truncated to more rows than there are")
	}
	key, value := 4*small.KeyDim, 4*small.ValueDim
	if err := c.Put(0, 0, 0, make([]byte, key), make([]byte, value)); err == nil {
		t.Error("put a row that was not appended")
	}
	if _, err := c.Append([]int32{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ layer, head, first, keys, values int }{
		{0, 0, 0, key - 1, value}, {0, 0, 0, key, value + 1}, {0, 0, 0, key, 2 * value}, {0, 0, 0, 4 * key, 4 * value},
		{0, 0, 3, key, value}, {0, 0, 4, 0, 0}, {0, 0, -1, key, value}, {2, 0, 0, key, value}, {-1, 0, 0, key, value}, {0, 3, 0, key, value}, {0, -1, 0, key, value},
	} {
		if err := c.Put(x.layer, x.head, x.first, make([]byte, x.keys), make([]byte, x.values)); err == nil {
			t.Errorf("%+v was accepted", x)
		}
	}
}

// Rows put together are rows put one by one, across pages.
func TestPutOfManyRows(t *testing.T) {
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		cfg := Config{Layers: 1, Heads: 2, KeyDim: 64, ValueDim: 32, Type: typ}
		want, got := mustNew(t, cfg), mustNew(t, cfg)
		rows := 2*PageRows + 5
		positions := make([]int32, rows)
		for i := range positions {
			positions[i] = int32(i)
		}
		for _, c := range []*Cache{want, got} {
			if _, err := c.Append(positions); err != nil {
				t.Fatal(err)
			}
		}
		for row := range rows {
			fill(t, want, row, float32(row%7))
		}
		for h := range cfg.Heads {
			var keys, values []byte
			view := want.View(0, h)
			for _, span := range view.Spans {
				keys, values = append(keys, keyRows(&view, &span)...), append(values, span.Values...)
			}
			k, v := view.KeyBytes, view.ValueBytes
			for _, part := range [][2]int{{0, 0}, {0, 3}, {3, PageRows + 9}, {PageRows + 9, rows}, {rows, rows}} {
				from, to := part[0], part[1]
				if err := got.Put(0, h, from, keys[from*k:to*k], values[from*v:to*v]); err != nil {
					t.Fatal(err)
				}
			}
			for i, span := range view.Spans {
				other := got.View(0, h).Spans[i]
				if string(other.Keys) != string(span.Keys) || string(other.Values) != string(span.Values) {
					t.Fatalf("%s: span %d of head %d differs", typ, i, h)
				}
			}
		}
	}
}

func TestHeldMarksComeBack(t *testing.T) {
	cfg := small
	cfg.Marks = 2
	c := mustNew(t, cfg)
	if _, err := c.Append([]int32{0, 1}); err != nil {
		t.Fatal(err)
	}
	rows := c.RowsOf(1, 2)
	rows.Mark(1)[1] = 7
	c.HoldMarks()
	if _, err := c.Append([]int32{2}); err != nil {
		t.Fatal(err)
	}
	copy(rows.Mark(1), []float32{1, 2, 3})
	if err := c.Truncate(2); err != nil {
		t.Fatal(err)
	}
	c.RestoreMarks()
	if got := rows.Mark(1); !slices.Equal(got, []float32{0, 7}) {
		t.Errorf("marks %v", got)
	}
}

// A page that takes the place of one that a snapshot shares is not counted beside it.
func TestPeakBesideASnapshot(t *testing.T) {
	c := mustNew(t, small)
	positions := make([]int32, 3*PageRows)
	for i := range positions {
		positions[i] = int32(i)
	}
	if _, err := c.Append(positions); err != nil {
		t.Fatal(err)
	}
	peak := c.PeakBytes()
	s := c.Snapshot()
	for l := range small.Layers {
		for h := range small.Heads {
			if err := c.Keep(l, h, []int32{0, 5, 6, PageRows + 3}); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.Evicted()
	if c.PeakBytes() != peak || s.Bytes() != peak {
		t.Errorf("peak %d, before the snapshot of %d bytes %d", c.PeakBytes(), s.Bytes(), peak)
	}
}
