package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/weights/quant"
)

// numbers draws ascending numbers of keys below n, often neighbours.
func numbers(t *rapid.T, n int) []int32 {
	var from []int32
	for r := rapid.IntRange(0, 20).Draw(t, "first"); r < n; {
		run := rapid.IntRange(1, 40).Draw(t, "run")
		for ; run > 0 && r < n; run-- {
			from = append(from, int32(r))
			r++
		}
		r += rapid.IntRange(1, 20).Draw(t, "gap")
	}
	return from
}

// key returns the row of a key.
func key(keys []byte, typ quant.Type, dim, r int) string {
	size, _ := typ.RowBytes(dim)
	row := make([]byte, size)
	TakeKey(row, typ, dim, r, keys)
	return string(row)
}

// TestMoveKeys: keys that were moved are the rows that they were, and all others are left as they were, also where they are
// moved within the same memory.
func TestMoveKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(rowTypes).Draw(t, "type")
		dim := typ.BlockLen() * rapid.IntRange(1, 3+64/typ.BlockLen()).Draw(t, "blocks")
		groups := rapid.IntRange(1, 8).Draw(t, "groups")
		n := groups * KeyGroup
		size, _ := typ.RowBytes(dim)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		random := func() []byte {
			keys := make([]byte, n*size)
			for i := range keys {
				keys[i] = byte(rng.Uint32())
			}
			return keys
		}
		src := random()
		from := numbers(t, n)
		dst, to := random(), 0
		inPlace := rapid.Bool().Draw(t, "in place")
		if inPlace {
			dst = append([]byte(nil), src...)
			if len(from) > 0 {
				to = rapid.IntRange(0, int(from[0])).Draw(t, "to")
			}
		} else {
			to = rapid.IntRange(0, n-len(from)).Draw(t, "to")
		}
		want := make([]string, n)
		for r := range want {
			want[r] = key(dst, typ, dim, r)
		}
		for i, r := range from {
			want[to+i] = key(src, typ, dim, int(r))
		}
		if inPlace {
			MoveKeys(dst, to, dst, from, typ, dim)
		} else {
			before := string(src)
			MoveKeys(dst, to, src, from, typ, dim)
			if string(src) != before {
				t.Fatal("the source was changed")
			}
		}
		for r, w := range want {
			if key(dst, typ, dim, r) != w {
				t.Fatalf("%s of %d, %v to %d: key %d is not the row that was to be there", typ, dim, from, to, r)
			}
		}
	})
}

// TestKeysOfRows: each byte of a row lies where KeyGroup says.
func TestKeysOfRows(t *testing.T) {
	for _, typ := range rowTypes {
		const dim, n = 64, 32
		size, _ := typ.RowBytes(dim)
		keys, row := make([]byte, n*size), make([]byte, size)
		for r := range n {
			for i := range row {
				row[i] = byte(r*31 + i)
			}
			PutKey(keys, typ, dim, r, row)
		}
		for r := range n {
			for i := range size {
				at := (r/KeyGroup*dim+i/typ.BlockBytes())*KeyGroup*typ.BlockBytes() + r%KeyGroup*typ.BlockBytes() + i%typ.BlockBytes()
				if typ == quant.Q8_0 {
					block, in := i/34, i%34
					at = (r/KeyGroup*2 + block) * 34 * KeyGroup
					if in < 2 {
						at += r%KeyGroup*2 + in
					} else {
						at += 2*KeyGroup + (in-2)*KeyGroup + r%KeyGroup
					}
				}
				if keys[at] != byte(r*31+i) {
					t.Fatalf("%s: byte %d of key %d is not at %d", typ, i, r, at)
				}
			}
		}
	}
}

// BenchmarkMoveKeys times what keys are moved by: keys kept here and there, as many again as are dropped, and keys that
// move as one; and how one is stored and taken. The metric is the time that a value of a key takes.
func BenchmarkMoveKeys(b *testing.B) {
	const n = 2048
	for _, typ := range rowTypes {
		for _, dim := range []int{64, 128} {
			size, _ := typ.RowBytes(dim)
			src, dst, row := make([]byte, n*size), make([]byte, n*size), make([]byte, size)
			rng := rand.New(rand.NewPCG(58, 1))
			var some, every, window []int32
			for r := range n {
				if rng.IntN(2) == 0 {
					some = append(some, int32(r))
				}
				if r%2 == 0 {
					every = append(every, int32(r))
				}
				if r >= 5 {
					window = append(window, int32(r))
				}
			}
			for _, c := range []struct {
				name string
				keys int
				do   func()
			}{
				{"half", len(some), func() { MoveKeys(dst, 0, src, some, typ, dim) }},
				{"every other", len(every), func() { MoveKeys(dst, 0, src, every, typ, dim) }},
				{"window", len(window), func() { MoveKeys(dst, 0, src, window, typ, dim) }},
				{"put", 1, func() { PutKey(dst, typ, dim, 5, row) }},
				{"take", 1, func() { TakeKey(row, typ, dim, 5, dst) }},
			} {
				b.Run(fmt.Sprintf("%s/%s/dim=%d", typ, c.name, dim), func(b *testing.B) {
					for b.Loop() {
						c.do()
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.keys*dim), "ns/value")
				})
			}
		}
	}
}
