package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// glueSet knows after which characters a space can be part of a longer token. After any other, no merge reaches from
// the text before a space into the text after it, and the two can be encoded apart: the ids are the same, and the work
// stays within words instead of a whole document.
type glueSet struct {
	ascii [utf8.RuneSelf]bool
	other map[rune]bool
}

func newGlueSet(v *vocabulary) glueSet {
	g := glueSet{other: map[rune]bool{}}
	for _, token := range v.text {
		for from := 0; ; {
			i := strings.Index(token[from:], spmSpaceText)
			if i < 0 {
				break
			}
			if from += i; from > 0 {
				r, _ := utf8.DecodeLastRuneInString(token[:from])
				g.add(r)
			}
			from += len(spmSpaceText)
		}
	}
	return g
}

func (g *glueSet) add(r rune) {
	if r < utf8.RuneSelf {
		g.ascii[r] = true
	} else {
		g.other[r] = true
	}
}

func (g *glueSet) has(r rune) bool {
	if r == ' ' {
		r = spmSpace
	}
	if r < utf8.RuneSelf {
		return g.ascii[r]
	}
	return g.other[r]
}

// cut returns the length of the part of the text that can be encoded on its own.
func (g *glueSet) cut(text string) int {
	for from := 1; from < len(text); {
		i := strings.IndexByte(text[from:], ' ')
		if i < 0 {
			break
		}
		r, _ := utf8.DecodeLastRuneInString(text[:from+i])
		if !g.has(r) {
			return from + i
		}
		from += i + 1
	}
	return len(text)
}
