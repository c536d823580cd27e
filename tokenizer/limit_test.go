package tokenizer

import "testing"

// TestTooLongToMergeAtOnce lowers the limit that a text of a quarter of a gigabyte without spaces would meet.
func TestTooLongToMergeAtOnce(t *testing.T) {
	spm, bpe := mustNew(t, smallSPM()), mustNew(t, smallBPE())
	spm.encoder.(*spmEncoder).limit = 4
	bpe.encoder.(*bpeEncoder).limit = 4
	for _, c := range []struct {
		tok        *Tokenizer
		text, want string
	}{
		{spm, "aaaaaaaa", "▁|aa|a|aaaa|a"},
		{spm, "中文中文", "▁中|文|中|文"},
		{spm, "\x80\x80\x80\x80\x80\x80", "▁|<0x80>|<0x80>|<0x80>|<0x80>|<0x80>|<0x80>"},
		{bpe, "aaaaaaaaaa", "aaaa|aaaa|aa"},
		{bpe, "hello world", "hell|o|Ġwor|ld"},
	} {
		if got := spell(c.tok, c.tok.Encode(c.text, EncodeOptions{})); got != c.want {
			t.Errorf("%q is %q, want %q", c.text, got, c.want)
		}
	}
}
