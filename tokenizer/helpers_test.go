package tokenizer

import (
	"maps"
	"strings"
	"testing"
	"unicode/utf8"
)

// metadata is hand-made metadata.
type metadata map[string]any

func get[T any](m metadata, key string) (T, bool) {
	v, ok := m[key].(T)
	return v, ok
}

func (m metadata) String(key string) (string, bool)      { return get[string](m, key) }
func (m metadata) Strings(key string) ([]string, bool)   { return get[[]string](m, key) }
func (m metadata) Float32s(key string) ([]float32, bool) { return get[[]float32](m, key) }
func (m metadata) Int32s(key string) ([]int32, bool)     { return get[[]int32](m, key) }
func (m metadata) Bool(key string) (bool, bool)          { return get[bool](m, key) }

func (m metadata) Uint(key string) (uint64, bool) {
	if v, ok := m[key].(uint64); ok {
		return v, true
	}
	v, ok := m[key].(int)
	return uint64(v), ok && v >= 0
}

// with returns a copy in which some keys have other values; nil removes a key.
func (m metadata) with(pairs ...any) metadata {
	out := maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		key := pairs[i].(string)
		if !strings.HasPrefix(key, "general.") {
			key = "tokenizer.ggml." + key
		}
		if pairs[i+1] == nil {
			delete(out, key)
		} else {
			out[key] = pairs[i+1]
		}
	}
	return out
}

// withToken returns a copy with one more token.
func (m metadata) withToken(spelling string, kind Kind) metadata {
	tokens, _ := m.Strings(keyTokens)
	types, _ := m.Int32s(keyTokenType)
	out := m.with("tokens", append(tokens[:len(tokens):len(tokens)], spelling),
		"token_type", append(types[:len(types):len(types)], int32(kind)))
	if scores, ok := m.Float32s(keyScores); ok {
		out[keyScores] = append(scores[:len(scores):len(scores)], -1000)
	}
	return out
}

// spmMerged are the tokens of smallSPM of more than one character, those that merge first at the front.
var spmMerged = []string{
	"▁▁", "▁▁▁▁", "▁h", "he", "ll", "▁he", "llo", "▁hello", "lo", "or", "wor", "ld", "world", "▁world", "ab", "abab", "ba",
	"aa", "aaaa", "aaaaaaaa", "éa", "中文", "▁中", "a▁", ".▁", "\n\n",
}

// smallSPM is a complete vocabulary of model llama: every byte has a token.
func smallSPM() metadata {
	tokens := []string{"<unk>", "<s>", "</s>"}
	types := []int32{int32(KindUnknown), int32(KindControl), int32(KindControl)}
	scores := []float32{0, 0, 0}
	add := func(spelling string, kind Kind, score float32) {
		tokens, types, scores = append(tokens, spelling), append(types, int32(kind)), append(scores, score)
	}
	for b := range 256 {
		add(byteToken(byte(b)), KindByte, 0)
	}
	for i, s := range spmMerged {
		add(s, KindNormal, -float32(i))
	}
	for i, r := range "▁abcdehlorwé中文.\n" {
		add(string(r), KindNormal, -100-float32(i))
	}
	return metadata{
		keyModel: "llama", keyTokens: tokens, keyTokenType: types, keyScores: scores,
		"tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.unknown_token_id": 0,
	}
}

// bpeMerges are the merges of smallBPE, as text; a space within a token is written Ġ.
var bpeMerges = []string{
	"Ġ Ġ", "h e", "l l", "o r", "ll o", "he llo", "Ġ w", "Ġw or", "l d", "Ġwor ld", "a b", "ab ab", "b a", "a a", "aa aa",
	"aaaa aaaa", "1 2", "12 3", "ĠĠ ĠĠ", "Ã ©", "Ċ Ċ", "he ll", "hell o", "' s", "! !", "!! !!",
}

// smallBPE is a complete vocabulary of model gpt2: every byte has a token.
func smallBPE() metadata {
	var tokens []string
	seen := map[string]bool{}
	add := func(spelling string) {
		if !seen[spelling] {
			seen[spelling] = true
			tokens = append(tokens, spelling)
		}
	}
	for b := range 256 {
		add(string(byteRune[b]))
	}
	for _, m := range bpeMerges {
		add(strings.Replace(m, " ", "", 1))
	}
	types := make([]int32, len(tokens))
	for i := range types {
		types[i] = int32(KindNormal)
	}
	m := metadata{keyModel: "gpt2", keyPre: "gpt-2", keyTokens: tokens, keyTokenType: types, keyMerges: bpeMerges}
	m = m.withToken("<|endoftext|>", KindControl)
	return m.with("bos_token_id", len(tokens), "eos_token_id", len(tokens))
}

// wordList are the tokens of smallWords.
var wordList = []string{"<pad>", "<bos>", "<lm>", "<unk>", "!", ",", ".", "▁5", "▁The", "▁the", "▁box", "▁Tom", "▁don't", "▁é", "s", "?"}

// smallWords is a vocabulary of model words.
func smallWords() metadata {
	types := make([]int32, len(wordList))
	for i := range types {
		types[i] = int32(KindNormal)
	}
	types[0], types[1], types[2], types[3] = int32(KindControl), int32(KindControl), int32(KindControl), int32(KindUnknown)
	return metadata{
		keyModel: "words", keyTokens: wordList, keyTokenType: types, keyBOS: 1, keyUnknown: 3, "tokenizer.ggml.padding_token_id": 0,
	}
}

func mustNew(tb testing.TB, md Metadata) *Tokenizer {
	tb.Helper()
	t, err := New(md)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// spell returns the spellings of ids, with bars between.
func spell(t *Tokenizer, ids []int32) string {
	var parts []string
	for _, id := range ids {
		s, ok := t.Spelling(id)
		if !ok {
			s = "?"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "|")
}

// shorten cuts a text of a fuzzer to a length that the slow references can bear, not within a character.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
