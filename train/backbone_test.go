package train

import (
	"encoding/binary"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// synthetic writes a random model.
func synthetic(t testing.TB, shape string) (path string) {
	t.Helper()
	s, err := synth.Lookup(shape)
	if err != nil {
		t.Fatal(err)
	}
	return writeShape(t, s)
}

func writeShape(t testing.TB, s synth.Shape) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), s.Name+".gguf")
	if err := synth.Write(t.Context(), path, s, quant.F32, 1, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallLlama is one with heads of eight values.
func smallLlama(t testing.TB) string {
	return writeShape(t, synth.Shape{
		Name: "llama", Arch: "llama", Layers: 2, Embedding: 32, FeedForward: 48, Heads: 4, KVHeads: 2, Vocab: 300, Context: 256, RopeBase: 1e4, NormEps: 1e-6,
	})
}

// changed writes a model with other metadata, and vectors besides.
func changed(t testing.TB, path string, set map[string]any, vectors map[string][]float32) string {
	t.Helper()
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	md := f.Metadata().Clone()
	for key, value := range set {
		if err := md.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	var infos []weights.TensorInfo
	data := map[string][]byte{}
	for _, tensor := range f.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: tensor.Name, Type: tensor.Type, Shape: tensor.Shape})
		data[tensor.Name] = tensor.Data
	}
	for name, values := range vectors {
		infos = append(infos, weights.TensorInfo{Name: name, Type: quant.F32, Shape: []int{len(values)}})
		for _, v := range values {
			data[name] = binary.LittleEndian.AppendUint32(data[name], math.Float32bits(v))
		}
	}
	path = filepath.Join(t.TempDir(), "changed.gguf")
	w, err := weights.Create(path, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if err := w.WriteTensor(info.Name, data[info.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func backboneOf(t testing.TB, path string) *Backbone {
	t.Helper()
	b, err := OpenBackbone(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// alone is a model of a backbone without anything that is learned.
func (b *Backbone) alone() *Model { return &Model{Shape: b.shape(), byName: map[string]*Param{}} }

// someTokens are of any vocabulary.
func someTokens(n, vocabulary int) (tokens []int) {
	r := seeded(9)
	for range n {
		tokens = append(tokens, r.IntN(vocabulary))
	}
	return tokens
}

// same holds logits of the graph against those of the engine.
func same(t *testing.T, what string, graph, engine [][]float32, tolerance float64) {
	t.Helper()
	if len(graph) != len(engine) {
		t.Fatalf("%s: logits after %d tokens, and %d", what, len(graph), len(engine))
	}
	for i := range engine {
		for j, v := range engine[i] {
			if d := math.Abs(float64(v - graph[i][j])); !(d <= tolerance) {
				t.Fatalf("%s: logit %d after token %d is %v, and %v in the graph", what, j, i, v, graph[i][j])
			}
		}
	}
}

func engineOf(t *testing.T, path string, options ...mneme.ModelOption) *mneme.Model {
	t.Helper()
	m, err := mneme.Open(path, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// What the graph computes of a backbone of any architecture, the engine computes of its file.
func TestBackbonesAreTheEngines(t *testing.T) {
	all := computes(t)
	factors := func(n int) (f []float32) {
		for i := range n {
			f = append(f, 1+float32(i)/4)
		}
		return f
	}
	llama, phi3 := smallLlama(t), synthetic(t, "phi3-tiny")
	files := map[string]string{
		"linear": changed(t, llama, map[string]any{"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(3)}, nil),
		"yarn": changed(t, llama, map[string]any{
			"llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": float32(4), "llama.rope.scaling.original_context_length": uint32(64), "llama.rope.scaling.attn_factor": float32(1.1),
		}, nil),
		"factors, half of a head, biases": changed(t, llama, map[string]any{"llama.rope.dimension_count": uint32(4)}, map[string][]float32{
			"rope_freqs.weight": factors(2), "blk.0.attn_q.bias": factors(32), "blk.1.attn_k.bias": factors(16), "blk.1.ffn_up.bias": factors(48), "blk.0.attn_output.bias": factors(32),
		}),
		"short factors": changed(t, phi3, map[string]any{"phi3.rope.scaling.original_context_length": uint32(256)},
			map[string][]float32{"rope_factors_short.weight": factors(8), "rope_factors_long.weight": factors(9)[1:]}),
		"long factors": changed(t, phi3, map[string]any{"phi3.rope.scaling.original_context_length": uint32(64)},
			map[string][]float32{"rope_factors_short.weight": factors(8), "rope_factors_long.weight": factors(9)[1:]}),
	}
	for _, name := range []string{"llama-tiny", "qwen2-tiny", "qwen3-tiny", "gemma2-tiny", "phi3-tiny", "mneme-tiny"} {
		files[name] = synthetic(t, name)
	}
	for name, path := range files {
		b, engine := backboneOf(t, path), engineOf(t, path)
		tokens := someTokens(90, b.config.Vocabulary)
		if print, err := engine.Fingerprint(); err != nil || print != b.Fingerprint {
			t.Errorf("%s: fingerprint %q, and %q: %v", name, b.Fingerprint, print, err)
		}
		same(t, name, logitsOf(t, all[len(all)-1], b.alone(), tokens), evaluated(t, engine, tokens, mneme.WithContext(len(tokens))), 1e-3)
	}
}

// So it is for trained models.
func TestTrainedBackbonesAreTheEngines(t *testing.T) {
	all := computes(t)
	for _, name := range []string{"stories260K.gguf", "llama-tiny.F16.gguf", "qwen2-tiny.F16.gguf", "qwen3-tiny.F16.gguf", "gemma2-tiny.F16.gguf", "phi3-tiny.F16.gguf"} {
		path := testdata.Shared(t, "models/"+name)
		b := backboneOf(t, path)
		tokens := someTokens(30, b.config.Vocabulary)
		same(t, name, logitsOf(t, all[len(all)-1], b.alone(), tokens), evaluated(t, engineOf(t, path), tokens), 1e-3)
	}
}

// What graphs cannot be built of is refused, with what it is.
func TestBackbonesAreRefused(t *testing.T) {
	tiny := synthetic(t, "mneme-tiny")
	for want, path := range map[string]string{
		"4 in each layer":   synthetic(t, "moe-tiny"),
		"of kind fifo":      synthetic(t, "mneme-fifo-tiny"),
		"of kind neural":    synthetic(t, "mneme-lmm-tiny"),
		"chunked attention": changed(t, tiny, map[string]any{"mneme.attention.kind": "chunked", "mneme.attention.chunk_length": uint32(8)}, nil),
		"no such file":      filepath.Join(t.TempDir(), "none.gguf"),
	} {
		if _, err := OpenBackbone(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	b := backboneOf(t, tiny)
	defer func(was func() (int64, bool)) { available = was }(available)
	available = func() (int64, bool) { return 2 * b.bytes, true }
	if _, err := OpenBackbone(tiny); err != nil {
		t.Error(err)
	}
	if _, err := (Tuning{Block: 16}).Recipe(b, Course{Length: 20, Steps: 1}); !errors.Is(err, mneme.ErrMemory) {
		t.Errorf("got %v, want one of memory", err)
	}
	available = func() (int64, bool) { return 2*b.bytes + 1<<20, true }
	if _, err := (Adapter{Memory: model.MemoryNeural}).Recipe(b, Course{Length: 512, Steps: 1}); !errors.Is(err, mneme.ErrMemory) {
		t.Errorf("got %v, want one of memory for texts", err)
	}
	available = func() (int64, bool) { return b.bytes - 1, true }
	if _, err := OpenBackbone(tiny); !errors.Is(err, mneme.ErrMemory) {
		t.Errorf("got %v, want one of memory", err)
	}
}

// A small model's file is a backbone like others, of which the graph is the model's own, and which speaks the language of stories.
func TestSmallModelsAreBackbones(t *testing.T) {
	all := computes(t)
	c := all[len(all)-1]
	s := tiny()
	s.Sights = []Sight{{Window: 5}, {}}
	m, err := NewModel(s, 7)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "small.gguf")
	if err := m.Write(path, Export{Name: "test", Type: quant.F32, Context: 64, Source: Stories{}}); err != nil {
		t.Fatal(err)
	}
	b := backboneOf(t, path)
	tokens := someTokens(40, s.Vocabulary)
	same(t, "small", logitsOf(t, c, b.alone(), tokens), logitsOf(t, c, m, tokens), 1e-4)
	if !b.Tales() {
		t.Fatal("its words are not those of the stories")
	}
	r, err := Adapter{Memory: model.MemoryNeural, Window: 8}.Recipe(b, Course{Length: 64, Steps: 7, Stories: true})
	if err != nil {
		t.Fatal(err)
	}
	names, steps := "", 0
	for i := range r.Stages {
		r.Stages[i].Texts, r.Stages[i].Exam = 2, 1
		names, steps = names+r.Stages[i].Name+"; ", steps+r.Stages[i].Steps
	}
	if names != "lists of 64; stories of 64; stories of 64, cooling; " || steps != 7 {
		t.Errorf("%s in %d steps", names, steps)
	}
	if long, err := (Adapter{Memory: model.MemoryFifo}).Recipe(b, Course{Length: 4096, Steps: 4, Stories: true}); err != nil || long.check() != nil {
		t.Errorf("long texts: %v, %v", err, long.check())
	}
	_, report, err := Run(t.Context(), c, r, Stories{}, Options{Seed: 1})
	if err != nil || report.Steps != 7 || report.Stages[2].Marks.Asked == 0 {
		t.Errorf("%+v, %v", report, err)
	}
}
