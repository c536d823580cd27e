package synth

import (
	"fmt"
	"iter"
)

// Token types, as tokenizer.ggml.token_type has them.
const (
	normalToken  int32 = 1
	unknownToken int32 = 2
	controlToken int32 = 3
	byteToken    int32 = 6
)

// space is how SentencePiece writes a space within a piece.
const space = "▁"

// minVocab is the size of the smallest vocabulary: three control tokens, the bytes, and the space.
const minVocab = 3 + 256 + 1

// maxVocab is well below the number of words that pieces makes.
const maxVocab = 1 << 20

// tokenizerKeys returns the metadata of a SentencePiece-style vocabulary of n tokens: <unk>, <s>, </s>, a token for each
// byte, so that every text can be encoded, and made-up pieces, each of which two earlier ones join to, so that the
// tokenizer's merging reaches it.
func tokenizerKeys(n int) ([]pair, error) {
	if n < minVocab || n > maxVocab {
		return nil, fmt.Errorf("a vocabulary of %d tokens cannot be made, of %d to %d it can", n, minVocab, maxVocab)
	}
	tokens, scores, types := make([]string, 0, n), make([]float32, 0, n), make([]int32, 0, n)
	add := func(token string, score float32, kind int32) {
		tokens, scores, types = append(tokens, token), append(scores, score), append(types, kind)
	}
	add("<unk>", 0, unknownToken)
	add("<s>", 0, controlToken)
	add("</s>", 0, controlToken)
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), 0, byteToken)
	}
	seen := make(map[string]bool, n)
	for piece := range pieces() {
		if len(tokens) >= n {
			break
		}
		if !seen[piece] {
			seen[piece] = true
			add(piece, -float32(len(seen)-1), normalToken) // merges prefer what comes earlier
		}
	}
	return []pair{
		{"tokenizer.ggml.model", "llama"},
		{"tokenizer.ggml.tokens", tokens},
		{"tokenizer.ggml.scores", scores},
		{"tokenizer.ggml.token_type", types},
		{"tokenizer.ggml.bos_token_id", uint32(1)},
		{"tokenizer.ggml.eos_token_id", uint32(2)},
		{"tokenizer.ggml.unknown_token_id", uint32(0)},
		{"tokenizer.ggml.add_bos_token", true},
		{"tokenizer.ggml.add_eos_token", false},
		{"tokenizer.ggml.add_space_prefix", true},
	}, nil
}

// The sounds of made-up words. Each cluster is a consonant before an onset of one letter, so that "bra" is b + ra.
var (
	characters = "etaoinsrhldcumfpgwybvkxjqz.,'\"!?-:;()0123456789ETAOINSRHLDCUMFPGWYBVKXJQZ"
	vowels     = []string{"a", "e", "i", "o", "u"}
	onsets     = []string{"t", "n", "s", "r", "h", "l", "d", "c", "m", "f", "p", "g", "w", "y", "b", "v", "k", "j", "z"}
	clusters   = []string{
		"th", "st", "sh", "ch", "br", "tr", "pr", "cl", "bl", "gr", "fl", "cr", "dr", "pl", "sp",
		"fr", "sl", "sc", "gl", "sk", "sm", "sn", "sw", "tw",
	}
	codas = []string{"n", "r", "s", "t", "l", "d", "m"}
)

// pieces yields characters, syllables, and words of two syllables, with and without a space before them; some twice.
func pieces() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !yield(space) {
			return
		}
		for _, c := range characters {
			if !yield(string(c)) {
				return
			}
		}
		list := syllables()
		for _, s := range list {
			if !yield(s) || !yield(space+s) {
				return
			}
		}
		for _, first := range list {
			for _, second := range list {
				if !yield(first+second) || !yield(space+first+second) {
					return
				}
			}
		}
	}
}

// syllables returns open syllables (ta), those with two consonants (tha), and closed ones (tan, than).
func syllables() []string {
	var open, closed []string
	for _, onset := range append(append([]string(nil), onsets...), clusters...) {
		for _, vowel := range vowels {
			open = append(open, onset+vowel)
		}
	}
	for _, coda := range codas {
		for _, s := range open {
			closed = append(closed, s+coda)
		}
	}
	return append(open, closed...)
}
