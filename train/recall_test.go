package train

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/train/tales"
)

// recall makes texts whose last token is what the second one was, among other tokens that say nothing about it.
func recall(r *rand.Rand, texts, length int) (all []tales.Document) {
	const asked, others, choices = 1, 20, 4
	for range texts {
		d := tales.Document{Tokens: []int{asked, 10 + r.IntN(choices)}}
		for len(d.Tokens) < length-2 {
			d.Tokens = append(d.Tokens, others+r.IntN(30))
		}
		d.Tokens = append(d.Tokens, asked, d.Tokens[1])
		d.Answers = []tales.Span{{From: length - 1, To: length}}
		all = append(all, d)
	}
	return all
}

// What is out of sight comes back through the memory, and only through it; where a bank has room for one chunk, through the
// gate of the chunk between.
func TestRecall(t *testing.T) {
	if testing.Short() {
		t.Skip("trains models")
	}
	all := computes(t)
	c := all[len(all)-1]
	if c.Impl.Name == "generic" {
		t.Skip("the reference takes minutes")
	}
	for name, f := range map[string]Fifo{
		"queries":     {Slots: 4, PerChunk: 2, Gate: fifo.GateSimple, Pooling: fifo.PoolQuery},
		"means":       {Slots: 8, PerChunk: 4, Gate: fifo.GateSimple, Pooling: fifo.PoolMean},
		"GRU":         {Slots: 4, PerChunk: 2, Gate: fifo.GateGRU, Pooling: fifo.PoolQuery},
		"one chunk":   {Slots: 4, PerChunk: 4, Gate: fifo.GateSimple, Pooling: fifo.PoolMean},
		"one, by GRU": {Slots: 4, PerChunk: 4, Gate: fifo.GateGRU, Pooling: fifo.PoolMean},
	} {
		f.Chunk, f.Window, f.Layers = 8, 4, []int{1}
		s := tiny()
		s.Fifo = &f
		recalls(t, c, name, s, func(*Model) { f.Layers = nil })
	}
	for name, n := range map[string]*Neural{"neural": SmallNeural(), "deep": SmallDeepNeural()} {
		n.Layers, n.Dim, n.Chunk = []int{1}, 16, 4
		s := tiny()
		s.Sight.Window, s.Neural = 8, n
		recalls(t, c, name, s, func(m *Model) { clear(m.byName["blk.1.mem_output.weight"].Values) })
	}
}

func recalls(t *testing.T, c Compute, name string, s Shape, forget func(m *Model)) {
	t.Helper()
	const texts, length, most = 16, 24, 600
	m, err := NewModel(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := NewTrainer(c, m, texts, length)
	if err != nil {
		t.Fatal(err)
	}
	r, o := rand.New(rand.NewPCG(1, 9)), NewAdamW()
	steps, with := 0, 0.0
	for ; steps < most && with < 0.99; steps++ {
		if _, _, err := trainer.Step(o, 3e-3, recall(r, texts, length)); err != nil {
			t.Fatal(err)
		}
		if steps%50 == 49 {
			with = recalled(t, c, m, length)
		}
	}
	if err := trainer.Close(); err != nil {
		t.Error(err)
	}
	forget(m)
	if without := recalled(t, c, m, length); with < 0.95 || without > 0.5 {
		t.Errorf("%s: %v of the answers are right after %d steps, without memory %v", name, with, steps, without)
	}
}

// recalled is the share of answers that are right.
func recalled(t *testing.T, c Compute, m *Model, length int) float64 {
	t.Helper()
	const texts = 128
	e, err := NewExaminer(c, m, texts, length)
	if err != nil {
		t.Fatal(err)
	}
	marks, err := e.Examine(recall(rand.New(rand.NewPCG(2, 9)), texts, length))
	if err := errors.Join(err, e.Close()); err != nil {
		t.Fatal(err)
	}
	return marks.Recall()
}
