package tales

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// The first ids are not words.
const (
	Pad = iota
	Begin
	Landmark // which a model may put after every block
	Unknown
	End // of an answer
	special
)

var (
	names = strings.Fields(`Ada Aron Bea Bodo Carl Cleo Dora Edda Egon Elsa Enzo Fay Fritz Gina Gus Hanna Heidi Ida Igor Ines
		Jan Jonas Juno Kai Kira Lars Lia Lotte Marc Milo Nell Nils Opal Pia Ralf Rita Sven Tess Uma Willi`)
	things = strings.Fields(`bag bell barrel blanket bottle bow brush button candle chain comb compass drawing hammer helmet
		jar ladder needle pen pipe saddle saw shovel violin`)
	colours = strings.Fields(`beige bronze coral crimson gray lilac maroon navy silver teal turquoise violet`)
	places  = strings.Fields(`alley bakery balcony bay canyon cliff dock farm field hut inn island lake museum palace pond port
		quarry temple valley`)
	kinds    = strings.Fields(`ancient broad crooked deep distant famous flat remote sandy steep`) // of places and roofs
	feelings = strings.Fields(`bored brave cheerful curious gloomy jealous nervous sleepy`)
	foods    = strings.Fields(`beans butter carrots eggs figs grapes nuts olives pears plums`)
	animals  = strings.Fields(`badger beaver camel deer donkey duck goat hare lizard wolf`)
	weathers = strings.Fields(`bleak chilly damp dry frosty hot humid mild`)
	digits   = strings.Fields(`0 1 2 3 4 5 6 7 8 9`)
	others   = strings.Fields(`, . : ? A a about adore adores again all And and At at ate back became because behind buried bury but carried
		code cooked crossed day did does drank early evening followed for found from heard home How In in into is It it
		last Later laughed lend lent lived lock looked met morning near never Next night noticed of offered One own owns
		painted played rested roof rowed said slept So some song spoke stood talked tea that The the Then There They
		they thought tired To to told towards until visit visited walked wanted was washed watched water went What when
		Where While whom with woke`)
)

// lexicon is the words that texts choose from.
type lexicon struct{ names, things, colours, places, kinds, feelings, foods, animals, weathers, digits []string }

// everything is the whole language.
var everything = lexicon{names, things, colours, places, kinds, feelings, foods, animals, weathers, digits}

// lists are its parts but for the digits.
func (l *lexicon) lists() []*[]string {
	return []*[]string{&l.names, &l.things, &l.colours, &l.places, &l.kinds, &l.feelings, &l.foods, &l.animals, &l.weathers}
}

// words are the vocabulary, by id, and ids the way back.
var words, ids = vocabulary()

func vocabulary() ([]string, map[string]int) {
	all := []string{Pad: "<pad>", Begin: "<begin>", Landmark: "<landmark>", Unknown: "<unknown>", End: "<end>"}
	known := map[string]int{}
	for _, list := range [][]string{others, digits, names, things, colours, places, kinds, feelings, foods, animals, weathers} {
		for _, w := range list {
			known[w] = len(all)
			all = append(all, w)
		}
	}
	return all, known
}

// version is raised when the same generator comes to make other texts.
const version = 9

// Print stands for the vocabulary and for how texts are made.
func Print() string {
	return fmt.Sprintf("tales %d %x", version, sha256.Sum256([]byte(strings.Join(words, " "))))
}

// Words returns the vocabulary, by id.
func Words() []string { return append([]string(nil), words...) }

// Encode returns the ids of words that are separated by spaces; those that the language does not have become Unknown.
func Encode(text string) []int {
	var tokens []int
	for _, w := range strings.Fields(text) {
		id, ok := ids[w]
		if !ok {
			id = Unknown
		}
		tokens = append(tokens, id)
	}
	return tokens
}

// Decode returns the words of tokens, separated by spaces.
func Decode(tokens []int) string {
	var all []string
	for _, id := range tokens {
		if id < 0 || id >= len(words) {
			id = Unknown
		}
		all = append(all, words[id])
	}
	return strings.Join(all, " ")
}
