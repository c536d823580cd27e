package mneme

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// tryFile takes a file's bytes as far as they go: to a model that reads and writes some tokens, or to an error of one
// line. It reports whether the model was opened.
func tryFile(t *testing.T, data []byte) bool {
	t.Helper()
	file, err := weights.Parse(data)
	if err == nil {
		var m *Model
		if m, err = newModel(file, []ModelOption{WithThreads(1)}); err == nil {
			defer m.Close()
			return tryModel(t, m)
		}
	}
	if text := err.Error(); text == "" || strings.Contains(text, "\n") {
		t.Errorf("not one line: %q", text)
	}
	return false
}

// tryModel has a model read and write a little. Errors are fine, for weights may be anything, NaN among them.
func tryModel(t *testing.T, m *Model) bool {
	s, err := m.NewSession()
	if err != nil {
		return true
	}
	prompt := []int32{1, 5}
	if m.tokenizer != nil {
		prompt = append(prompt, m.tokenizer.Encode("a few <s> words\n", encodeAll)...)
		prompt = prompt[:min(len(prompt), 24)]
	}
	for token, err := range s.GenerateTokens(context.Background(), prompt, WithMaxTokens(2)) {
		if err != nil {
			break
		}
		if m.tokenizer != nil {
			m.tokenizer.Piece(token.ID)
		}
	}
	return true
}

func synthBytes(t testing.TB, name string, typ quant.Type) []byte {
	t.Helper()
	shape, err := synth.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := synth.WriteTo(context.Background(), &buf, shape, typ, 1); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// mutate changes a few bytes, mostly in the header, cuts the file short, or moves a piece of it elsewhere.
func mutate(rng *rand.Rand, data []byte) []byte {
	data = bytes.Clone(data)
	header := min(len(data), 24<<10)
	for range 1 + rng.IntN(4) {
		at := rng.IntN(header)
		if rng.IntN(8) == 0 {
			at = rng.IntN(len(data))
		}
		switch rng.IntN(5) {
		case 0:
			data[at] ^= 1 << rng.IntN(8)
		case 1:
			data[at] = byte(rng.Uint32())
		case 2:
			data[at] = []byte{0, 1, 0x7f, 0x80, 0xff}[rng.IntN(5)]
		case 3:
			n := min(1+rng.IntN(16), len(data)-at)
			copy(data[at:at+n], data[rng.IntN(header):])
		case 4:
			if rng.IntN(4) == 0 {
				return data[:at]
			}
		}
	}
	return data
}

// TestMutatedFiles opens 1,000 damaged files of all architectures and types: each is a model or an error.
func TestMutatedFiles(t *testing.T) {
	var originals [][]byte
	for _, name := range []string{"llama-tiny", "moe-tiny", "qwen2-tiny", "qwen3-tiny", "gemma2-tiny", "phi3-tiny", "mneme-tiny", "mneme-mag-tiny", "mneme-mac-tiny"} {
		originals = append(originals, synthBytes(t, name, quant.Q4_0), synthBytes(t, name, quant.F16))
	}
	originals = append(originals, landmarkBytes(t, 4, nil))
	files := 1000
	if testing.Short() {
		files = 100
	}
	rng := rand.New(rand.NewPCG(1, 2))
	loaded := 0
	for i := range files {
		if tryFile(t, mutate(rng, originals[i%len(originals)])) {
			loaded++
		}
	}
	t.Logf("%d of %d files loaded, the others failed with an error", loaded, files)
	if loaded == 0 || loaded == files {
		t.Errorf("%d of %d files loaded: the changes test nothing", loaded, files)
	}
}

// TestMutatedRealFiles does the same to files made by others.
func TestMutatedRealFiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, name := range []string{"stories260K", "babyllama105.Q5_1", "llama-tiny.Q2_K", "gemma2-tiny.F16"} {
		data, err := os.ReadFile(testdata.Shared(t, "models/"+name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			tryFile(t, mutate(rng, data))
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(synthBytes(f, "phi3-tiny", quant.Q8_0))
	f.Add(synthBytes(f, "llama-tiny", quant.Q4_K)[:20000])
	f.Fuzz(func(t *testing.T, data []byte) { tryFile(t, data) })
}
