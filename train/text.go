package train

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/train/bpe"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights"
)

// heldOut is the share of a text, at its end, that examinations are made of, as one in so many.
const heldOut = 20

// Text is pieces of one text, in words of its own, or of a model that is there.
type Text struct {
	words      int
	begin      []int // the token before all texts, if there is one
	describe   func(md *weights.Metadata) error
	read, held []int // tokens to train with, and those of examinations
	print      string
}

// NewText makes a source of a text, with a byte-level BPE of up to so many tokens that is learned from it.
func NewText(ctx context.Context, text string, words int) (*Text, error) {
	v, err := bpe.Train(ctx, text, bpe.Options{Size: words})
	if err != nil {
		return nil, fmt.Errorf("train: the text's vocabulary: %w", err)
	}
	md := new(weights.Metadata)
	if err := v.SetMetadata(md); err != nil {
		return nil, err
	}
	tok, err := tokenizer.New(md)
	if err != nil {
		return nil, err
	}
	t := &Text{words: len(v.Tokens), begin: []int{int(v.Begin)}, describe: v.SetMetadata}
	t.encode(tok, text)
	return t, nil
}

// encode takes a text's tokens.
func (t *Text) encode(tok *tokenizer.Tokenizer, text string) {
	var ids []int
	for _, id := range tok.Encode(text, tokenizer.EncodeOptions{ParseSpecial: true}) {
		ids = append(ids, int(id))
	}
	sum := sha256.Sum256([]byte(text))
	at := len(ids) - len(ids)/heldOut
	t.read, t.held, t.print = ids[:at], ids[at:], fmt.Sprintf("%d words of %s", t.words, hex.EncodeToString(sum[:]))
}

// Words is the size of the vocabulary.
func (t *Text) Words() int { return t.words }

// Tokens is the length of the text.
func (t *Text) Tokens() int { return len(t.read) + len(t.held) }

// Print stands for the text and its vocabulary.
func (t *Text) Print() string { return t.print }

// Batch returns pieces from anywhere.
func (t *Text) Batch(r *rand.Rand, s *Stage) ([]tales.Document, error) { return t.pieces(t.read, r, s) }

// Exam returns pieces of what no batch has. They have no questions.
func (t *Text) Exam(r *rand.Rand, s *Stage) ([]tales.Document, error) { return t.pieces(t.held, r, s) }

func (t *Text) pieces(of []int, r *rand.Rand, s *Stage) (all []tales.Document, err error) {
	n := s.Length - len(t.begin)
	if len(of) < n {
		return nil, fmt.Errorf("train: pieces of %d tokens out of a text of %d, of which one in %d is held out", s.Length, t.Tokens(), heldOut)
	}
	for range s.Texts {
		at := r.IntN(len(of) - n + 1)
		all = append(all, tales.Document{Tokens: slices.Concat(t.begin, of[at:at+n])})
	}
	return all, nil
}

// Describe writes the vocabulary.
func (t *Text) Describe(md *weights.Metadata) error { return t.describe(md) }

// OnText is the recipe for a model of the same shape that is trained with pieces of a text, for so many steps, of which the last
// third cools. Landmarks need a token that texts do not have: with them it is an error.
func (r Recipe) OnText(length, steps int) (Recipe, error) {
	if r.Shape(1).Landmark.Block > 0 {
		return Recipe{}, fmt.Errorf("train: recipe %s is for stories: the words of a text have no landmark", r.Name)
	}
	r.Name, r.Stages = r.Name+" on text", cooling(pieces(length), steps)
	return r, nil
}

// pieces is a stage with pieces of a text.
func pieces(length int) Stage {
	return Stage{Name: "text", Texts: max(1, batch/max(length, 1)), Length: length, Every: 100, Exam: 4}
}

// cooling makes a stage one of so many steps, of which the last third cools.
func cooling(s Stage, steps int) []Stage {
	last := s
	s.Steps, last.Steps = steps-steps/3, steps/3
	if last.Steps == 0 {
		return []Stage{s}
	}
	return []Stage{s, cool(last)}
}
