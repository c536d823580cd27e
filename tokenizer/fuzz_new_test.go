package tokenizer

import (
	"strings"
	"testing"
)

// FuzzNew builds tokenizers from arbitrary metadata: an error or a tokenizer that works.
func FuzzNew(f *testing.F) {
	f.Add("llama", "", "<unk>\n<s>\n</s>\n▁\na\naa\n<0x0A>", "", []byte{2, 3, 3, 1, 1, 1, 6}, 4, "a aa\n<s>")
	f.Add("gpt2", "qwen2", "a\nb\nab\n<|im_end|>", "a b\nab a", []byte{1, 1, 1, 3}, 3, "abab<|im_end|>")
	f.Add("gpt2", "tekken", "\n\n ", " \na", []byte{4, 4, 4}, 0, "\n \n")
	f.Add("words", "", "<pad>\n<bos>\n<unk>\n▁The\n▁box\n.\n▁5\n[U]", "", []byte{3, 3, 2, 1, 1, 1, 1, 4}, 4, "The box, THE [U]\xff 55.")
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, kinds []byte, id int, text string) {
		md := metadata{
			keyModel: model, keyPre: pre, keyTokens: strings.Split(tokens, "\n"), keyMerges: strings.Split(merges, "\n"),
			keyName: pre, "tokenizer.ggml.bos_token_id": id, "tokenizer.ggml.eot_token_id": id / 2,
			keyUnknown: id / 2,
		}
		types, scores := make([]int32, len(kinds)), make([]float32, len(kinds))
		for i, k := range kinds {
			types[i], scores[i] = int32(k), float32(k%5)
		}
		md[keyTokenType], md[keyScores] = types, scores
		if merges == "" {
			md[keyMerges] = []string{}
		}
		tok, err := New(md)
		if (err == nil) != (tok != nil) {
			t.Fatalf("got %v, %v", tok, err)
		}
		if err != nil {
			return
		}
		text = shorten(text, 1000)
		for _, opts := range []EncodeOptions{{}, {ParseSpecial: true}, {AddSpecial: true, ParseSpecial: true}} {
			ids := tok.Encode(text, opts)
			for _, id := range ids {
				if id < 0 || int(id) >= tok.Size() {
					t.Fatalf("%q has id %d", text, id)
				}
			}
			checkDecoder(t, tok, ids, DecodeOptions{Special: opts.ParseSpecial})
		}
	})
}
