package mneme

import (
	"bufio"
	"cmp"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// longestNeedles is for going -run Needles by hand: 16384 has all documents read, in some minutes.
var longestNeedles = flag.Int("needles", 256, "the longest `tokens` of the documents that trained models are asked about")

// needle is a document with a fact in it that is asked for at its end.
type needle struct {
	Length int     `json:"length"`
	Depth  float64 `json:"depth"` // of the fact, as a share of the length
	Type   string  `json:"type"`
	Tokens []int32 `json:"tokens"`
	Answer []int32 `json:"answer"`
}

// needleCell is the documents of a length with the fact at a depth.
type needleCell struct {
	Length int
	Depth  float64
}

// needlesOf reads the documents of some lengths, if they are not too long.
func needlesOf(t *testing.T, lengths ...int) (list []needle) {
	t.Helper()
	f, err := os.Open(testdata.Shared(t, "prototypes/needles.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var n needle
		if err := json.Unmarshal(lines.Bytes(), &n); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(lengths, n.Length) && n.Length <= *longestNeedles {
			list = append(list, n)
		}
	}
	if err := lines.Err(); err != nil || len(list) == 0 {
		t.Fatalf("%d documents, %v", len(list), err)
	}
	return list
}

// answers is what the model finds likeliest where the tokens of the answer are, behind a document, when it has read those before it.
// It reads so many tokens at a time.
func answers(t *testing.T, s *Session, n needle, step int) (said []int32) {
	t.Helper()
	if err := s.Truncate(0); err != nil {
		t.Fatal(err)
	}
	tokens := slices.Concat(n.Tokens, n.Answer[:len(n.Answer)-1])
	for at := 0; at < len(tokens); at += step {
		err := s.Evaluate(t.Context(), tokens[at:min(at+step, len(tokens))], func(i int, logits []float32) error {
			if at+i >= len(n.Tokens)-1 {
				said = append(said, int32(slices.Index(logits, slices.Max(logits))))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return said
}

// needlesFound counts, cell by cell, the documents of some lengths whose question is answered, and of how many. One of each cell it
// reads token by token, too, with the same answer.
func needlesFound(t *testing.T, m *Model, lengths []int, options ...SessionOption) (found, asked map[needleCell]int) {
	t.Helper()
	s := newSession(t, m, options...)
	found, asked = map[needleCell]int{}, map[needleCell]int{}
	for _, n := range needlesOf(t, lengths...) {
		at := needleCell{n.Length, n.Depth}
		said := answers(t, s, n, len(n.Tokens)+len(n.Answer))
		if slices.Equal(said, n.Answer) {
			found[at]++
		}
		if n.Length <= 1024 && asked[at] == 0 {
			if one := answers(t, s, n, 1); !slices.Equal(one, said) {
				t.Errorf("%d tokens, fact at %g, document %d: %v token by token, %v at once", n.Length, n.Depth, asked[at], one, said)
			}
		}
		asked[at]++
	}
	for _, at := range slices.SortedFunc(maps.Keys(asked), func(a, b needleCell) int {
		return cmp.Or(cmp.Compare(a.Length, b.Length), cmp.Compare(a.Depth, b.Depth))
	}) {
		t.Logf("%d tokens, fact at %g: %d of %d", at.Length, at.Depth, found[at], asked[at])
	}
	return found, asked
}

// windowed is a trained prototype with full attention, whose layers attend to so many rows instead.
func windowed(t *testing.T, name string, rows int) *Model {
	t.Helper()
	from, err := weights.Open(prototypeFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	md := from.Metadata().Clone()
	for key, value := range map[string]any{"kind": "window", "sliding_window": uint32(rows)} {
		if err := md.Set("mneme.attention."+key, value); err != nil {
			t.Fatal(err)
		}
	}
	var infos []weights.TensorInfo
	for _, x := range from.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: x.Name, Type: x.Type, Shape: x.Shape})
	}
	to := filepath.Join(t.TempDir(), "window.gguf")
	w, err := weights.Create(to, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range from.Tensors() {
		if err := w.WriteTensor(x.Name, x.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return openSynth(t, to)
}

// needlesWant are, by the length of documents, the answers that the program which trained a prototype found, with facts early, in the
// middle and late in them.
type needlesWant map[int][3]int

// checkNeedles holds what was found against that: one document more or less.
func checkNeedles(t *testing.T, found, asked map[needleCell]int, want needlesWant) {
	t.Helper()
	for length, cells := range want {
		if length > *longestNeedles {
			continue
		}
		for i, depth := range []float64{.05, .5, .95} {
			at := needleCell{length, depth}
			if d := found[at] - cells[i]; asked[at] == 0 || d < -1 || d > 1 {
				t.Errorf("%d tokens, fact at %g: %d of %d, want %d", length, depth, found[at], asked[at], cells[i])
			}
		}
	}
}

// checkForgotten holds that hardly anything is found that is farther from the end than attention sees.
func checkForgotten(t *testing.T, found, asked map[needleCell]int) {
	t.Helper()
	right, all := 0, 0
	for at, n := range asked {
		if (1-at.Depth)*float64(at.Length) > 100 {
			right, all = right+found[at], all+n
		}
	}
	if all == 0 || right*20 > all {
		t.Errorf("%d of %d answers without the memory that they are in", right, all)
	}
}

// TestNeedles has the trained prototypes answer as they did where they were trained, at lengths of up to 64 times what they were
// trained with, and those with memories next to nothing when nothing is read of these.
func TestNeedles(t *testing.T) {
	if testing.Short() {
		t.Skip("reads hundreds of documents")
	}
	stored := func(name string) func(t *testing.T) *Model {
		return func(t *testing.T) *Model { return prototype(t, name) }
	}
	for _, c := range []struct {
		name   string
		model  func(t *testing.T) *Model
		method string
		want   needlesWant
	}{
		{"base", stored("base"), "", needlesWant{256: {19, 20, 19}, 1024: {0, 0, 2}, 4096: {0, 0, 0}}},
		{"base with a window", func(t *testing.T) *Model { return windowed(t, "base", 256) }, "", needlesWant{
			256: {19, 20, 19}, 1024: {0, 1, 20}, 4096: {0, 1, 16}, 16384: {0, 0, 0},
		}},
		{"landmark", stored("landmark"), "landmark:blocks=8,local=64", needlesWant{
			256: {20, 19, 20}, 1024: {20, 20, 20}, 4096: {16, 15, 12}, 16384: {6, 6, 6},
		}},
		{"titans", stored("titans"), "", needlesWant{256: {19, 19, 19}, 1024: {19, 19, 20}, 4096: {9, 12, 13}, 16384: {0, 1, 4}}},
		{"fifo", stored("fifo"), "", needlesWant{256: {13, 9, 14}, 1024: {14, 14, 15}, 4096: {1, 0, 12}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := c.model(t)
			lengths := slices.Collect(maps.Keys(c.want))
			found, asked := needlesFound(t, m, lengths, WithKVType(quant.F32), WithAttention(c.method))
			checkNeedles(t, found, asked, c.want)
			if m.Config().Fifo.Slots > 0 || len(m.Config().Neural.Layers) > 0 {
				found, asked := needlesFound(t, m, lengths, WithKVType(quant.F32), WithMemory("none"))
				checkForgotten(t, found, asked)
			}
		})
	}
}
