package model

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// titansChunk is the length of segments, and of the chunks of memories; titansWindow is that of windows.
const (
	titansChunk  = 6
	titansWindow = 10
)

// titansCase is a layout of the memory, and what of mneme-tiny it changes.
type titansCase struct {
	variant    Variant
	depth      int
	persistent int
	readAfter  bool
	change     map[string]any // of the keys, without their prefix mneme.
	fill       map[string]float32
}

// titansFile is mneme-tiny with memories in both of its layers. Names in fill have all their values that number.
func titansFile(t *testing.T, c titansCase) *weights.File {
	t.Helper()
	const heads, dim, expansion, width, e = 2, 12, 2, 3, 64
	keys := map[string]any{
		"attention.kind": "window", "attention.sliding_window": uint32(titansWindow), "memory.kind": "neural", "memory.neural.variant": c.variant.String(),
		"memory.neural.layers": []int32{0, 1}, "memory.neural.head_count": uint32(heads), "memory.neural.head_length": uint32(dim),
		"memory.neural.depth": uint32(c.depth), "memory.neural.expansion": uint32(expansion), "memory.neural.chunk": uint32(titansChunk),
		"memory.neural.convolution": uint32(width), "memory.neural.step_max": float32(.3), "memory.neural.momentum_max": float32(.9),
		"memory.neural.read_after": c.readAfter, "memory.neural.silu": c.readAfter, "memory.neural.persistent": uint32(c.persistent),
	}
	if c.variant == VariantMAC {
		keys["attention.kind"], keys["attention.chunk_length"] = "chunked", uint32(titansChunk)
	}
	maps.Copy(keys, c.change)
	set := map[string]any{}
	for name, value := range keys {
		set["mneme."+name] = value
	}
	var list []weights.Tensor
	rng := rand.New(rand.NewPCG(8, uint64(c.depth)))
	add := func(name string, mean, deviation float64, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		for l := range 2 {
			values := make([]float32, n)
			for i := range values {
				values[i] = float32(mean + deviation*rng.NormFloat64())
				if v, ok := c.fill[name]; ok {
					values[i] = v
				}
			}
			x := floats(fmt.Sprintf("blk.%d.mem_%s", l, name), values...)
			x.Shape = shape
			list = append(list, x)
		}
	}
	if c.variant != VariantMAG {
		add("norm.weight", 1, .2, e)
	}
	if c.variant.gates() {
		add("branch_norm.weight", 1, .2, e)
		add("gate_norm.weight", 1, .5, e)
	}
	for _, name := range []string{"q", "k", "v", "out_gate"} {
		add(name+".weight", 0, .125, e, heads*dim)
	}
	add("gates.weight", 0, .125, e, 3*heads)
	add("gates.bias", -1, 1, 3*heads)
	add("output.weight", 0, .2, heads*dim, e)
	add("read_norm.weight", 1, .2, heads*dim)
	add("conv.weight", .3, .5, width, 3*heads*dim)
	for i := range c.depth {
		in, out := expansion*dim, expansion*dim
		if i == 0 {
			in = dim
		}
		if i == c.depth-1 {
			out = dim
		}
		add(fmt.Sprintf("initial.%d.weight", i), 0, 1/math.Sqrt(float64(in)), in, out, heads)
	}
	if c.persistent > 0 {
		add("persistent.weight", 0, 1, e, c.persistent)
	}
	return edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: set, add: list})
}

func load(t *testing.T, f *weights.File) *Model {
	t.Helper()
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// titansCases has every layout, with what it can be combined with.
var titansCases = map[string]titansCase{
	"lmm":             {variant: VariantLMM, depth: 1, persistent: 3},
	"mag":             {variant: VariantMAG, depth: 2, persistent: 3},
	"mag, no prefix":  {variant: VariantMAG, depth: 1, readAfter: true},
	"mal":             {variant: VariantMAL, depth: 2, persistent: 1},
	"mac":             {variant: VariantMAC, depth: 2, persistent: 5},
	"mac, read after": {variant: VariantMAC, depth: 1, readAfter: true},
}

func onTitans(t *testing.T, test func(t *testing.T, f *weights.File, m *Model)) {
	for name, c := range titansCases {
		t.Run(name, func(t *testing.T) {
			f := titansFile(t, c)
			test(t, f, load(t, f))
		})
	}
}

// TestTitansIsTheNaiveOne holds every layout against equations 10 to 31 in float64.
func TestTitansIsTheNaiveOne(t *testing.T) {
	onTitans(t, func(t *testing.T, f *weights.File, m *Model) {
		tokens := text(5*titansChunk+2, 7)
		for _, off := range []bool{false, true} {
			reference := newNaiveTitans(f, m.Config)
			reference.noMemory = off
			want := reference.all(tokens)
			for _, impl := range kernels.Implementations() {
				r := NewRunner(m, impl, 1)
				defer r.Close()
				s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: off})
				if err != nil {
					t.Fatal(err)
				}
				var worst float64
				for i, logits := range forward(t, r, s, tokens, 0) {
					for j, w := range want[i] {
						worst = max(worst, math.Abs(float64(logits[j])-w))
					}
				}
				if !(worst < 2e-4) {
					t.Errorf("%s, without memory %v: logits differ by up to %g", impl.Name, off, worst)
				}
				t.Logf("%s, without memory %v: largest difference %.2g", impl.Name, off, worst)
			}
		}
	})
}

// sameAs holds a model's logits of a text against another's, bit for bit.
func sameAs(t *testing.T, what string, a, b *Model, options SequenceOptions) {
	t.Helper()
	tokens := text(5*titansChunk+2, 3)
	read := func(m *Model, o SequenceOptions) [][]float32 {
		o.Rows = quant.F32
		s, err := m.NewSequence(o)
		if err != nil {
			t.Fatal(err)
		}
		return forward(t, newRunner(t, m, 1), s, tokens, 0)
	}
	sameBits(t, what, read(a, options), read(b, SequenceOptions{}))
}

// branchNormed is a model without memories that norms what attention comes to, as ⊗ does.
type branchNormed struct{ mneme }

func (m branchNormed) forward(p *pass, l, next *layer) {
	p.attention(l)
	p.add(l.attentionPostNorm, l.feedForwardNorm)
	p.feedForward(l, p.impl.SwiGLU)
	p.end(nil, next)
}

// plainTitans is a model with the attention of a layout and without its memory. Where the layout has a gate, its branch norm stands
// behind attention, as it is when the gate is a half everywhere: σ(0).
func plainTitans(t *testing.T, c titansCase) *Model {
	t.Helper()
	set := map[string]any{"mneme.attention.kind": "window", "mneme.attention.sliding_window": uint32(titansWindow)}
	if c.variant == VariantMAC {
		set = map[string]any{"mneme.attention.kind": "chunked", "mneme.attention.chunk_length": uint32(titansChunk)}
	}
	m := load(t, edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: set}))
	if c.variant.gates() {
		m.arch = branchNormed{}
		for i := range m.layers {
			l := &m.layers[i]
			l.attentionPostNorm = slices.Repeat([]float32{c.fill["branch_norm.weight"] / 2}, m.Embedding)
		}
	}
	return m
}

// TestTitansWithoutMemoryIsAttention is I12: with the memory's part taken out, MAC without persistent tokens is attention to segments
// by themselves, MAG with an open gate is attention to a window, and so is MAL where M is the identity: its branch adds nothing.
func TestTitansWithoutMemoryIsAttention(t *testing.T) {
	mac := titansCase{variant: VariantMAC, depth: 1, fill: map[string]float32{"gate_norm.weight": 0, "branch_norm.weight": 3}}
	sameAs(t, "mac", load(t, titansFile(t, mac)), plainTitans(t, mac), SequenceOptions{NoMemory: true})
	mag := titansCase{variant: VariantMAG, depth: 2, fill: map[string]float32{"gate_norm.weight": 0, "branch_norm.weight": 2}}
	sameAs(t, "mag", load(t, titansFile(t, mag)), plainTitans(t, mag), SequenceOptions{})
	mal := titansCase{variant: VariantMAL, depth: 2, fill: map[string]float32{"output.weight": 0}}
	sameAs(t, "mal", load(t, titansFile(t, mal)), plainTitans(t, mal), SequenceOptions{})
	lmm := titansCase{variant: VariantLMM, depth: 2}
	sameAs(t, "lmm", load(t, titansFile(t, lmm)), plainTitans(t, lmm), SequenceOptions{NoMemory: true})
}

// TestTitansInAnyBatches is I10 and I11: texts come in whatever pieces, token by token among them, beside others, one of which has no
// memory, with any number of threads and from packed matrices, after batches that were stopped or refused: nothing changes by a bit.
func TestTitansInAnyBatches(t *testing.T) {
	onTitans(t, func(t *testing.T, _ *weights.File, m *Model) { inAnyBatches(t, m) })
}

func inAnyBatches(t *testing.T, m *Model) {
	t.Helper()
	const texts, length = 3, 6*titansChunk + 5
	sequence := func(i int) *Sequence {
		s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: i == 2})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	one := newRunner(t, m, 1)
	var alone [texts][][]float32
	var states [texts][]byte
	for i := range texts {
		s := sequence(i)
		alone[i] = forward(t, one, s, text(length, i+1), 0)
		states[i] = s.Memories().Save()
	}
	s := sequence(0)
	for at, id := range text(length, 1) {
		if got := forward(t, one, s, []int32{id}, at)[0]; !slices.Equal(got, alone[0][at]) {
			t.Fatalf("token by token: token %d differs", at)
		}
	}
	rng := rand.New(rand.NewPCG(2, 3))
	for _, threads := range []int{1, 2, 3} {
		r := newRunner(t, m, threads)
		if threads == 2 {
			if err := r.Repack(); err != nil {
				t.Fatal(err)
			}
		}
		sequences := [texts]*Sequence{sequence(0), sequence(1), sequence(2)}
		for next := [texts]int{}; slices.Min(next[:]) < length; {
			var batch []Row
			var of []int
			for range 4 { // a sequence may have several places in a batch
				i := rng.IntN(texts)
				for range rng.IntN(2 * titansChunk) {
					if next[i] < length {
						batch = append(batch, Row{Token: text(length, i+1)[next[i]], Position: int32(next[i]), Sequence: sequences[i], Logits: rng.IntN(2) == 0})
						of = append(of, i)
						next[i]++
					}
				}
			}
			if len(batch) == 0 {
				continue
			}
			before := [texts][]byte{}
			for i, s := range sequences {
				before[i] = s.Memories().Save()
			}
			stopped := new(atomic.Bool)
			stopped.Store(true)
			if err := r.Forward(batch, stopped, nil); err != ErrStopped {
				t.Fatal(err)
			}
			later := new(atomic.Bool)
			rows := slices.Concat(batch, []Row{{Token: 1, Position: 1 << 20, Sequence: batch[0].Sequence}})
			if m.Neural.Variant != VariantMAC {
				rows[len(rows)-1].Token = -1
			}
			if err := r.Forward(rows, later, nil); err == nil {
				t.Fatal("a batch that is none")
			}
			for i, s := range sequences {
				if !bytes.Equal(s.Memories().Save(), before[i]) {
					t.Fatal("a batch that failed has left something behind")
				}
			}
			err := r.Forward(batch, nil, func(i int, logits []float32) {
				if !slices.Equal(logits, alone[of[i]][batch[i].Position]) {
					t.Fatalf("%d threads: text %d, row %d differs", threads, of[i], batch[i].Position)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range sequences {
			if !bytes.Equal(s.Memories().Save(), states[i]) {
				t.Errorf("%d threads: text %d: another state", threads, i)
			}
		}
	}
}

// TestTitansGoesBack fails batches of all kinds of lengths after texts of all kinds of lengths, when memories have learned from them
// already, and goes on from states that were saved and copied.
func TestTitansGoesBack(t *testing.T) {
	onTitans(t, func(t *testing.T, _ *weights.File, m *Model) { goesBack(t, m) })
}

func goesBack(t *testing.T, m *Model) {
	t.Helper()
	const broken = 511 // a token whose embedding is no number
	if err := quant.Encode(quant.F32, m.embedding.Row(broken), slices.Repeat([]float32{float32(math.NaN())}, m.Embedding)); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, m, 2)
	tokens := text(4*titansChunk+1, 4)
	want := forward(t, r, newSequence(t, m, quant.F32), tokens, 0)
	for have := 1; have < 2*titansChunk+2; have++ {
		s := newSequence(t, m, quant.F32)
		bytes := s.MemoryBytes()
		forward(t, r, s, tokens[:have], 0)
		before := s.Memories().Save()
		for _, n := range []int{1, 2, titansChunk, 2*titansChunk - 1} {
			bad := rowsOf(s, tokens[have:have+n], have)
			bad[n-1].Token = broken
			if err := r.Forward(bad, nil, nil); err == nil {
				t.Fatal("no number is read")
			}
			if !slices.Equal(s.Memories().Save(), before) {
				t.Fatalf("%d rows after %d are not taken back", n, have)
			}
		}
		state := s.Memories()
		forward(t, r, s, tokens[have:have+titansChunk], have)
		if slices.Equal(s.Memories().Save(), before) {
			t.Fatal("nothing was learned")
		}
		if err := s.Truncate(have + 1); m.Memory() == MemoryNeural && !errors.Is(err, memory.ErrLearned) {
			t.Errorf("taken back: %v", err)
		}
		if s.MemoryBytes() != bytes || bytes != m.MemoryBytes() || bytes != state.Bytes() || bytes == 0 {
			t.Errorf("%d bytes of memory, and %d", bytes, s.MemoryBytes()) // I15
		}
		if err := s.Truncate(0); err != nil {
			t.Fatal(err)
		}
		for _, saved := range []bool{false, true} {
			if err := s.Truncate(0); err != nil {
				t.Fatal(err)
			}
			forward(t, r, s, tokens[:have], 0)
			forgotten := newSequence(t, m, quant.F32)
			s.SetMemories(forgotten.Memories())
			if saved {
				restored, err := s.ReadMemories(before, have)
				if err != nil {
					t.Fatal(err)
				}
				s.SetMemories(restored)
			} else {
				s.SetMemories(state)
			}
			for i, logits := range forward(t, r, s, tokens[have:], have) {
				if !slices.Equal(logits, want[have+i]) {
					t.Fatalf("from %d rows on, saved %v: row %d differs", have, saved, have+i)
				}
			}
		}
		for name, data := range map[string][]byte{"nothing": nil, "half": before[:len(before)/2], "more": append(slices.Clone(before), 0), "less": before[:len(before)-1]} {
			if _, err := s.ReadMemories(data, have); err == nil {
				t.Errorf("%s is taken for a memory", name)
			}
		}
		for _, rows := range []int{-1, have + 1, have - 1} {
			if _, err := s.ReadMemories(before, rows); err == nil {
				t.Errorf("a memory of %d rows is taken for one of %d", have, rows)
			}
		}
		if err := s.Truncate(0); err != nil || !slices.Equal(s.Memories().Save(), newSequence(t, m, quant.F32).Memories().Save()) {
			t.Errorf("something is left of what was unlearned: %v", err)
		}
	}
}

// TestTitansIsCausal is I14: a changed token changes its own row, and later ones far beyond any window or segment, by the memory; no
// row before it changes by a bit (pitfall 11 of MAC: nor those of its own segment).
func TestTitansIsCausal(t *testing.T) {
	onTitans(t, func(t *testing.T, _ *weights.File, m *Model) {
		r := newRunner(t, m, 1)
		tokens := text(6*titansChunk, 9)
		want := forward(t, r, newSequence(t, m, quant.F32), tokens, 0)
		for at := range len(tokens) {
			other := slices.Clone(tokens)
			other[at] = 3 + (other[at]+100)%400
			got := forward(t, r, newSequence(t, m, quant.F32), other, 0)
			for i := range tokens {
				if same := slices.Equal(got[i], want[i]); i < at && !same {
					t.Fatalf("token %d sees token %d", i, at)
				} else if (i == at || at < titansChunk && i >= at+3*titansWindow) && same {
					t.Fatalf("token %d knows nothing of token %d", i, at)
				}
			}
		}
	})
}

// TestPersistentTokensAreSeenEverywhere has a text so long that windows and segments have moved on: the first tokens' rows are gone from
// view, the persistent ones are not, at whatever position; and no cache holds them.
func TestPersistentTokensAreSeenEverywhere(t *testing.T) {
	for _, v := range []Variant{VariantLMM, VariantMAG, VariantMAL, VariantMAC} {
		with, without := titansCase{variant: v, depth: 1, persistent: 2}, titansCase{variant: v, depth: 1}
		a, b := load(t, titansFile(t, with)), load(t, titansFile(t, without))
		tokens := text(3*titansWindow, 2)
		s, none := newSequence(t, a, quant.F32), newSequence(t, b, quant.F32)
		x, y := forward(t, newRunner(t, a, 1), s, tokens, 0), forward(t, newRunner(t, b, 1), none, tokens, 0)
		for i := range x {
			if slices.Equal(x[i], y[i]) {
				t.Errorf("%v: token %d does not see them", v, i)
			}
		}
		if s.Cache.Rows() != none.Cache.Rows() || s.Cache.Bytes() != none.Cache.Bytes() || s.MemoryBytes() != none.MemoryBytes() {
			t.Errorf("%v: %d rows in %d bytes, without persistent tokens %d in %d", v, s.Cache.Rows(), s.Cache.Bytes(), none.Cache.Rows(), none.Cache.Bytes())
		}
	}
}

func TestTitansDecodingDoesNotAllocate(t *testing.T) {
	onTitans(t, func(t *testing.T, _ *weights.File, m *Model) {
		for _, threads := range []int{1, 2} {
			decodeWithoutAllocating(t, m, quant.F32, threads)
		}
	})
}

func TestTitansRefused(t *testing.T) {
	for name, c := range map[string]struct {
		titansCase
		want string
	}{
		"mag of chunks":    {titansCase{variant: VariantMAG, change: map[string]any{"attention.kind": "full"}}, "beside window attention, layer 0 has full"},
		"mal in one layer": {titansCase{variant: VariantMAL, change: map[string]any{"attention.kind": []string{"window", "full"}}}, "layer 1 has full"},
		"other segments":   {titansCase{variant: VariantMAC, change: map[string]any{"attention.chunk_length": uint32(8)}}, "6 tokens, where segments of attention have 8"},
		"long segments": {titansCase{variant: VariantMAC, change: map[string]any{
			"attention.chunk_length": uint32(1 << 16), "memory.neural.chunk": uint32(1 << 16), "attention.head_count_kv": uint32(4), "attention.value_length": uint32(4096),
		}}, "more than 1024 MiB"},
		"fewer persistent": {titansCase{variant: VariantMAC, persistent: 3, change: map[string]any{"memory.neural.persistent": uint32(4)}}, "blk.0.mem_persistent.weight"},
		"persistent, NaN":  {titansCase{variant: VariantMAG, persistent: 1, fill: map[string]float32{"persistent.weight": float32(math.NaN())}}, "blk.0.mem_persistent.weight"},
		"infinite steps":   {titansCase{variant: VariantLMM, change: map[string]any{"memory.neural.step_max": 1e300}}, "steps up to +Inf"},
		"huge steps":       {titansCase{variant: VariantLMM, change: map[string]any{"memory.neural.step_max": float32(3e38)}}, "steps up to 3e+38"},
		"infinite errors":  {titansCase{variant: VariantLMM, change: map[string]any{"memory.neural.error_max": 1e300}}, "errors up to a length of +Inf"},
		"infinite epsilon": {titansCase{variant: VariantLMM, change: map[string]any{"memory.neural.layer_norm_rms_epsilon": 1e300}}, "epsilon +Inf"},
	} {
		c.depth = 1
		_, err := Load(titansFile(t, c.titansCase))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one with %s", name, err, c.want)
		}
	}
	m := load(t, titansFile(t, titansCase{variant: VariantMAC, depth: 1}))
	s := newSequence(t, m, quant.F32)
	if err := newRunner(t, m, 1).Forward(rowsOf(s, []int32{5, 6}, 3), nil, nil); err == nil || s.Cache.Seen() != 0 {
		t.Errorf("a text that begins at position 3: %v", err)
	}
	e, err := kvcache.NewEviction("window", slices.Repeat([]int{64}, m.Layers))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.NewSequence(SequenceOptions{Rows: quant.F32, Eviction: e}); err == nil {
		t.Error("a policy that moves rows")
	}
}

// TestMemoryThatDiverges has steps so large that weights outgrow float32. The batch that would leave them so fails and is taken back;
// what was saved before it can be restored.
func TestMemoryThatDiverges(t *testing.T) {
	for _, variant := range []Variant{VariantLMM, VariantMAC} {
		m := load(t, titansFile(t, titansCase{variant: variant, depth: 2, change: map[string]any{"memory.neural.step_max": float32(1e30)}}))
		for _, step := range []int{1, 2 * titansChunk} {
			r, s := newRunner(t, m, 2), newSequence(t, m, quant.F32)
			tokens := text(10*titansChunk, 4)
			var err error
			at, saved := 0, s.Memories().Save()
			for ; at < len(tokens) && err == nil; at += step {
				saved = s.Memories().Save()
				if _, err := s.ReadMemories(saved, at); err != nil {
					t.Fatalf("%v, %d rows: %v", variant, at, err)
				}
				err = r.Forward(rowsOf(s, tokens[at:at+step], at), nil, nil)
			}
			if !errors.Is(err, neural.ErrDiverged) || !strings.Contains(err.Error(), "model: layer ") || !strings.Contains(err.Error(), "head ") {
				t.Errorf("%v, %d rows at once: error %v", variant, step, err)
			}
			if s.Cache.Seen() != at-step || !slices.Equal(s.Memories().Save(), saved) {
				t.Errorf("%v, %d rows at once: a batch is not taken back", variant, step)
			}
		}
	}
}

// TestTitansShapes holds the random models that benchmarks use against the naive one.
func TestTitansShapes(t *testing.T) {
	for _, v := range variantNames {
		name := "mneme-" + v + "-tiny"
		f := synthFile(t, name, quant.F32)
		m := load(t, f)
		tokens := text(60, 7)
		want := newNaiveTitans(f, m.Config).all(tokens)
		for i, logits := range forward(t, newRunner(t, m, 2), newSequence(t, m, quant.F32), tokens, 0) {
			for j, w := range want[i] {
				if d := float64(logits[j]) - w; !(math.Abs(d) < 2e-4) {
					t.Fatalf("%s: logit %d of token %d differs by %g", name, j, i, d)
				}
			}
		}
		load(t, synthFile(t, name, quant.Q8_0))
	}
}

// TestTitansBytesAreFlat is I15 of models, over texts that become longer and longer.
func TestTitansBytesAreFlat(t *testing.T) {
	lengths := []int{1 << 10, 4 << 10, 16 << 10, 64 << 10}
	if testing.Short() {
		lengths = lengths[:2]
	}
	for _, v := range variantNames {
		m := synthModel(t, "mneme-"+v+"-tiny", quant.F32)
		r, s := newRunner(t, m, 1), newSequence(t, m, quant.F32)
		saved, n := 0, 0
		for _, length := range lengths {
			for ; n < length; n += 512 {
				if err := r.Forward(rowsOf(s, text(512, n), n), nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			if now := len(s.Memories().Save()); s.MemoryBytes() != m.MemoryBytes() || saved != 0 && now != saved {
				t.Errorf("%s: after %d tokens %d bytes, %d when saved; want %d and %d", v, n, s.MemoryBytes(), now, m.MemoryBytes(), saved)
			} else {
				saved = now
			}
		}
	}
}

// TestTitansWorkIsFlat is what a token takes besides learning: as much after 65,536 tokens as after 1,024, of the cache no more than
// windows and segments.
func TestTitansWorkIsFlat(t *testing.T) {
	for _, v := range variantNames {
		m := synthModel(t, "mneme-"+v+"-tiny", quant.F32)
		early, err := m.Work(quant.F16, nil, 1<<10, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{4 << 10, 16 << 10, 64 << 10} {
			if late, err := m.Work(quant.F16, nil, n, true); err != nil || late != early {
				t.Errorf("%s, %d tokens: %+v, and %+v at 1,024; %v", v, n, late, early, err)
			}
		}
	}
}

// BenchmarkTitansToken is the time of a token after texts of different lengths, which is to be the same.
func BenchmarkTitansToken(b *testing.B) {
	for _, v := range variantNames {
		m := synthModel(b, "mneme-"+v+"-tiny", quant.F32)
		for _, length := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/after=%d", v, length), func(b *testing.B) {
				r := newRunner(b, m, 1)
				s, err := m.NewSequence(SequenceOptions{Rows: quant.F32})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for ; n < length; n += 512 {
					if err := r.Forward(rowsOf(s, text(512, n), n), nil, nil); err != nil {
						b.Fatal(err)
					}
				}
				row := make([]Row, 1)
				for b.Loop() {
					row[0] = Row{Token: int32(3 + n%500), Position: int32(n), Sequence: s, Logits: true}
					if err := r.Forward(row, nil, nil); err != nil {
						b.Fatal(err)
					}
					n++
				}
			})
		}
	}
}

// TestTitansFilled goes on after noise, of lengths that end within segments and with them: as after a text that was read.
func TestTitansFilled(t *testing.T) {
	for _, v := range variantNames {
		m := synthModel(t, "mneme-"+v+"-tiny", quant.F32)
		r := newRunner(t, m, 1)
		for _, rows := range []int{1, 16, 41, 3000, 65536} {
			s := newSequence(t, m, quant.F16)
			if err := fillNoise(t, s, rows); err != nil {
				t.Fatal(err)
			}
			saved := s.Memories().Save()
			want := forward(t, r, s, text(40, 1), rows)
			again := newSequence(t, m, quant.F16)
			if err := fillNoise(t, again, rows); err != nil {
				t.Fatal(err)
			}
			restored, err := again.ReadMemories(saved, rows)
			if err != nil {
				t.Fatalf("%s, %d rows: %v", v, rows, err)
			}
			again.SetMemories(restored)
			for i, id := range text(40, 1) {
				sameBits(t, v, forward(t, r, again, []int32{id}, rows+i), want[i:i+1])
			}
		}
	}
}
