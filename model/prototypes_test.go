package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
)

// goldenPrototype is how far logits may be from those of the program that trained the prototypes, which are given with four
// digits.
const goldenPrototype = 2e-3

// prototypeGolden is what the program that trained a prototype made of a document: the largest logits after each row.
type prototypeGolden struct {
	Tokens []int32        `json:"tokens"`
	Top    [][][2]float64 `json:"top"`
}

func readPrototypeGolden(t *testing.T, name string) prototypeGolden {
	t.Helper()
	data, err := os.ReadFile(testdata.Shared(t, "prototypes/golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var g prototypeGolden
	if err := json.Unmarshal(all[name], &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// openPrototype converts a prototype and loads it.
func openPrototype(t *testing.T, name string) *Model {
	m, _ := openPrototypeFile(t, name)
	return m
}

func openPrototypeFile(t *testing.T, name string) (*Model, *weights.File) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".gguf")
	_, err := convert.Convert(t.Context(), path, testdata.Shared(t, "prototypes/"+name+".safetensors"), convert.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m, f
}

func TestPrototypeBase(t *testing.T) {
	g := readPrototypeGolden(t, "base")
	m := openPrototype(t, "base")
	if m.ContextLength < len(g.Tokens) || len(g.Top) != len(g.Tokens) || !slices.Equal(m.AttentionKinds, make([]AttentionKind, m.Layers)) {
		t.Fatalf("%d tokens, %d rows, context %d, kinds %v", len(g.Tokens), len(g.Top), m.ContextLength, m.AttentionKinds)
	}
	r := newRunner(t, m, 1)
	checkTop(t, "prefill", forward(t, r, newSequence(t, m, quant.F32), g.Tokens, 0), g.Top)
	seq := newSequence(t, m, quant.F32)
	var rows [][]float32
	for pos, id := range g.Tokens {
		rows = append(rows, forward(t, r, seq, []int32{id}, pos)...)
	}
	checkTop(t, "token by token", rows, g.Top)
}

// TestPrototypeFifo also has the reads of the memory zeroed.
func TestPrototypeFifo(t *testing.T) {
	m := openPrototype(t, "fifo")
	if m.ChunkLength != 64 || m.Fifo.Window != 16 || m.Fifo.Slots != 128 || m.Fifo.PerChunk != 8 || !slices.Equal(m.Fifo.Layers, []int{2, 3}) {
		t.Fatalf("%+v", m.Config)
	}
	r := newRunner(t, m, 2)
	for name, forgetful := range map[string]bool{"fifo": false, "fifo_off": true} {
		g := readPrototypeGolden(t, name)
		from := len(g.Tokens) - len(g.Top)
		var prefill [][]float32
		for _, block := range []int{len(g.Tokens), 200, 1} {
			seq, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: forgetful})
			if err != nil {
				t.Fatal(err)
			}
			var rows [][]float32
			for at := 0; at < len(g.Tokens); at += block {
				rows = append(rows, forward(t, r, seq, g.Tokens[at:min(at+block, len(g.Tokens))], at)...)
			}
			checkTop(t, fmt.Sprintf("%s, %d at a time", name, block), rows[from:], g.Top)
			if prefill == nil {
				prefill = rows
			}
			for i := range rows {
				if !slices.Equal(rows[i], prefill[i]) {
					t.Fatalf("%s, %d at a time: row %d differs", name, block, i)
				}
			}
		}
	}
}

// checkTop compares the logits that are given of each row, and holds that the largest is the largest.
func checkTop(t *testing.T, how string, logits [][]float32, want [][][2]float64) {
	t.Helper()
	worst := 0.0
	for i, top := range want {
		for _, entry := range top {
			d := math.Abs(float64(logits[i][int(entry[0])]) - entry[1])
			if !(d <= goldenPrototype) {
				t.Fatalf("%s: row %d, token %v: logit %v, want %v", how, i, entry[0], logits[i][int(entry[0])], entry[1])
			}
			worst = max(worst, d)
		}
		if best, _ := bestTwo(logits[i]); float64(logits[i][best]) > top[0][1]+goldenPrototype {
			t.Fatalf("%s: row %d: token %d has logit %v, beyond the largest, %v", how, i, best, logits[i][best], top[0][1])
		}
	}
	t.Logf("%s: largest difference %.2g", how, worst)
}

func TestPrototypeLandmarkLoads(t *testing.T) {
	m := openPrototype(t, "landmark")
	if want := (Landmark{Block: 16, Token: 2, Local: 64, Blocks: 8}); m.Landmark != want || m.ContextLength != 272 || m.AttentionKinds[3] != AttentionLandmark {
		t.Errorf("%+v, want %+v; context %d, kinds %v", m.Landmark, want, m.ContextLength, m.AttentionKinds)
	}
}
