package kvcache

import (
	"testing"
)

// Keys are changed one by one, with their positions; a snapshot keeps what they were, and values stay.
func TestChangeKeys(t *testing.T) {
	c := mustNew(t, small)
	want := newReference(small)
	for i := range PageRows + 3 {
		if _, err := c.Append([]int32{int32(2 * i)}); err != nil {
			t.Fatal(err)
		}
		fill(t, c, i, float32(i))
		for j := range want.heads {
			want.heads[j] = append(want.heads[j], refRow{int32(2 * i), float32(i)})
		}
	}
	want.seen = PageRows + 3
	before := c.Snapshot()
	at := int32(0)
	err := c.ChangeKeys(1, 2, func(position int32, key []float32) {
		if position != at || key[0] != entry(float32(position/2), 1, 2, 0) {
			t.Fatalf("position %d, want %d; key %v", position, at, key)
		}
		at += 2
		for i := range key {
			key[i] += 0.5
		}
	})
	if err != nil || at != 2*(PageRows+3) {
		t.Fatalf("%d rows, error %v", at/2, err)
	}
	view := c.View(1, 2)
	for _, span := range view.Spans {
		keys, values := decode(t, keyRows(&view, &span)), decode(t, span.Values)
		for r, p := range span.Positions {
			for i := range small.KeyDim {
				if got := keys[r*small.KeyDim+i]; got != entry(float32(p/2), 1, 2, i)+0.5 {
					t.Fatalf("key at position %d: %v", p, got)
				}
			}
			if got := values[r*small.ValueDim]; got != -entry(float32(p/2), 1, 2, 0) {
				t.Fatalf("value at position %d: %v", p, got)
			}
		}
	}
	if err := c.Restore(before); err != nil {
		t.Fatal(err)
	}
	check(t, c, want)
}
