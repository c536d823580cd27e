package tokenizer

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestPiece(t *testing.T) {
	spm := mustNew(t, smallSPM().withToken("[▁]", KindUserDefined).withToken("old", KindUnused).withToken("odd", Kind(9)))
	bpe := mustNew(t, smallBPE().withToken("▁Ġx", KindNormal).withToken("<0x41>", KindByte))
	for _, c := range []struct {
		tok            *Tokenizer
		spelling       string
		plain, special string
	}{
		{spm, "▁hello", " hello", " hello"},
		{spm, "▁▁", "  ", "  "},
		{spm, "a▁", "a ", "a "},
		{spm, "<0xE2>", "\xe2", "\xe2"},
		{spm, "<s>", "", "<s>"},
		{spm, "<unk>", "", "<unk>"},
		{spm, "[▁]", "[▁]", "[▁]"},
		{spm, "old", "", ""},
		{spm, "odd", "", ""},
		{bpe, "hello", "hello", "hello"},
		{bpe, "Ġworld", " world", " world"},
		{bpe, "Ã©", "é", "é"},
		{bpe, "â", "\xe2", "\xe2"},
		{bpe, "<|endoftext|>", "", "<|endoftext|>"},
		{bpe, "▁Ġx", "▁ x", "▁ x"},
		{bpe, "<0x41>", "A", "A"},
	} {
		id, ok := c.tok.Lookup(c.spelling)
		if !ok {
			t.Errorf("there is no %q", c.spelling)
			continue
		}
		if got := string(c.tok.Piece(id)); got != c.plain {
			t.Errorf("%q is %q, want %q", c.spelling, got, c.plain)
		}
		if got := string(c.tok.AppendPiece([]byte("x"), id, true)); got != "x"+c.special {
			t.Errorf("%q is %q, want %q", c.spelling, got, "x"+c.special)
		}
	}
	for _, id := range []int32{-1, int32(spm.Size()), 1 << 30} {
		if p := spm.Piece(id); len(p) != 0 {
			t.Errorf("id %d is %q", id, p)
		}
		if s := spm.Text([]int32{id}, DecodeOptions{Special: true}); s != "" {
			t.Errorf("id %d is %q", id, s)
		}
		if _, ok := spm.Spelling(id); ok || spm.Kind(id) != KindUndefined {
			t.Errorf("there is a token %d", id)
		}
	}
}

func TestText(t *testing.T) {
	spm := mustNew(t, smallSPM())
	bpe := mustNew(t, smallBPE())
	bare := mustNew(t, smallSPM().with("add_space_prefix", false))
	words := mustNew(t, smallWords())
	for _, c := range []struct {
		tok  *Tokenizer
		opts DecodeOptions
		ids  string // spellings, with bars between
		want string
	}{
		{spm, DecodeOptions{}, "▁hello|▁world", "hello world"},
		{spm, DecodeOptions{}, "<s>|▁hello|</s>|▁world", "hello world"},
		{spm, DecodeOptions{Special: true}, "<s>|▁hello|</s>|▁world", "<s> hello</s> world"},
		{spm, DecodeOptions{Continue: true}, "▁hello", " hello"},
		{spm, DecodeOptions{}, "▁|▁hello", " hello"},
		{spm, DecodeOptions{}, "▁▁|h", " h"},
		{spm, DecodeOptions{}, "he|▁hello", "he hello"},
		{bare, DecodeOptions{}, "▁hello", " hello"},
		{bpe, DecodeOptions{}, "Ġworld", " world"},
		{bpe, DecodeOptions{}, "a|Ġ|!", "a !"},
		{words, DecodeOptions{}, "<bos>|▁The|▁box|.|▁The", "The box. The"},
		{words, DecodeOptions{Special: true}, "<bos>|▁The|<unk>|?", "<bos> The<unk>?"},
		{words, DecodeOptions{Continue: true}, "▁box|.", " box."},
		{words, DecodeOptions{}, ".|▁The", ". The"},
		{spm, DecodeOptions{}, "<0xE4>|<0xB8>|<0xAD>", "中"},
		{spm, DecodeOptions{}, "<0xE4>|<0xB8>|a", "\ufffda"},
		{spm, DecodeOptions{}, "<0xE4>|<0xB8>", "\ufffd"},
		{spm, DecodeOptions{}, "<0xE4>|<0xE4>|<0xB8>|<0xAD>", "\ufffd中"},
		{spm, DecodeOptions{}, "<0x80>|<0xFF>|<0xC0>|<0x80>", "\ufffd\ufffd\ufffd\ufffd"},
		{spm, DecodeOptions{}, "<0xED>|<0xA0>|<0x80>", "\ufffd\ufffd\ufffd"},
		{spm, DecodeOptions{}, "<0xF0>|<0x9F>|<0x99>|▁h", "\ufffd h"},
	} {
		var ids []int32
		for _, s := range strings.Split(c.ids, "|") {
			id, ok := c.tok.Lookup(s)
			if !ok {
				t.Fatalf("there is no %q", s)
			}
			ids = append(ids, id)
		}
		if got := c.tok.Text(ids, c.opts); got != c.want {
			t.Errorf("%s: %q, want %q", c.ids, got, c.want)
		}
	}
}

// checkDecoder decodes ids one at a time and compares with all at once.
func checkDecoder(t rapid.TB, tok *Tokenizer, ids []int32, opts DecodeOptions) {
	t.Helper()
	d := tok.NewDecoder(opts)
	var b strings.Builder
	for _, id := range ids {
		s := d.Next(id)
		if !utf8.ValidString(s) {
			t.Fatalf("id %d gives %q", id, s)
		}
		b.WriteString(s)
	}
	end := d.Flush()
	if end != "" && end != "\ufffd" {
		t.Fatalf("the end is %q", end)
	}
	b.WriteString(end)
	if got, want := b.String(), tok.Text(ids, opts); got != want {
		t.Fatalf("one at a time %q, all at once %q", got, want)
	}
	if again := d.Flush(); again != "" {
		t.Fatalf("after the end comes %q", again)
	}
}

func TestDecoderIsText(t *testing.T) {
	toks := []*Tokenizer{mustNew(t, smallSPM()), mustNew(t, smallBPE()), mustNew(t, smallWords())}
	rapid.Check(t, func(t *rapid.T) {
		tok := rapid.SampledFrom(toks).Draw(t, "tokenizer")
		ids := rapid.SliceOf(rapid.Int32Range(-1, int32(tok.Size()))).Draw(t, "ids")
		opts := DecodeOptions{Special: rapid.Bool().Draw(t, "special"), Continue: rapid.Bool().Draw(t, "continue")}
		checkDecoder(t, tok, ids, opts)
	})
}

func TestDecoderHoldsBackBytes(t *testing.T) {
	tok := mustNew(t, smallBPE())
	d := tok.NewDecoder(DecodeOptions{})
	var got []string
	for _, id := range tok.Encode("a🙂b", EncodeOptions{}) {
		got = append(got, d.Next(id))
	}
	if s := strings.Join(got, "|"); s != "a||||🙂|b" {
		t.Errorf("got %q", s)
	}
}

func TestRoundTrip(t *testing.T) {
	spm, bpe := mustNew(t, smallSPM()), mustNew(t, smallBPE())
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		for _, opts := range []EncodeOptions{{}, {AddSpecial: true}} {
			for _, tok := range []*Tokenizer{spm, bpe} {
				want := text
				if tok == spm {
					want = strings.ReplaceAll(text, "▁", " ")
				}
				ids := tok.Encode(text, opts)
				if back := tok.Text(ids, DecodeOptions{}); back != want {
					t.Fatalf("%s: %q comes back as %q", tok.Model(), want, back)
				}
				checkDecoder(t, tok, ids, DecodeOptions{})
			}
		}
	})
}

func FuzzDecoder(f *testing.F) {
	toks := []*Tokenizer{mustNew(f, smallSPM()), mustNew(f, smallBPE()), mustNew(f, smallWords())}
	f.Add([]byte("\x00\x10\xe5\xba\xb0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, tok := range toks {
			ids := make([]int32, len(data))
			for i, b := range data {
				ids[i] = (int32(b) + 3) % int32(tok.Size()+1)
			}
			checkDecoder(t, tok, ids, DecodeOptions{})
		}
	})
}
