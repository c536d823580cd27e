package train

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// adapted is a model of an adapter on a backbone.
func adapted(t testing.TB, b *Backbone, a Adapter) *Model {
	t.Helper()
	s, err := a.shape(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewModel(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// awake gives W_o random values.
func awake(m *Model) *Model {
	r := seeded(4)
	for _, p := range m.Params {
		if strings.HasSuffix(p.Name, "mem_output.weight") {
			for i := range p.Values {
				p.Values[i] = float32(0.1 * r.NormFloat64())
			}
		}
	}
	return m
}

// adapters are of both kinds, with chunks that some rows are outside of.
func adapters(layers ...int) []Adapter {
	return []Adapter{{Memory: model.MemoryFifo, Layers: layers, Window: 16}, {Memory: model.MemoryNeural, Layers: layers, Window: 16}}
}

// Before the first step a model with an adapter is its backbone to the bit, and what is read changes it as soon as W_o is not zero.
func TestAdaptersBeginAsTheirBackbone(t *testing.T) {
	all := computes(t)
	c := all[len(all)-1]
	for _, name := range []string{"llama-tiny", "gemma2-tiny"} {
		b := backboneOf(t, synthetic(t, name))
		tokens := someTokens(60, b.config.Vocabulary)
		for _, a := range adapters(0, 1) {
			alone, m := b.alone(), adapted(t, b, a)
			alone.Shape.Sight = m.Shape.Sight
			want, got := logitsOf(t, c, alone, tokens), logitsOf(t, c, m, tokens)
			read := logitsOf(t, c, awake(m), tokens)
			without, _ := m.Shape.forgetful()
			zeroed := logitsOf(t, c, m.as(without), tokens)
			first := 0 // row that reads something
			if m.Shape.Fifo != nil {
				first = m.Shape.Fifo.Chunk
			}
			for i := range want {
				if !slices.Equal(got[i], want[i]) || !slices.Equal(zeroed[i], want[i]) {
					t.Fatalf("%s, %s: other logits after token %d", name, a.Memory, i)
				}
				if i != 0 && slices.Equal(read[i], want[i]) != (i < first) {
					t.Errorf("%s, %s: after token %d the memory changes the logits: %v", name, a.Memory, i, i >= first)
				}
			}
		}
	}
}

// The gradients of adapters go through the blocks behind them.
func TestGradientsOfAdapters(t *testing.T) {
	all := computes(t)
	b := backboneOf(t, synthetic(t, "gemma2-tiny"))
	tokens := someTokens(80, b.config.Vocabulary)
	for _, a := range adapters(2) {
		m := awake(adapted(t, b, a))
		stir(m)
		if m.Shape.Fifo != nil {
			m.Shape.Fifo.Detach = false
		}
		gradientsAreDifferences(t, a.Memory, all[len(all)-1], m, 0.02, []tales.Document{{Tokens: tokens[:40]}, {Tokens: tokens[40:]}})
	}
}

// Nothing is computed that no parameter of the adapter asks for: no gradients of the backbone's weights, and none at all for blocks
// below the first memory.
func TestBackboneHasNoGradients(t *testing.T) {
	all := computes(t)
	b := backboneOf(t, synthetic(t, "gemma2-tiny"))
	for layer := range b.Layers() {
		m := adapted(t, b, Adapter{Memory: model.MemoryNeural, Layers: []int{layer}, Window: 16})
		trainer, err := NewTrainer(all[0], m, 1, 20)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, n := range trainer.g.AllNodes() {
			if op, ok := n.Op().(*node); ok {
				got[op.String()]++
			}
		}
		above := b.Layers() - layer // blocks that gradients go through
		for name, want := range map[string]int{
			"linear to its input":         4*above + 5, // the output matrix, W_o, and what follows from the learned norm before the memory
			"linear to its weights":       4,           // of the memory: qkv, gates, gate of what is read, W_o
			"linear to its bias":          1,
			"RMS norm to its input":       4*above + 2, // the last norm, and that of what is read
			"RMS norm to its weights":     2,
			"attention to its input":      above,
			"GeGLU to its input":          above,
			"embedding to its table":      0,
			"multiple":                    1,
			"soft cap to its input":       1,
			"RoPE":                        b.Layers() + above,
			"convolution to its input":    1,
			"cross-entropy to its logits": 1,
		} {
			if got[name] != want {
				t.Errorf("memory in layer %d: %d nodes of %q, want %d", layer, got[name], name, want)
			}
		}
		if err := trainer.Close(); err != nil {
			t.Error(err)
		}
	}
}

// course is one of few steps with a text that says the same again and again.
func shortCourse(t *testing.T, b *Backbone, a Adapter) (Recipe, Source) {
	t.Helper()
	r, err := a.Recipe(b, Course{Length: 48, Steps: 9})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Stages {
		r.Stages[i].Texts, r.Stages[i].Every, r.Stages[i].Exam = 2, 5, 1
	}
	r.Warmup = 1
	text, err := b.Text(rhyme())
	if err != nil {
		t.Fatal(err)
	}
	return r, text
}

// An adapter learns, comes to the same bits when it is stopped and gone on with on another number of threads, and leaves its backbone
// alone. Its checkpoint is of
// this backbone and of no other.
func TestAdaptersLearn(t *testing.T) {
	all := computes(t)
	c, path := all[len(all)-1], synthetic(t, "phi3-tiny")
	b := backboneOf(t, path)
	for _, a := range adapters(1) {
		r, source := shortCourse(t, b, a)
		o := Options{Seed: 2, Log: filepath.Join(t.TempDir(), "whole")}
		want, whole, err := Run(t.Context(), c, r, source, o)
		if err != nil {
			t.Fatal(err)
		}
		if last := whole.Stages[1]; !(last.Marks.Loss < 0.95*last.Zeroed.Loss) {
			t.Errorf("%s: a loss of %v, and of %v without the memory", a.Memory, last.Marks.Loss, last.Zeroed.Loss)
		}
		lines := readLog(t, o.Log)
		if before, after := lines[5], lines[6]; after[9] == "" || after[9] != before[9] || after[7] >= before[7] {
			t.Errorf("%s: %v, a step later %v: want a better memory on the same backbone", a.Memory, before, after)
		}
		o.Checkpoint, o.Log = filepath.Join(t.TempDir(), "kept"), filepath.Join(t.TempDir(), "log")
		ctx, stop := context.WithCancel(t.Context())
		o.Progress = func(p Progress) {
			if p.Step == 4 {
				stop()
			}
		}
		if _, _, err := Run(ctx, c, r, source, o); err == nil {
			t.Fatal("a run that was stopped says nothing")
		}
		o.Progress = nil
		other := backboneOf(t, changed(t, path, map[string]any{"general.name": "another"}, nil))
		another, _ := shortCourse(t, other, a)
		if _, _, err := Run(t.Context(), c, another, source, o); err == nil || !strings.Contains(err.Error(), "were others") {
			t.Errorf("the checkpoint goes on with another backbone: %v", err)
		}
		one := Compute{c.Impl, kernels.NewTeam(1)}
		t.Cleanup(one.Team.Close)
		got, report, err := Run(t.Context(), one, r, source, o)
		if err != nil || report.Steps != 9 {
			t.Fatalf("%d steps, %v", report.Steps, err)
		}
		sameModel(t, got, want)
		if goneOn := readLog(t, o.Log); !reflect.DeepEqual(goneOn, lines) {
			t.Errorf("a log of %v, want %v", goneOn, lines)
		}
	}
	for i, p := range backboneOf(t, path).params {
		if !slices.Equal(p.Values, b.params[i].Values) {
			t.Errorf("%s was changed", p.Name)
		}
	}
}

// The file says what the engine has to know, and holds what was learned.
func TestAdaptersAreWritten(t *testing.T) {
	b := backboneOf(t, synthetic(t, "qwen3-tiny")) // whose heads are wider than its rows
	for _, a := range adapters(1) {
		m := awake(adapted(t, b, a))
		path := filepath.Join(t.TempDir(), "adapter.gguf")
		if err := m.WriteAdapter(path, Export{Name: "test", Type: quant.F16, Context: 48}); err != nil {
			t.Fatal(err)
		}
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for key, want := range map[string]any{
			"general.architecture": "qwen3", "general.type": "adapter", "adapter.type": "memory", "general.name": "test", "mneme.memory.kind": a.Memory,
			"adapter.backbone.fingerprint": b.Fingerprint, "mneme.attention.sliding_window": uint32(16), "mneme.context_length": uint32(48),
			"mneme.memory." + a.Memory + ".layers": []int32{1},
		} {
			got, ok := f.Metadata().Get(key)
			if text, is := want.(string); is {
				want = strconv.Quote(text)
			}
			if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: %s is %v, want %v", a.Memory, key, got, want)
			}
		}
		shapes := map[string][]int{"blk.1.mem_norm.weight": {256}, "blk.1.mem_output.weight": {128, 256}, "blk.1.mem_q.weight": {256, 128}, "blk.1.mem_conv.weight": {4, 384}}
		if a.Memory == model.MemoryFifo {
			shapes = map[string][]int{
				"blk.1.mem_input_norm.weight": {256}, "blk.1.mem_norm.weight": {256}, "blk.1.mem_output.weight": {512, 256}, "blk.1.mem_q.weight": {256, 512},
				"blk.1.mem_pool_q.weight": {256, 2}, "blk.1.mem_gate_w.bias": {256},
			}
		}
		for name, want := range shapes {
			if got, ok := f.Tensor(name); !ok || !slices.Equal(got.Shape, want) {
				t.Errorf("%s: %s is %+v, want %v", a.Memory, name, got, want)
			}
		}
		output, _ := f.Tensor("blk.1.mem_output.weight")
		values := make([]float32, output.Elements())
		if err := output.DecodeRows(values, 0); err != nil {
			t.Fatal(err)
		}
		for i, v := range m.byName["blk.1.mem_output.weight"].Values {
			if math.Abs(float64(v-values[i])) > 1e-3 {
				t.Fatalf("%s: value %d of W_o is %v, want %v", a.Memory, i, values[i], v)
			}
		}
		for _, tensor := range f.Tensors() {
			if !strings.HasPrefix(tensor.Name, "blk.1.mem_") || strings.Contains(tensor.Name, "fuse") {
				t.Errorf("%s: the file has %s", a.Memory, tensor.Name)
			}
		}
	}
}

// What cannot be trained is refused before the work.
func TestAdaptersAreRefused(t *testing.T) {
	b := backboneOf(t, synthetic(t, "qwen2-tiny"))
	for want, a := range map[string]Adapter{
		"kind \"elephant\"":  {Memory: "elephant"},
		"layers [2]":         {Memory: model.MemoryFifo, Layers: []int{2}},
		"layers [1 0]":       {Memory: model.MemoryNeural, Layers: []int{1, 0}},
		"nothing is to be":   {Memory: model.MemoryNeural, Window: 48},
		"no chunk of 64":     {Memory: model.MemoryFifo},
		"no layer":           {Memory: model.MemoryFifo, Layers: []int{}},
		"{Window:-1":         {Memory: model.MemoryNeural, Window: -1},
		"no memory of shape": {Memory: model.MemoryNeural, Layers: []int{}},
	} {
		if _, err := a.Recipe(b, Course{Length: 48, Steps: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want an error that says %q", a, err, want)
		}
	}
	if b.Tales() {
		t.Error("a random model speaks the small language")
	}
	for _, c := range []Course{{Length: 1, Steps: 1}, {Length: 48}, {Length: 48, Steps: 1, Stories: true}} {
		if _, err := (Adapter{Memory: model.MemoryNeural}).Recipe(b, c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	m, err := NewModel(tiny(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteAdapter(filepath.Join(t.TempDir(), "none"), Export{Type: quant.F32}); err == nil {
		t.Error("a model of its own is written as an adapter")
	}
}
