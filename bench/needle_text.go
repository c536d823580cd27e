package bench

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/tokenizer"
)

// TextOptions says what is hidden in a text, and what is asked.
type TextOptions struct {
	Grid
	Kinds     []string // of what is hidden, by name (see NeedleKinds); they take turns. None: the first there is
	Facts     int      // keys, values or variables of a chain, where the kind has several. 0: DefaultFacts
	Questions int      // about each text, all of the same cache. 0: one
	MaxTokens int      // of an answer. 0: twice what is expected, and some more
}

// Pieces are pieces of a text, one for each trial, beginning with different sentences, in which something is hidden between
// sentences. A text that is too short is gone through again from its beginning.
type Pieces struct {
	options   TextOptions
	tokenizer *tokenizer.Tokenizer
	kinds     []*NeedleKind
	places    []Place
	sentences []string
	before    []int // tokens in all sentences before each, as if each were alone; one more than there are sentences
	sum       [sha256.Size]byte
}

// NewPieces hides needles in a text, for a model that reads text.
func NewPieces(m *mneme.Model, text string, o TextOptions) (*Pieces, error) {
	p := &Pieces{options: o, tokenizer: m.Tokenizer(), sum: sha256.Sum256([]byte(text))}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("bench: needle: %w", err)
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	if text == "" {
		return nil, errors.New("bench: needle: the text is empty")
	}
	p.before = []int{0}
	for _, s := range sentences(text + "\n\n") {
		if n := p.count(s); n > 0 { // the others, however many, would not make a text longer
			p.sentences, p.before = append(p.sentences, s), append(p.before, p.before[len(p.sentences)]+n)
		}
	}
	if len(p.sentences) == 0 {
		return nil, errors.New("bench: needle: the model has no tokens for the text")
	}
	p.places = p.options.Grid.places(func(trial int) string { return p.kindOf(trial).Name })
	for i, place := range p.places {
		if place.Length > p.places[0].Length { // than that of the first ones, which have the least room
			break
		}
		_, f := p.begin(i)
		if _, err := f.bare(); err != nil {
			return nil, fmt.Errorf("bench: needle: %w", err)
		}
	}
	return p, nil
}

// check finds what is wrong with the options, and fills in what they leave open.
func (p *Pieces) check() error {
	o := &p.options
	if err := o.Grid.check(); err != nil {
		return err
	}
	if p.tokenizer == nil {
		return mneme.ErrNoTokenizer
	}
	if o.Facts == 0 {
		o.Facts = DefaultFacts
	}
	if o.Questions == 0 {
		o.Questions = 1
	}
	if o.Facts < 1 || o.Questions < 1 || o.MaxTokens < 0 || o.Facts > MostFacts || o.Questions > MostFacts {
		return fmt.Errorf("%d facts, %d questions, %d tokens of an answer: want 1 to %d of the first two, and no negative number", o.Facts, o.Questions, o.MaxTokens, MostFacts)
	}
	if o.MaxTokens > o.Lengths[0] {
		return fmt.Errorf("an answer of %d tokens in a text of %d", o.MaxTokens, o.Lengths[0])
	}
	if len(o.Kinds) == 0 {
		o.Kinds = []string{needleKinds[0].Name}
	}
	for _, name := range o.Kinds {
		kind, err := needleKind(name)
		if err != nil {
			return err
		}
		if kind.wordings > 0 && o.Questions > kind.wordings {
			return fmt.Errorf("%d questions: needle %s can be asked for in %d ways", o.Questions, name, kind.wordings)
		}
		p.kinds = append(p.kinds, kind)
	}
	return nil
}

func (p *Pieces) kindOf(trial int) *NeedleKind { return p.kinds[trial%len(p.kinds)] }

// count is the number of tokens of a text in the middle of another one.
func (p *Pieces) count(text string) int { return len(p.encode(text)) }

func (p *Pieces) encode(text string) []int32 {
	return p.tokenizer.Encode(text, tokenizer.EncodeOptions{Continue: true})
}

// opening is a text that others follow: there is no token that ends it.
func opening(t *tokenizer.Tokenizer, text string) []int32 {
	tokens := t.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if t.AddsEOS() {
		tokens = tokens[:len(tokens)-1]
	}
	return tokens
}

// Places implements Haystacks.
func (p *Pieces) Places() []Place { return p.places }

// Settings is what the pieces depend on, beside their places.
func (p *Pieces) Settings() []Setting {
	o := &p.options
	return []Setting{
		{"--haystack", fmt.Sprintf("%x", p.sum)}, {"--needle", strings.Join(o.Kinds, ",")}, {"--seed", fmt.Sprint(o.Seed)}, {"--facts", fmt.Sprint(o.Facts)},
		{"--questions", fmt.Sprint(o.Questions)}, {"--max-tokens", fmt.Sprint(o.MaxTokens)},
		{"the wording of needles", wordingSum()},
	}
}

// What is said around the text, and how many tokens more than twice those of the right answer the model may write.
const (
	preface     = " hidden in the following text. Read it with care: a question about that comes at its end.\n\n"
	askingFrame = "\n\nQuestion: %s\nAnswer: %s"
	spareAnswer = 16
)

// Size implements Haystacks.
func (p *Pieces) Size(number int) (tokens, questions int) {
	return p.places[number].Length, p.options.Questions
}

// Haystack implements Haystacks.
func (p *Pieces) Haystack(number int) (h Haystack, err error) {
	h, f := p.begin(number)
	h.Tokens, err = f.fit()
	return h, err
}

// begin draws what is hidden and asked in a place, and finds out how much room that leaves.
func (p *Pieces) begin(number int) (h Haystack, f fitting) {
	place, o := p.places[number], &p.options
	x := p.kindOf(place.Trial).make(o.random(place), place.Depth, o.Facts, o.Questions)
	slices.SortStableFunc(x.hidden, func(a, b hidden) int { return cmp.Compare(a.at, b.at) })
	for _, a := range x.asked {
		q := Question{Tokens: p.encode(fmt.Sprintf(askingFrame, a.question, a.begins)), Expected: a.expected, MaxTokens: o.MaxTokens}
		if q.MaxTokens == 0 {
			q.MaxTokens = spareAnswer + 2*p.count(strings.Join(a.expected, ", "))
		}
		h.Questions = append(h.Questions, q)
	}
	return h, fitting{Pieces: p, place: place, hidden: x.hidden, announced: x.announced, from: p.first(place), room: place.Length - h.length()}
}

// first is the sentence that a piece begins with: another one for each trial of a cell, if the text has as many, wherever that of the
// cell's first one is.
func (p *Pieces) first(place Place) int {
	n, trial := len(p.sentences), place.Trial
	place.Trial = -1
	begin := p.options.random(place).IntN(n)
	step := max(1, n*5/8)
	for gcd(step, n) > 1 {
		step++
	}
	return (begin + trial%n*step) % n
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// fitting is the search for as many sentences as there is room for.
type fitting struct {
	*Pieces
	place     Place
	announced string
	hidden    []hidden
	from      int // the first sentence
	room      int // tokens
}

// fit returns the tokens of a text with as many sentences as have room. How many tokens they come to is known when they are encoded
// together: what each has alone is a guess, since words and tokens may join where sentences do.
func (f *fitting) fit() ([]int32, error) {
	best, err := f.bare()
	if err != nil {
		return nil, err
	}
	fits, tooMany := 0, math.MaxInt
	for n := f.more(0, f.room-len(best)); tooMany-fits > 1; {
		n = min(max(n, fits+1), tooMany-1)
		tokens := f.encoded(n)
		if len(tokens) <= f.room {
			best, fits = tokens, n
			n += f.more(n, f.room-len(tokens))
		} else {
			tooMany = n
			n -= f.fewer(n, len(tokens)-f.room)
		}
	}
	return best, nil
}

// bare is a text without a sentence.
func (f *fitting) bare() ([]int32, error) {
	tokens := f.encoded(0)
	if len(tokens) > f.room {
		return nil, fmt.Errorf("a text of %d tokens with needle %s: it takes %d tokens more than that without a word of the text", f.place.Length, f.place.Type, len(tokens)-f.room)
	}
	return tokens, nil
}

// tokensOf is how many tokens the first n sentences have, as if each were alone.
func (f *fitting) tokensOf(n int) int {
	all := len(f.sentences)
	first := min(n, all-f.from)
	sum := f.before[f.from+first] - f.before[f.from]
	n -= first
	return sum + n/all*f.before[all] + f.before[n%all]
}

// more is how many sentences after the first n have no more than so many tokens.
func (f *fitting) more(n, tokens int) int {
	have := f.tokensOf(n)
	return sort.Search(tokens, func(i int) bool { return f.tokensOf(n+i+1)-have > tokens })
}

// fewer is how many of the first n sentences, from the last one back, have at least so many tokens.
func (f *fitting) fewer(n, tokens int) int {
	have := f.tokensOf(n)
	return sort.Search(n, func(i int) bool { return have-f.tokensOf(n-i) >= tokens })
}

// encoded is the text with so many sentences, and what is hidden between them.
func (f *fitting) encoded(n int) []int32 {
	var b strings.Builder
	b.WriteString(f.announced + preface)
	all := f.tokensOf(n)
	next := 0
	for i := range n + 1 {
		for next < len(f.hidden) && (i == n || float64(f.tokensOf(i)) >= f.hidden[next].at*float64(all)) {
			b.WriteString(f.hidden[next].says + " ")
			next++
			if i < n {
				break // the next one stands behind another sentence
			}
		}
		if i < n {
			b.WriteString(f.sentences[(f.from+i)%len(f.sentences)])
		}
	}
	return opening(f.tokenizer, strings.TrimRight(b.String(), " \n"))
}
