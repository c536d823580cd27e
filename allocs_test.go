package mneme

import (
	"context"
	"testing"
)

// generating returns how many allocations a session makes to write n tokens after a short prompt, in memory that an
// earlier run has left it.
func generating(t *testing.T, s *Session, n int, opts ...Option) float64 {
	t.Helper()
	opts = append(opts, WithMaxTokens(n), WithIgnoreEnd())
	prompt := []int32{5, 6, 7}
	return testing.AllocsPerRun(1, func() {
		for _, err := range s.GenerateTokens(context.Background(), prompt, opts...) {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Truncate(1); err != nil { // the cache keeps its page
			t.Fatal(err)
		}
	})
}

// A generation has some things to make when it begins, and its lists of tokens double a few times. A token beyond that
// costs what is handed to the caller: the text that it adds, a string. With stop strings it is also added to the text
// that is held back, and put into a list of those to hand out.
func TestGeneratingAllocatesOnlyText(t *testing.T) {
	const short, long = 10, 110
	const doublings = 15
	for _, c := range []struct {
		name      string
		tokenizer bool
		options   []Option
		perToken  float64
	}{
		{"ids, greedy", false, []Option{WithTemperature(0)}, 0},
		{"ids", false, nil, 0},
		{"ids, log-probabilities", false, []Option{WithLogProbs()}, 0},
		{"text, greedy", true, []Option{WithTemperature(0)}, 1},
		{"text", true, nil, 1},
		{"text, stop strings", true, []Option{WithStop("a string", "that does not come")}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := synthModel(t, "llama-tiny")
			if !c.tokenizer {
				m.tokenizer = nil
			}
			s := newSession(t, m)
			generating(t, s, long, c.options...)
			begin, all := generating(t, s, short, c.options...), generating(t, s, long, c.options...)
			if limit := begin + c.perToken*(long-short) + doublings; all > limit {
				t.Errorf("%v allocations for %d tokens, %v for %d: more than %v", begin, short, all, long, limit)
			}
		})
	}
}
