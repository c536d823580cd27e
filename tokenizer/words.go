package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordsEncoder looks up whole words: nothing merges, and what the vocabulary lacks is the unknown token.
type wordsEncoder struct {
	vocab   *vocabulary
	unknown int32
}

func newWords(v *vocabulary, unknown int32) (*wordsEncoder, error) {
	if unknown < 0 {
		return nil, fmt.Errorf("tokenizer: there is no %s, which a vocabulary of model %s needs", keyUnknown, modelWords)
	}
	return &wordsEncoder{v, unknown}, nil
}

// appendText encodes text between special tokens. Whitespace only separates; a run of letters is a word, and so is every
// other character.
func (e *wordsEncoder) appendText(dst []int32, text string, _ bool) []int32 {
	if !utf8.ValidString(text) {
		text = replaceInvalid(text)
	}
	var room [64]byte
	spelling := room[:0]
	for text != "" {
		c, n := classAt(text, 0)
		if c&classSpace == 0 {
			if c&classLetter != 0 {
				n = wordLen(text)
			}
			var id int32
			id, spelling = e.find(text[:n], spelling)
			dst = append(dst, id)
		}
		text = text[n:]
	}
	return dst
}

// wordLen returns the length of the word at the start of a text that begins with a letter:
//
//	\p{L}[\p{L}\p{M}]*(['’]\p{L}[\p{L}\p{M}]*)*
func wordLen(s string) int {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		next := i + size
		switch {
		case classOf(r)&classLetter != 0, unicode.IsMark(r):
		case (r == '\'' || r == '’') && next < len(s) && letterAt(s, next):
		default:
			return i
		}
		i = next
	}
	return len(s)
}

func letterAt(s string, i int) bool {
	c, _ := classAt(s, i)
	return c&classLetter != 0
}

// find returns the token of a word: as it is written, else in lower case, else with a capital in front, else the unknown
// token. It returns the buffer for spellings as well.
func (e *wordsEncoder) find(word string, spelling []byte) (int32, []byte) {
	id, spelling := e.exact(word, spelling)
	if id >= 0 {
		return id, spelling
	}
	lower := strings.ToLower(word)
	if id, spelling = e.exact(lower, spelling); id >= 0 {
		return id, spelling
	}
	first, size := utf8.DecodeRuneInString(lower)
	if id, spelling = e.exact(string(unicode.ToUpper(first))+lower[size:], spelling); id >= 0 {
		return id, spelling
	}
	return e.unknown, spelling
}

// exact returns the token of a word that is spelled so, with a space before it or else without, and -1 if there is none.
// Only tokens that are text count.
func (e *wordsEncoder) exact(word string, spelling []byte) (int32, []byte) {
	spelling = append(append(spelling[:0], spmSpaceText...), word...)
	for _, s := range [2][]byte{spelling, spelling[len(spmSpaceText):]} {
		if len(s) > e.vocab.maxLen {
			continue
		}
		if id, ok := e.vocab.ids[string(s)]; ok && e.vocab.attr[id]&attrNormal != 0 {
			return id, spelling
		}
	}
	return -1, spelling
}
