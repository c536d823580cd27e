package kvcache

import (
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Rows put as they are stored are the rows that Put would have stored, across pages.
func TestStoredRowsAreRows(t *testing.T) {
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		cfg := Config{Layers: 2, Heads: 3, KeyDim: 64, ValueDim: 32, Type: typ}
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
		for l := range cfg.Layers {
			for h := range cfg.Heads {
				var keys, values []byte
				for _, span := range want.View(l, h).Spans {
					keys, values = append(keys, span.Keys...), append(values, span.Values...)
				}
				k, v := len(keys)/rows, len(values)/rows
				for _, part := range [][2]int{{0, 0}, {0, 3}, {3, PageRows + 9}, {PageRows + 9, rows}, {rows, rows}} {
					from, to := part[0], part[1]
					if err := got.PutStored(l, h, from, keys[from*k:to*k], values[from*v:to*v]); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		for l := range cfg.Layers {
			for h := range cfg.Heads {
				for i, span := range want.View(l, h).Spans {
					other := got.View(l, h).Spans[i]
					if string(other.Keys) != string(span.Keys) || string(other.Values) != string(span.Values) {
						t.Fatalf("%s: span %d of head %d in layer %d differs", typ, i, h, l)
					}
				}
			}
		}
	}
}

func TestStoredRowsMustFit(t *testing.T) {
	c := mustNew(t, small)
	if _, err := c.Append([]int32{0, 1, 2}); err != nil {
		t.Fatal(err)
	}
	key, value := 4*small.KeyDim, 4*small.ValueDim
	for _, x := range []struct{ layer, head, first, keys, values int }{
		{0, 0, 0, key - 1, value}, {0, 0, 0, key, value + 1}, {0, 0, 0, key, 2 * value}, {0, 0, 0, 4 * key, 4 * value},
		{0, 0, 3, key, value}, {0, 0, 4, 0, 0}, {0, 0, -1, key, value}, {2, 0, 0, key, value}, {-1, 0, 0, key, value}, {0, 3, 0, key, value}, {0, -1, 0, key, value},
	} {
		if err := c.PutStored(x.layer, x.head, x.first, make([]byte, x.keys), make([]byte, x.values)); err == nil {
			t.Errorf("%+v was accepted", x)
		}
	}
}
