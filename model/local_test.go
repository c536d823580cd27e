package model

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// localModels are models whose queries do not see far in any layer.
func localModels(t *testing.T) map[string]*Model {
	models := fifoModels(t)
	models["chunks"] = chunkedModel(t, "ll", 100, quant.F32)
	models["windows"] = chunkedModel(t, "ww", 1, quant.F32)
	models["both"] = chunkedModel(t, "lw", 37, quant.F32)
	return models
}

// keepingSequence is a sequence that keeps all rows.
func keepingSequence(t *testing.T, m *Model, rows quant.Type) *Sequence {
	t.Helper()
	s := newSequence(t, m, rows)
	if s.Cache.Config().Local == (kvcache.Local{}) {
		t.Fatal("rows do not go anyway")
	}
	var err error
	if s.Cache, err = kvcache.New(m.CacheConfig(rows)); err != nil {
		t.Fatal(err)
	}
	return s
}

// Rows that no query sees may go: not a bit changes, in whatever pieces several texts come, with any number of threads, also
// where softmaxes start anew over a long text; and the cache stays as small as planned.
func TestRowsThatGoChangeNothing(t *testing.T) {
	length := kvcache.PageRows*attention.SegmentSpans + 700
	for name, m := range localModels(t) {
		for _, typ := range []quant.Type{quant.F32, quant.F16} {
			if testing.Short() && typ == quant.F32 {
				continue
			}
			const texts = 2
			var want [texts][][]float32
			for s := range texts {
				want[s] = forward(t, newRunner(t, m, 1), keepingSequence(t, m, typ), text(length, s+1), 0)
			}
			for _, threads := range []int{1, 2} {
				r, rng := newRunner(t, m, threads), rand.New(rand.NewPCG(uint64(threads), 5))
				var seqs [texts]*Sequence
				for s := range seqs {
					seqs[s] = newSequence(t, m, typ)
				}
				next, most := [texts]int{}, 600
				for slices.Min(next[:]) < length {
					if n := slices.Max(next[:]); n > length-40 && n < length {
						most = 2 // one by one, so that threads share segments
					}
					var batch []Row
					for s := range texts {
						for i := range min(1+rng.IntN(most), length-next[s]) {
							at := next[s] + i
							batch = append(batch, Row{Token: text(length, s+1)[at], Position: int32(at), Sequence: seqs[s], Logits: true})
						}
					}
					if rng.IntN(4) == 0 { // a batch that fails changes nothing
						stop := new(atomic.Bool)
						stop.Store(true)
						if err := r.Forward(batch, stop, nil); !errors.Is(err, ErrStopped) {
							t.Fatal(err)
						}
					}
					err := r.Forward(batch, nil, func(i int, logits []float32) {
						s := slices.Index(seqs[:], batch[i].Sequence)
						if !slices.Equal(logits, want[s][batch[i].Position]) {
							t.Fatalf("%s, %s, %d threads: text %d, row %d differs", name, typ, threads, s, batch[i].Position)
						}
					})
					if err != nil {
						t.Fatal(err)
					}
					for _, row := range batch {
						next[slices.Index(seqs[:], row.Sequence)] = int(row.Position) + 1
					}
				}
				for s := range seqs {
					bytes, err := m.CacheConfig(typ).Bytes(seqs[s].MostRows(length, 600))
					if err != nil {
						t.Fatal(err)
					}
					if got := seqs[s].Cache.PeakBytes(); got > bytes || seqs[s].Cache.MostRows() > length/4 {
						t.Errorf("%s: %d bytes, planned were %d; %d rows of %d", name, got, bytes, seqs[s].Cache.MostRows(), length)
					}
				}
			}
		}
	}
}

// A text may be taken back within its last chunk, and with windows by a page at least.
func TestTextsWithoutTheirBeginningAreTakenBack(t *testing.T) {
	for name, m := range localModels(t) {
		r, tokens := newRunner(t, m, 1), text(1500, 3)
		want := forward(t, r, keepingSequence(t, m, quant.F32), tokens, 0)
		for _, have := range []int{1, 640, 1111, 1499} {
			s := newSequence(t, m, quant.F32)
			forward(t, r, s, tokens[:have], 0)
			back := kvcache.PageRows
			if n := m.local().Chunk; n > 0 {
				back = min(back, (have-1)%n)
			}
			for _, n := range []int{max(0, have-1), max(0, have-back)} {
				if n == have {
					continue
				}
				if err := s.Truncate(n); err != nil && n >= have-back {
					t.Fatalf("%s: %d rows to %d: %v", name, have, n, err)
				}
				if s.Cache.Seen() != n {
					continue // one row back is the chunk before
				}
				sameBits(t, fmt.Sprintf("%s: %d rows to %d", name, have, n), forward(t, r, s, tokens[n:have], n), want[n:have])
			}
			sameBits(t, name, forward(t, r, s, tokens[have:], have), want[have:])
			if err := s.Truncate(100); err == nil || s.Cache.Seen() != len(tokens) {
				t.Errorf("%s: taken back to rows that are gone: %v", name, err)
			}
		}
	}
}

// Rows stay where a layer sees all of them, where a policy chooses from them, and where a method finds them.
func TestRowsThatAreSeenStay(t *testing.T) {
	windows := chunkedModel(t, "ww", 1, quant.F32)
	for what, s := range map[string]*Sequence{
		"a full layer": newSequence(t, chunkedModel(t, "lg", 8, quant.F32), quant.F32),
		"a policy":     methodSequence(t, windows, quant.F32, "", "window", 500),
		"a method":     methodSequence(t, windows, quant.F32, "chunked:chunk=8", "", 0),
		"gemma2":       newSequence(t, synthModel(t, "gemma2-tiny", quant.F32), quant.F32),
	} {
		forward(t, newRunner(t, s.model, 1), s, text(400, 1), 0)
		if n := s.Cache.MostRows(); n != 400 || s.MostRows(4000, 100) != 4000 {
			t.Errorf("%s: %d rows are left, at most %d of 4000", what, n, s.MostRows(4000, 100))
		}
	}
}

// Noise goes as a text's rows do.
func TestFillOfLocalLayers(t *testing.T) {
	for _, name := range []string{"chunks", "windows"} {
		m := localModels(t)[name]
		s, keeping := newSequence(t, m, quant.F16), keepingSequence(t, m, quant.F16)
		for _, x := range []*Sequence{s, keeping} {
			if err := fillNoise(t, x, 5000); err != nil {
				t.Fatal(err)
			}
		}
		if n := s.Cache.MostRows(); n > 400 || s.Cache.Seen() != 5000 {
			t.Errorf("%s: %d rows are left", name, n)
		}
		r := newRunner(t, m, 2)
		sameBits(t, name, forward(t, r, s, text(50, 2), 5000), forward(t, r, keeping, text(50, 2), 5000))
	}
}
