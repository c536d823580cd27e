package bench

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/train/tales"
)

// Grid says which texts are made.
type Grid struct {
	Lengths []int     // tokens, with a question and its answer
	Depths  []float64 // of what is hidden, as shares of the length, 0 to 1
	Trials  int       // texts of each length and depth
	Seed    uint64    // same seed, same texts
}

// DefaultFacts is how many facts a text has unless it is said otherwise: the one that is asked for, and others, of which about half are
// of its kind.
const DefaultFacts = 5

// Tales are texts of the small language that models are trained with in package train: stories with facts in them, of which one
// is asked for. No two have the same story.
type Tales struct {
	grid   Grid
	facts  int
	places []Place
	ids    []int32 // of the model, by that of the language
}

const (
	// MostLength is the most tokens that a text may have.
	MostLength = math.MaxInt32
	// MostTexts is the most texts that a grid may have.
	MostTexts = 1 << 20
)

// check finds what is wrong with a grid, and puts it in order.
func (g *Grid) check() error {
	g.Lengths, g.Depths = slices.Clone(g.Lengths), slices.Clone(g.Depths)
	slices.Sort(g.Lengths)
	slices.Sort(g.Depths)
	g.Lengths, g.Depths = slices.Compact(g.Lengths), slices.Compact(g.Depths)
	switch {
	case len(g.Lengths) == 0 || len(g.Depths) == 0 || g.Trials < 1:
		return fmt.Errorf("%d lengths, %d depths, %d trials: want one of each at least", len(g.Lengths), len(g.Depths), g.Trials)
	case g.Lengths[0] < 1 || g.Lengths[len(g.Lengths)-1] > MostLength:
		return fmt.Errorf("lengths from %d to %d tokens: want 1 to %d", g.Lengths[0], g.Lengths[len(g.Lengths)-1], MostLength)
	case !(g.Depths[0] >= 0) || !(g.Depths[len(g.Depths)-1] <= 1): // a NaN comes first
		return fmt.Errorf("depths from %g to %g: want 0 (the beginning) to 1", g.Depths[0], g.Depths[len(g.Depths)-1])
	case g.Trials > MostTexts/len(g.Lengths)/len(g.Depths):
		return fmt.Errorf("%d trials of each of %d lengths and %d depths: want no more than %d texts", g.Trials, len(g.Lengths), len(g.Depths), MostTexts)
	}
	return nil
}

// places are those of the grid; kind names what is hidden in a trial.
func (g *Grid) places(kind func(trial int) string) (list []Place) {
	for _, length := range g.Lengths {
		for _, depth := range g.Depths {
			for trial := range g.Trials {
				list = append(list, Place{Length: length, Depth: depth, Trial: trial, Type: kind(trial)})
			}
		}
	}
	return list
}

// random returns what a text is drawn from: it has a seed of its own, whatever else there is in the grid.
func (g *Grid) random(p Place) *rand.Rand {
	return rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Appendf(nil, "needle %d %d %g %d", g.Seed, p.Length, p.Depth, p.Trial))))
}

// NewTales makes texts for a model that has the words of the language, each with so many facts (tales.MostFacts at most), of which
// about half are of the kind that is asked for. The kinds take turns.
func NewTales(m *mneme.Model, g Grid, facts int) (*Tales, error) {
	t := &Tales{grid: g, facts: facts}
	if err := t.grid.check(); err != nil {
		return nil, fmt.Errorf("bench: needle: %w", err)
	}
	if facts < 1 || facts > tales.MostFacts {
		return nil, fmt.Errorf("bench: needle: %d facts: want 1 to %d", facts, tales.MostFacts)
	}
	var err error
	if t.ids, err = talesIDs(m.Tokenizer()); err != nil {
		return nil, fmt.Errorf("bench: needle: %w", err)
	}
	t.places = t.grid.places(func(trial int) string { return tales.KindName(trial % tales.Kinds) })
	for i, p := range t.places {
		if p.Length > mostOfFact*(facts+1) { // all facts have room
			break
		}
		if _, err := t.Haystack(i); err != nil {
			return nil, fmt.Errorf("bench: needle: %w", err)
		}
	}
	return t, nil
}

// mostOfFact is more tokens than a fact has with its question and the answer.
const mostOfFact = 64

// talesIDs are a model's ids of the language's words.
func talesIDs(t *tokenizer.Tokenizer) ([]int32, error) {
	if t == nil {
		return nil, mneme.ErrNoTokenizer
	}
	if t.Model() != "words" {
		return nil, fmt.Errorf("the model reads tokens of another language: its tokenizer is %q, not one of words", t.Model())
	}
	begin, ok := t.BOS()
	if !ok {
		return nil, errors.New("the model has no token that begins a text")
	}
	words := tales.Words()
	ids := make([]int32, len(words))
	ids[tales.Begin] = begin
	for i, word := range words {
		if slices.Contains([]int{tales.Begin, tales.Pad, tales.Landmark, tales.Unknown}, i) { // no words of a text
			continue
		}
		id, ok := t.Lookup("▁" + word)
		if !ok {
			if id, ok = t.Lookup(word); !ok {
				return nil, fmt.Errorf("the model reads words of another language: it has no %q", word)
			}
		}
		ids[i] = id
	}
	return ids, nil
}

// Places implements Haystacks.
func (t *Tales) Places() []Place { return t.places }

// Settings is what texts depend on, beside their places.
func (t *Tales) Settings() []Setting {
	return []Setting{{"--seed", fmt.Sprint(t.grid.Seed)}, {"--facts", fmt.Sprint(t.facts)}, {"the language of stories", tales.Print()}}
}

// Size implements Haystacks.
func (t *Tales) Size(number int) (tokens, questions int) { return t.places[number].Length, 1 }

// Haystack implements Haystacks.
func (t *Tales) Haystack(number int) (Haystack, error) {
	p := t.places[number]
	d, err := tales.New(t.grid.random(p)).Needle(p.Length, p.Depth, p.Trial%tales.Kinds, t.facts-1)
	if err != nil {
		return Haystack{}, fmt.Errorf("a text of %d tokens with %d facts: %w", p.Length, t.facts, err)
	}
	tokens := make([]int32, len(d.Tokens))
	for i, id := range d.Tokens {
		tokens[i] = t.ids[id]
	}
	answer := d.Answers[0]
	end := t.ids[tales.Encode(".")[0]]
	asked := 1 + lastIndex(tokens[:answer.From], end)
	return Haystack{Tokens: tokens[:asked], Questions: []Question{{Tokens: tokens[asked:answer.From], Answer: tokens[answer.From:answer.To]}}}, nil
}

// lastIndex is the last place of an id, -1 where there is none.
func lastIndex(tokens []int32, id int32) int {
	for i := len(tokens) - 1; i >= 0; i-- {
		if tokens[i] == id {
			return i
		}
	}
	return -1
}
