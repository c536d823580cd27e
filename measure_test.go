package mneme

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/mneme-lm/mneme/weights/quant"
)

func TestFill(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m, WithKVType(quant.F32))
	if err := s.Fill(300); err != nil {
		t.Fatal(err)
	}
	if ids := s.Tokens(); len(ids) != 300 || slices.Max(ids) != 0 || slices.Min(ids) != 0 {
		t.Errorf("tokens %v", ids)
	}
	plan, err := m.Plan(300, WithKVType(quant.F32))
	if err != nil {
		t.Fatal(err)
	}
	st := s.Stats()
	if st.Memory.RowsKept != 300 || st.Memory.RowsSeen != 300 || st.Memory.KVBytes != plan.KVBytes || st.PromptTokens != 0 {
		t.Errorf("%+v, planned %d bytes", st, plan.KVBytes)
	}
	// What follows is a text like any other, and going back to the noise gives it again.
	first, _ := collect(t, s, "x", greedily(5)...)
	if err := s.Truncate(300); err != nil {
		t.Fatal(err)
	}
	ids := m.Tokenizer().Encode("x", encodeAll)
	var again []int32
	for token, err := range s.GenerateTokens(t.Context(), ids[1:], greedily(5)...) {
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, token.ID)
	}
	if len(first) != 5 || !slices.Equal(first, again) {
		t.Errorf("%v, then %v", first, again)
	}
}

func TestFillRefuses(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m)
	if err := s.Fill(-1); err == nil || s.Len() != 0 {
		t.Errorf("-1 tokens: %v", err)
	}
	if err := s.Fill(1 << 40); err == nil || s.Len() != 0 {
		t.Errorf("more than positions: %v", err)
	}
	if _, known := sysmem.Available(); known {
		if err := s.Fill(1<<31 - 1); !errors.Is(err, ErrMemory) || s.Len() != 0 || s.Stats().Memory.KVBytes != 0 {
			t.Errorf("more than memory: %v, %d tokens", err, s.Len())
		}
	}
	if err := s.Fill(0); err != nil || s.Len() != 0 {
		t.Errorf("none: %v", err)
	}
	collect(t, s, "x", greedily(1)...)
	n := s.Len()
	if err := s.Fill(1); err == nil || s.Len() != n {
		t.Errorf("after a text: %v, %d tokens", err, s.Len())
	}
	busy := newSession(t, m)
	busy.busy.Store(true)
	if err := busy.Fill(1); !errors.Is(err, ErrBusy) {
		t.Errorf("in use: %v", err)
	}
}

func TestWork(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	for _, typ := range []quant.Type{quant.F16, quant.F32} {
		got, err := m.Work(128, true, WithKVType(typ))
		if err != nil {
			t.Fatal(err)
		}
		plan, err := m.Plan(128, WithKVType(typ)) // a page: as much as its rows
		if err != nil {
			t.Fatal(err)
		}
		cfg := m.Config()
		positions := int64(128 * 4 * cfg.Layers * cfg.KVHeads)
		if got.CacheBytes+positions != plan.KVBytes || got.WeightBytes <= 0 || got.WeightBytes >= plan.WeightsBytes || got.Int8Ops <= 0 {
			t.Errorf("%s: %+v, plan %+v", typ, got, plan)
		}
	}
	if _, err := m.Work(1, true, WithPrefillBlock(0)); err == nil {
		t.Error("an option that is refused elsewhere was accepted")
	}
	if _, err := m.Work(-1, true); err == nil {
		t.Error("a negative context was accepted")
	}
}

// A session with a memory has a past of noise, too: it goes on, is saved, loaded and planned as any other.
func TestFillWithMemory(t *testing.T) {
	for name, m := range map[string]*Model{"fifo": fifoModel(t), "neural": neuralModel(t, 1), "neural, deep": neuralModel(t, 3)} {
		for _, n := range []int{1, 12, 1000} {
			s := newSession(t, m, WithKVType(quant.F32))
			if err := s.Fill(n); err != nil {
				t.Fatal(err)
			}
			plan, err := m.Plan(n, WithKVType(quant.F32))
			if err != nil {
				t.Fatal(err)
			}
			if mem := s.Stats().Memory; mem.StateBytes != plan.StateBytes || mem.KVBytes > plan.KVBytes || mem.RowsSeen != n {
				t.Errorf("%s, %d tokens: %+v, planned are %+v", name, n, mem, plan)
			}
			path := filepath.Join(t.TempDir(), "session")
			if err := s.Save(path); err != nil {
				t.Fatal(err)
			}
			want := evaluated(t, s, fifoText(40))
			if slices.ContainsFunc(want[39], func(v float32) bool { return v-v != 0 }) {
				t.Errorf("%s: %v", name, want[39][:4])
			}
			other := newSession(t, m, WithKVType(quant.F32))
			if err := other.Load(path); err != nil {
				t.Fatal(err)
			}
			sameRows(t, name, evaluated(t, other, fifoText(40)), want)
		}
	}
}
