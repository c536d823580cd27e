package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// WordRoles are the ids of words that are none of the language, -1 where a vocabulary has no such word. Only Unknown must be
// there.
type WordRoles struct {
	Begin, End int // put before texts; ends generation
	Unknown    int // stands for words that the vocabulary lacks
	Padding    int
	Landmark   int
}

// SetWords writes to md the vocabulary of a model of whole words, given in the order of their ids, for package tokenizer's
// kind "words". Punctuation sticks to the word before it, unless it opens something; all else is printed with a space before
// it. A word that the tokenizer would not find in a text as the one token that it is, such as one with a hyphen, is an
// error, and so is one that is there twice. md is changed only if all is well.
func SetWords(md *weights.Metadata, words []string, roles WordRoles) error {
	tokens, kinds := make([]string, len(words)), make([]int32, len(words))
	for id, word := range words {
		tokens[id], kinds[id] = spellWord(word), int32(tokenizer.KindNormal)
	}
	made := input{}
	made.set("tokenizer.ggml.model", "words")
	for _, role := range []struct {
		name, key string
		id        int
		kind      tokenizer.Kind
	}{
		{"begin", "bos", roles.Begin, tokenizer.KindControl}, {"end", "eos", roles.End, tokenizer.KindControl},
		{"padding", "padding", roles.Padding, tokenizer.KindControl}, {"landmark", "", roles.Landmark, tokenizer.KindControl},
		{"unknown", "unknown", roles.Unknown, tokenizer.KindUnknown},
	} {
		if role.id == -1 {
			continue
		}
		if role.id < 0 || role.id >= len(words) {
			return fmt.Errorf("convert: the %s word is %d, the vocabulary has %d words", role.name, role.id, len(words))
		}
		tokens[role.id], kinds[role.id] = words[role.id], int32(role.kind)
		if role.key != "" {
			made.set("tokenizer.ggml."+role.key+"_token_id", uint32(role.id))
		}
	}
	made.set("tokenizer.ggml.tokens", tokens)
	made.set("tokenizer.ggml.token_type", kinds)
	made.set("tokenizer.ggml.add_bos_token", roles.Begin >= 0)
	made.set("tokenizer.ggml.add_eos_token", false)
	if made.err != nil {
		return made.err
	}
	if err := checkWords(&made.md, words, kinds); err != nil {
		return err
	}
	for key, value := range made.md.All() {
		if err := md.Set(key, value); err != nil {
			return err
		}
	}
	return nil
}

// spellWord returns how the vocabulary spells a word: with its space, if there is one before it.
func spellWord(word string) string {
	r, _ := utf8.DecodeRuneInString(word)
	if unicode.IsPunct(r) && !unicode.In(r, unicode.Ps, unicode.Pi) {
		return word
	}
	return "▁" + word
}

// checkWords reads the vocabulary as a program that uses the model will, and looks every word up.
func checkWords(md *weights.Metadata, words []string, kinds []int32) error {
	t, err := tokenizer.New(md)
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	for id, word := range words {
		if kinds[id] != int32(tokenizer.KindNormal) {
			continue
		}
		if got := t.Encode(word, tokenizer.EncodeOptions{}); !slices.Equal(got, []int32{int32(id)}) {
			return fmt.Errorf("convert: word %d, %q, is not read as one word of letters or one other character", id, word)
		}
	}
	return nil
}

// prototypeWords is the vocabulary of prototypes, beside their files: a list of words. The first ones have roles.
const prototypeWords = "vocab.json"

var prototypeRoles = WordRoles{Padding: 0, Begin: 1, Landmark: prototypeLandmark, Unknown: 3, End: -1}

// prototypeTokenizer writes the keys of the vocabulary beside a prototype, if there is one.
func (m *input) prototypeTokenizer(path string, size int) {
	path = filepath.Join(filepath.Dir(path), prototypeWords)
	text, err := readFile(path, maxTokenizer)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	m.paths = append(m.paths, path)
	if err == nil {
		err = m.prototypeVocabulary(text, size)
	}
	if err != nil {
		m.fail(fmt.Errorf("%s: %w", prototypeWords, err))
	}
}

func (m *input) prototypeVocabulary(text []byte, size int) error {
	var words []string
	if err := json.Unmarshal(text, &words); err != nil {
		return fmt.Errorf("want a list of words: %w", err)
	}
	if len(words) != size {
		return fmt.Errorf("%d words for a vocabulary of %d: that of another model", len(words), size)
	}
	for id := range min(len(words), prototypeRoles.Unknown+1) {
		if w := words[id]; !strings.HasPrefix(w, "<") || !strings.HasSuffix(w, ">") {
			return fmt.Errorf("word %d is %q, where one in angle brackets should be: padding, begin, landmark, unknown", id, w)
		}
	}
	return SetWords(&m.md, words, prototypeRoles)
}
