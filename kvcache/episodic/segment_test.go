package episodic

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSegments(t *testing.T) {
	utterances := []Utterance{
		{Speaker: "Ann", Text: "Hello.", Date: "1 May"},
		{Speaker: "Bob", Text: " Two\nlines \t here "},
		{Text: "A door\r\nslams."},
		{Speaker: "Ann\nLee", Text: `"Oh!"`},
		{Speaker: "Bob", Text: "Bye."},
	}
	want := []Segment{
		{0, 2, "Ann: \"Hello.\"\nBob: \"Two lines here\"\n"},
		{2, 4, "\"A door slams.\"\nAnn Lee: \"\"Oh!\"\"\n"},
		{4, 5, "Bob: \"Bye.\"\n"},
	}
	got, err := Segments(utterances, 2)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, width := range []int{0, -1} {
		if _, err := Segments(utterances, width); err == nil {
			t.Errorf("width %d: no error", width)
		}
	}
	if got, err := Segments(nil, SegmentWidth); err != nil || len(got) != 0 {
		t.Errorf("no utterances: %v, %v", got, err)
	}
	if got, err := Segments(utterances, int(^uint(0)>>1)); err != nil || len(got) != 1 {
		t.Errorf("the greatest width: %d segments, %v", len(got), err)
	}
}

// Segments partition the utterances in order, and every one has a line per utterance.
func TestSegmentsCoverTheConversation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, width := rapid.IntRange(0, 40).Draw(t, "utterances"), rapid.IntRange(1, 9).Draw(t, "width")
		utterances := make([]Utterance, n)
		for i := range utterances {
			utterances[i] = Utterance{Speaker: rapid.String().Draw(t, "speaker"), Text: rapid.String().Draw(t, "text")}
		}
		segments, err := Segments(utterances, width)
		if err != nil {
			t.Fatal(err)
		}
		if want := (n + width - 1) / width; len(segments) != want {
			t.Fatalf("%d segments, want %d", len(segments), want)
		}
		at := 0
		for k, s := range segments {
			if s.First != k*width || s.First != at || s.Last != min(at+width, n) {
				t.Fatalf("segment %d is %d to %d", k, s.First, s.Last)
			}
			lines := strings.Split(strings.TrimSuffix(s.Text, "\n"), "\n")
			if len(lines) != s.Last-s.First {
				t.Fatalf("segment %d: %d lines for %d utterances", k, len(lines), s.Last-s.First)
			}
			for i, line := range lines {
				if line != utterances[at+i].Line() {
					t.Fatalf("segment %d, line %d is %q", k, i, line)
				}
			}
			at = s.Last
		}
	})
}

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{" . ", nil},
		{"One. Two! Three?", []string{"One", "Two", "Three"}},
		{"Really?! Yes...\nGood", []string{"Really", "Yes", "Good"}},
		{"Version 1.26 is out. See go.dev!x", []string{"Version 1.26 is out", "See go.dev!x"}},
		{"A.\u00a0B", []string{"A", "B"}},
		{"...so it goes", []string{"...so it goes"}},
		{"... so", []string{"so"}},
		{"bad \xff byte. next", []string{"bad \xff byte", "next"}},
	} {
		if got := sentences(c.text); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestSplitLong(t *testing.T) {
	exactly := strings.Repeat("é", longUtterance-3) + ". é" // of 500 characters, more bytes
	long := strings.Repeat("Many words. ", 50) + "Exactly 10. Eleven chars! Is this the end?"
	nothing := strings.Repeat("Short. ", 100)
	in := []Utterance{
		{Speaker: "A", Text: exactly},
		{Speaker: "B", Text: "No. " + long, Date: "May"},
		{Speaker: "A", Text: nothing, Date: "June"},
		{Speaker: "B", Text: ""},
	}
	before := slices.Clone(in)
	got := SplitLong(in)
	want := []Utterance{{Speaker: "A", Text: exactly}}
	want = append(want, Utterance{Speaker: "B", Text: "Eleven chars", Date: "May"}, Utterance{Speaker: "B", Text: "Is this the end"},
		Utterance{Speaker: "A", Text: nothing, Date: "June"}, Utterance{Speaker: "B"})
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.Equal(in, before) {
		t.Error("the utterances that went in have changed")
	}
}
