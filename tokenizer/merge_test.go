package tokenizer

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// counter counts how often pairs are looked up, which is what merging costs.
type counter struct {
	joiner
	n *int
}

func (c counter) join(left, right, after int32) (rank uint32, merged int32) {
	*c.n++
	return c.joiner.join(left, right, after)
}

// slowMerge looks at all pairs for every merge.
func slowMerge(j joiner, val []int32) []int32 {
	val = slices.Clone(val)
	for {
		best, bestRank := -1, uint32(noRank)
		for i := range len(val) - 2 {
			if r, _ := j.join(val[i], val[i+1], val[i+2]); r < bestRank {
				best, bestRank = i, r
			}
		}
		if best < 0 {
			return val
		}
		_, val[best] = j.join(val[best], val[best+1], val[best+2])
		val = slices.Delete(val, best+1, best+2)
	}
}

// randomPairs draws merges over an alphabet: any two symbols may merge to a new one or, unlike in a trained vocabulary,
// to an older one, at any rank, and ranks may be equal.
func randomPairs(t *rapid.T, symbols int) *pairTable {
	table := newPairTable(64)
	for range rapid.IntRange(1, 40).Draw(t, "merges") {
		id := rapid.Int32Range(0, int32(symbols+20))
		table.insert(pairCell{
			left: id.Draw(t, "left"), right: id.Draw(t, "right"), merged: id.Draw(t, "merged"),
			rank: rapid.Uint32Range(0, 30).Draw(t, "rank"),
		})
	}
	return table
}

func TestMergeIsTheSlowWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := randomPairs(t, 4)
		val := rapid.SliceOfN(rapid.Int32Range(0, 3), 0, 3*shortWord).Draw(t, "symbols")
		val = append(val, -1)
		var buf mergeBuffers
		want := slowMerge(table, val)
		if got := merge(table, slices.Clone(val), &buf); !slices.Equal(got, want) {
			t.Fatalf("merge gives %v, want %v", got, want)
		}
		if n := len(val) - 1; n > 0 {
			buf.starts, buf.merged = buf.starts[:0], buf.merged[:0]
			mergeChain(table, val, 0, n, &buf)
			if !slices.Equal(buf.merged, want[:len(want)-1]) {
				t.Fatalf("mergeChain gives %v, want %v", buf.merged, want)
			}
		}
	})
}

// mergeWhole merges without windows.
func mergeWhole(j joiner, val []int32) []int32 {
	var buf mergeBuffers
	mergeChain(j, val, 0, len(val)-1, &buf)
	return append(buf.merged, val[len(val)-1])
}

func TestMergeInWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := randomPairs(t, 3)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		val := make([]int32, 3*windowSymbols+rapid.IntRange(0, windowSymbols).Draw(t, "more"))
		period := rapid.SampledFrom([]int{1, 2, 3, 7, len(val)}).Draw(t, "period")
		for i := range val {
			if val[i] = rng.Int32N(3); i >= period {
				val[i] = val[i-period]
			}
		}
		var buf mergeBuffers
		want := mergeWhole(table, val)
		if got := mergeLong(table, val, &buf); !slices.Equal(got, want) {
			t.Fatalf("%d tokens differ from %d", len(got), len(want))
		}
	})
}

// backwards merges neighbours of a rising sequence from the right: which pairs form depends on where the text ends, and
// no boundary is sure before that.
type backwards struct{}

func (backwards) join(left, right, _ int32) (rank uint32, merged int32) {
	if left >= 0 && right == left+1 {
		return uint32(1<<30 - left), -left - 2
	}
	return noRank, 0
}

func TestMergeDependsOnTheEnd(t *testing.T) {
	for _, n := range []int{windowSymbols - 1, windowSymbols, windowSymbols + 1, 5*windowSymbols + 1, 40*windowSymbols + 2} {
		val := make([]int32, n+1)
		for i := range val {
			val[i] = int32(i)
		}
		val[n] = -1
		var buf mergeBuffers
		count := 0
		got := mergeLong(counter{backwards{}, &count}, val, &buf)
		if want := mergeWhole(backwards{}, val); !slices.Equal(got, want) {
			t.Errorf("%d symbols: %d tokens differ from %d", n, len(got), len(want))
		}
		if limit := 30 * n; count > limit {
			t.Errorf("%d symbols took %d lookups, more than %d", n, count, limit)
		}
	}
}

func TestMergeIsLinear(t *testing.T) {
	tok := mustNew(t, smallBPE())
	table := tok.encoder.(*bpeEncoder).pairs
	lookups := func(text func(i int) byte, n int) int {
		val := make([]int32, n+1)
		for i := range n {
			id, _ := tok.Lookup(string(byteRune[text(i)]))
			val[i] = id
		}
		var buf mergeBuffers
		count := 0
		merge(counter{table, &count}, val, &buf)
		return count
	}
	const n = 20 * windowSymbols
	rng := rand.New(rand.NewPCG(1, 1))
	for name, text := range map[string]func(i int) byte{
		"one letter":  func(int) byte { return 'a' },
		"two letters": func(i int) byte { return "ab"[i%2] },
		"random":      func(int) byte { return "abhelo wrd123!"[rng.IntN(14)] },
		"spaces":      func(int) byte { return ' ' },
	} {
		if count := lookups(text, n); count > 8*n {
			t.Errorf("%s: %d lookups for %d symbols", name, count, n)
		}
	}
}

func TestRankQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.Uint64Range(0, 1<<40)).Draw(t, "keys")
		more := rapid.SliceOf(rapid.Uint64Range(0, 1<<40)).Draw(t, "more")
		q := slices.Clone(rankQueue(keys))
		q.init()
		for _, k := range more {
			q.push(k)
		}
		want := slices.Sorted(slices.Values(append(slices.Clone(keys), more...)))
		for _, k := range want {
			if rank, position := q.pop(); rankKey(rank, position) != k {
				t.Fatalf("got %d at %d, want %d", rank, position, k)
			}
		}
		if len(q) != 0 {
			t.Fatalf("%d keys too many", len(q))
		}
	})
}

func TestRankOfScore(t *testing.T) {
	inf := float32(math.Inf(1))
	scores := []float32{inf, 1e30, 2, 1, 1e-40, 0, -1e-40, -1, -2, -1e30, -inf} // the best first
	for i := range len(scores) - 1 {
		if a, b := rankOfScore(scores[i]), rankOfScore(scores[i+1]); a >= b {
			t.Errorf("%g has rank %d, %g has %d", scores[i], a, scores[i+1], b)
		}
	}
	var zero float32
	if rankOfScore(-zero) != rankOfScore(zero) || rankOfScore(float32(-1/inf)) != rankOfScore(0) {
		t.Error("zeros differ")
	}
	if rankOfScore(-inf) == noRank {
		t.Error("the lowest score does not merge")
	}
}
