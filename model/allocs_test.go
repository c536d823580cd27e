package model

import (
	"fmt"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// allocations is the fewest that f makes in three tries: a thread that came too late to have a share of one try makes
// its memory in the next.
func allocations(f func()) float64 {
	least := testing.AllocsPerRun(1, f)
	for range 2 {
		least = min(least, testing.AllocsPerRun(1, f))
	}
	return least
}

// A token is decoded in memory that is there already: what its layers need, in the runner, was made for the first
// token, and the cache grows only by whole pages.
func TestDecodingDoesNotAllocate(t *testing.T) {
	for _, name := range allShapes() {
		for _, weights := range []quant.Type{quant.F32, quant.BF16, quant.Q4_0, quant.Q8_0} {
			m := synthModel(t, name, weights)
			for _, rows := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
				if _, err := rows.RowBytes(m.KeyDim); err != nil {
					continue // heads that the type's blocks do not fit
				}
				if testing.Short() && weights != quant.Q4_0 && rows != quant.F16 {
					continue
				}
				for _, threads := range []int{1, 2} {
					t.Run(fmt.Sprintf("%s/%s/cache=%s/threads=%d", name, weights, rows, threads), func(t *testing.T) {
						decodeWithoutAllocating(t, m, rows, threads)
					})
				}
			}
		}
	}
}

func decodeWithoutAllocating(t *testing.T, m *Model, rows quant.Type, threads int) {
	const prompt, tokens, runs = 20, 17, 6 // AllocsPerRun decodes the tokens twice; all of them are within a page
	r, seq := newRunner(t, m, threads), newSequence(t, m, rows)
	begin := text(prompt, 1)
	for i := range begin {
		begin[i] %= int32(m.Vocabulary)
	}
	forward(t, r, seq, begin, 0)
	batch, sum := make([]Row, 1), float32(0)
	look := func(_ int, logits []float32) { sum += logits[0] }
	got := allocations(func() {
		for range tokens {
			pos := seq.Cache.Seen()
			batch[0] = Row{Token: int32(3 + pos), Position: int32(pos), Sequence: seq, Logits: true}
			if err := r.Forward(batch, nil, look); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := seq.Cache.Seen(); n != prompt+runs*tokens || n > kvcache.PageRows {
		t.Fatalf("%d rows", n)
	}
	if got != 0 {
		t.Errorf("%v allocations for %d tokens", got, tokens)
	}
}

// A batch that gathers rows of several sequences is no different.
func TestDecodingTogetherDoesNotAllocate(t *testing.T) {
	const texts, tokens = 5, 20
	for _, name := range allShapes() {
		m := synthModel(t, name, quant.Q8_0)
		r := newRunner(t, m, 2)
		var batch []Row
		for i := range texts {
			batch = append(batch, Row{Token: int32(3 + i), Sequence: newSequence(t, m, quant.F16), Logits: i%2 == 0})
		}
		got := allocations(func() {
			for range tokens {
				if err := r.Forward(batch, nil, nil); err != nil {
					t.Fatal(err)
				}
				for i := range batch {
					batch[i].Position++
				}
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations for %d batches", name, got, tokens)
		}
	}
}
