package sample

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// reader takes numbers off bytes, zeros when they end.
type reader []byte

func (r *reader) take(n int) []byte {
	out := make([]byte, n)
	*r = (*r)[copy(out, *r):]
	return out
}

func (r *reader) byte() byte { return r.take(1)[0] }

// number is any float64, often an ordinary one.
func (r *reader) number() float64 {
	switch kind := r.byte(); {
	case kind < 150:
		return float64(r.byte()) / 64
	case kind < 200:
		return float64(r.byte()) / 255
	default:
		return math.Float64frombits(binary.LittleEndian.Uint64(r.take(8)))
	}
}

// share is mostly from 0 to 1.
func (r *reader) share() float64 {
	if kind := r.byte(); kind < 240 {
		return float64(kind) / 239
	}
	return r.number()
}

// count is mostly small, and not negative.
func (r *reader) count() int {
	if kind := r.byte(); kind < 240 {
		return int(kind % 40)
	}
	return int(int64(binary.LittleEndian.Uint64(r.take(8))))
}

func (r *reader) options() Options {
	o := Options{
		Seed:             uint64(r.byte()),
		Temperature:      r.number(),
		DynamicRange:     r.number(),
		DynamicExponent:  r.number(),
		TopK:             r.count(),
		TopP:             r.share(),
		MinP:             r.share(),
		TypicalP:         r.share(),
		TopNSigma:        r.number(),
		XTCProbability:   r.share(),
		XTCThreshold:     r.share(),
		MinKeep:          r.count(),
		RepeatLastN:      r.count() - 1,
		RepeatPenalty:    r.number(),
		FrequencyPenalty: r.number(),
		PresencePenalty:  r.number(),
		DRYMultiplier:    r.number(),
		DRYBase:          r.number(),
		DRYAllowedLength: r.count(),
		DRYLastN:         r.count() - 1,
		Mirostat:         int(r.byte()%3) &^ 1,
		MirostatTau:      r.number(),
		MirostatEta:      r.number(),
		ContextSize:      r.count(),
	}
	if r.byte()%2 == 0 {
		o.LogitBias = map[int32]float32{int32(r.byte()): float32(r.number())}
	}
	if r.byte()%2 == 0 {
		o.DRYBase++
		o.Vocabulary, o.DRYBreakers = words{"a", "b", "ab", "\n"}, []string{"\n", "ba"}
	}
	if n := int(r.byte()); n%2 == 0 {
		order := DefaultOrder()
		for i := len(order) - 1; i > 0; i-- {
			j := int(r.byte()) % (i + 1)
			order[i], order[j] = order[j], order[i]
		}
		o.Order = order[:min(len(order), n/8)]
	}
	return o
}

func (r *reader) row() []float32 {
	row := make([]float32, int(r.byte())+1)
	for i := range row {
		switch kind := r.byte(); {
		case kind < 200:
			row[i] = float32(int(kind)-100) / 8
		case kind < 220:
			row[i] = []float32{nan(), inf(1), inf(-1), math.MaxFloat32, -math.MaxFloat32, math.SmallestNonzeroFloat32}[kind%6]
		default:
			row[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.take(4)))
		}
	}
	return row
}

// FuzzSample: whatever the options, text and logits, a token comes with a proper distribution, or an error, and the state
// can be saved and restored.
func FuzzSample(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("The quick brown fox jumps over the lazy dog. The quick brown fox jumps over the lazy dog again and again."))
	f.Add([]byte{1, 0, 51, 0, 0, 0, 64, 10, 0, 60, 0, 3, 0, 63, 0, 100, 160, 100, 160, 30, 0, 20, 0, 70, 0, 1, 0, 1, 0, 50, 0, 90, 3, 30, 2, 0, 200, 0, 6, 30, 1, 3, 20, 0, 128, 9, 9, 9, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		chain, err := New(r.options())
		if err != nil {
			return
		}
		for range int(r.byte()) {
			chain.Accept(int32(r.byte()) % 5)
		}
		for range 3 {
			row := r.row()
			id, err := chain.Sample(row)
			if err != nil {
				if len(chain.Candidates()) != 0 {
					t.Fatalf("%d candidates after error %v", len(chain.Candidates()), err)
				}
				if errors.Is(err, ErrNoToken) && chain.bias == nil {
					for _, v := range row {
						if v > inf(-1) {
							t.Fatalf("error %v for row %v", err, row)
						}
					}
				}
				continue
			}
			checkDistribution(t, chain, row, id)
			chain.Accept(id)
		}
		state, err := chain.State()
		if err != nil {
			t.Fatal(err)
		}
		if err := chain.Restore(state); err != nil {
			t.Fatal(err)
		}
	})
}

func checkDistribution(t *testing.T, chain *Chain, row []float32, id int32) {
	t.Helper()
	if id < 0 || int(id) >= len(row) || row[id] != row[id] {
		t.Fatalf("chose %d of %v", id, row)
	}
	selected := chain.Selected()
	if selected.ID != id || !(selected.Prob > 0 && selected.Prob <= 1) {
		t.Fatalf("selected %v, chose %d", selected, id)
	}
	total, found := 0.0, false
	list := chain.Candidates()
	for i, c := range list {
		total += c.Prob
		found = found || c == selected
		if math.IsNaN(c.Logit) || i > 0 && !before(&list[i-1], &list[i]) {
			t.Fatalf("candidates out of order: %v", list)
		}
	}
	if !found || math.Abs(total-1) > 1e-9 {
		t.Fatalf("selected %v, probabilities add up to %v: %v", selected, total, list)
	}
}
