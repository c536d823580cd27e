package tales

import (
	"slices"
	"strings"
)

// fact is a sentence, a question about it, and the answer.
type fact struct{ says, asks, answer []int }

// facts makes one about somebody, for each of the seven kinds. An answer goes on behind its question as the fact goes on behind
// the same words: what is looked for stands as far from the name there as here, where that is good English.
var facts = []func(g *Generator, name string) fact{
	func(g *Generator, name string) fact {
		code := strings.Join([]string{g.pick(g.digits), g.pick(g.digits), g.pick(g.digits), g.pick(g.digits)}, " ")
		return sentence("The lock code of "+name+" is "+code, "What is the lock code of "+name, code)
	},
	func(g *Generator, name string) fact {
		thing, place := g.thing(), "near the "+g.pick(g.kinds)+" "+g.pick(g.places)
		return sentence(name+" buried the "+thing+" "+place, "Where did "+name+" bury the "+thing, place)
	},
	func(g *Generator, name string) fact {
		thing, to := g.thing(), "to "+g.otherThan(name)
		return sentence(name+" lent the "+thing+" "+to, "To whom did "+name+" lend the "+thing, to)
	},
	func(g *Generator, name string) fact {
		var song []string
		for range 3 + g.r.IntN(4) {
			song = append(song, g.pick(g.songs()))
		}
		tune := strings.Join(song, " ")
		return sentence("The song of "+name+" is "+tune, "What is the song of "+name, tune)
	},
	func(g *Generator, name string) fact {
		look := g.pick(g.kinds) + " and " + g.pick(g.colours)
		return sentence("The roof of "+name+" is "+look, "How is the roof of "+name, look)
	},
	func(g *Generator, name string) fact {
		food := g.pick(g.foods)
		return sentence(name+" adores "+food, "What does "+name+" adore", food)
	},
	func(g *Generator, name string) fact {
		thing := "the " + g.thing()
		return sentence(name+" owns "+thing, "What does "+name+" own", thing)
	},
}

// Kinds is the number of kinds of facts.
var Kinds = len(facts)

// songs are the words that songs and lists are made of.
func (l *lexicon) songs() []string {
	return slices.Concat(l.things, l.foods, l.animals, l.places, l.colours)
}

// sentence makes a fact. An answer ends the text, for who asks: so does its last token.
func sentence(says, asks, answer string) fact {
	return fact{Encode(says + " ."), Encode(asks + " ?"), append(Encode(answer+" ."), End)}
}

// The sentences of stories, of which no fact follows. $A and $B are two names, $place a place, and so on.
var (
	openings = lines(`
It was a $weather morning at the $place .
It was a $weather evening , and $A was $feeling .
$A woke early and was $feeling .
$A and $B lived near the $kind $place .
One day $A met $B at the $place .
One night $A heard a $animal in the $place .
$A wanted to visit the $kind $place .
$A rowed to the $place with $B .`)

	middles = lines(`
The night was $weather and $weather .
Then they walked to the $kind $place .
They talked about the $place until it was $weather .
A $colour $animal crossed the $place .
$A noticed the $animal , but it was $feeling .
The $animal followed $A into the $kind $place .
$A cooked $food and $B washed the $thing .
$A painted a $thing , and $B watched .
$B became $feeling when $A spoke of the $place .
They rested near the $place and drank tea .
$A heard a $animal in the $place .
$B carried water from the $place to the $place .
$B offered $A some $food , but $A was $feeling .
$A stood at the $place and looked towards the $kind $place .
$A and $B played with a $colour $thing .
$B thought that $A was $feeling .
$A told $B about the $kind $place .
$B laughed , because the $animal was $feeling .
Later they visited the $place again .
While $A was $feeling , $B was $feeling .
They found a $kind $place behind the $place .
There was a $thing in the $place .
$A looked for the $thing and found a $colour $thing .`)

	closings = lines(`
In the evening they went home .
Next morning $A was tired , and the $animal was $feeling .
So they all became $feeling again .
At last $A and $B ate $food and slept .
And $B never went back to the $place .`)
)

func lines(text string) []string {
	return strings.Split(strings.TrimSpace(text), "\n")
}
