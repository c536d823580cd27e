package bench

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/synth"
	"pgregory.net/rapid"
)

func TestSentences(t *testing.T) {
	long := strings.Repeat("word ", 200)
	for text, want := range map[string][]string{
		"":                              nil,
		"One. Two!  \"Three?\" four":    {"One. ", "Two!  ", "\"Three?\" ", "four"},
		"3.14 is it. (Yes.) No":         {"3.14 is it. ", "(Yes.) ", "No"},
		"A heading\n\nA line\nand more": {"A heading\n\n", "A line\nand more"},
		"一。二！三":                         {"一。", "二！", "三"},
		"  . a":                         {"  . ", "a"},
		long:                            {long[:480], long[480:960], long[960:]},
		strings.Repeat("x", 500):        {strings.Repeat("x", 480), strings.Repeat("x", 20)},
	} {
		if got := sentences(text); !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab .!?\n。\"é\xff 　"))).Draw(t, "text") + rapid.String().Draw(t, "more")
		list := sentences(text)
		if strings.Join(list, "") != text || slices.Contains(list, "") {
			t.Fatalf("%q is cut into %q", text, list)
		}
	})
}

// story is a text whose sentences differ.
func story(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Sentence %d has %s in it.", i, strings.Repeat("a cat and ", i%7))
		b.WriteString([]string{" ", "\n", "\n\n"}[i%3])
	}
	return b.String()
}

// text is what tokens say.
func text(m *mneme.Model, tokens []int32) string {
	return m.Tokenizer().Text(tokens, tokenizer.DecodeOptions{})
}

func TestPieces(t *testing.T) {
	m := tiny(t)
	kinds := make([]string, 0, len(needleKinds))
	for _, k := range NeedleKinds() {
		kinds = append(kinds, k.Name)
	}
	for _, c := range []struct {
		sentences int // of the text
		lengths   []int
		questions int
	}{{400, []int{1500, 4000}, 1}, {20, []int{3000}, 3}} {
		o := TextOptions{Grid: Grid{Lengths: c.lengths, Depths: []float64{0, .3, 1}, Trials: 12, Seed: 1}, Kinds: kinds, Facts: 3, Questions: c.questions}
		p, err := NewPieces(m, story(c.sentences), o)
		if err != nil {
			t.Fatal(err)
		}
		longest := slices.Max(func() (list []int) {
			for _, s := range p.sentences {
				list = append(list, p.count(s))
			}
			return list
		}())
		seen := map[string]bool{}
		for i, place := range p.Places() {
			h, err := p.Haystack(i)
			if err != nil {
				t.Fatal(err)
			}
			if n := h.length(); n > place.Length || n < place.Length-longest-8 {
				t.Fatalf("%+v has %d tokens", place, n)
			}
			if place.Type != kinds[place.Trial%len(kinds)] || len(h.Questions) != c.questions {
				t.Fatalf("%+v, %d questions", place, len(h.Questions))
			}
			said := text(m, h.Tokens)
			_, body, _ := strings.Cut(said, "\n\n")
			begins := fmt.Sprint(place.Length, place.Depth, p.first(place))
			if seen[begins] || place.Depth == 1 && !strings.HasPrefix(body, strings.TrimSpace(p.sentences[p.first(place)])) {
				t.Fatalf("%+v begins with %.100q, as another text does", place, body)
			}
			seen[begins] = true
			depths := map[string]bool{}
			for _, q := range h.Questions {
				asked := text(m, q.Tokens)
				if !strings.Contains(asked, "\nAnswer: ") || len(q.Expected) == 0 || depths[asked] {
					t.Fatalf("asked %q", asked)
				}
				depths[asked] = true
				for j, e := range q.Expected {
					at := strings.Index(body, e)
					if at < 0 {
						t.Fatalf("%+v: no %q in %q", place, e, body)
					}
					if share := float64(at) / float64(len(body)); j == 0 && math.Abs(share-place.Depth) > 900/float64(len(body)) {
						t.Errorf("%+v: %q lies at %.2f", place, e, share)
					}
					if strings.Contains(asked, e) {
						t.Errorf("%+v: %q has its answer", place, asked)
					}
				}
			}
		}
		again, err := NewPieces(m, story(c.sentences), o)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := p.Haystack(7)
		b, _ := again.Haystack(7)
		if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(p.Settings(), again.Settings()) {
			t.Error("the same seed makes another text")
		}
	}
}

// A chain of variables has its assignments in order, and what is not asked for is not part of the answer.
func TestTracking(t *testing.T) {
	g := Grid{Seed: 4}
	for trial := range 50 {
		r := g.random(Place{Trial: trial})
		x := tracking(r, .2, 4, 2)
		names := x.asked[0].expected
		if len(names) != 4 || len(x.hidden) != 8 || x.asked[0].question == x.asked[1].question {
			t.Fatalf("%+v", x)
		}
		for _, name := range names {
			if !strings.ContainsAny(name, "0123456789") {
				t.Fatalf("variable %s could be a word", name)
			}
		}
		at := -1.
		for i, name := range names {
			h := x.hidden[slices.IndexFunc(x.hidden, func(h hidden) bool { return strings.HasPrefix(h.says, "Variable "+name+" is") })]
			if h.at < at || i == 0 && h.at != .2 || i > 0 && !strings.HasSuffix(h.says, "variable "+names[i-1]+".") {
				t.Fatalf("%+v at %g, after %g", h, h.at, at)
			}
			at = h.at
		}
	}
	if len(cities) < 2*MostFacts {
		t.Errorf("%d cities", len(cities))
	}
	for _, words := range [][]string{cities, firstWords, secondWords} {
		if sorted := slices.Sorted(slices.Values(words)); len(slices.Compact(sorted)) != len(words) {
			t.Errorf("%q are not all different", words)
		}
	}
}

func TestPiecesRefused(t *testing.T) {
	m := tiny(t)
	grid := Grid{Lengths: []int{900}, Depths: []float64{.5}, Trials: 2}
	for want, c := range map[string]struct {
		text string
		o    TextOptions
	}{
		"of 901 tokens":      {"a", TextOptions{Grid: grid, MaxTokens: 901}},
		"in a text of 900":   {"a", TextOptions{Grid: grid, MaxTokens: math.MaxInt}},
		"to 2147483648 tok":  {"a", TextOptions{Grid: Grid{Lengths: []int{9, 1 << 31}, Depths: []float64{.5}, Trials: 1}}},
		"than 1048576 texts": {"a", TextOptions{Grid: Grid{Lengths: []int{9, 10}, Depths: []float64{.5}, Trials: 1<<19 + 1}}},
		"empty":              {" \n", TextOptions{Grid: grid}},
		`no needle "pin"`:    {"a", TextOptions{Grid: grid, Kinds: []string{"pin"}}},
		"in 3 ways":          {"a", TextOptions{Grid: grid, Kinds: []string{"number", "passkey"}, Questions: 4}},
		"33 facts":           {"a", TextOptions{Grid: grid, Facts: 33}},
		"-1 questions":       {"a", TextOptions{Grid: grid, Questions: -1}},
		"0 trials":           {"a", TextOptions{Grid: Grid{Lengths: []int{900}, Depths: []float64{.5}}}},
		"of 60 tokens":       {"a", TextOptions{Grid: Grid{Lengths: []int{60, 900}, Depths: []float64{.5}, Trials: 1}}},
		"a word of the text": {"a", TextOptions{Grid: Grid{Lengths: []int{900, 300}, Depths: []float64{.5}, Trials: 6}, Kinds: []string{"number", "values"}, Facts: 30}},
	} {
		if _, err := NewPieces(m, c.text, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// What is expected is looked for in what the model writes, until it has written it.
func TestNeedleExpected(t *testing.T) {
	m := tiny(t)
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	var written string
	var tokens []int32
	for token, err := range s.GenerateTokens(t.Context(), append(someTokens(40), 9), mneme.WithSampling(sample.Options{}), mneme.WithMaxTokens(12)) {
		if err != nil {
			t.Fatal(err)
		}
		written += token.Text
		tokens = append(tokens, token.ID)
	}
	half := []rune(written[:len(written)/2])
	for _, c := range []struct {
		expected []string
		max      int
		correct  bool
		all      bool // the model writes on to the end
	}{
		{[]string{written}, 12, true, true},
		{[]string{strings.ToUpper(string(half[1:]))}, 12, true, false},
		{[]string{string(half), "nowhere"}, 12, false, true},
		{[]string{written}, 11, false, true},
	} {
		x := texts{{Place{Length: 64}, Haystack{someTokens(40), []Question{{Tokens: []int32{9}, Expected: c.expected, MaxTokens: c.max}}}}}
		run, err := newNeedleRun(m, x, NeedleOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := run.trials[0].Answers[0]
		if a.Correct != c.correct || c.all && len(a.Tokens) != c.max || !slices.Equal(a.Tokens, tokens[:len(a.Tokens)]) || !c.all && len(a.Tokens) == 12 {
			t.Errorf("%q: %+v", c.expected, a)
		}
	}
}

// A question goes on from the text before it: no token ends that, and none but its own begins the question.
func TestQuestionsGoOn(t *testing.T) {
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		t.Fatal(err)
	}
	m := changed(t, shape, func(md *weights.Metadata) error {
		return errors.Join(md.Set("tokenizer.ggml.add_eos_token", true), md.Set("tokenizer.ggml.add_space_prefix", true))
	})
	all := m.Tokenizer().Encode("it was hot.\nHow was it?", tokenizer.EncodeOptions{AddSpecial: true})
	if end, _ := m.Tokenizer().EOS(); all[len(all)-1] != end {
		t.Fatal("the model puts no token behind a text")
	}
	d, err := ReadDocuments(strings.NewReader(`{"text":"it was hot.","question":"\nHow was it?","answer":"hot"}`), m)
	if err != nil {
		t.Fatal(err)
	}
	h, _ := d.Haystack(0)
	if got := slices.Concat(h.Tokens, h.Questions[0].Tokens); !slices.Equal(got, all[:len(all)-1]) {
		t.Errorf("%v, want %v", got, all[:len(all)-1])
	}
	p, err := NewPieces(m, "A cat sat on a mat.", TextOptions{Grid: Grid{Lengths: []int{900}, Depths: []float64{.5}, Trials: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if h, err = p.Haystack(0); err != nil {
		t.Fatal(err)
	}
	got := slices.Concat(h.Tokens, h.Questions[0].Tokens)
	if want := m.Tokenizer().Encode(text(m, got), tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(got, want[:len(want)-1]) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Other words are other trials.
func TestWordings(t *testing.T) {
	before, words := wordingSum(), trackingWordings
	defer func() { trackingWordings = words }()
	if before != wordingSum() {
		t.Fatal("the same words have two sums")
	}
	trackingWordings = append([]string{"Which?"}, words[1:]...)
	if before == wordingSum() {
		t.Error("other words have the same sum")
	}
}
