package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxSpecialBytes bounds the spellings of all special tokens together, for which a search automaton is built. The
// largest vocabularies in use have some hundred kilobytes.
const maxSpecialBytes = 16 << 20

// specialTokens finds tokens that a text contains by their spelling, before any merging.
type specialTokens struct {
	vocab *vocabulary
	all   *specialSet // control, unknown and user-defined tokens
	user  *specialSet // user-defined tokens, which count even if special tokens are not parsed
}

// specialSet is a list of tokens, the longest spelling first, with the automaton that finds which of them a text has.
type specialSet struct {
	ids    []int32
	finder *finder
}

// fragment is a part of a text: a token found in it, or text to be encoded if token is -1.
type fragment struct {
	start, end int
	token      int32
}

const noToken int32 = -1

func newSpecialTokens(v *vocabulary) (*specialTokens, error) {
	st := &specialTokens{vocab: v}
	var err error
	if st.all, err = newSpecialSet(v, func(a attr) bool { return a&(attrSpecial|attrUserDefined) != 0 }); err != nil {
		return nil, err
	}
	st.user, err = newSpecialSet(v, func(a attr) bool { return a&attrUserDefined != 0 && a&attrSpecial == 0 })
	return st, err
}

func newSpecialSet(v *vocabulary, in func(attr) bool) (*specialSet, error) {
	s := &specialSet{}
	size := 0
	for id, a := range v.attr {
		if in(a) {
			s.ids = append(s.ids, int32(id))
			size += len(v.text[id])
		}
	}
	if size > maxSpecialBytes {
		return nil, fmt.Errorf("tokenizer: the spellings of the special tokens take %d bytes, more than %d", size,
			maxSpecialBytes)
	}
	slices.SortStableFunc(s.ids, func(a, b int32) int { return cmp.Compare(len(v.text[b]), len(v.text[a])) })
	texts := make([]string, len(s.ids))
	for i, id := range s.ids {
		texts[i] = v.text[id]
	}
	s.finder = newFinder(texts)
	return s, nil
}

// partition cuts a text at its special tokens. The longest spelling is looked for first, in the whole text, then the
// next in what is left; of equally long ones the lower id comes first.
func (st *specialTokens) partition(text string, parseSpecial bool) []fragment {
	set := st.user
	if parseSpecial {
		set = st.all
	}
	frags := []fragment{{0, len(text), noToken}}
	for _, i := range set.finder.present(text) {
		frags = st.cutAll(frags, text, set.ids[i])
	}
	return frags
}

// cutAll cuts every fragment of text at the occurrences of one token.
func (st *specialTokens) cutAll(frags []fragment, text string, id int32) []fragment {
	out := make([]fragment, 0, len(frags)+2)
	for _, f := range frags {
		if f.token == noToken {
			out = st.cut(out, text, f, id)
		} else {
			out = append(out, f)
		}
	}
	return out
}

// cut appends the parts of one fragment of text.
func (st *specialTokens) cut(out []fragment, text string, f fragment, id int32) []fragment {
	spelling, a := st.vocab.text[id], st.vocab.attr[id]
	for f.start < f.end {
		i := strings.Index(text[f.start:f.end], spelling)
		if i < 0 {
			return append(out, f)
		}
		at := f.start + i
		left := fragment{f.start, at, noToken}
		if a&attrLeftStrip != 0 {
			for left.end > left.start && isSpaceByte(text[left.end-1]) {
				left.end--
			}
		}
		if left.end > left.start {
			out = append(out, left)
		}
		f.start = at + len(spelling)
		out = append(out, fragment{at, f.start, id})
		if a&attrRightStrip != 0 {
			for f.start < f.end && isSpaceByte(text[f.start]) {
				f.start++
			}
		}
	}
	return out
}

// isSpaceByte is C's isspace.
func isSpaceByte(b byte) bool { return b == ' ' || '\t' <= b && b <= '\r' }
