package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Kind is what a token is for, numbered as in the GGUF key tokenizer.ggml.token_type.
type Kind uint8

// The kinds of token.
const (
	KindUndefined   Kind = iota
	KindNormal           // text
	KindUnknown          // stands for what the vocabulary cannot express
	KindControl          // steers the model and prints nothing: <s>, <|im_end|>
	KindUserDefined      // text that is always one token, wherever it occurs
	KindUnused           // kept free
	KindByte             // one byte, written <0x0A>
)

var kindNames = [...]string{"undefined", "normal", "unknown", "control", "user-defined", "unused", "byte"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// attr holds what is known of a token, as bits: corrections by spelling may give a token more than one kind.
type attr uint16

const (
	attrUnknown attr = 1 << iota
	attrUnused
	attrNormal
	attrControl
	attrUserDefined
	attrByte
	attrLeftStrip  // swallows the whitespace before it in a text
	attrRightStrip // swallows the whitespace after it in a text

	// attrSpecial marks tokens that a text contains only if special tokens are parsed, and that print nothing.
	attrSpecial = attrControl | attrUnknown
)

var attrOfKind = map[int32]attr{
	int32(KindUndefined):   0,
	int32(KindNormal):      attrNormal,
	int32(KindUnknown):     attrUnknown,
	int32(KindControl):     attrControl,
	int32(KindUserDefined): attrUserDefined,
	int32(KindUnused):      attrUnused,
	int32(KindByte):        attrByte,
}

// vocabulary is the table of tokens in both directions.
type vocabulary struct {
	text   []string // spelling by id
	attr   []attr
	ids    map[string]int32 // id by spelling
	maxLen int              // bytes of the longest spelling
}

// readVocabulary reads tokens and their types.
func readVocabulary(r reader) (*vocabulary, error) {
	tokens, ok := r.md.Strings(keyTokens)
	if !ok {
		if err := r.absent(keyTokens, "an array of strings"); err != nil {
			return nil, err
		}
		return nil, fmt.Errorf("tokenizer: there is no %s", keyTokens)
	}
	if len(tokens) == 0 {
		return nil, fmt.Errorf("tokenizer: %s is empty", keyTokens)
	}
	if len(tokens) > math.MaxInt32 {
		return nil, fmt.Errorf("tokenizer: %s has %d entries, too many for 32 bit ids", keyTokens, len(tokens))
	}
	v := &vocabulary{text: slices.Clone(tokens), ids: make(map[string]int32, len(tokens))}
	for id := range v.text {
		if err := v.enter(int32(id)); err != nil {
			return nil, err
		}
	}
	return v, v.readTypes(r)
}

// enter makes a token known by its spelling. An empty one gets a spelling that says so, for it must not match anything.
func (v *vocabulary) enter(id int32) error {
	if v.text[id] == "" {
		v.text[id] = fmt.Sprintf("[EMPTY_%d]", id)
	}
	text := v.text[id]
	if before, ok := v.ids[text]; ok {
		return fmt.Errorf("tokenizer: %s: tokens %d and %d are both %q", keyTokens, before, id, text)
	}
	v.ids[text] = id
	v.maxLen = max(v.maxLen, len(text))
	return nil
}

// readTypes reads what each token is for; without the key all are normal.
func (v *vocabulary) readTypes(r reader) error {
	v.attr = make([]attr, len(v.text))
	types, ok := r.md.Int32s(keyTokenType)
	if !ok {
		for i := range v.attr {
			v.attr[i] = attrNormal
		}
		return r.absent(keyTokenType, "an array of 32 bit integers")
	}
	if len(types) != len(v.text) {
		return fmt.Errorf("tokenizer: %s has %d entries for %d tokens", keyTokenType, len(types), len(v.text))
	}
	for id, t := range types {
		v.attr[id] = attrOfKind[t] // an unheard-of type is undefined
		if v.attr[id]&attrByte == 0 {
			continue
		}
		if _, err := parseByteToken(v.text[id]); err != nil {
			return fmt.Errorf("tokenizer: token %d is a byte, but is spelled %q: %w", id, v.text[id], err)
		}
	}
	return nil
}

// valid reports whether there is a token of this id.
func (v *vocabulary) valid(id int32) bool { return id >= 0 && int(id) < len(v.text) }

// kind folds the bits of a token into the one that decides how it is treated.
func (v *vocabulary) kind(id int32) Kind {
	a := v.attr[id]
	switch {
	case a&attrControl != 0:
		return KindControl
	case a&attrUnknown != 0:
		return KindUnknown
	case a&attrUserDefined != 0:
		return KindUserDefined
	case a&attrByte != 0:
		return KindByte
	case a&attrUnused != 0:
		return KindUnused
	case a&attrNormal != 0:
		return KindNormal
	}
	return KindUndefined
}

// byteTokenLen is the length of <0x0A>.
const byteTokenLen = 6

var errByteToken = errors.New("want <0x and two hexadecimal digits>")

// parseByteToken returns the byte that <0x0A> stands for.
func parseByteToken(s string) (byte, error) {
	if len(s) != byteTokenLen || s[:3] != "<0x" || s[5] != '>' {
		return 0, errByteToken
	}
	hi, ok1 := hexDigit(s[3])
	lo, ok2 := hexDigit(s[4])
	if !ok1 || !ok2 {
		return 0, errByteToken
	}
	return hi<<4 | lo, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// byteToken returns the spelling of the token of one byte.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }
