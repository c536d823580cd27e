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
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reference is a cache as one would write it down: positions, and for each a number from which its rows follow.
type reference struct {
	positions []int32
	marks     []float32
}

func (r *reference) clone() *reference {
	return &reference{slices.Clone(r.positions), slices.Clone(r.marks)}
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
	if c.Len() != len(want.positions) {
		t.Fatalf("%d rows, want %d", c.Len(), len(want.positions))
	}
	for l := range c.cfg.Layers {
		for h := range c.cfg.Heads {
			view, at := c.View(l, h), 0
			for _, span := range view.Spans {
				keys, values := decode(t, keyRows(&view, &span)), decode(t, span.Values)
				if len(keys) != span.Rows()*c.cfg.KeyDim || len(values) != span.Rows()*c.cfg.ValueDim {
					t.Fatalf("a span of %d rows holds %d and %d values", span.Rows(), len(keys), len(values))
				}
				for r, pos := range span.Positions {
					if pos != want.positions[at] {
						t.Fatalf("row %d is at position %d, want %d", at, pos, want.positions[at])
					}
					for i := range c.cfg.KeyDim {
						if got := keys[r*c.cfg.KeyDim+i]; got != entry(want.marks[at], l, h, i) {
							t.Fatalf("key of row %d, layer %d, head %d: %v", at, l, h, got)
						}
					}
					if got := values[r*c.cfg.ValueDim]; got != -entry(want.marks[at], l, h, 0) {
						t.Fatalf("value of row %d, layer %d, head %d: %v", at, l, h, got)
					}
					at++
				}
			}
			if at != c.Len() {
				t.Fatalf("a view of %d rows, want %d", at, c.Len())
			}
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
	rapid.Check(t, func(t *rapid.T) {
		c, want := mustNew(t, small), &reference{}
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
				if err != nil || first != len(want.positions) {
					t.Fatalf("first row %d, want %d; error %v", first, len(want.positions), err)
				}
				for i, p := range positions {
					mark++
					fill(t, c, first+i, mark)
					want.positions, want.marks = append(want.positions, p), append(want.marks, mark)
				}
			},
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, c.Len()).Draw(t, "rows")
				if err := c.Truncate(n); err != nil {
					t.Fatal(err)
				}
				want.positions, want.marks = want.positions[:n], want.marks[:n]
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
				pages := (c.Len() + PageRows - 1) / PageRows
				if bytes, _ := small.Bytes(c.Len()); c.Bytes() != bytes || bytes != int64(pages)*2*3*(4+2)*4*PageRows || c.PeakBytes() < bytes {
					t.Fatalf("%d bytes, peak %d, for %d pages", c.Bytes(), c.PeakBytes(), pages)
				}
			},
		})
	})
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
	check(t, a, &reference{[]int32{0, 1, 7}, []float32{1, 2, 10}})
	check(t, b, &reference{[]int32{0, 1, 7}, []float32{1, 2, 11}})
	other := small
	other.Heads++
	if err := mustNew(t, other).Restore(s); err == nil {
		t.Fatal("a snapshot of another shape was restored")
	}
}

func TestAppendRefusesPositionsThatDoNotAscend(t *testing.T) {
	c := mustNew(t, small)
	for _, positions := range [][]int32{{-1}, {3, 3}, {4, 2}} {
		if _, err := c.Append(positions); !errors.Is(err, ErrPosition) || c.Len() != 0 {
			t.Fatalf("positions %v: error %v, %d rows", positions, err, c.Len())
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
