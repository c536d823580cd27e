package mneme

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
)

// prototypeTolerance is how far logits of the trained prototypes may be from those of the program that trained them.
const prototypeTolerance = 2e-3

// golden is what that program made of a text.
type golden struct {
	Tokens []int32        `json:"tokens"`
	Rows   []int32        `json:"rows"` // with landmarks
	Local  int            `json:"local"`
	Blocks int            `json:"k"`
	Top    [][][2]float64 `json:"top"` // [id, logit] after each token, or the last ones
}

func goldenOf(t *testing.T, name string) golden {
	t.Helper()
	data, err := os.ReadFile(testdata.Shared(t, "prototypes/golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(all[name], &g); err != nil {
		t.Fatal(err)
	}
	return g
}

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

// farthest is the largest distance of logits from the golden ones, which are for the last tokens.
func farthest(t *testing.T, g golden, logits [][]float32) float64 {
	t.Helper()
	far := 0.
	for i, top := range g.Top {
		row := logits[len(logits)-len(g.Top)+i]
		for _, pair := range top {
			far = max(far, math.Abs(float64(row[int(pair[0])])-pair[1]))
		}
	}
	return far
}

func TestLandmarkPrototype(t *testing.T) {
	m := prototype(t, "landmark")
	dense, retrieval := goldenOf(t, "landmark_dense"), goldenOf(t, "landmark_retrieval")
	// What the dense form has after a landmark is nobody's to see.
	var tops [][][2]float64
	for i, id := range dense.Rows {
		if int(id) != m.Config().Landmark.Token {
			tops = append(tops, dense.Top[i])
		}
	}
	dense.Top = tops
	for _, c := range []struct {
		name   string
		golden golden
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
			if far := farthest(t, c.golden, logits); far > prototypeTolerance {
				t.Errorf("logits are off by %g", far)
			} else {
				t.Logf("logits are off by %g", far)
			}
		})
	}
}
