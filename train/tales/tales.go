// Package tales makes texts of a small language to train and test memory with: stories in which facts are scattered, and
// questions about these; lists that are said again. Every word is a token.
package tales

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Document is a text and the spans of tokens that are answers: what precedes an answer determines it.
type Document struct {
	Tokens  []int
	Answers []Span
}

// Span is the tokens [From, To).
type Span struct{ From, To int }

// Generator makes documents.
type Generator struct {
	r *rand.Rand
	lexicon
}

// New returns a generator that draws from r, and from nothing else.
func New(r *rand.Rand) *Generator { return &Generator{r, everything} }

func (g *Generator) pick(from []string) string { return from[g.r.IntN(len(from))] }

func (g *Generator) thing() string { return g.pick(g.colours) + " " + g.pick(g.things) }

func (g *Generator) otherThan(name string) string {
	for {
		if other := g.pick(g.names); other != name {
			return other
		}
	}
}

// story returns a few sentences about two people.
func (g *Generator) story() (sentences [][]int) {
	a := g.pick(g.names)
	b := g.otherThan(a)
	sentences = append(sentences, g.line(openings, a, b))
	for range 2 + g.r.IntN(5) {
		sentences = append(sentences, g.line(middles, a, b))
	}
	return append(sentences, g.line(closings, a, b))
}

// line returns one of some sentences, about a and b.
func (g *Generator) line(from []string, a, b string) (said []int) {
	lists := map[string][]string{
		"$A": {a}, "$B": {b},
		"$feeling": g.feelings, "$weather": g.weathers, "$place": g.places, "$kind": g.kinds, "$colour": g.colours, "$animal": g.animals, "$food": g.foods, "$thing": g.things,
	}
	for _, w := range strings.Fields(g.pick(from)) {
		if list, ok := lists[w]; ok {
			w = g.pick(list)
		}
		said = append(said, ids[w])
	}
	return said
}

// MostFacts is the most facts that a document has: each is about somebody else.
const MostFacts = 40

// Story returns a document of length tokens with least to most facts, each about somebody else: most often all of the same kind.
// About half of the questions are asked somewhere after their fact, the others at the end.
func (g *Generator) Story(length, least, most int) (Document, error) {
	if least < 1 || least > most || most > len(names) {
		return Document{}, fmt.Errorf("tales: %d to %d facts about %d people", least, most, len(names))
	}
	count := least + g.r.IntN(most-least+1)
	same, kind := g.r.Float64() < 0.6, g.r.IntN(len(facts))
	about := g
	if g.r.IntN(2) == 0 {
		about = g.alike()
	}
	var known []fact
	for _, i := range g.r.Perm(len(names))[:count] {
		if !same {
			kind = g.r.IntN(len(facts))
		}
		known = append(known, facts[kind](about, names[i]))
	}
	return g.tell(length, known)
}

// alike returns a generator of facts that are much alike, with three words for everything but names: which of them is whose can
// then not be told by other words.
func (g *Generator) alike() *Generator {
	own := *g
	for _, list := range append(own.lists(), &own.digits) {
		if list == &own.names {
			continue
		}
		*list = g.few(*list, 3)
	}
	return &own
}

// Needle returns a document of length tokens that has one question, at the end, whose fact lies about depth (0 to 1) into the
// text, which has some other facts: half of them of the same kind.
func (g *Generator) Needle(length int, depth float64, kind, others int) (Document, error) {
	if kind < 0 || kind >= len(facts) || others < 0 || others >= len(names) || !(depth >= 0 && depth <= 1) {
		return Document{}, fmt.Errorf("tales: kind %d at depth %v with %d other facts", kind, depth, others)
	}
	var known []fact
	for at, i := range g.r.Perm(len(names))[:others+1] {
		of := kind
		if 2*at > others+1 {
			of = g.r.IntN(len(facts))
		}
		known = append(known, facts[of](g, names[i]))
	}
	asked := known[0]
	said, err := g.fill(length-1-len(asked.asks)-len(asked.answer), known)
	if err != nil {
		return Document{}, err
	}
	items := g.scatter(said, known[1:], nil)
	at := int(depth*float64(len(items)) + 0.5)
	items = slices.Insert(items, at, item{tokens: asked.says})
	return write(append(items, question(asked))), nil
}

// item is a sentence, or a question with its answer in the last so many tokens.
type item struct {
	tokens []int
	answer int
}

func question(f fact) item { return item{slices.Concat(f.asks, f.answer), len(f.answer)} }

func (g *Generator) tell(length int, known []fact) (Document, error) {
	room := length - 1
	for _, f := range known {
		room -= len(f.asks) + len(f.answer)
	}
	said, err := g.fill(room, known)
	if err != nil {
		return Document{}, err
	}
	var now, end []item
	for i, f := range known {
		if g.r.IntN(2) == 0 {
			now = append(now, question(f))
			known[i], known[len(now)-1] = known[len(now)-1], known[i]
		} else {
			end = append(end, question(f))
		}
	}
	g.r.Shuffle(len(end), func(i, j int) { end[i], end[j] = end[j], end[i] })
	return write(append(g.scatter(said, known, now), end...)), nil
}

// fill returns stories of so many tokens that the facts fit beside them into room.
func (g *Generator) fill(room int, known []fact) (said [][]int, err error) {
	for _, f := range known {
		room -= len(f.says)
	}
	if room < 0 {
		return nil, fmt.Errorf("tales: %d facts take %d tokens more than there are", len(known), -room)
	}
	for room > 0 {
		for _, s := range g.story() {
			if s = slices.Clone(s[:min(len(s), room)]); len(s) == 0 {
				break
			}
			s[len(s)-1] = ids["."]
			said = append(said, s)
			room -= len(s)
		}
	}
	return said, nil
}

// scatter puts facts anywhere among the sentences, and the questions, which are those of the first facts, anywhere after them.
func (g *Generator) scatter(said [][]int, known []fact, questions []item) (items []item) {
	type mark struct{ fact, kind int } // a sentence, a fact or its question
	const sentences, says, asks = 0, 1, 2
	var marks []mark
	for i := range said {
		marks = append(marks, mark{i, sentences})
	}
	for i := range known {
		at := g.r.IntN(len(marks) + 1)
		if i == len(known)-1 && g.r.IntN(5) == 0 {
			at = 0 // where texts begin is a place of its own, which few facts would come to by chance
		}
		marks = slices.Insert(marks, at, mark{i, says})
		if i < len(questions) {
			marks = slices.Insert(marks, at+1+g.r.IntN(len(marks)-at), mark{i, asks})
		}
	}
	for _, m := range marks {
		switch m.kind {
		case sentences:
			items = append(items, item{tokens: said[m.fact]})
		case says:
			items = append(items, item{tokens: known[m.fact].says})
		case asks:
			items = append(items, questions[m.fact])
		}
	}
	return items
}

func write(items []item) Document {
	d := Document{Tokens: []int{Begin}}
	for _, x := range items {
		d.Tokens = append(d.Tokens, x.tokens...)
		if x.answer > 0 {
			d.Answers = append(d.Answers, Span{len(d.Tokens) - x.answer, len(d.Tokens)})
		}
	}
	return d
}

// Echo returns a document of length tokens: lists of random words, each said again. What is said again is an answer. Far, lists
// have up to half as many words as the document, and are said once more.
func (g *Generator) Echo(length int, far bool) Document {
	d, songs := Document{Tokens: []int{Begin}}, g.songs()
	for len(d.Tokens) < length {
		n, again := 3+g.r.IntN(10), 1+g.r.IntN(3)
		if far {
			n, again = 8+g.r.IntN(max(1, length/2-8)), 1
		}
		var list []int
		for range n {
			list = append(list, ids[g.pick(songs)])
		}
		d.Tokens = append(d.Tokens, list...)
		for range again {
			// the first word says that the list begins anew, and could be any
			d.Answers = append(d.Answers, Span{len(d.Tokens) + 1, len(d.Tokens) + n})
			d.Tokens = append(d.Tokens, list...)
		}
	}
	return d.cut(length)
}

// Pairs returns a document of length tokens: keys, which are names or things, with a word each, then the keys in another order, whose
// words are answers. Up to three other words stand between a key and its own, as in sentences, where what is looked for is not
// next to what it is found by: see link. In half of the lists, keys have several words each, of a few that all keys share: which
// one comes next follows from the key alone, not from the words before. Far, there are up to as many keys as there is room for,
// each with one word next to it.
func (g *Generator) Pairs(length int, far bool) Document {
	d, songs := Document{Tokens: []int{Begin}}, g.songs()
	for len(d.Tokens) < length {
		keys, noise := g.names, g.things
		if g.r.IntN(2) == 0 {
			keys, noise = g.things, g.names
		}
		count := 2 + g.r.IntN(7)
		var says, asks link
		values, most := songs, 1
		switch {
		case far:
			count = min(len(keys), 4+g.r.IntN(max(1, length/4-3)))
		case g.r.IntN(2) == 0:
			values, most = g.few(songs, 3+g.r.IntN(3)), 4
			fallthrough
		default:
			says, asks = g.link(2), g.link(3)
		}
		which := g.r.Perm(len(keys))[:count]
		has := map[int][]int{}
		for _, i := range which {
			for range 1 + g.r.IntN(most) {
				has[i] = append(has[i], ids[g.pick(values)])
			}
			d.Tokens = append(says.appendTo(append(d.Tokens, ids[keys[i]]), g, noise), has[i]...)
		}
		g.r.Shuffle(len(which), func(i, j int) { which[i], which[j] = which[j], which[i] })
		for _, i := range which {
			d.Tokens = append(asks.appendTo(append(d.Tokens, ids[keys[i]]), g, noise), has[i]...)
			d.Answers = append(d.Answers, Span{len(d.Tokens) - len(has[i]), len(d.Tokens)})
		}
	}
	return d.cut(length)
}

// few returns so many of some words.
func (g *Generator) few(from []string, n int) (words []string) {
	for _, i := range g.r.Perm(len(from))[:n] {
		words = append(words, from[i])
	}
	return words
}

// link is the words between a key and its word: the same ones throughout a list, or any of the noise where there is none.
type link []string

func (g *Generator) link(most int) (l link) {
	for range g.r.IntN(most + 1) {
		word := g.pick(others)
		if g.r.IntN(4) == 0 {
			word = ""
		}
		l = append(l, word)
	}
	return l
}

func (l link) appendTo(tokens []int, g *Generator, noise []string) []int {
	for _, word := range l {
		if word == "" {
			word = g.pick(noise)
		}
		tokens = append(tokens, ids[word])
	}
	return tokens
}

// cut keeps length tokens, and of the answers those that are whole.
func (d Document) cut(length int) Document {
	d.Tokens = d.Tokens[:max(0, min(length, len(d.Tokens)))]
	d.Answers = slices.DeleteFunc(d.Answers, func(s Span) bool { return s.To > len(d.Tokens) })
	return d
}
