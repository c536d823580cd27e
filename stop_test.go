package mneme

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestStopFilterCutsLikeTheWholeText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.StringMatching(`[ab]{0,3}`)).Draw(t, "pieces")
		stops := rapid.SliceOfN(rapid.StringMatching(`[ab]{1,4}`), 0, 3).Draw(t, "stops")
		f := stopFilter{stops: stops}
		var got string
		var ids []int32
		stopped := false
		for i, piece := range pieces {
			free, found := f.add(Token{ID: int32(i), Text: piece})
			for _, token := range free {
				got += token.Text
				ids = append(ids, token.ID)
			}
			// What is held back must be able to become a stop string; what was let go must not contain one.
			if stopped = found; found {
				break
			}
		}
		if !stopped {
			for _, token := range f.rest() {
				got += token.Text
				ids = append(ids, token.ID)
			}
		}
		for i, id := range ids {
			if id != int32(i) {
				t.Fatalf("tokens in the order %v", ids)
			}
		}
		// The text ends before the stop string that is complete first, piece by piece.
		var text string
		want, wantStopped := "", false
		for _, piece := range pieces {
			text += piece
			first := -1
			for _, stop := range stops {
				if i := strings.Index(text, stop); i >= 0 && (first < 0 || i < first) {
					first = i
				}
			}
			if want = text; first >= 0 {
				want, wantStopped = text[:first], true
				break
			}
		}
		if got != want || stopped != wantStopped {
			t.Fatalf("pieces %q, stops %q: %q, stopped %v; want %q, %v", pieces, stops, got, stopped, want, wantStopped)
		}
	})
}

func TestStopFilterHoldsNoMoreThanItMust(t *testing.T) {
	f := stopFilter{stops: []string{"END"}}
	free, _ := f.add(Token{Text: "abE"})
	if len(free) != 0 || len(f.rest()) != 1 {
		t.Fatal("a token that ends in the beginning of a stop string was let go")
	}
	f = stopFilter{stops: []string{"END"}}
	if free, _ := f.add(Token{Text: "abc"}); len(free) != 1 {
		t.Fatal("a token that cannot begin a stop string was held back")
	}
}
