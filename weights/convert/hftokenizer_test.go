package convert

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// object is a JSON object.
type object = map[string]any

// The pre-tokenizers as transformers write them down.
var (
	plainBytes  = object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}
	gpt2Steps   = object{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}
	llama3Steps = splitAt(llama3Regex)
	qwen2Steps  = splitAt(qwen2Regex)
	smollmSteps = object{"type": "Sequence", "pretokenizers": []any{object{"type": "Digits", "individual_digits": true}, gpt2Steps}}
)

func splitAt(regex string) object {
	return object{"type": "Sequence", "pretokenizers": []any{
		object{"type": "Split", "pattern": object{"Regex": regex}, "behavior": "Isolated", "invert": false}, plainBytes,
	}}
}

// The two ways in which spaces become U+2581.
var (
	spmNormalizer = object{"type": "Sequence", "normalizers": []any{
		object{"type": "Prepend", "prepend": "▁"}, object{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"},
	}}
	metaspace = object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false}
)

// addedTokens lists the tokens that are not made by merging.
func addedTokens(tokens []string, kinds []int32) []any {
	list := []any{}
	for id, kind := range kinds {
		switch k := tokenizer.Kind(kind); k {
		case tokenizer.KindControl, tokenizer.KindUnknown, tokenizer.KindUserDefined:
			list = append(list, object{"id": id, "content": tokens[id], "special": k != tokenizer.KindUserDefined, "lstrip": false, "rstrip": false, "single_word": false})
		}
	}
	return list
}

func ids(tokens []string) map[string]int {
	vocab := make(map[string]int, len(tokens))
	for id, token := range tokens {
		vocab[token] = id
	}
	return vocab
}

// byteLevelJSON is what transformers write of a byte-level tokenizer.
func byteLevelJSON(tokens []string, kinds []int32, merges []string, steps object, ignoreMerges bool) object {
	return object{
		"version": "1.0", "truncation": nil, "added_tokens": addedTokens(tokens, kinds), "normalizer": nil, "pre_tokenizer": steps,
		"post_processor": object{"type": "ByteLevel"}, "decoder": object{"type": "ByteLevel"},
		"model": object{"type": "BPE", "dropout": nil, "unk_token": nil, "byte_fallback": false, "ignore_merges": ignoreMerges, "vocab": ids(tokens), "merges": merges},
	}
}

// spmJSON is what transformers make of a SentencePiece model: every pair of tokens that makes a token is a merge, in the
// order of scores.
func spmJSON(tokens []string, kinds []int32, scores []float32) object {
	vocab := ids(tokens)
	type merge struct {
		left, right string
		score       float32
	}
	var list []merge
	for id, token := range tokens {
		for i := range token {
			_, left := vocab[token[:i]]
			_, right := vocab[token[i:]]
			if left && right {
				list = append(list, merge{token[:i], token[i:], scores[id]})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b merge) int { return cmp.Compare(b.score, a.score) })
	merges := []any{}
	for _, m := range list {
		merges = append(merges, []string{m.left, m.right})
	}
	return object{
		"added_tokens": addedTokens(tokens, kinds), "normalizer": spmNormalizer, "pre_tokenizer": nil,
		"post_processor": object{"type": "TemplateProcessing", "single": []any{object{"SpecialToken": object{"id": "<s>", "type_id": 0}}, object{"Sequence": object{"id": "A"}}}},
		"model":          object{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": merges},
	}
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// convertTokenizer returns the metadata that are written of a tokenizer.
func convertTokenizer(t testing.TB, tok, roles object, size int, eos ...int32) (*weights.Metadata, error) {
	t.Helper()
	m := &input{}
	var text []byte
	if roles != nil {
		text = encoded(t, roles)
	}
	err := m.hfTokenizerKeys(encoded(t, tok), text, &hfConfig{vocabulary: size, eos: eos})
	return &m.md, cmp.Or(err, m.err)
}

// TestRealTokenizers writes published vocabularies down as transformers have them, converts them, and compares ids.
func TestRealTokenizers(t *testing.T) {
	if testing.Short() {
		t.Skip("large vocabularies are for a full run")
	}
	text, err := os.ReadFile(testdata.Shared(t, "text/grimm.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]func(md *weights.Metadata, tokens []string, kinds []int32) object{
		"gpt-2":     byteLevel(gpt2Steps, false),
		"llama-bpe": byteLevel(llama3Steps, true),
		"qwen2":     byteLevel(qwen2Steps, false),
		"llama-spm": func(md *weights.Metadata, tokens []string, kinds []int32) object {
			scores, _ := md.Float32s("tokenizer.ggml.scores")
			return spmJSON(tokens, kinds, scores)
		},
	} {
		f, err := weights.Open(testdata.Shared(t, "vocab/ggml-vocab-"+name+".gguf"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tokens, _ := f.Metadata().Strings("tokenizer.ggml.tokens")
		kinds, _ := f.Metadata().Int32s("tokenizer.ggml.token_type")
		eos, _ := f.Metadata().Uint("tokenizer.ggml.eos_token_id")
		bos, _ := f.Metadata().Uint("tokenizer.ggml.bos_token_id")
		roles := object{"eos_token": tokens[eos], "bos_token": object{"content": tokens[bos], "lstrip": false}, "add_bos_token": name != "gpt-2" && name != "qwen2"}
		md, err := convertTokenizer(t, document(f.Metadata(), tokens, kinds), roles, len(tokens))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got, gotErr := tokenizer.New(md)
		want, wantErr := tokenizer.New(f.Metadata())
		if gotErr != nil || wantErr != nil {
			t.Fatal(gotErr, wantErr)
		}
		writtenKinds, _ := md.Int32s("tokenizer.ggml.token_type")
		written, _ := md.Strings("tokenizer.ggml.tokens")
		if !slices.Equal(written, tokens) || !slices.Equal(writtenKinds, kinds) || got.Pre() != want.Pre() && name != "llama-spm" {
			t.Errorf("%s: other tokens, kinds or pre-tokenizer %q", name, got.Pre())
		}
		samples, err := os.ReadFile(testdata.Shared(t, "vocab/ggml-vocab-"+name+".gguf.inp"))
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range append(strings.Split(string(samples), "\n__ggml_vocab_test__\n"), string(text[:60000])) {
			o := tokenizer.EncodeOptions{AddSpecial: true}
			if a, b := got.Encode(sample, o), want.Encode(sample, o); !slices.Equal(a, b) {
				t.Errorf("%s: %.40q: %.10v, want %.10v", name, sample, a, b)
			}
		}
	}
}

func byteLevel(steps object, ignoreMerges bool) func(*weights.Metadata, []string, []int32) object {
	return func(md *weights.Metadata, tokens []string, kinds []int32) object {
		merges, _ := md.Strings("tokenizer.ggml.merges")
		return byteLevelJSON(tokens, kinds, merges, steps, ignoreMerges)
	}
}

// smallBytes is a byte-level tokenizer of a few tokens. What has no token is left out of a text.
func smallBytes() object {
	tokens := []string{"a", "b", "Ġ", "Ġa", "ab", "<end>", "<tool>"}
	kinds := []int32{1, 1, 1, 1, 1, int32(tokenizer.KindControl), int32(tokenizer.KindUserDefined)}
	return byteLevelJSON(tokens, kinds, []string{"Ġ a", "a b"}, qwen2Steps, false)
}

// smallSPM is a tokenizer of SentencePiece's with every byte.
func smallSPM() object {
	tokens, kinds := []string{"<unk>", "<s>", "</s>"}, []int32{int32(tokenizer.KindUnknown), int32(tokenizer.KindControl), int32(tokenizer.KindControl)}
	for b := range 256 {
		const digits = "0123456789ABCDEF"
		tokens, kinds = append(tokens, "<0x"+digits[b>>4:b>>4+1]+digits[b&15:b&15+1]+">"), append(kinds, int32(tokenizer.KindByte))
	}
	scores := slices.Repeat([]float32{0}, len(tokens))
	for i, token := range []string{"ab", "▁a", "▁ab", "abab", "▁", "a", "b"} {
		tokens, kinds, scores = append(tokens, token), append(kinds, int32(tokenizer.KindNormal)), append(scores, -float32(i))
	}
	return spmJSON(tokens, kinds, scores)
}

func TestSmallTokenizers(t *testing.T) {
	roles := object{
		"bos_token": nil, "eos_token": "<end>", "pad_token": object{"content": "<end>"}, "add_bos_token": false, "chat_template": "{{ x }}",
	}
	md, err := convertTokenizer(t, smallBytes(), roles, 9)
	if err != nil {
		t.Fatal(err)
	}
	tokens, _ := md.Strings("tokenizer.ggml.tokens")
	kinds, _ := md.Int32s("tokenizer.ggml.token_type")
	if !slices.Equal(tokens, []string{"a", "b", "Ġ", "Ġa", "ab", "<end>", "<tool>", "[PAD7]", "[PAD8]"}) || !slices.Equal(kinds, []int32{1, 1, 1, 1, 1, 3, 4, 5, 5}) {
		t.Errorf("tokens %q of kinds %v", tokens, kinds)
	}
	tok, err := tokenizer.New(md)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("ab a<tool>", tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(got, []int32{4, 3, 6}) {
		t.Errorf("ids %v", got)
	}
	eos, _ := tok.EOS()
	pad, _ := tok.PAD()
	if template, _ := md.String("tokenizer.chat_template"); eos != 5 || pad != 5 || template != "{{ x }}" || tok.Pre() != "qwen2" || tok.AddsBOS() {
		t.Errorf("EOS %d, padding %d, template %q, pre-tokenizer %q", eos, pad, template, tok.Pre())
	}

	for name, change := range map[string]func(object){
		"normalizer": func(object) {},
		"metaspace":  func(o object) { o["normalizer"], o["pre_tokenizer"] = nil, metaspace },
		"no prefix": func(o object) {
			o["normalizer"] = object{"type": "Replace", "pattern": object{"String": " "}, "content": "▁"}
		},
		"metaspace without prefix": func(o object) {
			o["normalizer"], o["pre_tokenizer"] = nil, object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false}
		},
	} {
		o := smallSPM()
		change(o)
		md, err := convertTokenizer(t, o, object{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}, 266)
		if err != nil {
			t.Fatal(name, err)
		}
		tok, err := tokenizer.New(md)
		if err != nil {
			t.Fatal(name, err)
		}
		want := []int32{1, 3 + 256 + 2, 3 + 'x'} // "▁ab" has a lower score than "ab", which is made first
		if strings.Contains(name, "prefix") {
			want = []int32{1, 3 + 256, 3 + 'x'}
		}
		if got := tok.Encode("abx", tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(got, want) {
			t.Errorf("%s: ids %v, want %v", name, got, want)
		}
	}
}

func TestPreTokenizers(t *testing.T) {
	for name, c := range map[string]struct {
		steps        object
		ignoreMerges bool
	}{
		"gpt-2": {gpt2Steps, false}, "smollm": {smollmSteps, false}, "llama-bpe": {llama3Steps, true}, "dbrx": {llama3Steps, false}, "qwen2": {qwen2Steps, false},
	} {
		o := smallBytes()
		o["pre_tokenizer"], o["normalizer"] = c.steps, object{"type": "NFC"}
		o["model"].(object)["ignore_merges"] = c.ignoreMerges
		md, err := convertTokenizer(t, o, nil, 7, 5)
		if pre, _ := md.String("tokenizer.ggml.pre"); err != nil || pre != name {
			t.Errorf("%s: %q, %v", name, pre, err)
		}
	}
}

func TestTokenizersRefused(t *testing.T) {
	model := func(key string, value any) func(object) { return func(o object) { o["model"].(object)[key] = value } }
	top := func(key string, value any) func(object) { return func(o object) { o[key] = value } }
	added := func(key string, value any) func(object) {
		return func(o object) { o["added_tokens"].([]any)[0].(object)[key] = value }
	}
	for want, change := range map[string]func(object){
		`type "Unigram"`:                func(o object) { o["model"] = object{"type": "Unigram", "vocab": []any{[]any{"a", -1.5}}} },
		`type ""`:                       model("type", nil),
		"end_of_word_suffix":            model("end_of_word_suffix", "</w>"),
		"dropout":                       model("dropout", 0.1),
		"lstrip":                        added("lstrip", true),
		"have the same id, 6":           added("id", 6),
		"token 9 is beyond":             added("id", 9),
		`has the id -1`:                 added("id", -1),
		`token "" has the id 5`:         added("content", ""),
		`"NFKC"`:                        top("normalizer", object{"type": "NFKC"}),
		"pre_tokenizer (nothing":        top("pre_tokenizer", nil),
		"pre_tokenizer (Whitespace":     top("pre_tokenizer", object{"type": "Whitespace"}),
		"with a space in front":         top("pre_tokenizer", object{"type": "ByteLevel", "add_prefix_space": true}),
		`at \d+`:                        top("pre_tokenizer", splitAt(`\d+`)),
		"ignore_merges true":            model("ignore_merges", true),
		`merge "a b c"`:                 model("merges", []string{"a b c"}),
		`merge "ab"`:                    model("merges", []string{"ab"}),
		"want two tokens":               model("merges", []any{[]string{"a", "b", "c"}}),
		"a space in a byte-level token": model("merges", []any{[]string{"a ", "b"}}),
		`there is no token "ba"`:        model("merges", []string{"b a"}),
		`post_processor "Bert`:          top("post_processor", object{"type": "BertProcessing"}),
		`puts ["<end>"] around`:         top("post_processor", object{"type": "Sequence", "processors": []any{object{"type": "TemplateProcessing", "single": []any{object{"SpecialToken": object{"id": "<end>"}}, object{"Sequence": object{}}}}}}),
		"normalizer (nothing) and pre_tokenizer (Split": model("byte_fallback", true),
	} {
		o := smallBytes()
		change(o)
		if _, err := convertTokenizer(t, o, object{"eos_token": "<end>"}, 9); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
	for want, roles := range map[string]object{
		"no eos_token":              {},
		`eos_token "<x>"`:           {"eos_token": "<x>"},
		"eos_token: 5":              {"eos_token": 5},
		"a bos token is put around": {"eos_token": "<end>", "add_bos_token": true},
	} {
		if _, err := convertTokenizer(t, smallBytes(), roles, 9); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
	if _, err := convertTokenizer(t, smallBytes(), nil, 9, 77); err == nil || !strings.Contains(err.Error(), "77") {
		t.Errorf("an id beyond the vocabulary: %v", err)
	}
	for want, change := range map[string]func(object){
		`no merge of "▁" and "ab"`: func(o object) {
			merges := o["model"].(object)["merges"].([]any)
			o["model"].(object)["merges"] = slices.DeleteFunc(merges, func(m any) bool { return slices.Equal(m.([]string), []string{"▁", "ab"}) })
		},
		"not beside the others": func(o object) {
			merges := o["model"].(object)["merges"].([]any)
			i := slices.IndexFunc(merges, func(m any) bool { return slices.Equal(m.([]string), []string{"▁", "ab"}) })
			o["model"].(object)["merges"] = append([]any{merges[i]}, slices.Delete(merges, i, i+1)...)
		},
		"ignore_merges": model("ignore_merges", true),
		"Metaspace":     top("pre_tokenizer", metaspace), // on top of the normalizer: two spaces in front
	} {
		o := smallSPM()
		change(o)
		if _, err := convertTokenizer(t, o, object{"bos_token": "<s>", "eos_token": "</s>"}, 266); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %s", err, want)
		}
	}
}

// TestFolderWithTokenizer converts a whole folder.
func TestFolderWithTokenizer(t *testing.T) {
	folder := hfFolder(t, hfShape("qwen2", nil), hfMade("qwen2"), 1)
	writeText(t, folder, hfTokenizerFile, string(encoded(t, smallBytes())))
	writeText(t, folder, hfTokenizerConfigFile, `{"eos_token": "<end>"}`)
	if _, err := tokenizer.New(converted(t, folder, quant.F16).Metadata()); err != nil {
		t.Error(err)
	}
	writeText(t, folder, hfTokenizerConfigFile, `{"eos_token": `)
	refused(t, folder, hfTokenizerConfigFile)
	writeText(t, folder, hfTokenizerFile, `{`)
	refused(t, folder, hfTokenizerFile)
	if err := os.Remove(filepath.Join(folder, hfTokenizerFile)); err != nil {
		t.Fatal(err)
	}
	writeText(t, folder, spmTokenizerFile, "")
	refused(t, folder, spmTokenizerFile)
}

func FuzzTokenizer(f *testing.F) {
	for _, o := range []object{smallBytes(), smallSPM()} {
		f.Add(encoded(f, o), []byte(`{"eos_token": "<end>", "bos_token": {"content": "<s>"}, "add_eos_token": false}`))
		f.Add(encoded(f, o), []byte(`{"eos_token": "</s>", "bos_token": "<s>"}`))
	}
	f.Fuzz(func(t *testing.T, text, roles []byte) {
		m := &input{}
		if err := m.hfTokenizerKeys(text, roles, &hfConfig{vocabulary: 300}); err != nil || m.err != nil {
			return
		}
		if tok, err := tokenizer.New(&m.md); err != nil || tok.Size() != 300 {
			t.Fatalf("accepted, but then: %v", err)
		}
	})
}
