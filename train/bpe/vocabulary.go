package bpe

import (
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// Vocabulary is a vocabulary of the model gpt2.
type Vocabulary struct {
	Tokens     []string // by id: the bytes, what they merge to, then special tokens
	Merges     []string // two tokens with a space between; that of the token 256 comes first
	Begin, End int32    // ids of the tokens before and after texts
}

func (t *trainer) vocabulary(opts Options) *Vocabulary {
	v := &Vocabulary{Tokens: make([]string, 0, len(t.tokens)+2), Merges: make([]string, len(t.merges))}
	for _, raw := range t.tokens {
		v.Tokens = append(v.Tokens, tokenizer.SpellByteLevel(raw))
	}
	for i, p := range t.merges {
		v.Merges[i] = v.Tokens[p.left] + " " + v.Tokens[p.right]
	}
	v.End = int32(len(v.Tokens))
	v.Begin = v.End
	v.Tokens = append(v.Tokens, opts.End)
	if opts.Begin != opts.End {
		v.Begin = int32(len(v.Tokens))
		v.Tokens = append(v.Tokens, opts.Begin)
	}
	return v
}

// SetMetadata writes the vocabulary as package tokenizer reads it. Texts then begin with the token Begin.
func (v *Vocabulary) SetMetadata(md *weights.Metadata) error {
	kinds := make([]int32, len(v.Tokens))
	for id := range kinds {
		kinds[id] = int32(tokenizer.KindNormal)
		if int32(id) == v.Begin || int32(id) == v.End {
			kinds[id] = int32(tokenizer.KindControl)
		}
	}
	for _, p := range []struct {
		key   string
		value any
	}{
		{"model", "gpt2"}, {"pre", preTokenizer}, {"tokens", v.Tokens}, {"token_type", kinds}, {"merges", v.Merges},
		{"bos_token_id", uint32(v.Begin)}, {"eos_token_id", uint32(v.End)}, {"add_bos_token", true}, {"add_eos_token", false},
	} {
		if err := md.Set("tokenizer.ggml."+p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}
