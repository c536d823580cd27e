package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestEncodeSPM(t *testing.T) {
	md := smallSPM()
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
		{"empty with BOS", md, special, "", "<s>"},
		{"space in front", md, plain, "hello world", "▁hello|▁world"},
		{"spaces", md, plain, "  hello", "▁▁|▁hello"},
		{"only a space", md, plain, " ", "▁▁"},
		{"no space in front", md.with("add_space_prefix", false), plain, "hello", "he|llo"},
		{"bytes of a character without a token", md, plain, "h€", "▁h|<0xE2>|<0x82>|<0xAC>"},
		{"broken character", md, plain, "a\xe2\x82", "▁|a|<0xE2>|<0x82>"},
		{"stray byte", md, plain, "\x80a", "▁|<0x80>|a"},
		{"first byte swallows what follows", md, plain, "\xe2 h", "▁|<0xE2>|<0xE2>|<0x96>|<0x81>|h"},
		{"special text is text", md, plain, "<s>", "▁|<0x3C>|<0x73>|<0x3E>"},
		{"special text is a token", md, special, "<s>", "<s>|<s>"},
		{"space again after special", md, special, "hello</s>hello", "<s>|▁hello|</s>|▁hello"},
		{"no space after user-defined", md.withToken("[X]", KindUserDefined), plain, "he[X]he", "▁he|[X]|▁he"},
		{"EOS", md.with("add_eos_token", true), special, "he", "<s>|▁he|</s>"},
		{"no BOS", md.with("add_bos_token", false), special, "he", "▁he"},
		{"token across a space", md, plain, "a a.  a", "▁|a▁|a|.|▁▁|a"},
		{"extra spaces kept", md, plain, " he   he ", "▁▁|he|▁▁|▁he|▁"},
		{"extra spaces removed", md.with("remove_extra_whitespaces", true), plain, " he   he ", "▁he|▁he"},
		{"nothing but extra spaces", md.with("remove_extra_whitespaces", true), plain, "  ", ""},
		{"newline is a character", md, plain, "\n\n\n", "▁|\n\n|\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := mustNew(t, c.md)
			if got := spell(tok, tok.Encode(c.text, c.opts)); got != c.want {
				t.Errorf("%q is %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestEncodeSPMWithoutByteTokens(t *testing.T) {
	md := metadata{
		keyModel: "llama", keyTokens: []string{"<unk>", "<s>", "</s>", "▁", "a", "\x01"}, keyScores: make([]float32, 6),
	}
	tok := mustNew(t, md)
	if got := spell(tok, tok.Encode("aéa\x01", EncodeOptions{})); got != "▁|a|<unk>|a|\x01" {
		t.Errorf("got %q", got)
	}
}

// slowSPM encodes by looking at all pairs for every merge.
func slowSPM(t *Tokenizer, text string) []int32 {
	e := t.encoder.(*spmEncoder)
	text = strings.ReplaceAll(" "+text, " ", spmSpaceText)
	var symbols []string
	for text != "" {
		n := min(symbolLen[text[0]>>4], len(text))
		symbols, text = append(symbols, text[:n]), text[n:]
	}
	for {
		best, bestRank := -1, uint32(noRank)
		for i := range len(symbols) - 1 {
			if id, ok := t.Lookup(symbols[i] + symbols[i+1]); ok && e.rank[id] < bestRank {
				best, bestRank = i, e.rank[id]
			}
		}
		if best < 0 {
			break
		}
		symbols[best] += symbols[best+1]
		symbols = slices.Delete(symbols, best+1, best+2)
	}
	var ids []int32
	for _, s := range symbols {
		if id, ok := t.Lookup(s); ok {
			ids = append(ids, id)
			continue
		}
		for i := range len(s) {
			id, _ := t.Lookup(byteToken(s[i]))
			ids = append(ids, id)
		}
	}
	return ids
}

// spmText draws text that the merges of smallSPM apply to.
func spmText() *rapid.Generator[string] {
	parts := append([]string{" ", "  ", "h", "e", "l", "o", "w", "a", "b", "a.", "é", "中", "文", "\n", "€", "\xe2", "\x80"},
		"hello", " world", "aaaaaaa", "▁")
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 60).Draw(t, "parts"), "")
	})
}

func TestEncodeSPMIsTheSlowWay(t *testing.T) {
	tok := mustNew(t, smallSPM())
	rapid.Check(t, func(t *rapid.T) {
		checkSPM(t, tok, spmText().Draw(t, "text"))
	})
}

func checkSPM(t rapid.TB, tok *Tokenizer, text string) {
	t.Helper()
	ids := tok.Encode(text, EncodeOptions{})
	if text == "" {
		return
	}
	if want := slowSPM(tok, text); !slices.Equal(ids, want) {
		t.Fatalf("%q:\n got %s\nwant %s", text, spell(tok, ids), spell(tok, want))
	}
	var raw []byte
	for _, id := range ids {
		raw = tok.AppendPiece(raw, id, true)
	}
	spaces := func(s string) string { return strings.ReplaceAll(s, spmSpaceText, " ") }
	if spaces(string(raw)) != spaces(" "+text) {
		t.Fatalf("%q comes back as %q", text, raw)
	}
	if back := tok.Text(ids, DecodeOptions{}); utf8.ValidString(text) && back != spaces(text) {
		t.Fatalf("%q comes back as %q", text, back)
	}
}

func FuzzEncodeSPM(f *testing.F) {
	tok := mustNew(f, smallSPM())
	for _, s := range []string{"", "hello world", "  a▁ 中文\n", "\xe2 \x80", "aaaaaaaaaaaaaaaaa.  ", strings.Repeat("ab", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = shorten(text, 400)
		checkSPM(t, tok, text)
		for _, id := range tok.Encode(text, EncodeOptions{AddSpecial: true, ParseSpecial: true}) {
			if id < 0 || int(id) >= tok.Size() {
				t.Fatalf("%q has id %d", text, id)
			}
		}
	})
}
