package train

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// tuning is a recipe with landmarks on a backbone, of few steps with pieces of a text.
func tuning(t testing.TB, b *Backbone, block int) (Recipe, *Text) {
	t.Helper()
	r, err := Tuning{Block: block}.Recipe(b, Course{Length: 40, Steps: 6})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Stages {
		r.Stages[i].Texts, r.Stages[i].Every, r.Stages[i].Exam = 2, 3, 1
	}
	r.Warmup = 1
	text, err := b.Text(rhyme())
	if err != nil {
		t.Fatal(err)
	}
	return r, text
}

// full is a file of architecture mneme with full attention.
func full(t testing.TB) string {
	return changed(t, synthetic(t, "mneme-tiny"), map[string]any{"mneme.attention.kind": "full"}, nil)
}

// tied is a model of qwen2 whose embeddings are its output matrix.
func tied(t testing.TB) string {
	return writeShape(t, synth.Shape{
		Name: "tied", Arch: "qwen2", Layers: 2, Embedding: 32, FeedForward: 40, Heads: 4, KVHeads: 2, Vocab: 300, Context: 256, RopeBase: 1e4, NormEps: 1e-6, Tied: true,
	})
}

// A model that was trained on with landmarks is one of architecture mneme, of which the engine computes what the graph does. Training
// changes all of its weights, and makes it better; the backbone stays.
func TestModelsAreTuned(t *testing.T) {
	all := computes(t)
	c := all[len(all)-1]
	for name, path := range map[string]string{
		"full": full(t), "phi3": synthetic(t, "phi3-tiny"), "tied": tied(t),
		"llama": changed(t, smallLlama(t), map[string]any{
			"llama.rope.dimension_count": uint32(4), "llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": float32(2),
		}, map[string][]float32{"rope_freqs.weight": {1, 1.5}}),
	} {
		b := backboneOf(t, path)
		r, text := tuning(t, b, 7)
		m, report, err := Run(t.Context(), c, r, text, Options{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		if first, last := report.Stages[0], report.Stages[1]; !(last.Loss < first.Loss) && !(last.Marks.Loss < first.Marks.Loss) {
			t.Errorf("%s: a loss of %v after %v", name, last.Marks.Loss, first.Marks.Loss)
		}
		words := b.config.Vocabulary
		if m.Shape.Vocabulary != words+1 || m.Shape.Landmark.Token != words || len(m.Params) != len(b.params) {
			t.Errorf("%s: %+v with %d parameters of %d", name, m.Shape.Landmark, len(m.Params), len(b.params))
		}
		fresh := backboneOf(t, path)
		for i, p := range b.params {
			if !slices.Equal(p.Values, fresh.params[i].Values) || slices.Equal(p.Values, m.Params[i].Values[:len(p.Values)]) {
				t.Errorf("%s: %s was changed, or did not learn", name, p.Name)
			}
		}
		out := filepath.Join(t.TempDir(), "tuned.gguf")
		if err := m.WriteTuned(out, Export{Name: "test", Type: quant.F32, Context: 40}); err != nil {
			t.Fatal(err)
		}
		engine := engineOf(t, out)
		tokens := someTokens(40, words)
		rows, graph := logitsOf(t, c, m, tokens), [][]float32(nil)
		for i := range tokens {
			graph = append(graph, rows[m.Shape.Landmark.row(i)])
		}
		same(t, name, graph, evaluated(t, engine, tokens), 1e-3)
		tok := engine.Tokenizer()
		if spelling, ok := tok.Spelling(int32(words)); !ok || spelling != "<|landmark|>" || tok.Kind(int32(words)) != tokenizer.KindControl {
			t.Errorf("%s: the landmark is %q", name, spelling)
		}
		const said = "one two, three"
		if got, want := tok.Encode(said, tokenizer.EncodeOptions{}), b.tokenizer.Encode(said, tokenizer.EncodeOptions{}); !slices.Equal(got, want) {
			t.Errorf("%s: reads %v, and the backbone %v", name, got, want)
		}
		if cfg := engine.Config(); cfg.Architecture != "mneme" || cfg.Landmark.Block != 7 || cfg.Landmark.Token != words || cfg.ContextLength != 45 {
			t.Errorf("%s: %+v", name, cfg)
		}
	}
}

// All weights have the gradients that differences say, also where they are used twice.
func TestGradientsOfTunedModels(t *testing.T) {
	all := computes(t)
	b := backboneOf(t, tied(t))
	r, _ := tuning(t, b, 7)
	m, err := NewModel(r.Shape(0), 1)
	if err != nil {
		t.Fatal(err)
	}
	tokens := someTokens(48, b.config.Vocabulary)
	gradientsAreDifferences(t, "tied", all[len(all)-1], m, 0.002, []tales.Document{{Tokens: tokens[:24]}, {Tokens: tokens[24:]}})
}

// A landmark's rows begin as the mean of the words', and its spelling is no other token's.
func TestLandmarksOfTunedModels(t *testing.T) {
	b := backboneOf(t, tied(t))
	r, _ := tuning(t, b, 4)
	m, err := NewModel(r.Shape(0), 1)
	if err != nil {
		t.Fatal(err)
	}
	table, mean := m.byName["token_embd.weight"].Values, 0.0
	for i := range b.config.Vocabulary {
		mean += float64(table[i*32+5]) / float64(b.config.Vocabulary)
	}
	if got := float64(table[b.config.Vocabulary*32+5]); len(table) != 301*32 || !(got-mean < 1e-6 && mean-got < 1e-6) {
		t.Errorf("value 5 of the landmark's row is %v, the mean %v", got, mean)
	}
	md := new(weights.Metadata)
	for key, value := range map[string]any{keyTokens: []string{"a", "<|landmark|>"}, keyScores: []float32{1, 2}} {
		if err := md.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := addControl(md, "<|landmark|>"); err != nil {
		t.Fatal(err)
	}
	tokens, _ := md.Strings(keyTokens)
	kinds, _ := md.Int32s(keyKinds)
	scores, _ := md.Float32s(keyScores)
	if !slices.Equal(tokens, []string{"a", "<|landmark|>", "<<|landmark|>>"}) || !slices.Equal(kinds, []int32{1, 1, 3}) || !slices.Equal(scores, []float32{1, 2, 0}) {
		t.Errorf("%v, %v, %v", tokens, kinds, scores)
	}
}

// What architecture mneme has no place for is refused.
func TestTuningIsRefused(t *testing.T) {
	factors := []float32{1, 2, 3, 4, 5, 6, 7, 8}
	for want, path := range map[string]string{
		"architecture qwen3":  synthetic(t, "qwen3-tiny"),
		"architecture gemma2": synthetic(t, "gemma2-tiny"),
		"attends to 24 rows":  synthetic(t, "mneme-tiny"),
		"for long texts":      changed(t, synthetic(t, "phi3-tiny"), nil, map[string][]float32{"rope_factors_long.weight": factors, "rope_factors_short.weight": factors}),
	} {
		if _, err := (Tuning{Block: 16}).Recipe(backboneOf(t, path), Course{Length: 40, Steps: 3}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that says %q", err, want)
		}
	}
	b := backboneOf(t, tied(t))
	if _, err := (Tuning{}).Recipe(b, Course{Length: 40, Steps: 3}); err == nil {
		t.Error("blocks of no tokens are taken")
	}
	m := adapted(t, b, adapters(0)[0])
	if err := m.WriteTuned(filepath.Join(t.TempDir(), "none"), Export{Type: quant.F32}); err == nil {
		t.Error("an adapter is written as a model")
	}
	r, _ := tuning(t, b, 4)
	m, err := NewModel(r.Shape(0), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteAdapter(filepath.Join(t.TempDir(), "none"), Export{Type: quant.F32}); err == nil {
		t.Error("a model that was trained on is written as an adapter")
	}
}
