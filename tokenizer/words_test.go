package tokenizer

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEncodeWords(t *testing.T) {
	md := smallWords()
	plain := EncodeOptions{}
	special := EncodeOptions{AddSpecial: true, ParseSpecial: true}
	for _, c := range []struct {
		name string
		md   metadata
		opts EncodeOptions
		text string
		want string
	}{
		{"empty", md, plain, "", ""},
		{"empty with BOS", md, special, "", "<bos>"},
		{"a sentence", md, plain, "The box.", "▁The|▁box|."},
		{"words as the vocabulary has them", md, plain, "the The", "▁the|▁The"},
		{"whitespace separates", md, plain, " \t\n The\u00a0box\u3000\r\n .  ", "▁The|▁box|."},
		{"nothing but whitespace", md, plain, " \n\u2028", ""},
		{"lower case", md, plain, "BOX bOx Don't", "▁box|▁box|▁don't"},
		{"a capital in front", md, plain, "tom TOM tOM", "▁Tom|▁Tom|▁Tom"},
		{"lower case before a capital", md, plain, "THE", "▁the"},
		{"case outside ASCII", md, plain, "É é", "▁é|▁é"},
		{"without a space", md, plain, "s S", "s|s"},
		{"words with a space first", md.withToken("box", KindNormal), plain, "box", "▁box"},
		{"punctuation with a space first", md.withToken("▁.", KindNormal), plain, "box.", "▁box|▁."},
		{"punctuation, one by one", md, plain, "box?!,", "▁box|?|!|,"},
		{"digits, one by one", md, plain, "55 5", "▁5|▁5|▁5"},
		{"no digit within a word", md, plain, "box5box", "▁box|▁5|▁box"},
		{"apostrophe within", md, plain, "don't", "▁don't"},
		{"apostrophes elsewhere", md.withToken("'", KindNormal), plain, "'box' box''s s'", "'|▁box|'|▁box|'|'|s|s|'"},
		{"apostrophe before a digit", md.withToken("'", KindNormal), plain, "box'5", "▁box|'|▁5"},
		{"another apostrophe", md.withToken("▁box’s", KindNormal), plain, "box’s", "▁box’s"},
		{"not part of a word", md, plain, "boxes Tom's", "<unk>|<unk>"},
		{"marks are parts of words", md.withToken("▁e\u0301a", KindNormal), plain, "e\u0301a", "▁e\u0301a"},
		{"a mark alone", md, plain, "\u0301 box", "<unk>|▁box"},
		{"unknown", md, plain, "zebra € 中文 6", "<unk>|<unk>|<unk>|<unk>"},
		{"invalid bytes", md, plain, "box\xff\xe2\x82box", "▁box|<unk>|<unk>|<unk>|▁box"},
		{"invalid bytes that have a token", md.withToken("\ufffd", KindNormal), plain, "\xff", "\ufffd"},
		{"U+2581 is a character", md, plain, "▁box", "<unk>|▁box"},
		{"control tokens are no words", md.withToken("▁stop", KindControl), plain, "stop", "<unk>"},
		{"bytes are no words", md.withToken("<0x41>", KindByte), plain, "A", "<unk>"},
		{"unused are no words", md.withToken("▁old", KindUnused), plain, "old", "<unk>"},
		{"special text is text", md.withToken("<", KindNormal).withToken("▁bos", KindNormal), plain, "<bos>", "<|▁bos|<unk>"},
		{"special text is a token", md, special, "The<lm> box<unk>", "<bos>|▁The|<lm>|▁box|<unk>"},
		{"user-defined", md.withToken("\n", KindUserDefined), plain, "The\n\nbox", "▁The|\n|\n|▁box"},
		{"no BOS", md.with("add_bos_token", false), special, "box", "▁box"},
		{"all tokens are text", md.with("token_type", nil), plain, "The <unk>", "▁The|<unk>|<unk>|<unk>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := mustNew(t, c.md)
			if got := spell(tok, tok.Encode(c.text, c.opts)); got != c.want {
				t.Errorf("%q is %q, want %q", c.text, got, c.want)
			}
		})
	}
}

// wordRule cuts a text into words and single characters.
var wordRule = regexp.MustCompile(strings.NewReplacer(
	"M", `[\p{L}\x{2ebf0}-\x{2ee5d}\p{M}]`, "L", `[\p{L}\x{2ebf0}-\x{2ee5d}]`).Replace(`LM*(?:['’]LM*)*|(?s:.)`))

// slowWords encodes by a regular expression and by looking through the whole list.
func slowWords(text string) []int32 {
	var ids []int32
	for _, word := range wordRule.FindAllString(replaceInvalid(text), -1) {
		if r, _ := utf8.DecodeRuneInString(word); unicode.IsSpace(r) {
			continue
		}
		ids = append(ids, slowWord(word))
	}
	return ids
}

func slowWord(word string) int32 {
	lower := []rune(strings.ToLower(word))
	capital := slices.Clone(lower)
	capital[0] = unicode.ToUpper(capital[0])
	for _, w := range []string{word, string(lower), string(capital)} {
		for _, s := range []string{"▁" + w, w} {
			if id := slices.Index(wordList, s); id > 3 {
				return int32(id)
			}
		}
	}
	return 3
}

// checkWords compares with the slow way; what is printed, unknown tokens included, has the same ids again.
func checkWords(t rapid.TB, tok *Tokenizer, text string) {
	t.Helper()
	ids := tok.Encode(text, EncodeOptions{})
	if want := slowWords(text); !slices.Equal(ids, want) {
		t.Fatalf("%q:\n got %s\nwant %s", text, spell(tok, ids), spell(tok, want))
	}
	back := tok.Text(ids, DecodeOptions{Special: true})
	if again := tok.Encode(back, EncodeOptions{ParseSpecial: true}); !slices.Equal(again, ids) && !slices.Contains(ids, sticky) {
		t.Fatalf("%q is %s, printed %q, which is %s", text, spell(tok, ids), back, spell(tok, again))
	}
}

// sticky is the word of smallWords that is printed without a space.
var sticky = int32(slices.Index(wordList, "s"))

func TestEncodeWordsIsTheSlowWay(t *testing.T) {
	tok := mustNew(t, smallWords())
	parts := append([]string{" ", "\n", "'", "’", "'s", "box", "BOX", "don't", "DON'T", "tom", "<lm>", "é", "É", "e\u0301", "\u0301", "55", "\xff", "▁", "İ", "ß",
		"\U0002ebf5", "\u0085", "\u200b", "\ufffd"}, wordList...)
	rapid.Check(t, func(t *rapid.T) {
		checkWords(t, tok, strings.Join(rapid.SliceOf(rapid.SampledFrom(parts)).Draw(t, "parts"), ""))
	})
}

// TestWordsRoundTrip writes sentences as they should be written.
func TestWordsRoundTrip(t *testing.T) {
	tok := mustNew(t, smallWords())
	word := rapid.SampledFrom([]string{"5", "The", "the", "box", "Tom", "don't", "é"})
	mark := rapid.SampledFrom([]string{"", "", ".", ",", "?!"})
	rapid.Check(t, func(t *rapid.T) {
		var words []string
		for range rapid.IntRange(0, 20).Draw(t, "words") {
			words = append(words, word.Draw(t, "word")+mark.Draw(t, "mark"))
		}
		text := strings.Join(words, " ")
		ids := tok.Encode(text, EncodeOptions{AddSpecial: true})
		if back := tok.Text(ids, DecodeOptions{}); back != text {
			t.Fatalf("%q is %s and comes back as %q", text, spell(tok, ids), back)
		}
		checkDecoder(t, tok, ids, DecodeOptions{})
	})
}

func FuzzEncodeWords(f *testing.F) {
	tok := mustNew(f, smallWords())
	for _, s := range []string{"", "The box. don't, TOM?", "\xff' s's’é\u0301 5a5", "<lm><unk>\u3000▁box", strings.Repeat("Ab", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkWords(t, tok, shorten(text, 400)) })
}

func BenchmarkEncodeWords(b *testing.B) {
	tok := mustNew(b, smallWords())
	for name, text := range map[string]string{
		"sentences": strings.Repeat("The box, don't Tom 5. ", 1<<15),
		"unknown":   strings.Repeat("Zebras'n'Ébène ", 1<<15),
		"one word":  strings.Repeat("aÉ", 1<<19),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.Encode(text, EncodeOptions{})
			}
		})
	}
}
