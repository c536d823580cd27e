package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/weights/quant"
)

// splitTolerance is how far logits may differ between ways of cutting and mixing batches.
const splitTolerance = 1e-4

func sameLogits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i]-want[i])) <= splitTolerance) {
			t.Fatalf("%s: logit %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

func TestPrefillInPiecesIsPrefillAtOnce(t *testing.T) {
	for _, name := range allShapes() {
		for _, typ := range []quant.Type{quant.F32, quant.Q8_0} {
			t.Run(fmt.Sprint(name, typ), func(t *testing.T) {
				t.Parallel()
				m := synthModel(t, name, typ)
				r := newRunner(t, m, 2)
				tokens := text(150, 3)
				want := forward(t, r, newSequence(t, m, quant.F16), tokens, 0)
				sizes := []int{1, 7, 64, 149}
				if testing.Short() {
					sizes = sizes[1:2]
				}
				for _, size := range sizes {
					seq := newSequence(t, m, quant.F16)
					for at := 0; at < len(tokens); at += size {
						end := min(at+size, len(tokens))
						for i, logits := range forward(t, r, seq, tokens[at:end], at) {
							sameLogits(t, fmt.Sprintf("pieces of %d, token %d", size, at+i), logits, want[at+i])
						}
					}
				}
			})
		}
	}
}

func TestSequencesInOneBatchAreAlone(t *testing.T) {
	for _, name := range allShapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := synthModel(t, name, quant.Q8_0)
			r := newRunner(t, m, 2)
			const texts, length = 5, 40
			var alone [texts][][]float32
			var seqs [texts]*Sequence
			for s := range texts {
				alone[s] = forward(t, r, newSequence(t, m, quant.F16), text(length, s+1), 0)
				seqs[s] = newSequence(t, m, quant.F16)
			}
			// Each batch takes some tokens of every text, in turn: text s has s+1 tokens in it.
			next := [texts]int{}
			for {
				var batch []Row
				var from [][2]int
				for s := range texts {
					ids := text(length, s+1)
					for range s + 1 {
						if next[s] < length {
							batch = append(batch, Row{Token: ids[next[s]], Position: int32(next[s]), Sequence: seqs[s], Logits: next[s]%3 == 0})
							from = append(from, [2]int{s, next[s]})
							next[s]++
						}
					}
				}
				if len(batch) == 0 {
					break
				}
				seen := 0
				err := r.Forward(batch, nil, func(i int, logits []float32) {
					s, at := from[i][0], from[i][1]
					sameLogits(t, fmt.Sprintf("text %d, token %d", s, at), logits, alone[s][at])
					seen++
				})
				if err != nil {
					t.Fatal(err)
				}
				if want := len(slices.DeleteFunc(batch, func(row Row) bool { return !row.Logits })); seen != want {
					t.Fatalf("%d rows with logits, want %d", seen, want)
				}
			}
		})
	}
}

func TestThreadsChangeNoBit(t *testing.T) {
	for _, name := range allShapes() {
		for _, typ := range []quant.Type{quant.F16, quant.Q4_0} {
			m := synthModel(t, name, typ)
			one, many := newRunner(t, m, 1), newRunner(t, m, 0)
			tokens := text(60, 11)
			a, b := newSequence(t, m, cacheType(m)), newSequence(t, m, cacheType(m))
			want := append(forward(t, one, a, tokens, 0), forward(t, one, a, tokens[:1], 60)...)
			got := append(forward(t, many, b, tokens, 0), forward(t, many, b, tokens[:1], 60)...)
			for i := range want {
				if !slices.Equal(got[i], want[i]) {
					t.Fatalf("%s %s: logits after token %d differ between 1 and %d threads", name, typ, i, many.Threads())
				}
			}
		}
	}
}

func TestConcurrentForwards(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.Q8_0)
	r := newRunner(t, m, 2)
	want := forward(t, r, newSequence(t, m, quant.F16), text(20, 1), 0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			seq, err := m.NewSequence(SequenceOptions{Rows: quant.F16})
			if err != nil {
				t.Error(err)
				return
			}
			for i, id := range text(20, 1) {
				err := r.Forward([]Row{{id, int32(i), seq, true}}, nil, func(_ int, logits []float32) {
					for j, v := range logits {
						if math.Abs(float64(v-want[i][j])) > splitTolerance {
							t.Errorf("token %d: logit %d is %v, want %v", i, j, v, want[i][j])
							return
						}
					}
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestForwardRefusesAndLeavesThingsAsTheyWere(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.F32)
	other := synthModel(t, "llama-tiny", quant.F32)
	r := newRunner(t, m, 1)
	seq := newSequence(t, m, quant.F32)
	forward(t, r, seq, text(5, 1), 0)
	good := Row{Token: 3, Position: 5, Sequence: seq}
	for name, rows := range map[string][]Row{
		"negative token":   {good, {Token: -1, Position: 6, Sequence: seq}},
		"token too large":  {good, {Token: int32(m.Vocabulary), Position: 6, Sequence: seq}},
		"same position":    {good, {Token: 3, Position: 5, Sequence: seq}},
		"earlier position": {{Token: 3, Position: 2, Sequence: seq}},
		"no sequence":      {good, {Token: 3, Position: 6}},
		"another model's":  {good, {Token: 3, Position: 0, Sequence: newSequence(t, other, quant.F32)}},
	} {
		if err := r.Forward(rows, nil, nil); err == nil {
			t.Errorf("%s: no error", name)
		}
		if seq.Cache.Seen() != 5 {
			t.Fatalf("%s: %d rows in the cache, want 5", name, seq.Cache.Seen())
		}
	}
	if err := r.Forward([]Row{{Token: 3, Position: 2, Sequence: seq}}, nil, nil); !errors.Is(err, kvcache.ErrPosition) {
		t.Errorf("earlier position: %v", err)
	}
	if err := r.Forward(nil, nil, nil); err != nil {
		t.Errorf("empty batch: %v", err)
	}
	if err := r.Forward([]Row{good}, nil, nil); err != nil || seq.Cache.Seen() != 6 {
		t.Errorf("after the errors: %v, %d rows", err, seq.Cache.Seen())
	}
}

func TestForwardStops(t *testing.T) {
	m := synthModel(t, "moe-tiny", quant.F32)
	r := newRunner(t, m, 2)
	seq := newSequence(t, m, quant.F32)
	want := forward(t, r, newSequence(t, m, quant.F32), text(9, 1), 0)
	for range 20 {
		var stop atomic.Bool
		stop.Store(true)
		if err := r.Forward([]Row{{3, 0, seq, true}}, &stop, nil); !errors.Is(err, ErrStopped) || seq.Cache.Seen() != 0 {
			t.Fatalf("error %v, %d rows", err, seq.Cache.Seen())
		}
		// In the middle: whenever it comes, the sequence is either as it was or one batch longer.
		stop.Store(false)
		go stop.Store(true)
		batch := make([]Row, 9)
		for i, id := range text(9, 1) {
			batch[i] = Row{id, int32(i), seq, true}
		}
		err := r.Forward(batch, &stop, func(i int, logits []float32) { sameLogits(t, "beside a stop", logits, want[i]) })
		if n := seq.Cache.Seen(); errors.Is(err, ErrStopped) && n != 0 || err == nil && n != 9 {
			t.Fatalf("error %v, %d rows", err, n)
		}
		if err := seq.Cache.Truncate(0); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForwardAfterClose(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.F32)
	r := newRunner(t, m, 2)
	r.Close()
	seq := newSequence(t, m, quant.F32)
	if err := r.Forward([]Row{{3, 0, seq, true}}, nil, nil); err == nil || seq.Cache.Seen() != 0 {
		t.Fatalf("error %v, %d rows", err, seq.Cache.Seen())
	}
}

func TestScratchBytes(t *testing.T) {
	for _, name := range append(allShapes(), "fifo adapter", "neural adapter") {
		for _, typ := range []quant.Type{quant.F32, quant.BF16, quant.Q8_0} {
			var m *Model
			switch name {
			case "fifo adapter":
				m = withAdapter(t, synthModel(t, "phi3-tiny", quant.F32), adaptersOf(t, "phi3-tiny")[0].file(t, typ))
			case "neural adapter":
				m = withAdapter(t, synthModel(t, "phi3-tiny", quant.F32), adaptersOf(t, "phi3-tiny")[1].file(t, typ))
			default:
				m = synthModel(t, name, typ)
			}
			var s scratch
			batch := make([]Row, 37)
			seq := newSequence(t, m, quant.F32)
			for i := range batch {
				batch[i].Sequence, batch[i].Position, batch[i].Logits = seq, int32(i), i < 5
			}
			s.resize(m, batch, 2, true)
			got := 4 * int64(len(s.hidden)+len(s.q)+len(s.k)+len(s.v)+len(s.change)+len(s.cos)+len(s.sin)+len(s.logits)+len(s.positions)+len(s.fullPath)+len(s.memoryPath))
			r := &s.routing
			got += 4 * int64(len(r.scores)+len(r.chosen)+len(r.weight)+len(r.path)+len(r.rowOf)+len(r.number)+len(r.first)+len(r.paths))
			got += 4 * int64(len(s.plain)+len(s.sums)+len(s.gate)+len(s.keys)+len(s.values)+len(s.attendedTo)+len(s.order))
			for _, x := range []*neural.Rows{&s.learning.rows, &s.learned} {
				got += 4 * int64(len(x.Q)+len(x.K)+len(x.V)+len(x.Gates)+len(x.Out))
			}
			for _, x := range s.rounds {
				got += 4 * int64(len(x.rows))
			}
			for _, x := range []*kernels.Activations{s.normed, s.attended, s.inner, s.last, s.learning.read, s.context, s.bankRead} {
				if x != nil {
					got += int64(4*len(x.Float) + len(x.Q) + 4*len(x.Scales) + 2*len(x.Sums) + 2*len(x.BF16) + 4*tileValues(x))
				}
			}
			if want := m.ScratchBytes(37, 5, 37, 0); got != want {
				t.Errorf("%s %s: %d bytes, ScratchBytes says %d", name, typ, got, want)
			}
		}
	}
}

// cacheType is Q8_0 where the heads allow it.
func cacheType(m *Model) quant.Type {
	if m.KeyDim%32 == 0 {
		return quant.Q8_0
	}
	return quant.F16
}

func tileValues(x *kernels.Activations) int {
	return len(x.Starts) + len(x.BlockSums) + len(x.HalfStarts) + len(x.HalfSums) + len(x.HalfScales)
}
