package train

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights/quant"
)

// open writes a model and opens the file.
func open(t *testing.T, m *Model, kind quant.Type) *mneme.Model {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.gguf")
	if err := m.Write(path, Export{Name: "test", Type: kind, Context: 64, Source: Stories{}}); err != nil {
		t.Fatal(err)
	}
	opened, err := mneme.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

// evaluated returns the engine's logits after each token.
func evaluated(t *testing.T, m *mneme.Model, tokens []int, options ...mneme.SessionOption) (all [][]float32) {
	t.Helper()
	s, err := m.NewSession(append(options, mneme.WithKVType(quant.F32))...)
	if err != nil {
		t.Fatal(err)
	}
	var ids []int32
	for _, id := range tokens {
		ids = append(ids, int32(id))
	}
	if err := s.Evaluate(t.Context(), ids, func(_ int, logits []float32) error {
		all = append(all, slices.Clone(logits))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// What the graph computes of a model of any kind, the engine computes of its file, with the memory and with zeros for it.
func TestModelsAreWritten(t *testing.T) {
	all := computes(t)
	c := all[len(all)-1]
	shapes := kinds()
	for name, gate := range map[string]fifo.Gate{"gru": fifo.GateGRU, "none": fifo.GateNone} {
		s := tiny()
		s.Fifo = &Fifo{Chunk: 16, Window: 4, Slots: 8, PerChunk: 2, Layers: []int{0}, Gate: gate, Pooling: fifo.PoolMean, Renormalize: gate == fifo.GateGRU}
		shapes[name] = s
	}
	s := tinyNeural()
	s.Neural.Heads = 1
	shapes["one head"] = s
	s = tinyVariant(model.VariantMAC, 1) // convolutions reach back beyond a segment
	s.Neural.Chunk, s.Sight.Chunk = 2, 2
	shapes["mac in short segments"] = s
	for name, s := range shapes {
		m, err := NewModel(s, 7)
		if err != nil {
			t.Fatal(err)
		}
		stir(m)
		tokens := someStories(t, tales.New(seeded(6)), 1, 60)[0].Tokens
		written := open(t, m, quant.F32)
		check := func(what string, got, want [][]float32) {
			t.Helper()
			if len(got) != len(tokens) {
				t.Fatalf("%s%s: logits after %d of %d tokens", name, what, len(got), len(tokens))
			}
			for i := range got {
				graph := want[s.Landmark.row(i)]
				for j, v := range got[i] {
					if d := math.Abs(float64(v - graph[j])); !(d < 1e-3) {
						t.Fatalf("%s%s: logit %d after token %d is %v, and %v in the graph", name, what, j, i, v, graph[j])
					}
				}
			}
		}
		check("", evaluated(t, written, tokens), logitsOf(t, c, m, tokens))
		if without, remembers := s.forgetful(); remembers {
			check(", zeroed", evaluated(t, written, tokens, mneme.WithMemory("none")), logitsOf(t, c, m.as(without), tokens))
		}
	}
}

// The file has the words, in all types, and types that lose little change little.
func TestWrittenModelsRead(t *testing.T) {
	all := computes(t)
	m, err := NewModel(tiny(), 7)
	if err != nil {
		t.Fatal(err)
	}
	d := someStories(t, tales.New(seeded(6)), 1, 60)[0]
	want := logitsOf(t, all[len(all)-1], m, d.Tokens)
	for _, kind := range ExportTypes() {
		written := open(t, m, kind)
		ids := written.Tokenizer().Encode(tales.Decode(d.Tokens[1:]), tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: true})
		for i, id := range d.Tokens {
			if i >= len(ids) || int(ids[i]) != id {
				t.Fatalf("%v: read as %v, want %v", kind, ids, d.Tokens)
			}
		}
		var most float64
		for i, logits := range evaluated(t, written, d.Tokens) {
			for j, v := range logits {
				most = max(most, math.Abs(float64(v-want[i][j])))
			}
		}
		if most > 0.05 {
			t.Errorf("%v: logits are off by %v", kind, most)
		}
	}
	for _, sights := range [][]Sight{{{Window: 5}, {Window: 7}}, {{Chunk: 5}, {Chunk: 7}}} {
		s := tiny()
		s.Sights = sights
		m, err := NewModel(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Write(filepath.Join(t.TempDir(), "model"), Export{Type: quant.F32, Source: Stories{}}); err == nil || !strings.Contains(err.Error(), "layer 1") {
			t.Errorf("%+v, which no file can say: %v", sights, err)
		}
	}
	if err := m.Write(filepath.Join(t.TempDir(), "model"), Export{Type: quant.Q2_K, Source: Stories{}}); err == nil {
		t.Error("a type that loses much is taken")
	}
	if err := m.Write(filepath.Join(t.TempDir(), "none", "model"), Export{Type: quant.F32, Source: Stories{}}); err == nil {
		t.Error("a folder that is not there is no error")
	}
}
