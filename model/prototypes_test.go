package model

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
)

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
	g := testdata.PrototypeGolden(t, "base")
	m := openPrototype(t, "base")
	if m.ContextLength < len(g.Tokens) || len(g.Top) != len(g.Tokens) || !slices.Equal(m.AttentionKinds, make([]AttentionKind, m.Layers)) {
		t.Fatalf("%d tokens, %d rows, context %d, kinds %v", len(g.Tokens), len(g.Top), m.ContextLength, m.AttentionKinds)
	}
	r := newRunner(t, m, 1)
	testdata.CheckTop(t, "prefill", forward(t, r, newSequence(t, m, quant.F32), g.Tokens, 0), g)
	seq := newSequence(t, m, quant.F32)
	var rows [][]float32
	for pos, id := range g.Tokens {
		rows = append(rows, forward(t, r, seq, []int32{id}, pos)...)
	}
	testdata.CheckTop(t, "token by token", rows, g)
}

// TestPrototypeFifo also has the reads of the memory zeroed.
func TestPrototypeFifo(t *testing.T) {
	m := openPrototype(t, "fifo")
	if m.ChunkLength != 64 || m.Fifo.Window != 16 || m.Fifo.Slots != 128 || m.Fifo.PerChunk != 8 || !slices.Equal(m.Fifo.Layers, []int{2, 3}) {
		t.Fatalf("%+v", m.Config)
	}
	r := newRunner(t, m, 2)
	for name, forgetful := range map[string]bool{"fifo": false, "fifo_off": true} {
		g := testdata.PrototypeGolden(t, name)
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
			testdata.CheckTop(t, fmt.Sprintf("%s, %d at a time", name, block), rows, g)
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

func TestPrototypeLandmarkLoads(t *testing.T) {
	m := openPrototype(t, "landmark")
	if want := (Landmark{Block: 16, Token: 2, Local: 64, Blocks: 8}); m.Landmark != want || m.ContextLength != 272 || m.AttentionKinds[3] != AttentionLandmark {
		t.Errorf("%+v, want %+v; context %d, kinds %v", m.Landmark, want, m.ContextLength, m.AttentionKinds)
	}
}
