package tales

import (
	"fmt"
	"slices"
)

// Talk is a conversation of two about several topics, which have no names, things, places or other such words in common, and
// questions about what was said.
type Talk struct {
	Turns     []Turn
	Questions []Question // in any order
}

// Turn is what one of the two says.
type Turn struct {
	Topic  int
	Tokens []int
	Fact   bool // that is asked for
}

// Question is about a fact of a topic, and determined by it.
type Question struct {
	Topic          int
	Tokens, Answer []int
}

// MostTopics is how many topics there are words for.
const MostTopics = 4

// topics deals out the words.
func (g *Generator) topics(n int) []*Generator {
	list := make([]*Generator, n)
	for i := range list {
		list[i] = &Generator{r: g.r, lexicon: lexicon{digits: g.digits}}
	}
	for part, all := range g.lists() {
		order := g.r.Perm(len(*all))
		for i, at := range order {
			own := list[i%n].lists()[part]
			*own = append(*own, (*all)[at])
		}
	}
	return list
}

// Talk returns a conversation about so many topics, each with so many facts, all of them asked for, in so many turns. Topics come in
// stretches of about the given number of turns, again and again. Facts are spread evenly over the whole.
func (g *Generator) Talk(topics, facts, turns, stretch int) (*Talk, error) {
	if topics < 1 || topics > MostTopics || facts < 1 || stretch < 1 || stretch > max(turns, 1) || turns < topics*facts {
		return nil, fmt.Errorf("tales: a talk of %d turns about %d topics, each with %d facts, in stretches of %d turns", turns, topics, facts, stretch)
	}
	about := g.topics(topics)
	speakers := g.r.Perm(len(g.names))[:2]
	for _, topic := range about { // who talks is no topic
		for _, s := range speakers {
			topic.names = slices.DeleteFunc(topic.names, func(name string) bool { return name == g.names[s] })
		}
		if facts > len(topic.names) {
			return nil, fmt.Errorf("tales: %d facts about %d people of a topic", facts, len(topic.names))
		}
	}
	t := &Talk{}
	order, left := []int(nil), 0
	var topic int
	for i := range turns {
		if left == 0 {
			if len(order) == 0 {
				order = g.r.Perm(topics)
			}
			topic, order = order[0], order[1:]
			left = 1 + g.r.IntN(2*stretch-1)
		}
		left--
		said := about[topic].turn()
		t.Turns = append(t.Turns, Turn{Topic: topic, Tokens: g.says(speakers[i%2], said)})
	}
	t.tell(g, about, facts, speakers)
	return t, nil
}

// turn is a sentence that somebody may say.
func (g *Generator) turn() []int {
	a := g.pick(g.names)
	return g.line(middles, a, g.otherThan(a))
}

// says is a turn of a speaker.
func (g *Generator) says(speaker int, said []int) []int {
	return slices.Concat(Encode(g.names[speaker]+" said :"), said)
}

// tell puts facts in the place of turns of their topics, or of any where a topic has too few, and asks for them.
func (t *Talk) tell(g *Generator, about []*Generator, count int, speakers []int) {
	for topic, own := range about {
		who := g.r.Perm(len(own.names))[:count]
		for _, name := range who {
			f := facts[g.r.IntN(len(facts))](own, own.names[name])
			at := t.place(g, topic)
			t.Turns[at] = Turn{Topic: topic, Tokens: g.says(speakers[at%2], f.says), Fact: true}
			t.Questions = append(t.Questions, Question{Topic: topic, Tokens: f.asks, Answer: f.answer})
		}
	}
	g.r.Shuffle(len(t.Questions), func(i, j int) { t.Questions[i], t.Questions[j] = t.Questions[j], t.Questions[i] })
}

// place chooses a turn that tells no fact yet.
func (t *Talk) place(g *Generator, topic int) int {
	var own, any []int
	for i, turn := range t.Turns {
		if !turn.Fact {
			any = append(any, i)
			if turn.Topic == topic {
				own = append(own, i)
			}
		}
	}
	if len(own) == 0 {
		own = any
	}
	return own[g.r.IntN(len(own))]
}

// Document is the conversation with all its questions at the end.
func (t *Talk) Document() Document {
	var items []item
	for _, turn := range t.Turns {
		items = append(items, item{tokens: turn.Tokens})
	}
	for _, q := range t.Questions {
		items = append(items, question(fact{asks: q.Tokens, answer: q.Answer}))
	}
	return write(items)
}

// Conversation returns a talk of length tokens, with as many turns as fit, about up to MostTopics topics, each with one to most
// facts.
func (g *Generator) Conversation(length, most int) (Document, error) {
	const turn, question = 10, 16 // about as many tokens, the longest ones at the least
	topics := 1 + g.r.IntN(MostTopics)
	count := 1 + g.r.IntN(max(1, min(most, length/(2*(turn+question)*topics))))
	t, err := g.Talk(topics, count, max(topics*count, length/turn), 1+g.r.IntN(8))
	if err != nil {
		return Document{}, err
	}
	room := length - len(t.Document().Tokens)
	for i := len(t.Turns) - 1; i >= 0 && room < 0; i-- {
		if !t.Turns[i].Fact {
			room += len(t.Turns[i].Tokens)
			t.Turns = slices.Delete(t.Turns, i, i+1)
		}
	}
	if room < 0 {
		return Document{}, fmt.Errorf("tales: a talk with %d facts about each of %d topics takes %d tokens more than %d", count, topics, -room, length)
	}
	for room > 0 {
		said := g.turn()
		said = said[:min(len(said), room)]
		said[len(said)-1] = ids["."]
		t.Turns = append(t.Turns, Turn{Tokens: said})
		room -= len(said)
	}
	return t.Document(), nil
}
