package kvcache

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// One removal at a time, worked by hand: of the pointer's row and the next the one with less attention goes, the older of
// equals, and the pointer moves on by one.
func TestTreeKVByHand(t *testing.T) {
	s := newStream(t, "treekv:sinks=1,recent=1,interval=1", 7, 0)
	s.append(7)
	// Mean attention of the rows 1 to 5: .5, .25, .25, .125, .375.
	s.show(0, [][]float32{{0, .75, .25, 0, 0, 0, 0}}, [][]float32{{0, .25, .25, .5, .25, .75}})
	rows := s.c.RowsOf(0, 0)
	for _, want := range []struct {
		kept   []int32
		cursor int
	}{
		{[]int32{0, 1, 3, 4, 5, 6}, 1},  // 1 and 2: the second
		{[]int32{0, 1, 3, 5, 6, 7}, 2},  // 3 and 4
		{[]int32{0, 1, 3, 5, 7, 8}, 3},  // 5 and 6, which has none
		{[]int32{0, 1, 3, 5, 8, 9}, 0},  // 7 and 8, equal: the pointer comes to the end
		{[]int32{0, 1, 5, 8, 9, 10}, 1}, // 1 and 3
	} {
		s.evict(0, 1)
		if got := s.keptBy(0, 0); !slices.Equal(got, want.kept) || *rows.Cursor() != want.cursor {
			t.Fatalf("%v and %d, want %v and %d", got, *rows.Cursor(), want.kept, want.cursor)
		}
		s.append(1)
	}
}

// With equal scores no gap between rows that are left is narrower than one between later rows, at any time, the oldest get
// wide, and the cache is always full.
func TestTreeKVThinsWithAge(t *testing.T) {
	const budget, sinks = 132, 4
	s := newStream(t, "treekv:interval=1,recent=64", budget, 0)
	for n := range 2000 {
		s.makeRoom(1, 1)
		s.append(1)
		kept := s.keptBy(0, 0)
		if want := min(n+1, budget); len(kept) != want {
			t.Fatalf("%d rows after %d, want %d", len(kept), n+1, want)
		}
		kept = kept[min(sinks, len(kept)):]
		for i := 2; i < len(kept); i++ {
			if kept[i-1]-kept[i-2] < kept[i]-kept[i-1] {
				t.Fatalf("after %d rows: the gap before position %d is wider than the one before: %v", n+1, kept[i], kept)
			}
		}
		if n > 1000 && kept[1]-kept[0] < 30 {
			t.Fatalf("after %d rows the first are %v", n+1, kept[:10])
		}
	}
}

// Rows dropped many at a time are those that go one at a time, and heads that share a budget keep as many each.
func TestTreeKVManyAtATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heads := rapid.SampledFrom([]string{"uniform", "pair"}).Draw(t, "heads")
		s := newStream(t, "treekv:interval=4,heads="+heads, 24, 0, 1, 2)
		one := newStream(t, "treekv:interval=4", 24, 0, 1, 2)
		n := rapid.IntRange(25, 60).Draw(t, "rows")
		s.read(n)
		one.read(n)
		s.evict(0, 0)
		for room := 24 - n + 1; room <= 0; room++ { // to a budget that shrinks row by row
			one.evict(0, room)
		}
		for h := range s.names {
			if got, want := s.keptBy(0, h), one.keptBy(0, h); !slices.Equal(got, want) {
				t.Fatalf("head %d: %v, want %v", h, got, want)
			}
		}
	})
}
