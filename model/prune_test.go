package model

import (
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// thinking is an empty sequence whose keys are pruned.
func thinking(t *testing.T, m *Model, policy string) *Sequence {
	t.Helper()
	e, err := kvcache.NewEviction(policy, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.NewSequence(SequenceOptions{Rows: quant.F16, Eviction: e})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Over a long past, with pages of both kinds that are not full, and one segment more for it, threads share what a single
// one works through: the same channels stay, and the logits are the same bits.
func TestPrunedKeysAreSharedOut(t *testing.T) {
	for _, name := range shapes() {
		m := synthModel(t, name, quant.Q8_0)
		var want [][]float32
		for _, threads := range []int{1, 2} {
			r, seq := newRunner(t, m, threads), thinking(t, m, "full+think:ratio=0.5")
			if err := fillNoise(t, seq, kvcache.PageRows*attention.SegmentSpans-8); err != nil {
				t.Fatal(err)
			}
			if err := r.Prune(seq); err != nil || seq.Cache.View(0, 0).Spans[0].Channels != nil {
				t.Fatalf("keys were pruned without a query; error %v", err)
			}
			at := seq.Cache.Seen()
			var got [][]float32
			for _, n := range []int{5, 1, 2, 50} {
				got = append(got, forward(t, r, seq, text(n, 3), at)...)
				at += n
				if err := r.Prune(seq); err != nil {
					t.Fatal(err)
				}
			}
			view := seq.Cache.View(m.Layers-1, m.KVHeads-1)
			if n := len(view.Channels()); n != m.KeyDim/2 || attention.Segments(&view) != 2 {
				t.Fatalf("%s: %d channels, %d segments", name, n, attention.Segments(&view))
			}
			if want == nil {
				want = got
			}
			for i := range want {
				for j, v := range want[i] {
					if math.Float32bits(got[i][j]) != math.Float32bits(v) {
						t.Fatalf("%s: logit %d of row %d is %v with %d threads, %v with one", name, j, i, got[i][j], threads, v)
					}
				}
			}
		}
	}
}

// Once channels are chosen, a token costs no memory but that of pages.
func TestDecodingOverPrunedKeysDoesNotAllocate(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.Q8_0)
	for _, threads := range []int{1, 2} {
		r, seq := newRunner(t, m, threads), thinking(t, m, "full+think:ratio=0.5")
		forward(t, r, seq, text(300, 1), 0)
		if err := r.Prune(seq); err != nil {
			t.Fatal(err)
		}
		batch := make([]Row, 1)
		got := allocations(func() {
			for range 15 {
				pos := seq.Cache.Seen()
				batch[0] = Row{Token: 3, Position: int32(pos), Sequence: seq, Logits: true}
				if err := r.Prune(seq); err != nil {
					t.Fatal(err)
				}
				if err := r.Forward(batch, nil, nil); err != nil {
					t.Fatal(err)
				}
			}
		})
		if n := seq.Cache.View(0, 0).Spans; got != 0 || len(n) != 4 {
			t.Errorf("%d threads: %v allocations, %d spans", threads, got, len(n))
		}
	}
}

// A batch that is taken out again, as one that fails is, leaves the queries by which channels are chosen as they were.
func TestABatchTakenOutLeavesQueries(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.Q8_0)
	r := newRunner(t, m, 1)
	var channels [2][]int32
	for i := range channels {
		seq := thinking(t, m, "full+think:ratio=0.5")
		forward(t, r, seq, text(130, 1), 0)
		if i == 1 {
			forward(t, r, seq, text(41, 2), 130)
			if err := seq.Cache.Truncate(130); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Prune(seq); err != nil {
			t.Fatal(err)
		}
		view := seq.Cache.View(1, 1)
		channels[i] = view.Channels()
	}
	if len(channels[0]) != m.KeyDim/2 || !slices.Equal(channels[0], channels[1]) {
		t.Fatalf("channels %v, want %v", channels[1], channels[0])
	}
}
