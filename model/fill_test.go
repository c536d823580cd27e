package model

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/weights/quant"
)

func TestFillIsAPastOfNoise(t *testing.T) {
	for _, name := range []string{"llama-tiny", "gemma2-tiny"} {
		m := synthModel(t, name, quant.Q8_0)
		r := newRunner(t, m, 2)
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			for _, rows := range []int{0, 1, kvcache.PageRows, 3*kvcache.PageRows + 1} {
				a, b := newSequence(t, m, typ), newSequence(t, m, typ)
				for _, s := range []*Sequence{a, b} {
					if err := fillNoise(t, s, rows); err != nil {
						t.Fatal(err)
					}
				}
				if a.Cache.Seen() != rows || a.Cache.LastPosition() != int32(rows-1) {
					t.Fatalf("%d rows up to position %d, want %d", a.Cache.Seen(), a.Cache.LastPosition(), rows)
				}
				want := forward(t, r, a, text(3, 1), rows)
				for i, logits := range forward(t, r, b, text(3, 1), rows) {
					if !slices.Equal(logits, want[i]) || math.IsNaN(float64(logits[0])) {
						t.Fatalf("%s, %d rows of %s: logits %v… and %v…", name, rows, typ, logits[:3], want[i][:3])
					}
				}
			}
		}
	}
}

// The noise has the deviation it says, and no two heads or layers have the same.
func TestFillVaries(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.F32)
	s := newSequence(t, m, quant.F32)
	const rows = 2 * kvcache.PageRows
	if err := fillNoise(t, s, rows); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for l := range m.Layers {
		for h := range m.KVHeads {
			for i, span := range s.Cache.View(l, h).Spans {
				for j, bytes := range [][]byte{span.Keys, span.Values} {
					if seen[string(bytes)] {
						t.Errorf("page %d of head %d in layer %d is there already", i, h, l)
					}
					seen[string(bytes)] = true
					values := make([]float32, len(bytes)/4)
					if err := quant.Decode(quant.F32, values, bytes); err != nil {
						t.Fatal(err)
					}
					var squares float64
					for _, v := range values {
						squares += float64(v) * float64(v)
					}
					if got := math.Sqrt(squares / float64(len(values))); math.Abs(got-noiseDeviation) > noiseDeviation/10 {
						t.Errorf("layer %d, head %d, page %d, %d: deviation %g", l, h, i, j, got)
					}
				}
			}
		}
	}
}

func TestFillRefuses(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.F32)
	s := newSequence(t, m, quant.F16)
	if err := fillNoise(t, s, -1); err == nil || s.Cache.Seen() != 0 {
		t.Errorf("-1 rows: %v", err)
	}
	if err := fillNoise(t, s, math.MaxInt32+1); err == nil || s.Cache.Seen() != 0 {
		t.Errorf("too many rows: %v", err)
	}
	if err := fillNoise(t, s, 2); err != nil {
		t.Fatal(err)
	}
	if err := fillNoise(t, s, 2); err == nil || s.Cache.Seen() != 2 {
		t.Errorf("twice: %v, %d rows", err, s.Cache.Seen())
	}
	s = newSequence(t, m, quant.F16)
	s.limit = 10
	if err := fillNoise(t, s, 11); !errors.Is(err, ErrContext) || s.Cache.Seen() != 0 {
		t.Errorf("beyond the context: %v, %d rows", err, s.Cache.Seen())
	}
	if err := fillNoise(t, s, 10); err != nil {
		t.Error(err)
	}
}

// fillNoise fills a sequence with a runner of its own.
func fillNoise(t *testing.T, s *Sequence, rows int) error {
	t.Helper()
	_, err := newRunner(t, s.model, 1).Fill(s, rows, 512)
	return err
}

// A memory that took in noise is one that its text could have left, however long that is, and the text goes on.
func TestFillOfMemories(t *testing.T) {
	for name, m := range fifoModels(t) {
		r := newRunner(t, m, 1)
		for _, rows := range []int{1, fifoChunk, 2*fifoChunk + 1, 3000, 40000} {
			var want [][]float32
			for range 2 {
				s := newSequence(t, m, quant.F16)
				if err := fillNoise(t, s, rows); err != nil {
					t.Fatal(err)
				}
				saved := s.Memories().Save()
				restored, err := s.ReadMemories(saved, rows)
				if err != nil {
					t.Fatalf("%s, %d rows: %v", name, rows, err)
				}
				chunks, groups := (rows-1)/fifoChunk, m.Fifo.Slots/m.Fifo.PerChunk
				if got := s.memories[1].(*fifo.Bank).Filled(); got != min(chunks, groups)*m.Fifo.PerChunk {
					t.Errorf("%s: %d slots are filled after %d rows", name, got, rows)
				}
				got := forward(t, r, s, text(30, 1), rows)
				if want == nil {
					want = got
				}
				sameBits(t, name, got, want)
				if !bytes.Equal(restored.Save(), saved) {
					t.Errorf("%s: a memory changes when it is saved", name)
				}
			}
		}
	}
}
