package sample

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Vocabulary is what a chain must know of a tokenizer to find sequence breakers.
type Vocabulary interface {
	// Size returns the number of tokens.
	Size() int
	// Piece returns the text of a token, 0 ≤ id < Size, which may be part of a UTF-8 character. A token without text
	// has none.
	Piece(id int32) []byte
	// Encode returns the tokens of a text that continues another: no BOS, no space added in front, nothing taken for a
	// special token. The text may begin within a UTF-8 character.
	Encode(text string) ([]int32, error)
}

const (
	maxBreakerBytes = 40
	maxBreakerTail  = 20 // tokens; a longer one is matched by its beginning
)

// breakers finds sequence breakers in tokens. A breaker may begin in the middle of a token and span several, so each
// token that ends with a beginning of the breaker is a head, and the tokens of the rest are its tail. A token that
// contains the whole breaker is a head with an empty tail.
type breakers struct {
	index []int32     // by id: 0, or 1 + the index into tails
	tails [][][]int32 // by head: every tail that completes a breaker
}

// newBreakers looks for the heads of the texts among all tokens. It returns nil if there are no texts.
func newBreakers(v Vocabulary, texts []string) (*breakers, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	if v == nil {
		return nil, errors.New("dry_sequence_breakers need a vocabulary")
	}
	list := make([]*breaker, len(texts))
	for i, text := range texts {
		if text == "" || len(text) > maxBreakerBytes {
			return nil, fmt.Errorf("dry_sequence_breakers: %q is %d bytes long, want 1 to %d", text, len(text), maxBreakerBytes)
		}
		list[i] = &breaker{text: text, rests: make([][]int32, len(text))}
	}
	b := &breakers{index: make([]int32, max(0, v.Size()))}
	for id := range b.index {
		piece := v.Piece(int32(id))
		for _, text := range list {
			if err := b.addHead(v, int32(id), piece, text); err != nil {
				return nil, fmt.Errorf("dry_sequence_breakers: %q: %w", text.text, err)
			}
		}
	}
	return b, nil
}

// breaker is a text with the tokens of text[n:], for each n for which they were asked.
type breaker struct {
	text  string
	rests [][]int32
}

func (t *breaker) rest(v Vocabulary, n int) ([]int32, error) {
	if t.rests[n] == nil {
		ids, err := v.Encode(t.text[n:])
		if err != nil {
			return nil, fmt.Errorf("encode %q: %w", t.text[n:], err)
		}
		if len(ids) == 0 {
			return nil, fmt.Errorf("encode %q: no tokens", t.text[n:])
		}
		t.rests[n] = slices.Clone(ids[:min(len(ids), maxBreakerTail)])
	}
	return t.rests[n], nil
}

// addHead adds the tails with which a token completes a breaker.
func (b *breakers) addHead(v Vocabulary, id int32, piece []byte, t *breaker) error {
	if bytes.IndexByte(piece, t.text[0]) < 0 {
		return nil
	}
	if strings.Contains(string(piece), t.text) {
		b.addTail(id, nil)
		return nil
	}
	for n := min(len(t.text)-1, len(piece)); n > 0; n-- {
		if string(piece[len(piece)-n:]) != t.text[:n] {
			continue
		}
		tail, err := t.rest(v, n)
		if err != nil {
			return err
		}
		b.addTail(id, tail)
	}
	return nil
}

func (b *breakers) addTail(id int32, tail []int32) {
	if b.index[id] == 0 {
		b.tails = append(b.tails, nil)
		b.index[id] = int32(len(b.tails))
	}
	tails := &b.tails[b.index[id]-1]
	if !slices.ContainsFunc(*tails, func(other []int32) bool { return slices.Equal(other, tail) }) {
		*tails = append(*tails, tail)
	}
}

// of returns the tails of a token, none if it is no head.
func (b *breakers) of(id int32) [][]int32 {
	if b == nil || id < 0 || int(id) >= len(b.index) || b.index[id] == 0 {
		return nil
	}
	return b.tails[b.index[id]-1]
}

// alone reports whether a token contains a breaker.
func (b *breakers) alone(id int32) bool {
	for _, tail := range b.of(id) {
		if len(tail) == 0 {
			return true
		}
	}
	return false
}

// since returns how many tokens of a text follow the last breaker in it, all of them if there is none. Of the breakers
// that begin with the last head, the longest counts.
func (b *breakers) since(text []int32) int {
	if b == nil {
		return len(text)
	}
	for i := len(text) - 1; i >= 0; i-- {
		after, longest := text[i+1:], -1
		for _, tail := range b.of(text[i]) {
			if len(tail) > longest && len(tail) <= len(after) && slices.Equal(tail, after[:len(tail)]) {
				longest = len(tail)
			}
		}
		if longest >= 0 {
			return len(after) - longest
		}
	}
	return len(text)
}
