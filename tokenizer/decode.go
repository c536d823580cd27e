package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Piece returns the bytes that a token stands for, which need not be whole characters. It is empty for control and
// unknown tokens, for unused ones, and for ids that are no token.
func (t *Tokenizer) Piece(id int32) []byte { return t.AppendPiece(nil, id, false) }

// AppendPiece appends the bytes that a token stands for; with special, control and unknown tokens as they are spelled.
func (t *Tokenizer) AppendPiece(dst []byte, id int32, special bool) []byte {
	if !t.vocab.valid(id) {
		return dst
	}
	text, a := t.vocab.text[id], t.vocab.attr[id]
	switch {
	case a&attrSpecial != 0 && !special:
		return dst
	case a&(attrSpecial|attrUserDefined) != 0:
		return append(dst, text...)
	case a&attrNormal != 0 && t.byteLevel:
		return appendRawBytes(dst, text)
	case a&attrNormal != 0:
		return appendUnescaped(dst, text)
	case a&attrByte != 0:
		b, _ := parseByteToken(text) // checked when the vocabulary was read
		return append(dst, b)
	}
	return dst
}

// appendUnescaped appends text with the vocabulary's spaces as spaces.
func appendUnescaped(dst []byte, text string) []byte {
	for {
		i := strings.Index(text, spmSpaceText)
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		dst = append(dst, ' ')
		text = text[i+len(spmSpaceText):]
	}
}

// DecodeOptions says how ids become text.
type DecodeOptions struct {
	Special  bool // control and unknown tokens appear as they are spelled, otherwise not at all
	Continue bool // the ids go on with a text, as generated ones do, so that a space at their start is one
}

// Text returns the text of ids: valid UTF-8, with U+FFFD for bytes that are no character. Ids that are no token are
// passed over. Unless Continue is set, the space that encoding with the model llama puts before a text is removed, as is the one before the first word of the
// model words.
//
// Spaces before punctuation stay, although llama.cpp's detokenize removes them for some vocabularies: the text of the
// ids of a text is that text.
func (t *Tokenizer) Text(ids []int32, opts DecodeOptions) string {
	d := t.NewDecoder(opts)
	out := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		out = d.appendNext(out, id)
	}
	return string(d.appendFlush(out))
}

// Decoder decodes ids one at a time. What it returns is always whole characters. It must not be used by several
// goroutines at once.
type Decoder struct {
	t       *Tokenizer
	special bool
	strip   bool   // a space at the start is still to be removed
	pending []byte // the beginning of a character
	whole   []byte // room for what Next returns
}

// NewDecoder returns a decoder at the start of its text.
func (t *Tokenizer) NewDecoder(opts DecodeOptions) *Decoder {
	return &Decoder{t: t, special: opts.Special, strip: t.stripFirst && !opts.Continue}
}

// Next takes one id and returns the text that is complete with it, which may be none: bytes of a character that has
// just begun are held back. The texts of all ids and of Flush together are those of [Tokenizer.Text].
func (d *Decoder) Next(id int32) string {
	d.whole = d.appendNext(d.whole[:0], id)
	return string(d.whole)
}

// Flush ends the text and returns U+FFFD if a character has begun that is not complete, otherwise nothing. The decoder
// then is ready for ids that go on with the text.
func (d *Decoder) Flush() string { return string(d.appendFlush(nil)) }

func (d *Decoder) appendNext(dst []byte, id int32) []byte {
	before := len(d.pending)
	d.pending = d.t.AppendPiece(d.pending, id, d.special)
	if d.strip && len(d.pending) > before {
		d.strip = false
		if d.pending[0] == ' ' {
			d.pending = d.pending[1:]
		}
	}
	dst, n := appendWhole(dst, d.pending)
	d.pending = d.pending[:copy(d.pending, d.pending[n:])]
	return dst
}

func (d *Decoder) appendFlush(dst []byte) []byte {
	if len(d.pending) == 0 {
		return dst
	}
	d.pending = d.pending[:0]
	return utf8.AppendRune(dst, utf8.RuneError)
}

// appendWhole appends characters up to the beginning of one that might still be completed, and returns the number of
// bytes taken. What can be no character becomes U+FFFD, one for each longest beginning of a character, which is what
// Unicode recommends (The Unicode Standard, section 3.9).
func appendWhole(dst, b []byte) ([]byte, int) {
	n := 0
	for n < len(b) {
		_, size := utf8.DecodeRune(b[n:])
		if size > 1 || b[n] < utf8.RuneSelf {
			dst = append(dst, b[n:n+size]...)
			n += size
			continue
		}
		if !utf8.FullRune(b[n:]) {
			break
		}
		dst = utf8.AppendRune(dst, utf8.RuneError)
		n += beginningLen(b[n:])
	}
	return dst, n
}

// beginningLen returns the length of the longest beginning of a character at the start of bytes that do not hold a
// character there, at least 1.
func beginningLen(b []byte) int {
	n := 0
	for n < len(b) && !utf8.FullRune(b[:n+1]) {
		n++
	}
	return max(n, 1)
}
