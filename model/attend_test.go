package model

import (
	"math"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// longPast is a text of more than two segments, of noise.
func longPast(t *testing.T, m *Model, rows quant.Type) *Sequence {
	t.Helper()
	seq := newSequence(t, m, rows)
	if err := fillNoise(t, seq, 2*kvcache.PageRows*attention.SegmentSpans+300); err != nil {
		t.Fatal(err)
	}
	return seq
}

// TestSegmentsAreSharedOut: over a long past, threads share what a single one works through, and the logits are the same
// bits, for one row and for many.
func TestSegmentsAreSharedOut(t *testing.T) {
	for _, name := range shapes() {
		m := synthModel(t, name, quant.Q8_0)
		var want [][]float32
		for _, threads := range []int{1, 2} {
			r, seq := newRunner(t, m, threads), longPast(t, m, quant.F16)
			at := seq.Cache.Seen()
			var got [][]float32
			for _, n := range []int{1, 2, 50} {
				got = append(got, forward(t, r, seq, text(n, 3), at)...)
				at += n
				if shared := r.segments > 1; shared != (r.Threads() > 1 && len(r.tiles)*m.KVHeads < sharedTiles*r.Threads()) {
					t.Fatalf("%s: %d rows with %d threads: %d segments", name, n, r.Threads(), r.segments)
				}
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

// TestAttendingBytes: what is planned for a batch is enough for it and for smaller ones.
func TestAttendingBytes(t *testing.T) {
	for _, name := range shapes() {
		m := synthModel(t, name, quant.F32)
		seq := longPast(t, m, quant.F16)
		cached := seq.Cache.Seen()
		for _, threads := range []int{1, 2, 3, 16, 64} {
			planned, taken := attendingBytes(m, 150, cached, threads), int64(0)
			for n := 1; n <= 150; n++ {
				batch := make([]Row, n)
				for i := range batch {
					batch[i] = Row{Sequence: seq, Position: int32(cached + i)}
				}
				var a attending
				a.resize(m, batch, threads)
				taken = max(taken, 4*int64(len(a.positions)+len(a.partials)))
			}
			if taken > planned || planned > 4*taken {
				t.Errorf("%s with %d threads: %d bytes taken, %d planned", name, threads, taken, planned)
			}
		}
	}
}
