package convert

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// hfStep is a normalizer or a pre-tokenizer, or several in a sequence.
type hfStep struct {
	Type           string    `json:"type"`
	Steps          []hfStep  `json:"pretokenizers"`
	Normalizers    []hfStep  `json:"normalizers"`
	Pattern        hfPattern `json:"pattern"`
	Content        string    `json:"content"`
	Behavior       string    `json:"behavior"`
	Invert         bool      `json:"invert"`
	UseRegex       *bool     `json:"use_regex"`
	AddPrefixSpace bool      `json:"add_prefix_space"`
	Digits         bool      `json:"individual_digits"`
	Prepend        string    `json:"prepend"`
	Replacement    string    `json:"replacement"`
	PrependScheme  string    `json:"prepend_scheme"`
	Split          *bool     `json:"split"`
}

type hfPattern struct{ Regex, String string }

// The regular expressions at which byte-level tokenizers cut a text into words.
const (
	llama3Regex = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Regex  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// preTokenizers are GGUF's names for what byte-level tokenizers do before merging.
var preTokenizers = []struct {
	name         string
	steps        string // as String gives them
	ignoreMerges bool
}{
	{"gpt-2", "ByteLevel with its regex", false},
	{"smollm", "Digits one by one, ByteLevel with its regex", false},
	{"llama-bpe", "Split at " + llama3Regex + ", ByteLevel", true},
	{"dbrx", "Split at " + llama3Regex + ", ByteLevel", false},
	{"qwen2", "Split at " + qwen2Regex + ", ByteLevel", false},
}

// String says all that a step of a byte-level tokenizer does.
func (s *hfStep) String() string {
	if s == nil {
		return "nothing"
	}
	words := []string{s.Type}
	switch s.Type {
	case "Sequence":
		var steps []string
		for _, step := range slices.Concat(s.Steps, s.Normalizers) {
			steps = append(steps, step.String())
		}
		return strings.Join(steps, ", ")
	case "ByteLevel":
		if s.AddPrefixSpace {
			words = append(words, "with a space in front")
		}
		if s.UseRegex == nil || *s.UseRegex {
			words = append(words, "with its regex")
		}
	case "Digits":
		if s.Digits {
			words = append(words, "one by one")
		}
	case "Split":
		words = append(words, "at", s.Pattern.Regex+s.Pattern.String)
		if s.Behavior != "Isolated" || s.Invert {
			words = append(words, s.Behavior, fmt.Sprint(s.Invert))
		}
	}
	return strings.Join(words, " ")
}

// byteLevelKeys writes what is particular to byte-level tokenizers.
func (m *input) byteLevelKeys(t *hfTokenizer) error {
	// Text that is not in NFC is left as it is: no GGUF file can ask for more.
	if t.Normalizer != nil && t.Normalizer.Type != "NFC" {
		return fmt.Errorf("normalizer %q of a byte-level tokenizer is not supported (known: NFC)", t.Normalizer.Type)
	}
	steps, name := t.PreTokenizer.String(), ""
	for _, p := range preTokenizers {
		if p.steps == steps && p.ignoreMerges == t.Model.IgnoreMerges {
			name = p.name
		}
	}
	if name == "" {
		return fmt.Errorf("pre_tokenizer (%.300s; ignore_merges %v) is not supported", steps, t.Model.IgnoreMerges)
	}
	merges := make([]string, len(t.Model.Merges))
	for i, p := range t.Model.Merges {
		if strings.Contains(p.left+p.right, " ") {
			return fmt.Errorf("merge %q, %q: a space in a byte-level token", p.left, p.right)
		}
		merges[i] = p.left + " " + p.right
	}
	m.set("tokenizer.ggml.model", "gpt2")
	m.set("tokenizer.ggml.pre", name)
	m.set("tokenizer.ggml.merges", merges)
	return nil
}

// spmKeys writes what is particular to tokenizers that were made from SentencePiece's.
func (m *input) spmKeys(t *hfTokenizer, v *vocabulary) error {
	prefix, err := t.spacePrefix()
	if err != nil {
		return err
	}
	if t.Model.IgnoreMerges {
		return errors.New("ignore_merges is not supported with byte_fallback")
	}
	scores, err := spmScores(t, v)
	if err != nil {
		return err
	}
	m.set("tokenizer.ggml.model", "llama")
	m.set("tokenizer.ggml.scores", scores)
	m.set("tokenizer.ggml.add_space_prefix", prefix)
	return nil
}

// spacePrefix finds out whether a text gets a space in front, from the two ways in which spaces are made U+2581.
func (t *hfTokenizer) spacePrefix() (bool, error) {
	const space = "▁"
	var steps []hfStep
	if n := t.Normalizer; n != nil && n.Type == "Sequence" {
		steps = n.Normalizers
	} else if n != nil {
		steps = []hfStep{*n}
	}
	prefix := false
	if len(steps) == 2 && steps[0].Type == "Prepend" && steps[0].Prepend == space {
		prefix, steps = true, steps[1:]
	}
	p := t.PreTokenizer
	if len(steps) == 1 && p == nil {
		if s := steps[0]; s.Type == "Replace" && s.Pattern == (hfPattern{String: " "}) && s.Content == space {
			return prefix, nil
		}
	}
	if len(steps) == 0 && p != nil && p.Type == "Metaspace" && p.Replacement == space && p.Split != nil && !*p.Split {
		switch p.PrependScheme {
		case "first", "always":
			return true, nil
		case "never":
			return false, nil
		}
	}
	return false, fmt.Errorf("normalizer (%.100s) and pre_tokenizer (%.100s) are not supported with byte_fallback", t.Normalizer, p)
}

// spmScores turns the list of merges back into the scores that it was made from: SentencePiece merges whatever two
// neighbours make a token, that of the highest score first. So the list must have every pair of tokens that makes one, and
// those of one token together.
func spmScores(t *hfTokenizer, v *vocabulary) ([]float32, error) {
	merges := t.Model.Merges
	scores := make([]float32, len(v.tokens))
	for i := range scores {
		scores[i] = -float32(len(merges))
	}
	listed := make(map[hfMerge]bool, len(merges))
	current, done := "", map[string]bool{}
	for rank, p := range merges {
		listed[p] = true
		token := p.left + p.right
		if token == current {
			continue
		}
		id, ok := v.ids[token]
		if !ok || done[token] {
			return nil, fmt.Errorf("merge %q, %q: no token, or not beside the others that make it: not a list that is made from SentencePiece's scores", p.left, p.right)
		}
		current, done[token] = token, true
		scores[id] = -float32(rank)
	}
	for token := range t.Model.Vocab {
		for i := range token {
			p := hfMerge{token[:i], token[i:]}
			_, left := t.Model.Vocab[p.left]
			_, right := t.Model.Vocab[p.right]
			if left && right && !listed[p] {
				return nil, fmt.Errorf("no merge of %q and %q, although they make a token: not a list that is made from SentencePiece's scores", p.left, p.right)
			}
		}
	}
	return scores, nil
}
