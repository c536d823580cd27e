package episodic

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	longUtterance = 500 // characters: what is longer is split
	shortSentence = 10  // characters: what is no longer is dropped
)

// SplitLong replaces every utterance of more than 500 characters by its sentences, each an utterance of the same
// speaker, and drops sentences of ten characters or fewer. This is what EpiCache's authors do to an assistant's
// answers in LongMemEval, so that an answer of a page does not count as much as a "yes". A sentence ends at a run of
// full stops, exclamation marks and question marks that white space or the end of the text follows; the run is no
// part of it. An utterance of which no sentence would be left stays as it is.
//
// The result is for Segments. What a model reads should be the utterances that went in.
func SplitLong(utterances []Utterance) []Utterance {
	out := make([]Utterance, 0, len(utterances))
	for _, u := range utterances {
		if utf8.RuneCountInString(u.Text) <= longUtterance {
			out = append(out, u)
			continue
		}
		first := len(out)
		for _, sentence := range sentences(u.Text) {
			if utf8.RuneCountInString(sentence) > shortSentence {
				out = append(out, Utterance{Speaker: u.Speaker, Text: sentence})
			}
		}
		if len(out) == first {
			out = append(out, u)
			continue
		}
		out[first].Date = u.Date
	}
	return out
}

// sentences returns the sentences of a text without the marks that end them and without white space around them.
func sentences(text string) []string {
	var list []string
	add := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	start, run := 0, -1 // where the sentence begins, and the marks that may end it
	for i, r := range text {
		switch {
		case strings.ContainsRune(".!?", r):
			if run < 0 {
				run = i
			}
		case run >= 0 && unicode.IsSpace(r):
			add(text[start:run])
			start, run = i, -1
		default:
			run = -1
		}
	}
	if run < 0 {
		run = len(text)
	}
	add(text[start:run])
	return list
}
