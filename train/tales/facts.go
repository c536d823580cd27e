package tales

import (
	"slices"
	"strings"
)

// fact is a sentence, a question about it, and the answer.
type fact struct{ says, asks, answer []int }

// facts makes one about somebody, for each of the seven kinds.
var facts = []func(g *Generator, name string) fact{
	func(g *Generator, name string) fact {
		code := strings.Join([]string{g.pick(digits), g.pick(digits), g.pick(digits), g.pick(digits)}, " ")
		return sentence("the lock of "+name+" opens with "+code, "what opens the lock of "+name, code)
	},
	func(g *Generator, name string) fact {
		thing, place := g.thing(), "near the "+g.pick(g.kinds)+" "+g.pick(g.places)
		return sentence(name+" buried the "+thing+" "+place, "where did "+name+" bury the "+thing, place)
	},
	func(g *Generator, name string) fact {
		thing, to := g.thing(), g.otherThan(name)
		return sentence(name+" lent the "+thing+" to "+to, "who got the "+thing+" of "+name, to)
	},
	func(g *Generator, name string) fact {
		var song []string
		for range 3 + g.r.IntN(4) {
			song = append(song, g.pick(g.songs()))
		}
		tune := strings.Join(song, " ")
		return sentence(name+" hums "+tune, "what does "+name+" hum", tune)
	},
	func(g *Generator, name string) fact {
		look := g.pick(g.kinds) + " and " + g.pick(g.colours)
		return sentence("the roof of "+name+" is "+look, "how is the roof of "+name, look)
	},
	func(g *Generator, name string) fact {
		food := g.pick(g.foods)
		return sentence(name+" adores "+food, "what does "+name+" adore", food)
	},
	func(g *Generator, name string) fact {
		thing := "the " + g.thing()
		return sentence(name+" owns "+thing, "what does "+name+" own", thing)
	},
}

// Kinds is the number of kinds of facts.
var Kinds = len(facts)

// songs are the words that songs and lists are made of.
func (l *lexicon) songs() []string {
	return slices.Concat(l.things, l.foods, l.animals, l.places, l.colours)
}

func sentence(says, asks, answer string) fact {
	return fact{Encode(says + " ."), Encode(asks + " ?"), Encode(answer + " .")}
}

// stories are sentences of which no fact follows. A and B are two names, a place, a feeling and so on what their words say.
var stories = strings.Split(strings.TrimSpace(`
A woke and was $feeling .
it was a $weather morning at the $place .
the night was $weather and $weather .
A and B rowed to the $kind $place .
A met B at the $place , and they talked until it was $weather .
a $colour $animal crossed the $place .
A noticed the $animal , but the $animal was $feeling .
the $animal followed A into the $kind $place .
A cooked $food and B washed the $thing .
A painted a $thing , and B watched .
B became $feeling when A spoke of the $place .
they rested near the $place and drank tea .
A heard a $animal in the $place .
A carried water from the $place to the $place .
B offered A $food , but A was $feeling .
A stood at the $place , looking towards the $kind $place .
A and B played with a $colour $thing .
later they visited the $place again .
while A was $feeling , B was $feeling .
next morning A was tired , and the $animal was $feeling .`), "\n")
