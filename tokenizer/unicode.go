package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// class holds the Unicode properties that pre-tokenizers ask for, as bits.
type class uint16

const (
	classLetter      class = 1 << iota // \p{L}
	classNumber                        // \p{N}
	classSpace                         // \s
	classPunct                         // \p{P}
	classNewline                       // [\r\n]
	classDigit                         // [0-9]
	classASCIISymbol                   // [$+<=>^|~], the ASCII part of \p{S} without the backtick
	classBacktick                      // [`]
	classCased                         // the alphabets of deepseek-llm
	classMark                          // the punctuation of deepseek-llm
	classIdeograph                     // the scripts that deepseek splits off

	// classWord has what the symbols' rule [^\s\p{L}\p{N}] leaves out.
	classWord = classLetter | classNumber | classSpace
)

// classTable has the classes of the Basic Multilingual Plane; characters beyond it are rare enough to search for.
var classTable = buildClassTable()

// classRange is a set of characters with the class that they are in.
type classRange struct {
	class class
	table *unicode.RangeTable
}

// classRanges makes up the classes, in this order. Whitespace comes last since it is nothing else.
var classRanges = []classRange{
	{classLetter, unicode.L},
	{classLetter, cjkExtensionI},
	{classNumber, unicode.N},
	{classPunct, unicode.P},
	{classNewline, tableOf('\n', '\r')},
	{classDigit, rangeOf('0', '9')},
	{classASCIISymbol, tableOf('$', '+', '<', '=', '>', '^', '|', '~')},
	{classBacktick, tableOf('`')},
	{classCased, deepseekLetters},
	{classMark, deepseekMarks},
	{classIdeograph, deepseekIdeographs},
	{classSpace, unicode.White_Space},
}

// cjkExtensionI are letters since Unicode 15.1, which Go's tables may lack.
var cjkExtensionI = rangeOf(0x2ebf0, 0x2ee5d)

func buildClassTable() *[1 << 16]class {
	table := new([1 << 16]class)
	for _, r := range classRanges {
		for _, r16 := range r.table.R16 {
			for c := int(r16.Lo); c <= int(r16.Hi); c += int(r16.Stride) {
				table[c] = withClass(table[c], r.class)
			}
		}
	}
	return table
}

// withClass adds a class to what a character is in. Whitespace keeps only what concerns line ends.
func withClass(c, add class) class {
	if add == classSpace {
		c &= classNewline
	}
	return c | add
}

// classOf returns the classes of a character.
func classOf(r rune) class {
	if uint32(r) < uint32(len(classTable)) {
		return classTable[r]
	}
	var c class
	for _, cr := range classRanges {
		if len(cr.table.R32) > 0 && unicode.Is(cr.table, r) {
			c = withClass(c, cr.class)
		}
	}
	return c
}

// classAt returns the classes of the character at i and its length in bytes.
func classAt(s string, i int) (class, int) {
	if b := s[i]; b < utf8.RuneSelf {
		return classTable[b], 1
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	return classOf(r), size
}

// skip returns the index of the first character from i on that is in none of the classes of the mask.
func skip(s string, i int, mask class) int {
	for i < len(s) {
		c, size := classAt(s, i)
		if c&mask == 0 {
			break
		}
		i += size
	}
	return i
}

// skipOthers returns the index of the first character from i on that is in one of the classes of the mask.
func skipOthers(s string, i int, mask class) int {
	for i < len(s) {
		c, size := classAt(s, i)
		if c&mask != 0 {
			break
		}
		i += size
	}
	return i
}

// trimSpaceRight returns a text without the whitespace at its end.
func trimSpaceRight(s string) string {
	for s != "" {
		r, size := utf8.DecodeLastRuneInString(s)
		if classOf(r)&classSpace == 0 {
			break
		}
		s = s[:len(s)-size]
	}
	return s
}

// tableOf makes a set of ASCII characters, given in ascending order.
func tableOf(chars ...uint16) *unicode.RangeTable {
	t := &unicode.RangeTable{}
	for _, c := range chars {
		t.R16 = append(t.R16, unicode.Range16{Lo: c, Hi: c, Stride: 1})
	}
	return t
}

// rangeOf makes a set of neighbouring characters.
func rangeOf(lo, hi uint32) *unicode.RangeTable {
	if hi < 1<<16 {
		return &unicode.RangeTable{R16: []unicode.Range16{{Lo: uint16(lo), Hi: uint16(hi), Stride: 1}}}
	}
	return &unicode.RangeTable{R32: []unicode.Range32{{Lo: lo, Hi: hi, Stride: 1}}}
}
