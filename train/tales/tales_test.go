package tales

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func TestWordsAreDifferent(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range Words() {
		if seen[w] || w == "" {
			t.Errorf("word %q is there twice", w)
		}
		seen[w] = true
	}
	for id, w := range Words() {
		if id >= special && (len(Encode(w)) != 1 || Encode(w)[0] != id) {
			t.Errorf("%q is encoded as %v, want %d", w, Encode(w), id)
		}
	}
}

// Documents have their length, no word that the language lacks, and answers that stand in the text before they are asked for.
func TestStories(t *testing.T) {
	g := New(seeded(1))
	answers := 0
	for i := range 500 {
		length := []int{128, 256, 1024}[i%3]
		d, err := g.Story(length, 1, []int{2, 6, 12}[i%3])
		if err != nil {
			t.Fatal(err)
		}
		checkDocument(t, d, length)
		for _, s := range d.Answers {
			before := Decode(d.Tokens[:s.From])
			asked := before[max(strings.LastIndex(before, " . ")+3, strings.LastIndex(before, "<end> ")+6):]
			if !strings.HasSuffix(asked, " ?") {
				t.Fatalf("%q is answered", asked)
			}
			answer := strings.TrimSuffix(Decode(d.Tokens[s.From:s.To]), " . <end>")
			if !saysBefore(before, asked, answer) {
				t.Fatalf("%q, but %q is not in %q", asked, answer, before)
			}
			answers++
		}
	}
	if answers < 500 {
		t.Errorf("%d answers in 500 documents", answers)
	}
}

// saysBefore reports whether a sentence of the text names whoever is asked about, and ends with the answer.
func saysBefore(text, asked, answer string) bool {
	for _, s := range strings.Split(text, " . ") {
		if !strings.HasSuffix(s, " "+answer) {
			continue
		}
		for _, w := range strings.Fields(asked) {
			if slices.Contains(names, w) && slices.Contains(strings.Fields(s), w) {
				return true
			}
		}
	}
	return false
}

func checkDocument(t *testing.T, d Document, length int) {
	t.Helper()
	if len(d.Tokens) != length {
		t.Fatalf("%d tokens, want %d", len(d.Tokens), length)
	}
	for i, id := range d.Tokens {
		if id < special && (id != Begin || i > 0) && id != End || id >= len(words) {
			t.Fatalf("token %d is %d in %q", i, id, Decode(d.Tokens))
		}
	}
	for _, s := range d.Answers {
		if s.From < 1 || s.To <= s.From || s.To > length {
			t.Fatalf("answer %v in %d tokens", s, length)
		}
	}
}

func TestNeedles(t *testing.T) {
	g := New(seeded(2))
	for kind := range Kinds {
		for _, depth := range []float64{0, 0.05, 0.5, 0.95, 1} {
			d, err := g.Needle(300, depth, kind, 4)
			if err != nil {
				t.Fatal(err)
			}
			checkDocument(t, d, 300)
			if len(d.Answers) != 1 || d.Answers[0].To != 300 {
				t.Fatalf("answers %v", d.Answers)
			}
			text := Decode(d.Tokens[:d.Answers[0].From])
			asked := text[strings.LastIndex(text, " . ")+3:]
			answer := strings.TrimSuffix(Decode(d.Tokens[d.Answers[0].From:]), " . <end>")
			var who string
			for _, w := range strings.Fields(asked) {
				if slices.Contains(names, w) {
					who = w
				}
			}
			at := 0.0
			for _, s := range strings.SplitAfter(text, " . ") {
				if strings.HasSuffix(s, " "+answer+" . ") && strings.Contains(" "+s, " "+who+" ") {
					break
				}
				at += float64(len(strings.Fields(s))) / 300
			}
			if at > depth+0.08 || at < depth*0.95-0.15 {
				t.Errorf("kind %d: %q lies at %v, want %v", kind, asked, at, depth)
			}
		}
	}
}

// The lists have their answers: what follows the same word earlier, at once or, among pairs, at a distance.
func TestLists(t *testing.T) {
	g := New(seeded(3))
	for range 200 {
		for kind, d := range []Document{g.Echo(64, false), g.Echo(64, true), g.Pairs(64, false), g.Pairs(64, true)} {
			checkDocument(t, d, 64)
			for _, s := range d.Answers {
				for i := s.From; i < s.To; i++ {
					if kind < 2 && !follows(d.Tokens[:i], d.Tokens[i]) || kind > 1 && !paired(d.Tokens[:i], d.Tokens[i]) {
						t.Fatalf("token %d of %q is no answer", i, Decode(d.Tokens))
					}
				}
			}
		}
	}
}

// follows reports whether a token has followed the text's last token before.
// paired reports whether one of the last nine tokens stands earlier, up to eight before the answer.
func paired(before []int, answer int) bool {
	for at := max(0, len(before)-9); at < len(before); at++ {
		for i, id := range before[:at] {
			if id == before[at] && slices.Contains(before[i+1:min(i+9, len(before))], answer) {
				return true
			}
		}
	}
	return false
}

func follows(text []int, token int) bool {
	last := len(text) - 1
	for i := range last {
		if text[i] == text[last] && text[i+1] == token {
			return true
		}
	}
	return false
}

func TestSeeds(t *testing.T) {
	story := func(seed uint64) Document {
		d, err := New(seeded(seed)).Story(256, 1, 4)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if !reflect.DeepEqual(story(5), story(5)) {
		t.Error("the same seed made different documents")
	}
	if reflect.DeepEqual(story(5), story(6)) {
		t.Error("different seeds made the same document")
	}
}

func TestRefused(t *testing.T) {
	g := New(seeded(1))
	for _, err := range []error{
		second(g.Story(64, 0, 1)), second(g.Story(64, 3, 2)), second(g.Story(64, 1, 100)), second(g.Story(3, 1, 1)), second(g.Story(-1, 1, 1)),
		second(g.Needle(100, 2, 0, 0)), second(g.Needle(100, 0.5, 7, 0)), second(g.Needle(20, 0.5, 0, 39)),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
}

func second(_ Document, err error) error { return err }

// Every word of the sentences is one of the language.
func TestSentencesHaveWords(t *testing.T) {
	g := New(seeded(4))
	for range 300 {
		for _, s := range append(g.story(), g.turn()) {
			if slices.Contains(s, 0) || slices.Contains(s, Unknown) {
				t.Fatal(Decode(s))
			}
		}
		for _, make := range facts {
			if f := make(g, "Ada"); slices.Contains(slices.Concat(f.says, f.asks, f.answer), Unknown) {
				t.Fatal(Decode(f.says), Decode(f.asks), Decode(f.answer))
			}
		}
	}
}

func TestConversations(t *testing.T) {
	g := New(seeded(6))
	for range 100 {
		for _, length := range []int{128, 256, 512, 1024} {
			d, err := g.Conversation(length, 6)
			if err != nil {
				t.Fatal(err)
			}
			checkDocument(t, d, length)
			if len(d.Answers) == 0 {
				t.Fatal("no question")
			}
		}
	}
	if _, err := g.Conversation(20, 1); err == nil {
		t.Error("a talk of 20 tokens with a fact and its question")
	}
}
