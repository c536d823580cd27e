package episodic

import (
	"fmt"
	"strings"
)

// SegmentWidth is the number of utterances of a segment that EpiCache uses, w_embed (arXiv 2509.17396; 2 and 8 were
// tried besides).
const SegmentWidth = 4

// Utterance is what one speaker says before another does.
type Utterance struct {
	Speaker string // empty if nobody in particular says it
	Text    string

	// Date heads the session that begins with this utterance, in the words of its source. It is empty for the other
	// utterances, and no part of a segment: whoever writes the history down for a model puts it in front.
	Date string
}

// Line is the utterance as one line without its line break: speaker and quoted text, white space within reduced to
// single spaces.
func (u Utterance) Line() string {
	quoted := `"` + strings.Join(strings.Fields(u.Text), " ") + `"`
	speaker := strings.Join(strings.Fields(u.Speaker), " ")
	if speaker == "" {
		return quoted
	}
	return speaker + ": " + quoted
}

// Segment is a run of neighbouring utterances, the unit that is embedded and clustered.
type Segment struct {
	First, Last int    // its utterances: First ≤ i < Last
	Text        string // one line for each, every one with a line break
}

// Segments cuts a conversation into runs of width utterances that do not overlap, the last of which may be shorter
// (EpiCache, arXiv 2509.17396, conversation segmentation): segment k holds utterances k·width up to, but not
// including, (k+1)·width. Borders of sessions do not count. It is an error if width is less than 1.
func Segments(utterances []Utterance, width int) ([]Segment, error) {
	if width < 1 {
		return nil, fmt.Errorf("episodic: segments of %d utterances: want at least 1", width)
	}
	var segments []Segment
	for first := 0; first < len(utterances); {
		last := first + min(width, len(utterances)-first)
		var text strings.Builder
		for _, u := range utterances[first:last] {
			text.WriteString(u.Line())
			text.WriteByte('\n')
		}
		segments = append(segments, Segment{First: first, Last: last, Text: text.String()})
		first = last
	}
	return segments, nil
}
