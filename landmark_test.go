package mneme

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
)

// prototypeFile has one of the trained prototypes.
func prototypeFile(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".gguf")
	if _, err := convert.Convert(t.Context(), path, testdata.Shared(t, "prototypes/"+name+".safetensors"), convert.Options{Type: quant.F32}); err != nil {
		t.Fatal(err)
	}
	return path
}

// prototype is one of the trained prototypes.
func prototype(t *testing.T, name string) *Model {
	t.Helper()
	return openSynth(t, prototypeFile(t, name))
}

func TestLandmarkPrototype(t *testing.T) {
	m := prototype(t, "landmark")
	dense, retrieval := testdata.PrototypeGolden(t, "landmark_dense"), testdata.PrototypeGolden(t, "landmark_retrieval")
	// What the dense form has after a landmark is nobody's to see.
	var tops [][][2]float64
	for i, top := range dense.Top {
		if rows := m.Config().Landmark.Block + 1; i%rows != rows-1 {
			tops = append(tops, top)
		}
	}
	dense.Top = tops
	for _, c := range []struct {
		name   string
		golden testdata.Golden
		method string
		step   int // tokens read at a time
	}{
		{"all blocks, at once", dense, "landmark:blocks=100,local=1000", 1000},
		{"all blocks, a block at a time", dense, "landmark:blocks=100,local=16", 1000},
		{"all blocks, some at a time", dense, "landmark:blocks=100,local=1000", 48},
		{"all blocks, one by one", dense, "landmark:blocks=100", 1},
		{"some blocks", retrieval, "", 1000},
		{"some blocks, as asked for", retrieval, "landmark:blocks=8,local=64", 64},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := m.NewSession(WithKVType(quant.F32), WithAttention(c.method))
			if err != nil {
				t.Fatal(err)
			}
			var logits [][]float32
			for at := 0; at < len(c.golden.Tokens); at += c.step {
				err := s.Evaluate(context.Background(), c.golden.Tokens[at:min(at+c.step, len(c.golden.Tokens))], func(_ int, x []float32) error {
					logits = append(logits, append([]float32(nil), x...))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if len(logits) != len(c.golden.Tokens) {
				t.Fatalf("logits after %d of %d tokens", len(logits), len(c.golden.Tokens))
			}
			testdata.CheckTop(t, c.name, logits, c.golden)
		})
	}
}
