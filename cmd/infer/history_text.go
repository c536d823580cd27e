package main

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mneme-lm/mneme/kvcache/episodic"
)

// parseTextHistory reads a text with "Name: " before what each speaker says. Lines without a name belong to the utterance
// before; those before the first name have no speaker, and are one utterance for each paragraph.
func parseTextHistory(text string) []episodic.Utterance {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	var list []episodic.Utterance
	var said []string // the lines of the utterance that is being read
	speaker := ""
	end := func() {
		list = addUtterance(list, episodic.Utterance{Speaker: speaker, Text: strings.TrimSpace(strings.Join(said, "\n"))})
		said = said[:0]
	}
	for line := range strings.SplitSeq(text, "\n") {
		if name, rest, ok := splitName(line); ok {
			end()
			speaker, line = name, rest
		} else if speaker == "" && strings.TrimSpace(line) == "" {
			end()
		}
		said = append(said, strings.TrimRightFunc(line, unicode.IsSpace))
	}
	end()
	return list
}

// splitName parts a line that begins with a speaker's name and a colon, which white space or the end of the line follows.
//
// A name is up to four words and forty characters: letters, digits, and -, _, ., ' and parentheses within or after a word.
// If there are several words, none begins with a small letter, so that "She said:" begins no utterance, and "Dr. Ann Lee:"
// and "user:" do.
func splitName(line string) (name, rest string, ok bool) {
	const mostWords, mostCharacters = 4, 40
	name, rest, ok = strings.Cut(line, ":")
	if r, _ := utf8.DecodeRuneInString(rest); !ok || rest != "" && !unicode.IsSpace(r) {
		return "", "", false
	}
	words := strings.Fields(name)
	if len(words) == 0 || len(words) > mostWords || utf8.RuneCountInString(name) > mostCharacters || strings.TrimSpace(name) != name {
		return "", "", false
	}
	for _, word := range words {
		for i, r := range word {
			switch {
			case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
				if i == 0 && len(words) > 1 && unicode.IsLower(r) {
					return "", "", false
				}
			case i == 0 && r != '(' || !strings.ContainsRune("-_.'’()", r):
				return "", "", false
			}
		}
	}
	return strings.Join(words, " "), strings.TrimLeftFunc(rest, unicode.IsSpace), true
}
