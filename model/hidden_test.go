package model

import (
	"math"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// The output matrix times the hidden states is the logits.
func TestHiddenStatesMakeTheLogits(t *testing.T) {
	m := synthModel(t, "llama-tiny", quant.F32)
	r := newRunner(t, m, 2)
	a, b := newSequence(t, m, quant.F32), newSequence(t, m, quant.F32)
	const n = 20
	rows := func(s *Sequence) []Row {
		list := make([]Row, n)
		for i, id := range text(n, 1) {
			list[i] = Row{Token: id, Position: int32(i), Sequence: s, Logits: i%3 == 0}
		}
		return list
	}
	states := map[int][]float32{}
	err := r.Hidden(rows(a), nil, func(row int, values []float32) { states[row] = append([]float32(nil), values...) })
	if err != nil || len(states) != 7 {
		t.Fatalf("%d states, error %v", len(states), err)
	}
	err = r.Forward(rows(b), nil, func(row int, logits []float32) {
		state := states[row]
		if len(state) != m.Embedding {
			t.Fatalf("the state of row %d has %d values, want %d", row, len(state), m.Embedding)
		}
		w := make([]float32, m.Embedding)
		for id := range 10 {
			if err := quant.Decode(quant.F32, w, m.output.Row(id)); err != nil {
				t.Fatal(err)
			}
			var want float64
			for i, v := range state {
				want += float64(v) * float64(w[i])
			}
			if d := math.Abs(want - float64(logits[id])); d > 1e-4 {
				t.Fatalf("logit %d of row %d is %v, want %v", id, row, logits[id], want)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
