package tokenizer

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEncodeBPE(t *testing.T) {
	md := smallBPE()
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
		{"words", md, plain, "hello world", "hello|Ġworld"},
		{"merges do not cross words", md, plain, "he llo", "he|Ġ|llo"},
		{"earlier merges first", md, plain, "aba", "ab|a"},
		{"leftmost first", md, plain, "aaaaa", "aaaa|a"},
		{"bytes", md, plain, "é€", "Ã©|â|Ĥ|¬"},
		{"invalid byte", md, plain, "a\xffb", "a|ï|¿|½|b"},
		{"invalid run", md, plain, "\xe2\x82", "ï|¿|½|ï|¿|½"},
		{"no BOS unless asked", md, special, "he", "he"},
		{"BOS", md.with("add_bos_token", true), special, "he", "<|endoftext|>|he"},
		{"EOS", md.with("add_eos_token", true), special, "he", "he|<|endoftext|>"},
		{"special parsed", md, special, "he<|endoftext|>he", "he|<|endoftext|>|he"},
		{"special not parsed", md, plain, "<|", "<||"},
		{"user-defined", md.withToken("lo w", KindUserDefined), plain, "hello world", "he|l|lo w|or|ld"},
		{"merges respected", md.withToken("abc", KindNormal), plain, "abc", "ab|c"},
		{"merges ignored", md.withToken("abc", KindNormal).with("pre", "llama-bpe"), plain, "abc", "abc"},
		{"merges ignored for words only", md.withToken("abc", KindNormal).with("pre", "llama-bpe"), plain, "abcd", "ab|c|d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok := mustNew(t, c.md)
			if got := spell(tok, tok.Encode(c.text, c.opts)); got != c.want {
				t.Errorf("%q is %q, want %q", c.text, got, c.want)
			}
		})
	}
}

func TestEncodeBPEWithoutAllBytes(t *testing.T) {
	md := metadata{keyModel: "gpt2", keyPre: "gpt-2", keyTokens: []string{"a", "b", "ab"}, keyMerges: []string{"a b"}}
	tok := mustNew(t, md)
	if got := spell(tok, tok.Encode("ab?ab", EncodeOptions{})); got != "ab|ab" {
		t.Errorf("got %q", got)
	}
}

func TestEarlierMergeOfAPairCounts(t *testing.T) {
	md := metadata{
		keyModel: "gpt2", keyPre: "gpt-2", keyTokens: []string{"a", "b", "c", "ab", "bc"},
		keyMerges: []string{"a b", "b c", "a b"},
	}
	tok := mustNew(t, md)
	if got := spell(tok, tok.Encode("abc", EncodeOptions{})); got != "ab|c" {
		t.Errorf("got %q", got)
	}
}

// slowBPE encodes by looking at all pairs for every merge.
func slowBPE(t *Tokenizer, text string) []int32 {
	rank := map[string]int{}
	for i, m := range bpeMerges {
		if _, ok := rank[m]; !ok {
			rank[m] = i
		}
	}
	var ids []int32
	walk(replaceInvalid(text), gpt2Stages, func(word string) {
		var symbols []string
		for i := range len(word) {
			symbols = append(symbols, string(byteRune[word[i]]))
		}
		for {
			best, bestRank := -1, len(bpeMerges)
			for i := range len(symbols) - 1 {
				if r, ok := rank[symbols[i]+" "+symbols[i+1]]; ok && r < bestRank {
					best, bestRank = i, r
				}
			}
			if best < 0 {
				break
			}
			symbols[best] += symbols[best+1]
			symbols = slices.Delete(symbols, best+1, best+2)
		}
		for _, s := range symbols {
			id, _ := t.Lookup(s)
			ids = append(ids, id)
		}
	})
	return ids
}

func checkBPE(t rapid.TB, tok *Tokenizer, text string) {
	t.Helper()
	ids := tok.Encode(text, EncodeOptions{})
	if want := slowBPE(tok, text); !slices.Equal(ids, want) {
		t.Fatalf("%q:\n got %s\nwant %s", text, spell(tok, ids), spell(tok, want))
	}
	if back := tok.Text(ids, DecodeOptions{}); back != replaceInvalid(text) {
		t.Fatalf("%q comes back as %q", text, back)
	}
}

// bpeText draws text that the merges of smallBPE apply to.
func bpeText() *rapid.Generator[string] {
	parts := []string{" ", "  ", "h", "e", "l", "o", "w", "a", "b", "aaaa", "12", "3", "é", "\n", "!", "'s", "€", "\xff",
		"hello", " world"}
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 60).Draw(t, "parts"), "")
	})
}

func TestEncodeBPEIsTheSlowWay(t *testing.T) {
	tok := mustNew(t, smallBPE())
	rapid.Check(t, func(t *rapid.T) {
		checkBPE(t, tok, bpeText().Draw(t, "text"))
	})
}

func FuzzEncodeBPE(f *testing.F) {
	tok := mustNew(f, smallBPE())
	for _, s := range []string{"", "hello world's", "aaaaaaaaaaa 123123", "\xff\xfe", "  \n\n ab", strings.Repeat("ab", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkBPE(t, tok, shorten(text, 400)) })
}
