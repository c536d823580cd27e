package mneme

import (
	"errors"
	"fmt"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// What a session takes that opens some of its rows is no more than what is planned for it, at any length, and however its
// text came to that length.
func TestPlanCoversBlocks(t *testing.T) {
	for _, shape := range []string{"llama-tiny", "qwen3-tiny", "mneme-tiny"} {
		m := synthModel(t, shape)
		for _, method := range []string{"retrieval:block=16,local=16", "retrieval:block=16,local=1,sinks=0,summary=bounds", "retrieval:summary=clusters,segment=32,local=8,sinks=0"} {
			for _, typ := range []quant.Type{quant.F32, quant.F16} {
				t.Run(fmt.Sprint(shape, typ, method), func(t *testing.T) {
					opts := []SessionOption{WithKVType(typ), WithAttention(method), WithKVBudget(64), WithPrefillBlock(50)}
					s := newSession(t, m, opts...)
					for _, n := range []int{1, 30, 1, 200, 1, 1, 250, -200, 120, 300} {
						if n < 0 {
							if err := s.Truncate(s.Len() + n); err != nil {
								t.Fatal(err)
							}
						} else if err := s.Evaluate(t.Context(), text(m, n), nil); err != nil {
							t.Fatal(err)
						}
						plan, err := m.Plan(s.Len(), opts...)
						if err != nil {
							t.Fatal(err)
						}
						got := s.Stats().Memory
						if got.StateBytes > plan.StateBytes || got.KVBytes > plan.KVBytes || s.Len() > 100 && got.StateBytes == 0 {
							t.Fatalf("%d tokens: %d bytes of state and %d of rows, planned were %d and %d", s.Len(), got.StateBytes, got.KVBytes, plan.StateBytes, plan.KVBytes)
						}
					}
					full, err := m.Plan(s.Len(), WithKVType(typ))
					if err != nil || full.StateBytes != 0 {
						t.Fatalf("without blocks %d bytes of state are planned, %v", full.StateBytes, err)
					}
				})
			}
		}
	}
}

func TestPlanRefusesMethods(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	for _, opts := range [][]SessionOption{
		{WithAttention("sparse")}, {WithAttention("retrieval")}, {WithAttention("landmark")}, {WithAttention("full"), WithKVBudget(100)},
		{WithAttention("retrieval"), WithKVBudget(100)},
	} {
		if plan, err := m.Plan(1000, opts...); err == nil {
			t.Errorf("%+v", plan)
		}
	}
	if plan, err := m.Plan(1<<62, WithAttention("retrieval"), WithKVBudget(1000)); err == nil {
		t.Errorf("%+v", plan)
	}
}

// The attention mass is 1 while all rows are opened and less from then on, and to ask for it changes nothing.
func TestAttentionMass(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	s := newSession(t, m, WithAttention("retrieval:block=16,local=16"), WithKVBudget(64))
	plain := newSession(t, m, WithAttention("retrieval:block=16,local=16"), WithKVBudget(64))
	if _, err := s.AttentionMass(t.Context()); err == nil || !s.OpensSome() || newSession(t, m).OpensSome() {
		t.Fatalf("an empty text: %v", err)
	}
	for _, n := range []int{40, 20, 100, 1, 1, 300} {
		ids := text(m, n)
		got, want := readAll(t, s, ids), readAll(t, plain, ids)
		for i := range want {
			for j, v := range want[i] {
				if got[i][j] != v {
					t.Fatalf("logit %d of token %d is %v, without measurements %v", j, i, got[i][j], v)
				}
			}
		}
		mass, err := s.AttentionMass(t.Context())
		if all := s.Len() <= 64; err != nil || all != (mass == 1) || !(mass > 0 && mass <= 1) {
			t.Errorf("%d tokens: attention mass %g, %v", s.Len(), mass, err)
		}
		if again, err := s.AttentionMass(t.Context()); err != nil || again != mass {
			t.Errorf("%d tokens: attention mass %g, then %g, %v", s.Len(), mass, again, err)
		}
	}
}

// Beside a learned memory, which has learned from the last token, the mass cannot be told; where all rows are opened it is 1. To ask for
// it changes nothing.
func TestAttentionMassBesideAMemory(t *testing.T) {
	m := neuralModel(t, 2)
	opening := []SessionOption{WithAttention("retrieval:block=16,local=16"), WithKVBudget(64)}
	s, plain := newSession(t, m, opening...), newSession(t, m, opening...)
	ids := landmarkText(200)
	for at := 0; at < len(ids); at += 50 {
		sameLogits(t, fmt.Sprintf("tokens from %d on", at), readPieces(t, s, ids[at:at+50], 50), readPieces(t, plain, ids[at:at+50], 50))
		if mass, err := s.AttentionMass(t.Context()); !errors.Is(err, ErrLearned) || mass != 0 {
			t.Errorf("%d tokens: attention mass %g, %v", at+50, mass, err)
		}
	}
	all := newSession(t, m)
	readPieces(t, all, ids, 50)
	if mass, err := all.AttentionMass(t.Context()); err != nil || mass != 1 {
		t.Errorf("all rows: attention mass %g, %v", mass, err)
	}
	left := newSession(t, m, append(opening, WithMemory("none"))...)
	readPieces(t, left, ids, 50)
	if mass, err := left.AttentionMass(t.Context()); err != nil || !(mass > 0 && mass < 1) {
		t.Errorf("without the memory: attention mass %g, %v", mass, err)
	}
}
