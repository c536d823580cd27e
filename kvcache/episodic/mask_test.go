package episodic

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// seesByRule are the three rules as they are written.
func seesByRule(m BlockMask, t, key int) bool {
	if key < 0 || key > t {
		return false
	}
	b := t / m.Window
	overlap := int(math.Floor(m.Overlap * float64(m.Window)))
	own := key >= b*m.Window
	before := b > 0 && key >= b*m.Window-overlap && key < b*m.Window
	sink := t >= m.Sinks && key < m.Sinks
	return own || before || sink
}

func TestBlockMask(t *testing.T) {
	m := BlockMask{Window: 4, Sinks: 2, Overlap: 0.5}
	want := []string{ // a row for each query
		"x.........",
		"xx........",
		"xxx.......",
		"xxxx......",
		"xxxxx.....",
		"xxxxxx....",
		"xxxxxxx...",
		"xxxxxxxx..",
		"xx....xxx.",
		"xx....xxxx",
	}
	for query, row := range want {
		for key, c := range row {
			if got := m.Sees(query, key); got != (c == 'x') {
				t.Errorf("token %d sees %d: %v", query, key, got)
			}
		}
	}
	if got := m.Visible(nil, 9); !slices.Equal(got, []Range{{0, 2}, {6, 10}}) {
		t.Errorf("token 9 sees %v", got)
	}
}

func TestVisibleIsWhatIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := BlockMask{
			Window:  rapid.IntRange(1, 9).Draw(t, "window"),
			Sinks:   rapid.IntRange(0, 14).Draw(t, "sinks"),
			Overlap: rapid.OneOf(rapid.Just(0.0), rapid.Just(1.0), rapid.Just(.5), rapid.Float64Range(0, 1)).Draw(t, "overlap"),
		}
		query := rapid.IntRange(-1, 40).Draw(t, "query")
		ranges := m.Visible([]Range{{-9, -8}}, query)[1:]
		if len(ranges) > 3 {
			t.Fatalf("ranges %v", ranges)
		}
		at := -1
		for _, r := range ranges {
			if r.From <= at || r.To <= r.From {
				t.Fatalf("ranges %v", ranges)
			}
			at = r.To
		}
		for key := -2; key < 45; key++ {
			want := seesByRule(m, query, key)
			if got := m.Sees(query, key); got != want {
				t.Fatalf("%+v: token %d sees %d: %v", m, query, key, got)
			}
			if got := slices.ContainsFunc(ranges, func(r Range) bool { return r.From <= key && key < r.To }); got != want {
				t.Fatalf("%+v: token %d, %d, is in %v: %v", m, query, key, ranges, got)
			}
		}
	})
}

func TestBlockMaskThatMeansNothing(t *testing.T) {
	for _, m := range []BlockMask{
		{}, {Window: -1}, {Window: 4, Sinks: -1}, {Window: 4, Overlap: -.1}, {Window: 4, Overlap: 1.1}, {Window: 4, Overlap: math.NaN()},
	} {
		if m.Check() == nil {
			t.Errorf("%+v passes", m)
		}
		if m.Sees(3, 3) || m.Visible(nil, 3) != nil {
			t.Errorf("%+v: something is seen", m)
		}
	}
	for _, m := range []BlockMask{ProfileMask, {Window: 1}, {Window: math.MaxInt, Sinks: math.MaxInt, Overlap: 1}} {
		if err := m.Check(); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
		if !m.Sees(7, 7) || m.Sees(7, 8) {
			t.Errorf("%+v: a token sees itself and none that follow", m)
		}
	}
	ranges := make([]Range, 0, 3)
	if n := testing.AllocsPerRun(10, func() { ranges = ProfileMask.Visible(ranges[:0], 10000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
