package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// show writes fragments with tokens in angle quotes.
func show(t *Tokenizer, text string, frags []fragment) string {
	var parts []string
	for _, f := range frags {
		if f.token != noToken {
			parts = append(parts, "«"+t.vocab.text[f.token]+"»")
		} else {
			parts = append(parts, text[f.start:f.end])
		}
	}
	return strings.Join(parts, "")
}

func TestPartition(t *testing.T) {
	md := smallSPM()
	for _, token := range []string{"<|a|>", "<|ab|>", "a|><|b", "[[", "]]", "[[]]", "\n\n"} {
		if i := slices.Index(md[keyTokens].([]string), token); i < 0 {
			md = md.withToken(token, KindControl)
		}
	}
	for _, token := range []string{"[U]", "[UU]", "  "} {
		md = md.withToken(token, KindUserDefined)
	}
	tok := mustNew(t, md)
	phi := mustNew(t, md.with("general.name", "Phi-3-mini"))
	jina := mustNew(t, smallBPE().with("pre", "jina-v2-de").withToken("<mask>", KindControl))
	for _, c := range []struct {
		tok   *Tokenizer
		parse bool
		text  string
		want  string
	}{
		{tok, true, "no tokens", "no tokens"},
		{tok, true, "<|a|>", "«<|a|>»"},
		{tok, true, "x<|a|>y<|ab|><|a|>", "x«<|a|>»y«<|ab|>»«<|a|>»"},
		{tok, true, "[[]]", "«[[]]»"},
		{tok, true, "[[[]]]", "[«[[]]»]"},
		{tok, true, "]][[", "«]]»«[[»"},
		{tok, true, "<|a|><|b|>", "<|«a|><|b»|>"}, // the longest first, wherever it is
		{tok, false, "<|a|>[U][UU]", "<|a|>«[U]»«[UU]»"},
		{tok, true, "<|a|>   [U]", "«<|a|>»«  » «[U]»"},
		{tok, false, "<unk><s>", "<unk><s>"},
		{tok, true, "<unk><s>", "«<unk>»«<s>»"},
		{phi, true, "<|a|> \n y <|a|> ", "«<|a|>»y «<|a|>»"},
		{phi, true, "<s> y</s> \v", "«<s>» y«</s>»"},
		{phi, false, "[U] x [U]", "«[U]»x «[U]»"},
		{jina, true, "a \t<mask> b <mask>", "a«<mask>» b«<mask>»"},
		{jina, true, " <mask>", "«<mask>»"},
	} {
		frags := c.tok.special.partition(c.text, c.parse)
		if got := show(c.tok, c.text, frags); got != c.want {
			t.Errorf("%q is cut %q, want %q", c.text, got, c.want)
		}
	}
}

// slowPartition looks for every token in all fragments, in order.
func slowPartition(t *Tokenizer, text string, ids []int32) []fragment {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, func(a, b int32) int {
		return cmp.Or(cmp.Compare(len(t.vocab.text[b]), len(t.vocab.text[a])), cmp.Compare(a, b))
	})
	frags := []fragment{{0, len(text), noToken}}
	for _, id := range ids {
		var out []fragment
		for _, f := range frags {
			at := -1
			for f.token == noToken && f.start < f.end {
				if at = strings.Index(text[f.start:f.end], t.vocab.text[id]); at < 0 {
					break
				}
				if at > 0 {
					out = append(out, fragment{f.start, f.start + at, noToken})
				}
				end := f.start + at + len(t.vocab.text[id])
				out = append(out, fragment{f.start + at, end, id})
				f.start = end
			}
			if f.token != noToken || f.start < f.end {
				out = append(out, f)
			}
		}
		frags = out
	}
	return frags
}

func TestPartitionIsTheSlowWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[ab]{1,5}`)
		md := metadata{keyModel: "llama"}
		tokens := append([]string{"<unk>", "<s>", "</s>"}, rapid.SliceOfNDistinct(word, 1, 12, rapid.ID).Draw(t, "tokens")...)
		types := make([]int32, len(tokens))
		for i := range types {
			types[i] = int32(KindControl)
		}
		md[keyTokens], md[keyTokenType], md[keyScores] = tokens, types, make([]float32, len(tokens))
		tok, err := New(md)
		if err != nil {
			t.Fatal(err)
		}
		text := rapid.StringMatching(`[abc]{0,40}`).Draw(t, "text")
		got := tok.special.partition(text, true)
		if text == "" {
			return
		}
		if want := slowPartition(tok, text, tok.special.all.ids); !slices.Equal(got, want) {
			t.Fatalf("%q is cut %q, want %q", text, show(tok, text, got), show(tok, text, want))
		}
	})
}

func TestFinder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfNDistinct(rapid.StringMatching(`[abc]{1,6}`), 0, 20, rapid.ID).Draw(t, "texts")
		in := rapid.StringMatching(`[abcd]{0,60}`).Draw(t, "in")
		var want []int
		for i, s := range texts {
			if strings.Contains(in, s) {
				want = append(want, i)
			}
		}
		if got := newFinder(texts).present(in); !slices.Equal(got, want) {
			t.Fatalf("of %q in %q are present %v, want %v", texts, in, got, want)
		}
	})
}
