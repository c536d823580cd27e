package train

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/train/tales"
)

// tiny is a model that every implementation trains in no time.
func tiny() Shape {
	return Shape{Vocabulary: len(tales.Words()), Dim: 32, Layers: 2, Heads: 4, Hidden: 40, RoPEBase: 1e4, Epsilon: 1e-6}
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// kinds are small models of all kinds.
func kinds() map[string]Shape {
	of := func(change func(s *Shape)) Shape {
		s := tiny()
		change(&s)
		return s
	}
	remembers := func(change func(f *Fifo)) Shape {
		f := &Fifo{Chunk: 12, Window: 4, Slots: 4, PerChunk: 2, Layers: []int{1}, Gate: fifo.GateGRU, Pooling: fifo.PoolQuery}
		change(f)
		return of(func(s *Shape) { s.Fifo = f })
	}
	return map[string]Shape{
		"full":                       tiny(),
		"window":                     of(func(s *Shape) { s.Sight.Window = 7 }),
		"chunk":                      of(func(s *Shape) { s.Sight.Chunk = 16 }),
		"layers":                     of(func(s *Shape) { s.Sights = []Sight{{Window: 5}, {}} }),
		"landmark":                   of(func(s *Shape) { s.Landmark = Landmark{Block: 7, Token: tales.Landmark} }),
		"neural":                     tinyNeural(),
		"deep":                       tinyDeepNeural(),
		"lmm with persistent tokens": tinyVariant(model.VariantLMM, 3),
		"mac":                        tinyVariant(model.VariantMAC, 0),
		"mac with persistent tokens": tinyVariant(model.VariantMAC, 2),
		"mag":                        tinyVariant(model.VariantMAG, 0),
		"mag with persistent tokens": tinyVariant(model.VariantMAG, 1),
		"mal":                        tinyVariant(model.VariantMAL, 0),
		"mal with persistent tokens": tinyVariant(model.VariantMAL, 3),
		"fifo":                       remembers(func(*Fifo) {}),
		"fifo of means": remembers(func(f *Fifo) {
			f.Gate, f.Pooling, f.Renormalize, f.Layers = fifo.GateSimple, fifo.PoolMean, true, []int{0, 1}
		}),
		"fifo without gate": remembers(func(f *Fifo) { f.Gate = fifo.GateNone }),
		"plain fifo": remembers(func(f *Fifo) {
			f.Pooling, f.Slots, f.PerChunk, f.Plain, f.Heads, f.Scale = fifo.PoolMean, 3, 1, true, 1, 1
		}),
	}
}

func someStories(t testing.TB, g *tales.Generator, n, length int) []tales.Document {
	t.Helper()
	var all []tales.Document
	for range n {
		d, err := g.Story(length, 1, 2)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

// A step of all parameters changes the loss by the gradient's product with it, for each of the parameters alone too.
func TestGradientsOfTheModel(t *testing.T) {
	all := computes(t)
	for name, s := range kinds() {
		for i, c := range all {
			if name != "full" && i < len(all)-1 {
				continue // each operation has been tried with all kernels
			}
			m, err := NewModel(s, 1)
			if err != nil {
				t.Fatal(err)
			}
			stir(m)
			texts := tales.New(seeded(1))
			step := 0.02
			if s.Neural != nil && s.Neural.Variant == model.VariantMAC {
				step = 0.01 // what is read has a part in the context of attention: the loss bends more
			}
			gradientsAreDifferences(t, c.Impl.Name+", "+name, c, m, step, []tales.Document{texts.Echo(40, false), texts.Pairs(40, false)})
		}
	}
}

// gradientsAreDifferences takes steps of a length along the gradient of each parameter.
func gradientsAreDifferences(t *testing.T, name string, c Compute, m *Model, step float64, documents []tales.Document) {
	t.Helper()
	trainer, err := NewTrainer(c, m, len(documents), len(documents[0].Tokens))
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	loss := func() float64 {
		l, _, err := trainer.Gradients(documents)
		if err != nil {
			t.Fatal(err)
		}
		return float64(l)
	}
	_, got, err := trainer.Gradients(documents)
	if err != nil {
		t.Fatal(err)
	}
	var grads [][]float32
	for _, g := range got {
		grads = append(grads, slices.Clone(g))
	}
	for i, p := range m.Params {
		from, length := slices.Clone(p.Values), 0.0
		for _, g := range grads[i] {
			length += float64(g) * float64(g)
		}
		length = math.Sqrt(length)
		if length == 0 {
			t.Errorf("%s: %s has no gradient", name, p.Name)
			continue
		}
		move := func(by float64) float64 {
			for j, g := range grads[i] {
				p.Values[j] = from[j] + float32(by*float64(g)/length)
			}
			return loss()
		}
		// differences over two steps, so that what is of the third order cancels
		near, far := (move(step)-move(-step))/(2*step), (move(2*step)-move(-2*step))/(4*step)
		if d := (4*near - far) / 3; math.Abs(d-length) > 0.01*length+1e-4 {
			t.Errorf("%s: %s: the difference is %v, the gradient says %v", name, p.Name, d, length)
		}
		copy(p.Values, from)
	}
}

// A head that was made to look back does.
func TestHeadsLookBack(t *testing.T) {
	c := computes(t)[0]
	s := Small(len(tales.Words()))
	m, err := NewModel(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	bias := m.byName["blk.0.attn_qkv.bias"].Values
	const length = 48
	h := Heads{Count: s.Heads, Dim: s.Dim / s.Heads, Length: length}
	qkv := make([]float32, length*len(bias))
	for i := range length {
		copy(qkv[i*len(bias):], bias)
	}
	turned := make([]float32, len(qkv))
	r := rope{c: c, h: h}
	half := h.Dim / 2
	for i := range length * half {
		sin, cos := math.Sincos(float64(i/half) * math.Pow(s.RoPEBase, -2*float64(i%half)/float64(h.Dim)))
		r.cos, r.sin = append(r.cos, float32(cos)), append(r.sin, float32(sin))
	}
	if err := r.run(turned, []operand{{shape: []int{length, len(bias)}, values: qkv}}); err != nil {
		t.Fatal(err)
	}
	a, scratch := newAttention(c, h, Sight{}), kernels.Worker{}
	w := make([]float32, length*length)
	for head := range 3 {
		all := span{to: length, total: length, stride: length}
		a.score(&scratch, w, []operand{{values: turned}}, place{q: head * h.Dim, k: s.Dim + head*h.Dim}, all)
		a.soften(w, all)
		for i := head + 1; i < length; i++ {
			row := w[i*length:][:length]
			if at := largest(row); at != i-head-1 || row[at] < 0.9 {
				t.Errorf("head %d: query %d looks at %d with %v", head, i, at, row[at])
			}
		}
	}
}

// The same seeds learn the same, with every number of threads, and they learn: at first, which words lists are made of.
func TestLearning(t *testing.T) {
	c := computes(t)
	best := c[len(c)-1]
	var first []float32
	for threads := 1; threads <= 2; threads++ {
		team := kernels.NewTeam(threads)
		m, err := NewModel(tiny(), 2)
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := NewTrainer(Compute{best.Impl, team}, m, 8, 64)
		if err != nil {
			t.Fatal(err)
		}
		g, o := tales.New(seeded(4)), NewAdamW()
		var losses []float32
		for range 60 {
			var documents []tales.Document
			for range 8 {
				documents = append(documents, g.Echo(64, false))
			}
			loss, _, err := trainer.Step(o, 5e-3, documents)
			if err != nil {
				t.Fatal(err)
			}
			losses = append(losses, loss)
		}
		if threads == 1 {
			first = losses
			even := float32(math.Log(float64(m.Shape.Vocabulary)))
			if losses[0] < 0.95*even || losses[0] > 1.1*even || losses[59] > 0.85*even {
				t.Errorf("the loss goes from %v to %v; knowing nothing is %v", losses[0], losses[59], even)
			}
		} else if !slices.Equal(losses, first) {
			t.Errorf("losses with %d threads: %v, with one: %v", threads, losses, first)
		}
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
		team.Close()
	}
}

// Steps leave no more behind them than they found.
func TestStepsKeepNoMemory(t *testing.T) {
	c := computes(t)
	for _, name := range []string{"full", "neural", "deep", "landmark", "fifo", "fifo of means"} {
		m, err := NewModel(kinds()[name], 2)
		if err != nil {
			t.Fatal(err)
		}
		trainer, err := NewTrainer(c[len(c)-1], m, 4, 64)
		if err != nil {
			t.Fatal(err)
		}
		g, o := tales.New(seeded(4)), NewAdamW()
		var held [3]uint64
		for i := range held {
			for range 50 {
				if _, _, err := trainer.Step(o, 1e-3, someStories(t, g, 4, 64)); err != nil {
					t.Fatal(err)
				}
			}
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			held[i] = s.HeapAlloc
		}
		const slack = 256 << 10 // of a step's memory, which is several times that
		if held[2] > held[1]+slack {
			t.Errorf("%s: %d, %d and %d bytes after 50, 100 and 150 steps", name, held[0], held[1], held[2])
		}
		runtime.KeepAlive(trainer)
	}
}

// Steps give the same parameters with every number of threads.
func TestThreadsChangeNoStep(t *testing.T) {
	c := computes(t)
	for name, s := range kinds() {
		var first *Model
		for threads := 1; threads <= 3; threads++ {
			team := kernels.NewTeam(threads)
			m, err := NewModel(s, 2)
			if err != nil {
				t.Fatal(err)
			}
			trainer, err := NewTrainer(Compute{c[len(c)-1].Impl, team}, m, 3, 50)
			if err != nil {
				t.Fatal(err)
			}
			g, o := tales.New(seeded(4)), NewAdamW()
			for range 3 {
				if _, _, err := trainer.Step(o, 1e-2, someStories(t, g, 3, 50)); err != nil {
					t.Fatal(err)
				}
			}
			if first == nil {
				first = m
			}
			for i, p := range m.Params {
				if !slices.Equal(p.Values, first.Params[i].Values) {
					t.Errorf("%s: another %s with %d threads", name, p.Name, threads)
				}
			}
			if err := trainer.Close(); err != nil {
				t.Error(err)
			}
			team.Close()
		}
	}
}

// What comes later changes no logit, and what came earlier and may be seen does.
func TestModelsAreCausal(t *testing.T) {
	all := computes(t)
	c := all[len(all)-1]
	for name, s := range kinds() {
		m, err := NewModel(s, 3)
		if err != nil {
			t.Fatal(err)
		}
		tokens := someStories(t, tales.New(seeded(5)), 1, 60)[0].Tokens
		want := logitsOf(t, c, m, tokens)
		for _, at := range []int{1, 11, 12, 13, 14, 35, 36, 59} {
			other := slices.Clone(tokens)
			other[at]++
			row := s.Landmark.row(at)
			for i, logits := range logitsOf(t, c, m, other) {
				same := slices.Equal(logits, want[i])
				if i < row && !same || i == row && same {
					t.Errorf("%s: another token at row %d: logits of row %d are the same: %v", name, row, i, same)
				}
			}
			if last := len(want) - 1; strings.HasPrefix(name, "fifo") && at >= 36 && at < 48 {
				if slices.Equal(logitsOf(t, c, m, other)[last], want[last]) {
					t.Errorf("%s: the last row has forgotten row %d", name, row)
				}
			}
		}
	}
}

// Texts that are no longer than a chunk train all but the memory.
func TestShortTextsOfAMemory(t *testing.T) {
	c := computes(t)[0]
	s := kinds()["fifo"]
	m, err := NewModel(s, 2)
	if err != nil {
		t.Fatal(err)
	}
	trainer, err := NewTrainer(c, m, 2, 12)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	g := tales.New(seeded(1))
	for range 2 {
		_, grads, err := trainer.Gradients([]tales.Document{g.Pairs(12, false), g.Echo(12, false)})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params {
			some := slices.ContainsFunc(grads[i], func(x float32) bool { return x != 0 })
			memory := strings.Contains(p.Name, ".mem_") && !strings.HasSuffix(p.Name, "mem_fuse.weight")
			if (grads[i] == nil) != memory || some == memory {
				t.Errorf("%s has gradients: %v", p.Name, some)
			}
		}
	}
	if _, _, err := trainer.Step(NewAdamW(), 1e-3, []tales.Document{g.Pairs(12, false), g.Echo(12, false)}); err != nil {
		t.Error(err)
	}
}

// A step is what the paper's algorithm says, worked out in float64.
func TestAdamW(t *testing.T) {
	c := computes(t)[0]
	r := rand.New(rand.NewPCG(1, 1))
	for _, shape := range [][]int{{4, 5}, {20}} {
		p := &Param{Name: "p", Shape: shape, Values: someValues(r, 20)}
		o := NewAdamW()
		x, m, v := make([]float64, 20), make([]float64, 20), make([]float64, 20)
		for i, y := range p.Values {
			x[i] = float64(y)
		}
		for step := 1; step <= 20; step++ {
			grad := someValues(r, 20)
			norm := 0.0
			for _, g := range grad {
				norm += float64(g) * float64(g)
			}
			norm = math.Sqrt(norm)
			got, err := o.Step(c, []*Param{p}, [][]float32{grad}, 0.01)
			if err != nil || math.Abs(got-norm) > 1e-5 {
				t.Fatalf("length %v (%v), want %v", got, err, norm)
			}
			for i := range x {
				g := float64(grad[i]) * min(1, 1/norm)
				m[i], v[i] = 0.9*m[i]+0.1*g, 0.95*v[i]+0.05*g*g
				if len(shape) > 1 {
					x[i] -= 0.01 * 0.01 * x[i]
				}
				x[i] -= 0.01 * m[i] / (1 - math.Pow(0.9, float64(step))) / (math.Sqrt(v[i]/(1-math.Pow(0.95, float64(step)))) + 1e-8)
				if math.Abs(x[i]-float64(p.Values[i])) > 1e-5 {
					t.Fatalf("step %d: value %d is %v, want %v", step, i, p.Values[i], x[i])
				}
			}
		}
		nan := make([]float32, 20)
		nan[3] = float32(math.NaN())
		before := slices.Clone(p.Values)
		if _, err := o.Step(c, []*Param{p}, [][]float32{nan}, 0.01); err == nil || !slices.Equal(before, p.Values) {
			t.Errorf("gradients that are not numbers: %v", err)
		}
	}
}

func TestModelsAreRefused(t *testing.T) {
	c := computes(t)[0]
	bad := []Shape{{}, {Vocabulary: 10, Dim: 30, Layers: 1, Heads: 4, Hidden: 8}}
	for _, change := range []func(s *Shape){
		func(s *Shape) { s.Sight = Sight{Window: -1} },
		func(s *Shape) { s.Sight = Sight{Window: 3, Chunk: 4} },
		func(s *Shape) { s.Sight = Sight{Landmark: 3} },
		func(s *Shape) { s.Sights = []Sight{{}} },
		func(s *Shape) { s.Sights, s.Sight = []Sight{{}, {}}, Sight{Window: 3} },
		func(s *Shape) { s.Sights = []Sight{{}, {Landmark: 4}} },
		func(s *Shape) { s.Landmark = Landmark{Token: 2} },
		func(s *Shape) { s.Landmark = Landmark{Block: -1, Token: 2} },
		func(s *Shape) { s.Landmark = Landmark{Block: 16, Token: s.Vocabulary} },
		func(s *Shape) { s.Landmark, s.Sight = Landmark{Block: 16, Token: 2}, Sight{Window: 4} },
		func(s *Shape) { s.Landmark, s.Fifo = Landmark{Block: 16, Token: 2}, NewFifo(1) },
		func(s *Shape) { s.Fifo = NewFifo(0, 2) },
		func(s *Shape) { s.Fifo = NewFifo(1, 0) },
		func(s *Shape) { s.Fifo, s.Sight = NewFifo(1), Sight{Window: 4} },
		func(s *Shape) { s.Fifo = &Fifo{} },
		func(s *Shape) { s.Fifo = NewFifo(1); s.Fifo.Window = 15 },
		func(s *Shape) { s.Fifo = NewFifo(1); s.Fifo.Heads = 3 },
		func(s *Shape) { s.Fifo = NewFifo(1); s.Fifo.Slots = 9 },
		func(s *Shape) { s.Fifo = NewFifo(1); s.Fifo.Gate = 7 },
	} {
		s := tiny()
		change(&s)
		bad = append(bad, s)
	}
	for _, s := range bad {
		if _, err := NewModel(s, 1); err == nil {
			t.Errorf("shape %+v is no error", s)
		}
	}
	m, err := NewModel(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewTrainer(c, m, 0, 10); err == nil {
		t.Error("no texts are no error")
	}
	trainer, err := NewTrainer(c, m, 1, 64)
	if err != nil {
		t.Fatal(err)
	}
	d := someStories(t, tales.New(seeded(1)), 1, 64)[0]
	beyond := tales.Document{Tokens: slices.Clone(d.Tokens)}
	beyond.Tokens[7] = m.Shape.Vocabulary
	for _, documents := range [][]tales.Document{{}, {d, d}, {{Tokens: d.Tokens[:63]}}, {beyond}, {{Tokens: d.Tokens, Answers: []tales.Span{{From: 0, To: 3}}}}} {
		if _, _, err := trainer.Gradients(documents); err == nil {
			t.Errorf("documents %v are no error", documents)
		}
	}
	if _, _, err := trainer.Gradients([]tales.Document{d}); err != nil {
		t.Errorf("after errors: %v", err)
	}
}

// BenchmarkStep measures steps of small models with 2,048 tokens; landmarks come on top of these, and base-272 has rows in
// their place.
func BenchmarkStep(b *testing.B) {
	for _, kind := range []struct {
		name   string
		length int
		change func(s *Shape)
	}{
		{"base", 256, func(*Shape) {}},
		{"base-272", 272, func(*Shape) {}},
		{"landmark", 256, func(s *Shape) { s.Landmark = Landmark{Block: 16, Token: tales.Landmark} }},
		{"fifo", 256, func(s *Shape) { s.Fifo = NewFifo(2, 3) }},
		{"fifo-gru", 256, func(s *Shape) { s.Fifo = NewFifo(2, 3); s.Fifo.Gate = fifo.GateGRU }},
	} {
		b.Run(kind.name, func(b *testing.B) {
			s := Small(len(tales.Words()))
			kind.change(&s)
			benchmarkStep(b, s, 8, kind.length)
		})
	}
}

func benchmarkStep(b *testing.B, s Shape, texts, length int) {
	c := computes(b)
	m, err := NewModel(s, 1)
	if err != nil {
		b.Fatal(err)
	}
	trainer, err := NewTrainer(c[len(c)-1], m, texts, length)
	if err != nil {
		b.Fatal(err)
	}
	o, documents := NewAdamW(), someStories(b, tales.New(seeded(1)), texts, length)
	for b.Loop() {
		if _, _, err := trainer.Step(o, 1e-3, documents); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(texts*length*b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// An answer counts where all of its tokens are the likeliest: with weights that always say the same word, answers of that word.
func TestExactMatch(t *testing.T) {
	c := computes(t)[0]
	m, err := NewModel(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	word := tales.Encode("figs")[0]
	// a state of ones, whatever the tokens, and logits that are its product with rows
	for _, p := range m.Params {
		clear(p.Values)
	}
	for i := range m.byName["token_embd.weight"].Values {
		m.byName["token_embd.weight"].Values[i] = 1
	}
	for i := range m.Shape.Dim {
		m.byName["output_norm.weight"].Values[i] = 1
		m.byName["output.weight"].Values[word*m.Shape.Dim+i] = 1
	}
	e, err := NewExaminer(c, m, 1, 8)
	if err != nil {
		t.Fatal(err)
	}
	tokens := tales.Encode("figs nuts figs figs nuts figs figs .")
	marks, err := e.Examine([]tales.Document{{Tokens: tokens, Answers: []tales.Span{{From: 2, To: 4}, {From: 3, To: 5}, {From: 5, To: 6}, {From: 7, To: 8}}}})
	if err != nil || marks.Right != 2 || marks.Asked != 4 || marks.Documents != 1 || !(marks.Loss > 0) {
		t.Errorf("%+v (%v), want 2 of 4", marks, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
