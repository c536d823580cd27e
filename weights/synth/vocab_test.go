package synth

import (
	"strings"
	"testing"
)

// vocabulary returns the lists of a vocabulary of n tokens.
func vocabulary(t *testing.T, n int) (tokens []string, scores []float32, types []int32) {
	t.Helper()
	pairs, err := tokenizerKeys(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		switch v := p.value.(type) {
		case []string:
			tokens = v
		case []float32:
			scores = v
		case []int32:
			types = v
		}
	}
	return tokens, scores, types
}

func TestVocabulary(t *testing.T) {
	for _, n := range []int{minVocab, 300, 512, 32000, 151936, maxVocab} {
		tokens, scores, types := vocabulary(t, n)
		if len(tokens) != n || len(scores) != n || len(types) != n {
			t.Fatalf("%d tokens: %d, %d scores, %d types", n, len(tokens), len(scores), len(types))
		}
		ids := map[string]int{}
		for id, token := range tokens {
			if other, ok := ids[token]; ok {
				t.Errorf("%d tokens: %q is both %d and %d", n, token, other, id)
			}
			ids[token] = id
		}
		for token, id := range map[string]int{"<unk>": 0, "<s>": 1, "</s>": 2, "<0x00>": 3, "<0xFF>": 258, "▁": 259} {
			if ids[token] != id {
				t.Errorf("%d tokens: %q is %d, want %d", n, token, ids[token], id)
			}
		}
		checkReachable(t, tokens, scores, types, ids)
	}
}

// checkReachable finds pieces that merging pairs, the best score first, never makes: each piece of several characters
// must be the union of two with better scores.
func checkReachable(t *testing.T, tokens []string, scores []float32, types []int32, ids map[string]int) {
	t.Helper()
	for id := minVocab; id < len(tokens); id++ {
		token := tokens[id]
		if types[id] != normalToken || scores[id] >= scores[id-1] {
			t.Fatalf("token %d %q has type %d and score %g after %g", id, token, types[id], scores[id], scores[id-1])
		}
		if strings.ContainsAny(token, " \n\t") || token == "" {
			t.Fatalf("token %d is %q", id, token)
		}
		joined := len([]rune(token)) == 1
		for cut := range token {
			left, okLeft := ids[token[:cut]]
			right, okRight := ids[token[cut:]]
			joined = joined || okLeft && okRight && left < id && right < id
		}
		if !joined {
			t.Fatalf("token %d %q cannot be reached", id, token)
		}
	}
}

func TestVocabularyErrors(t *testing.T) {
	for _, n := range []int{-1, 0, minVocab - 1, maxVocab + 1, 1 << 62} {
		if _, err := tokenizerKeys(n); err == nil {
			t.Errorf("a vocabulary of %d tokens was made", n)
		}
	}
}
