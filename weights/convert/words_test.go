package convert

import (
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

var noRoles = WordRoles{Begin: -1, End: -1, Unknown: 0, Padding: -1, Landmark: -1}

func TestSetWords(t *testing.T) {
	words := []string{"<unk>", "The", "the", "don't", ".", "(", ")", "“", "”", "5", "+", "<end>", "é"}
	roles := noRoles
	roles.End = 11
	md := &weights.Metadata{}
	if err := SetWords(md, words, roles); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.New(md)
	if err != nil {
		t.Fatal(err)
	}
	if eos, _ := tok.EOS(); tok.Model() != "words" || tok.AddsBOS() || eos != 11 || !tok.IsEndOfGeneration(11) || tok.Size() != len(words) {
		t.Errorf("%s of %d words, adds BOS %v, ends with %d", tok.Model(), tok.Size(), tok.AddsBOS(), eos)
	}
	for id, want := range []tokenizer.Kind{0: tokenizer.KindUnknown, 1: tokenizer.KindNormal, 11: tokenizer.KindControl} {
		if want != tokenizer.KindUndefined && tok.Kind(int32(id)) != want {
			t.Errorf("word %d is %v, want %v", id, tok.Kind(int32(id)), want)
		}
	}
	const text = "The don't (the) + 5 “é”."
	ids := tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true})
	if want := []int32{1, 3, 5, 2, 6, 10, 9, 7, 12, 8, 4}; !slices.Equal(ids, want) {
		t.Errorf("%q is %v, want %v", text, ids, want)
	}
	if back := tok.Text(ids, tokenizer.DecodeOptions{}); back != "The don't ( the) + 5 “ é”." {
		t.Errorf("printed %q", back)
	}
}

func TestSetWordsRefused(t *testing.T) {
	for want, c := range map[string]struct {
		words []string
		roles WordRoles
	}{
		`"well-known"`:               {[]string{"<unk>", "well-known"}, noRoles},
		`"12"`:                       {[]string{"<unk>", "12"}, noRoles},
		`""`:                         {[]string{"<unk>", ""}, noRoles},
		`"a b"`:                      {[]string{"<unk>", "a b"}, noRoles},
		`"▁a"`:                       {[]string{"<unk>", "▁a"}, noRoles},
		`"\xff"`:                     {[]string{"<unk>", "\xff"}, noRoles},
		`"<pad>"`:                    {[]string{"<unk>", "<pad>"}, noRoles},
		`both "▁a"`:                  {[]string{"<unk>", "a", "a"}, noRoles},
		"unknown_token_id":           {[]string{"<unk>"}, WordRoles{-1, -1, -1, -1, -1}},
		"the unknown word is 1":      {[]string{"<unk>"}, WordRoles{-1, -1, 1, -1, -1}},
		"the landmark word is -2":    {[]string{"<unk>"}, WordRoles{-1, -1, 0, -1, -2}},
		"the unknown word is 0":      {nil, noRoles},
		"tokenizer.ggml.tokens is e": {nil, WordRoles{-1, -1, -1, -1, -1}},
	} {
		md := &weights.Metadata{}
		if err := SetWords(md, c.words, c.roles); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %s", c.words, err, want)
		}
		if md.Len() > 0 {
			t.Errorf("%q: %v are set", c.words, md.Keys())
		}
	}
}

// prototypeWithWords is fullConfig with a vocabulary beside it.
func prototypeWithWords(t *testing.T, vocabulary string) string {
	t.Helper()
	src := writePrototype(t, fullConfig, prototypeTensors())
	if err := os.WriteFile(filepath.Join(filepath.Dir(src), prototypeWords), []byte(vocabulary), 0o644); err != nil {
		t.Fatal(err)
	}
	return src
}

const fullWords = `["<pad>", "<bos>", "<lm>", "<unk>", "!", "The", "box", "is", "Tom", "5", "."]`

func TestPrototypeWords(t *testing.T) {
	f := converted(t, prototypeWithWords(t, fullWords), quant.F32)
	checkMetadata(t, f, map[string]any{
		"tokenizer.ggml.model": "words", "tokenizer.ggml.bos_token_id": uint32(1), "tokenizer.ggml.unknown_token_id": uint32(3),
		"tokenizer.ggml.padding_token_id": uint32(0), "tokenizer.ggml.eos_token_id": nil, "tokenizer.ggml.add_bos_token": true,
		"mneme.vocab_size": uint32(11),
	})
	tok, err := tokenizer.New(f.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.Encode("The box is zinc! TOM.", tokenizer.EncodeOptions{AddSpecial: true})
	if want := []int32{1, 5, 6, 7, 3, 4, 8, 10}; !slices.Equal(ids, want) {
		t.Errorf("%v, want %v", ids, want)
	}
	if back := tok.Text(ids, tokenizer.DecodeOptions{Special: true}); back != "<bos> The box is<unk>! Tom." {
		t.Errorf("printed %q", back)
	}
	if k := tok.Kind(2); k != tokenizer.KindControl {
		t.Errorf("the landmark is %v", k)
	}
	checkMetadata(t, converted(t, writePrototype(t, fullConfig, prototypeTensors()), quant.F32), map[string]any{"tokenizer.ggml.model": nil})
}

func TestPrototypeWordsRefused(t *testing.T) {
	words := func(from, to string) string { return strings.Replace(fullWords, from, to, 1) }
	for vocabulary, want := range map[string]string{
		``:                            "vocab.json: want a list of words",
		`{"The": 5}`:                  "want a list of words",
		`[1]`:                         "want a list of words",
		words(`, "."`, ``):            "10 words for a vocabulary of 11",
		words(`"."`, `".", "a"`):      "12 words",
		words(`"<lm>"`, `"lm"`):       `word 2 is "lm"`,
		words(`"box"`, `null`):        `word 6, ""`,
		words(`"box"`, `"The"`):       `both "▁The"`,
		words(`"box"`, `"box-maker"`): `"box-maker"`,
	} {
		refused(t, prototypeWithWords(t, vocabulary), want)
	}
	src := prototypeWithWords(t, fullWords)
	list := filepath.Join(filepath.Dir(src), prototypeWords)
	if _, err := Convert(t.Context(), list, src, Options{}); err == nil || !strings.Contains(err.Error(), "name another file") {
		t.Errorf("onto its vocabulary: %v", err)
	}
}

func FuzzPrototypeWords(f *testing.F) {
	f.Add(fullWords, 11)
	f.Add(`["<0>","<1>","<2>","<3>","a","A","'","(","\ud800","é"]`, 10)
	f.Fuzz(func(t *testing.T, text string, size int) {
		m := input{}
		if err := m.prototypeVocabulary([]byte(text), size); err != nil {
			return
		}
		tok, err := tokenizer.New(&m.md)
		if err != nil || tok.Size() != size {
			t.Fatalf("%d tokens, %v", size, err)
		}
		for id := int32(4); int(id) < size; id++ {
			word := tok.Text([]int32{id}, tokenizer.DecodeOptions{})
			if ids := tok.Encode(word, tokenizer.EncodeOptions{}); !slices.Equal(ids, []int32{id}) {
				t.Fatalf("word %d, %q, is %v", id, word, ids)
			}
		}
	})
}

// TestPrototypeWordsGolden encodes the text that the words of a prototype's document make.
func TestPrototypeWordsGolden(t *testing.T) {
	golden := testdata.PrototypeGolden(t, "base")
	tok, err := tokenizer.New(converted(t, testdata.Shared(t, "prototypes/base.safetensors"), quant.F32).Metadata())
	if err != nil {
		t.Fatal(err)
	}
	text := tok.Text(golden.Tokens, tokenizer.DecodeOptions{})
	if !strings.HasPrefix(text, "The wind was cold and the road was long. Bill went past the kitchen with Nora.") {
		t.Errorf("the document begins %.100q", text)
	}
	if ids := tok.Encode(text, tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(ids, golden.Tokens) {
		t.Errorf("%q\n got %v\nwant %v", text, ids, golden.Tokens)
	}
}
