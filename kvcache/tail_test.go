package kvcache

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// A tail that is put back makes a cache what it was, whatever took its place in between, and snapshots stay what they are.
func TestTail(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 1))
	for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
		c, err := New(Config{Layers: 2, Heads: 2, KeyDim: 32, ValueDim: 64, Type: typ})
		if err != nil {
			t.Fatal(err)
		}
		add := func(n int) {
			positions := make([]int32, n)
			for i := range positions {
				positions[i] = c.LastPosition() + 1 + int32(2*i)
			}
			first, err := c.Append(positions)
			if err != nil {
				t.Fatal(err)
			}
			for l := range 2 {
				for h := range 2 {
					keys, values := make([]byte, n*c.wide.key), make([]byte, n*c.wide.value)
					for i := range keys {
						keys[i] = byte(rng.Uint32())
					}
					for i := range values {
						values[i] = byte(rng.Uint32())
					}
					if err := c.Put(l, h, first, keys, values); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		contents := func() (all [][]byte) {
			tail := c.Tail(0)
			for i := range c.lists {
				l := &c.lists[i]
				all = append(all, tail.keys[i], tail.values[i])
				for r := range l.rows() {
					all = append(all, []byte{byte(l.position(r)), byte(l.position(r) >> 8)})
				}
			}
			return all
		}
		for _, n := range []int{1, PageRows - 1, 5, PageRows, 300} {
			add(n)
			for _, back := range []int{1, min(c.Seen(), 2), min(c.Seen(), 200)} {
				want, first := contents(), c.Seen()-back
				tail, kept := c.Tail(first), c.Snapshot()
				if err := c.Truncate(first); err != nil {
					t.Fatal(err)
				}
				add(rng.IntN(3))
				if err := c.Replace(tail); err != nil {
					t.Fatal(err)
				}
				for i := range 2 { // the second time: of the snapshot
					if got := contents(); !slices.EqualFunc(got, want, bytes.Equal) {
						t.Fatalf("%s, the last %d of %d rows: not what they were, %d", typ, back, c.Seen(), i)
					}
					if err := c.Restore(kept); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := c.Replace(&Tail{first: c.Seen() + 1}); err == nil {
			t.Error("a tail beyond the rows was put back")
		}
	}
}
