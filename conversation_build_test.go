package mneme

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What an answer says of the cache includes what was dropped when its episode was built, in memory and from a file.
func TestAnswerTellsOfRowsDropped(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	inMemory := ask(t, talk(t, m, WithIndependentQuestions()), "boat")
	folder := WithEpisodeFolder(filepath.Join(t.TempDir(), "episodes"))
	inFile := ask(t, talk(t, m, WithIndependentQuestions(), folder), "boat")
	for name, mem := range map[string]Memory{"in memory": inMemory.Memory, "in a file": inFile.Memory} {
		lanes := int64(m.Config().Layers * m.Config().KVHeads)
		if mem.Evictions == 0 || (mem.RowsEvicted+lanes-1)/lanes < int64(mem.RowsSeen-mem.RowsKept) {
			t.Errorf("%s: of %d rows seen %d are kept, and %d were evicted in %d evictions", name, mem.RowsSeen, mem.RowsKept, mem.RowsEvicted, mem.Evictions)
		}
	}
}

// Progress goes from the first segment to the last token of the last episode, and a question that needs no building has
// none.
func TestBuildProgress(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	var seen []BuildProgress
	c := talk(t, m, WithBuildProgress(func(p BuildProgress) { seen = append(seen, p) }))
	a := ask(t, c, "boat")
	if a.BuildTime <= 0 {
		t.Errorf("building took %v", a.BuildTime)
	}
	tokens := len(c.encode(c.history(), true))
	var before BuildProgress
	for i, p := range seen {
		begins := p.Episode == before.Episode+1
		switch {
		case p.Done > p.Total || p.Episode > p.Episodes:
			t.Fatalf("step %d: %+v", i, p)
		case p.Episode > 0 && p.Episodes != 3, p.Episode == 0 && p.Total != 12:
			t.Fatalf("step %d: %+v", i, p)
		case !begins && (p.Episode != before.Episode || p.Done <= before.Done), begins && before.Done != before.Total:
			t.Fatalf("step %d: %+v after %+v", i, p, before)
		}
		before = p
	}
	if before.Episode != 3 || before.Done != before.Total || before.Total < tokens/2 {
		t.Errorf("it ends with %+v", before)
	}
	seen = nil
	if a := ask(t, c, "violin"); a.BuildTime != 0 || len(seen) != 0 {
		t.Errorf("a second question: building took %v, %d steps", a.BuildTime, len(seen))
	}
}

// The conversation's length counts, not that of the cache.
func TestAnswerTellsOfTokensBeyondTrained(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	c := talk(t, m, WithIndependentQuestions())
	for range 40 {
		c.Add("Ann", "the boat was mended, and painted, and put to sea again with all of its old sails")
	}
	a := ask(t, c, "boat")
	if want := a.Memory.RowsSeen - m.Config().ContextLength; want <= 0 || a.BeyondTrained != want {
		t.Errorf("%d tokens beyond what the model was trained for, want %d", a.BeyondTrained, want)
	}
}

// An episode that an independent question opens is gone with it: the next question finds things as they were.
func TestIndependentQuestionLeavesNoEpisode(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	for name, opts := range map[string][]ConversationOption{
		"in memory": nil, "in files": {WithEpisodeFolder(filepath.Join(t.TempDir(), "episodes"))},
	} {
		c := talk(t, m, append(opts, WithNewEpisodeBelow(0.5), WithIndependentQuestions())...)
		first := ask(t, c, "violin")
		for range 2 {
			if a := ask(t, c, "something else entirely"); !a.Opened || a.Episode != 3 || c.Episodes() != 3 {
				t.Errorf("%s: %+v, and %d episodes are left", name, a, c.Episodes())
			}
		}
		if again := ask(t, c, "violin"); !slices.Equal(again.Tokens, first.Tokens) || again.Episode != first.Episode {
			t.Errorf("%s: %+v, before %+v", name, again, first)
		}
	}
}

// A folder is not taken up by a conversation that would have made other episodes.
func TestFolderOfOtherSettings(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	folder := WithEpisodeFolder(filepath.Join(t.TempDir(), "episodes"))
	ask(t, talk(t, m, folder), "boat")
	same := []ConversationOption{WithEmbedder(byTopic{topics}), WithEpisodes(3), WithSegmentWidth(2), folder}
	for name, opt := range map[string]ConversationOption{
		"episodes": WithEpisodes(2), "segments": WithSegmentWidth(4), "representatives": WithRepresentatives(1), "seed": WithClusterSeed(7),
	} {
		if _, err := NewConversation(m, append(same[:len(same):len(same)], opt)...); !errors.Is(err, ErrMismatch) {
			t.Errorf("other %s: error %v", name, err)
		}
	}
	if c, err := NewConversation(m, same...); err != nil || c.Episodes() != 3 {
		t.Errorf("the same: error %v", err)
	}
}

// Building that is stopped leaves what there was before: at first nothing.
func TestBuildingStopped(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	folder := filepath.Join(t.TempDir(), "episodes")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := talk(t, m, WithEpisodeFolder(folder), WithBuildProgress(func(p BuildProgress) {
		if p.Episode == 2 {
			cancel()
		}
	}))
	if _, err := c.Ask(ctx, "boat"); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
		t.Errorf("left %v, error %v", left, err)
	}
	want := ask(t, talk(t, m), "boat")
	if got := ask(t, c, "boat"); !slices.Equal(got.Tokens, want.Tokens) || got.Episode != want.Episode {
		t.Errorf("after that %+v, want %+v", got, want)
	}
}
