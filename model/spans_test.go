package model

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Blocks that are opened may be more than there are pages, or fewer: whatever the lengths of text, blocks and batches, threads
// share them out as one thread goes through them, bit for bit, in no more memory than planned.
func TestOpenedBlocksAreSharedOut(t *testing.T) {
	texts := uint64(25)
	if testing.Short() {
		texts = 8
	}
	for seed := range texts {
		rng := rand.New(rand.NewPCG(seed, 11))
		m := synthModel(t, []string{"llama-tiny", "mneme-tiny"}[rng.IntN(2)], quant.Q8_0)
		summary, most := []string{"mean", "bounds", "clusters,segment=2048"}[rng.IntN(3)], 8
		if summary == "clusters,segment=2048" {
			most = 2
		}
		block := 16 << rng.IntN(most)
		name := fmt.Sprintf("retrieval:summary=%s,block=%d,sinks=%d,local=%d", summary, block, rng.IntN(200), 1+rng.IntN(200))
		budget := 4096 + rng.IntN(4096)
		past := rng.IntN(3*budget) + 100
		batches := []int{1, 1 + rng.IntN(3), 1 + rng.IntN(200)}
		var want [][]float32
		for _, threads := range []int{1, 2} {
			method, err := attention.NewMethod(name, budget)
			if err != nil {
				t.Fatal(err)
			}
			seq, err := m.NewSequence(SequenceOptions{Rows: quant.F16, Attention: method})
			if err != nil {
				t.Fatal(err)
			}
			r := newRunner(t, m, threads)
			if _, err := r.Fill(seq, past, 512); err != nil {
				t.Fatal(err)
			}
			at := past
			var got [][]float32
			for _, n := range batches {
				got = append(got, forward(t, r, seq, text(n, int(seed)), at)...)
				at += n
				spans := at
				if at > budget {
					spans = max(at, method.Retrieval.MostSpans(method.Retrieval.Unsealed(n))*kvcache.PageRows)
				}
				if took, planned := 4*int64(len(r.partials)+len(r.positions)), attendingBytes(m, n, spans, threads); n == slices.Max(batches) && took > planned {
					t.Fatalf("%s, budget %d, %d rows: %d bytes, planned were %d", name, budget, at, took, planned)
				}
			}
			if want == nil {
				want = got
			}
			sameBits(t, fmt.Sprintf("%s, budget %d, %d rows, batches of %v", name, budget, past, batches), got, want)
		}
	}
}
