package sample

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// words is a vocabulary of pieces; a text becomes the longest piece that fits, again and again.
type words []string

func (w words) Size() int             { return len(w) }
func (w words) Piece(id int32) []byte { return []byte(w[id]) }

func (w words) Encode(text string) ([]int32, error) {
	var ids []int32
	for text != "" {
		best := -1
		for id, piece := range w {
			if piece != "" && strings.HasPrefix(text, piece) && (best < 0 || len(piece) > len(w[best])) {
				best = id
			}
		}
		if best < 0 {
			return nil, errors.New("no token for " + text)
		}
		ids, text = append(ids, int32(best)), text[len(w[best]):]
	}
	return ids, nil
}

func TestBreakers(t *testing.T) {
	vocabulary := words{"", "a", "b", "\n", ".\n", "\nb", "x<", "<", "|", "end", "|>", "<|end|>", "en", "d", ">"}
	const (
		a, b, newline, dotNewline, newlineB, xLess, less, bar, end, barGreater, whole, en, d, greater = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
	)
	cases := []struct {
		name     string
		breakers []string
		text     []int32
		since    int
	}{
		{"none", []string{"\n"}, []int32{a, b, a}, 3},
		{"one token", []string{"\n"}, []int32{a, newline, b, a}, 2},
		{"inside a token", []string{"\n"}, []int32{a, dotNewline, b, a, b}, 3},
		{"with text after it in the token", []string{"\n"}, []int32{a, newlineB, a}, 1},
		{"last token", []string{"\n"}, []int32{a, newline}, 0},
		{"spans tokens", []string{"<|end|>"}, []int32{less, bar, end, barGreater, a}, 1},
		{"begins inside a token", []string{"<|end|>"}, []int32{a, xLess, bar, end, barGreater, a, b}, 2},
		{"whole", []string{"<|end|>"}, []int32{a, whole, a, b}, 2},
		{"tokenized in another way", []string{"<|end|>"}, []int32{a, less, bar, en, d, barGreater, a}, 7},
		{"not complete", []string{"<|end|>"}, []int32{a, less, bar, end}, 4},
		{"the longest of one head", []string{"<|", "<|end|>"}, []int32{less, bar, end, barGreater, a}, 1},
		{"the last head", []string{"\n", "b"}, []int32{newline, a, b, a, a}, 2},
		{"unknown ids", []string{"\n"}, []int32{-1, 99, newline, -1, 99}, 2},
		{"empty text", []string{"\n"}, nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			found, err := newBreakers(vocabulary, c.breakers)
			if err != nil {
				t.Fatal(err)
			}
			if got := found.since(c.text); got != c.since {
				t.Errorf("%d tokens since the last breaker, want %d", got, c.since)
			}
		})
	}
	found, err := newBreakers(vocabulary, []string{"\n", "<|end|>"})
	if err != nil {
		t.Fatal(err)
	}
	for id := range int32(len(vocabulary)) {
		if want := slices.Contains([]int32{newline, dotNewline, newlineB, whole}, id); found.alone(id) != want {
			t.Errorf("token %q alone: %v, want %v", vocabulary[id], found.alone(id), want)
		}
	}
}

// TestBreakersInCharacters: where every token is a character, the last breaker is where strings.LastIndex finds it.
func TestBreakersInCharacters(t *testing.T) {
	vocabulary := words{"a", "b", "c"}
	rapid.Check(t, func(t *rapid.T) {
		breaker := rapid.StringMatching(`[abc]{1,5}`).Draw(t, "breaker")
		text := rapid.StringMatching(`[abc]{0,40}`).Draw(t, "text")
		found, err := newBreakers(vocabulary, []string{breaker})
		if err != nil {
			t.Fatal(err)
		}
		tokens, _ := vocabulary.Encode(text)
		want := len(text)
		if i := strings.LastIndex(text, breaker); i >= 0 {
			want = len(text) - i - len(breaker)
		}
		if got := found.since(tokens); got != want {
			t.Fatalf("%d tokens since the last %q in %q, want %d", got, breaker, text, want)
		}
	})
}

// TestDRYAcrossBreaker: the repetition of "a b" is not counted if a newline lies within it, and a newline itself is
// never penalized.
func TestDRYAcrossBreaker(t *testing.T) {
	vocabulary := words{"a", "b", "c", "\n"}
	cases := []struct {
		name string
		text []int32
		want []float64 // logits
	}{
		{"no breaker", []int32{0, 1, 2, 0, 1}, []float64{0, 0, -1, 0}},
		{"breaker before the repetition", []int32{0, 1, 2, 3, 0, 1}, []float64{0, 0, -1, 0}},
		{"breaker within", []int32{0, 3, 1, 2, 0, 3, 1}, []float64{0, 0, 0, 0}},
		{"a shorter repetition after the breaker", []int32{3, 0, 1, 2, 3, 0, 1}, []float64{0, 0, -1, 0}},
		{"the breaker would extend", []int32{0, 1, 3, 2, 0, 1}, []float64{0, 0, 0, 0}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := plain()
			o.DRYMultiplier, o.DRYBreakers, o.Vocabulary = 1, []string{"\n"}, vocabulary
			chain := mustNew(t, o)
			for _, id := range c.text {
				chain.Accept(id)
			}
			mustSample(t, chain, make([]float32, 4))
			for _, got := range chain.Candidates() {
				if got.Logit != c.want[got.ID] {
					t.Errorf("logit of %q is %v, want %v", vocabulary[got.ID], got.Logit, c.want[got.ID])
				}
			}
		})
	}
}

func TestBreakerErrors(t *testing.T) {
	cases := []struct {
		breakers   []string
		vocabulary Vocabulary
		want       string
	}{
		{[]string{"\n"}, nil, "need a vocabulary"},
		{[]string{"a", ""}, words{"a"}, `"" is 0 bytes long`},
		{[]string{strings.Repeat("a", 41)}, words{"a"}, "41 bytes long"},
		{[]string{"ab"}, words{"a"}, "no token for b"},
	}
	for _, c := range cases {
		o := Default()
		o.DRYMultiplier, o.DRYBreakers, o.Vocabulary = 1, c.breakers, c.vocabulary
		_, err := New(o)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "dry_sequence_breakers") {
			t.Errorf("breakers %q: error %v, want one with %q", c.breakers, err, c.want)
		}
	}
}
