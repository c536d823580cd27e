package tales

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Topics share none of their words, facts are told in turns of their topics, and questions have their answers there.
func TestTalks(t *testing.T) {
	g := New(seeded(5))
	for i := range 40 {
		topics, facts, stretch := 1+i%MostTopics, 1+i%3, 1+i%6
		turns := topics*facts + i
		talk, err := g.Talk(topics, facts, turns, stretch)
		if err != nil {
			t.Fatal(err)
		}
		if len(talk.Turns) != turns || len(talk.Questions) != topics*facts {
			t.Fatalf("%d turns, %d questions", len(talk.Turns), len(talk.Questions))
		}
		of := map[string]int{} // the topic of a word
		told := 0
		for i, turn := range talk.Turns {
			words := strings.Fields(Decode(turn.Tokens))
			if !slices.Contains(names, words[0]) || strings.Join(words[1:3], " ") != "said :" || words[len(words)-1] != "." || i > 0 && slices.Equal(talk.Turns[i-1].Tokens[:1], turn.Tokens[:1]) {
				t.Fatalf("turn %d is %q", i, words)
			}
			for _, w := range words[3:] {
				for _, list := range everything.lists() {
					if slices.Contains(*list, w) {
						if topic, seen := of[w]; seen && topic != turn.Topic {
							t.Fatalf("%s belongs to the topics %d and %d", w, topic, turn.Topic)
						}
						of[w] = turn.Topic
					}
				}
			}
			if turn.Fact {
				told++
			}
		}
		if told != topics*facts {
			t.Errorf("%d facts are told, want %d", told, topics*facts)
		}
		for _, q := range talk.Questions {
			answer := strings.TrimSuffix(Decode(q.Answer), " . <end>")
			found := slices.ContainsFunc(talk.Turns, func(turn Turn) bool {
				return turn.Fact && turn.Topic == q.Topic && saysBefore(Decode(turn.Tokens), Decode(q.Tokens), answer+" .")
			})
			if !found {
				t.Errorf("%q has no answer %q", Decode(q.Tokens), answer)
			}
		}
		d := talk.Document()
		checkDocument(t, d, len(d.Tokens))
		if len(d.Answers) != len(talk.Questions) || d.Answers[len(d.Answers)-1].To != len(d.Tokens) {
			t.Errorf("answers at %v of %d tokens", d.Answers, len(d.Tokens))
		}
	}
	again := func() *Talk {
		talk, err := New(seeded(7)).Talk(3, 2, 30, 4)
		if err != nil {
			t.Fatal(err)
		}
		return talk
	}
	if !reflect.DeepEqual(again(), again()) {
		t.Error("the same generator draws two talks")
	}
	for _, c := range [][4]int{{0, 1, 9, 1}, {5, 1, 99, 1}, {1, 0, 9, 1}, {2, 3, 5, 1}, {1, 1, 9, 0}, {4, 12, 99, 1}} {
		if _, err := g.Talk(c[0], c[1], c[2], c[3]); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}
