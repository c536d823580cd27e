package bpe

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/mneme-lm/mneme/tokenizer"
)

// preTokenizer is the rule by which texts are cut into words.
const preTokenizer = "gpt-2"

// alphabet is the number of tokens that every vocabulary has: one for each byte.
const alphabet = 256

// leastCount is how often a pair must occur to become a token: what occurs once is no pattern.
const leastCount = 2

// Options say what a vocabulary should be like.
type Options struct {
	// Size is the number of tokens: the 256 bytes, those that were merged, and the special ones. There are fewer where the text
	// has no more pairs that occur twice.
	Size int
	// Begin and End are the spellings of the tokens before and after texts, <|endoftext|> where they are empty. They are one
	// token if they are spelled alike. Both need at least two characters, printable ASCII ones without spaces. Where the text
	// has them, it is cut: nothing merges with them.
	Begin, End string
}

// endOfText is GPT-2's token between two texts.
const endOfText = "<|endoftext|>"

// special returns the spellings of the special tokens, the longest first.
func (o *Options) special() ([]string, error) {
	if o.Begin == "" {
		o.Begin = endOfText
	}
	if o.End == "" {
		o.End = endOfText
	}
	for _, s := range []string{o.Begin, o.End} {
		if len(s) < 2 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, fmt.Errorf("bpe: special token %q: want two or more printable ASCII characters without spaces", s)
		}
	}
	switch {
	case o.Begin == o.End:
		return []string{o.End}, nil
	case len(o.Begin) > len(o.End):
		return []string{o.Begin, o.End}, nil
	}
	return []string{o.End, o.Begin}, nil
}

// Train makes a vocabulary of a text. It depends on nothing but the text and the options: among pairs that occur equally often
// that with the smallest bytes comes first, those of the left token counting before those of the right one. Bytes of the text
// that belong to no character are read as U+FFFD, as in encoding. Train stops early with the context's error.
func Train(ctx context.Context, text string, opts Options) (*Vocabulary, error) {
	t, err := train(ctx, text, &opts)
	if err != nil {
		return nil, err
	}
	return t.vocabulary(opts), nil
}

// trainer is a text on its way to a vocabulary.
type trainer struct {
	corpus *corpus
	tokens []string // the bytes of each token
	merges []pair
}

func train(ctx context.Context, text string, opts *Options) (*trainer, error) {
	special, err := opts.special()
	if err != nil {
		return nil, err
	}
	if least := alphabet + len(special); opts.Size < least || opts.Size > math.MaxInt32 {
		return nil, fmt.Errorf("bpe: a vocabulary of %d tokens: it has %d at least, for the bytes and the special tokens, and %d at most",
			opts.Size, least, math.MaxInt32)
	}
	counts, err := countWords(ctx, text, special)
	if err != nil {
		return nil, err
	}
	t := &trainer{}
	for b := range alphabet {
		t.tokens = append(t.tokens, string([]byte{byte(b)}))
	}
	if t.corpus, err = newCorpus(counts); err != nil {
		return nil, err
	}
	return t, t.run(ctx, opts.Size-len(special))
}

// countWords returns the words of a text, in the order in which they are met, with how often they are. Words of one byte have no
// pairs and are left out.
func countWords(ctx context.Context, text string, special []string) ([]counted, error) {
	var words []counted
	index := map[string]int{}
	count := func(word string) {
		if len(word) < 2 {
			return
		}
		i, ok := index[word]
		if !ok {
			i = len(words)
			index[word] = i
			words = append(words, counted{word, 0})
		}
		words[i].times++
	}
	var cut func(text string, at []string) error
	cut = func(text string, at []string) error {
		if len(at) == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			return tokenizer.Pretokenize(preTokenizer, text, count)
		}
		for piece := range strings.SplitSeq(text, at[0]) {
			if err := cut(piece, at[1:]); err != nil {
				return err
			}
		}
		return nil
	}
	err := cut(text, special)
	return words, err
}

// run merges pairs until there are so many tokens. No two merges make the same bytes: what becomes of those between two places
// where tokens end depends on nothing outside of them, so that wherever a token could be made once more, it has been made.
func (t *trainer) run(ctx context.Context, size int) error {
	q := newQueue(t.tokens, t.corpus)
	for len(t.tokens) < size {
		if err := ctx.Err(); err != nil {
			return err
		}
		p, ok := q.next()
		if !ok {
			return nil
		}
		merged := int32(len(t.tokens))
		t.tokens = append(t.tokens, t.tokens[p.left]+t.tokens[p.right])
		t.merges = append(t.merges, p)
		q.tokens = t.tokens
		for _, p := range t.corpus.merge(p, merged) {
			q.push(p)
		}
	}
	return nil
}
