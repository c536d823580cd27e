package bench

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostOfSentence is how many bytes a sentence has at most: what has no end by then is cut where a word ends.
const mostOfSentence = 480

// sentences cuts a text where sentences end, and where paragraphs do. What stands between two of them belongs to the first, so that
// they make the text again when they are joined.
func sentences(text string) (list []string) {
	for text != "" {
		n := sentenceLen(text)
		list = append(list, text[:n])
		text = text[n:]
	}
	return list
}

// sentenceLen is the length of the first sentence, with the space behind it.
func sentenceLen(text string) int {
	word := 0 // where the last word that is not too far on has ended
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		space := spaceLen(text[i:])
		switch {
		case space == 0:
			i += size
			if i >= mostOfSentence {
				if word == 0 { // a single word is as long
					word = i
				}
				return word
			}
			if wide(r) {
				return i
			}
			continue
		case i > 0 && (ends(text[:i]) || strings.Count(text[i:i+space], "\n") > 1):
			return i + space
		}
		i += space
		word = i
	}
	return len(text)
}

// spaceLen is the length of the white space that a text begins with.
func spaceLen(text string) int {
	if rest := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsSpace(r) }); rest >= 0 {
		return rest
	}
	return len(text)
}

// wide reports whether a sign ends a sentence that no space follows.
func wide(r rune) bool { return strings.ContainsRune("。！？", r) }

// ends reports whether a sentence ends where a text does, before a space.
func ends(text string) bool {
	text = strings.TrimRight(text, "\"')]”’»")
	r, _ := utf8.DecodeLastRuneInString(text)
	return strings.ContainsRune(".!?…", r)
}
