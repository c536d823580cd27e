package tokenizer

import (
	"slices"
	"sync"
	"unicode/utf8"
)

// bpeEncoder merges the bytes of each word by the list of merges.
type bpeEncoder struct {
	vocab        *vocabulary
	pairs        *pairTable
	stages       []splitFunc
	ignoreMerges bool // a word that is a token is that token, whatever the merges say
	byteID       [256]int32
	limit        int // bytes of what is merged at once
	cache        *wordCache
	scratch      sync.Pool // of *bpeScratch
}

type bpeScratch struct {
	spelling []byte
	val      []int32
	buf      mergeBuffers
}

func newBPE(r reader, v *vocabulary, rule preRule) (*bpeEncoder, error) {
	pairs, err := readMerges(r, v)
	if err != nil {
		return nil, err
	}
	e := &bpeEncoder{
		vocab: v, pairs: pairs, stages: rule.stages, ignoreMerges: rule.ignoreMerges, limit: maxSegment, cache: newWordCache(),
	}
	e.scratch.New = func() any { return new(bpeScratch) }
	for b, r := range byteRune {
		id, ok := v.ids[string(r)]
		if !ok {
			id = -1
		}
		e.byteID[b] = id
	}
	return e, nil
}

// appendText encodes text between special tokens.
func (e *bpeEncoder) appendText(dst []int32, text string, _ bool) []int32 {
	if !utf8.ValidString(text) {
		text = replaceInvalid(text)
	}
	sc := e.scratch.Get().(*bpeScratch)
	walk(text, e.stages, func(word string) { dst = e.appendWord(dst, word, sc) })
	if 4*cap(sc.val)+sc.buf.bytes() <= maxScratch {
		e.scratch.Put(sc)
	}
	return dst
}

// replaceInvalid puts U+FFFD in the place of every byte that is not part of a character.
func replaceInvalid(text string) string {
	b := make([]byte, 0, len(text)+len(text)/2)
	for _, r := range text {
		b = utf8.AppendRune(b, r)
	}
	return string(b)
}

// appendWord encodes one word of the pre-tokenizer.
func (e *bpeEncoder) appendWord(dst []int32, word string, sc *bpeScratch) []int32 {
	if out, ok := e.cache.append(dst, word); ok {
		return out
	}
	before := len(dst)
	dst = e.appendMerged(dst, word, sc)
	e.cache.keep(word, dst[before:])
	return dst
}

func (e *bpeEncoder) appendMerged(dst []int32, word string, sc *bpeScratch) []int32 {
	if e.ignoreMerges && len(word) <= e.vocab.maxLen {
		sc.spelling = appendByteLevel(sc.spelling[:0], word)
		if id, ok := e.vocab.ids[string(sc.spelling)]; ok {
			return append(dst, id)
		}
	}
	for len(word) > e.limit {
		dst = e.appendBytes(dst, word[:e.limit], sc)
		word = word[e.limit:]
	}
	return e.appendBytes(dst, word, sc)
}

// appendBytes merges the tokens of bytes. A byte that is no token in this vocabulary is left out, as in llama.cpp.
func (e *bpeEncoder) appendBytes(dst []int32, word string, sc *bpeScratch) []int32 {
	sc.val = slices.Grow(sc.val[:0], len(word)+1)
	for i := range len(word) {
		sc.val = append(sc.val, e.byteID[word[i]])
	}
	sc.val = append(sc.val, -1)
	ids := merge(e.pairs, sc.val, &sc.buf)
	for _, id := range ids[:len(ids)-1] {
		if id >= 0 {
			dst = append(dst, id)
		}
	}
	return dst
}
