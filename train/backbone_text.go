package train

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/weights"
)

// Text makes a source of a text in the words of the backbone. Pieces begin with the token that texts of the backbone begin with, if
// they do.
func (b *Backbone) Text(text string) (*Text, error) {
	if b.tokenizer == nil {
		return nil, errors.New("train: the model has no tokenizer to read a text with")
	}
	t := &Text{words: b.config.Vocabulary, describe: b.describeWords}
	if begin, ok := b.tokenizer.BOS(); ok && b.tokenizer.AddsBOS() {
		t.begin = []int{int(begin)}
	}
	t.encode(b.tokenizer, text)
	return t, nil
}

const (
	keyTokens    = "tokenizer.ggml.tokens"
	keyKinds     = "tokenizer.ggml.token_type"
	keyScores    = "tokenizer.ggml.scores"
	wordsOfFiles = "tokenizer." // what all keys begin with that are about words
)

// describeWords writes the backbone's vocabulary.
func (b *Backbone) describeWords(md *weights.Metadata) error {
	for key, value := range b.metadata.All() {
		if len(key) > len(wordsOfFiles) && key[:len(wordsOfFiles)] == wordsOfFiles {
			if err := md.Set(key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Tales reports whether the backbone's words are those of the small language, in whose stories it can be trained then.
func (b *Backbone) Tales() bool {
	own := new(weights.Metadata)
	if err := (Stories{}).Describe(own); err != nil {
		return false
	}
	want, _ := own.Strings(keyTokens)
	got, ok := b.metadata.Strings(keyTokens)
	return ok && slices.Equal(got, want)
}

// Course is how something is trained on a backbone.
type Course struct {
	Length  int  // tokens of the texts
	Steps   int  // of about 2,048 tokens each; the last third, of pieces of a text or of stories, cools
	Stories bool // texts are stories of the small language, after lists of up to a third of the steps; else pieces of a text
}

// stages are those of a course.
func (c Course) stages() ([]Stage, error) {
	if c.Length < 2 || c.Steps < 1 {
		return nil, fmt.Errorf("train: %d steps with texts of %d tokens", c.Steps, c.Length)
	}
	if !c.Stories {
		return cooling(pieces(c.Length), c.Steps), nil
	}
	const least, most, short = 2, 12, 64
	if c.Length < short {
		return nil, fmt.Errorf("train: stories of %d tokens, which are too short for %d facts", c.Length, least)
	}
	s := stories(c.Length, least, min(max(least, c.Length/32), most), 0)
	s.Texts, s.Until, s.Every = max(1, s.Texts), 0, 100
	first := lists(c.Length)
	first.Texts = s.Texts
	if first.Steps = c.Steps / 3; first.Steps == 0 {
		return cooling(s, c.Steps), nil
	}
	return append([]Stage{first}, cooling(s, c.Steps-first.Steps)...), nil
}
