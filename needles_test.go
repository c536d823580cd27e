package mneme

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
)

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

// needlesOf reads the documents of some lengths.
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
		if slices.Contains(lengths, n.Length) {
			list = append(list, n)
		}
	}
	if err := lines.Err(); err != nil || len(list) == 0 {
		t.Fatalf("%d documents, %v", len(list), err)
	}
	return list
}

// answers is whether the model, once it has read a document, writes the answer, always choosing the likeliest token.
func answers(t *testing.T, s *Session, n needle) bool {
	t.Helper()
	if err := s.Truncate(0); err != nil {
		t.Fatal(err)
	}
	last := len(n.Tokens) - 1
	if err := s.Evaluate(t.Context(), n.Tokens[:last], nil); err != nil {
		t.Fatal(err)
	}
	right := true
	err := s.Evaluate(t.Context(), append([]int32{n.Tokens[last]}, n.Answer[:len(n.Answer)-1]...), func(i int, logits []float32) error {
		right = right && logits[n.Answer[i]] == slices.Max(logits)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return right
}

// needlesFound counts, cell by cell, the documents of some lengths whose question is answered, and of how many.
func needlesFound(t *testing.T, m *Model, lengths []int, options ...SessionOption) (found, asked map[needleCell]int) {
	t.Helper()
	s := newSession(t, m, options...)
	found, asked = map[needleCell]int{}, map[needleCell]int{}
	for _, n := range needlesOf(t, lengths...) {
		at := needleCell{n.Length, n.Depth}
		asked[at]++
		if answers(t, s, n) {
			found[at]++
		}
	}
	for at, n := range asked {
		t.Logf("%d tokens, fact at %g: %d of %d", at.Length, at.Depth, found[at], n)
	}
	return found, asked
}

// checkNeedles holds what was found against what the program that trained a prototype found: one document more or less.
func checkNeedles(t *testing.T, what string, found, asked, want map[needleCell]int) {
	t.Helper()
	for at, n := range want {
		if d := found[at] - n; asked[at] == 0 || d < -1 || d > 1 {
			t.Errorf("%s: %d tokens, fact at %g: %d of %d, want %d", what, at.Length, at.Depth, found[at], asked[at], n)
		}
	}
}

// TestFifoNeedles has the prototype with a memory of chunks, which was trained at 256 tokens, answer as it did where it was
// trained; and not without its memory, but where the fact may be in the last chunk.
func TestFifoNeedles(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 120 documents twice")
	}
	m, lengths := prototype(t, "fifo"), []int{256, 1024}
	found, asked := needlesFound(t, m, lengths)
	checkNeedles(t, "fifo", found, asked, map[needleCell]int{
		{256, .05}: 13, {256, .5}: 9, {256, .95}: 14, {1024, .05}: 14, {1024, .5}: 14, {1024, .95}: 15,
	})
	found, asked = needlesFound(t, m, lengths, WithMemory("none"))
	for at, n := range asked {
		if at.Depth < .9 && found[at]*10 > n {
			t.Errorf("without its memory: %d tokens, fact at %g: %d of %d", at.Length, at.Depth, found[at], n)
		}
	}
}
