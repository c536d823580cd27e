package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/sample"
)

// NeedleTrial is what came of a text.
type NeedleTrial struct {
	Place
	Answers []NeedleAnswer `json:"answers"`         // one for each question, if the text could be read
	Error   string         `json:"error,omitempty"` // why it, or the answer after the last one, could not be
	Asked   int            `json:"asked"`           // questions

	Memory        NeedleMemory `json:"memory"`
	BeyondTrained int          `json:"beyond_trained"`

	passing bool // it failed for want of memory, which there may be another time
}

// NeedleAnswer is what the model answered.
type NeedleAnswer struct {
	Correct bool    `json:"correct"`
	Tokens  []int32 `json:"tokens"`
	Text    string  `json:"text,omitempty"`
}

// NeedleMemory is what a session remembered of a text when it had answered the last question about it.
type NeedleMemory struct {
	RowsKept    int   `json:"rows_kept"` // per KV head, the mean over layers and heads
	RowsSeen    int   `json:"rows_seen"`
	RowsEvicted int64 `json:"rows_evicted"` // over all layers and heads
	KVBytes     int64 `json:"kv_bytes"`
	StateBytes  int64 `json:"state_bytes"`
}

// correct is how many questions were answered.
func (t *NeedleTrial) correct() (n int) {
	for _, a := range t.Answers {
		if a.Correct {
			n++
		}
	}
	return n
}

// needleReader reads one text after the other.
type needleReader struct {
	model     *mneme.Model
	options   []mneme.SessionOption
	announced int // tokens, at least

	context int // announced to the session

	mu      sync.Mutex
	session *mneme.Session
	reading int // tokens of the text that is being read; 0: none
	before  int // tokens that the session had read then
}

// contextStep is what texts' sizes are rounded up to where they are announced, so that those that differ by some tokens share a
// session. What is announced depends on nothing but the text: to some models it makes a difference.
const contextStep = 128

// try reads a text and asks. That there is no memory for it, and that a learned memory diverges, is part of the trial.
func (r *needleReader) try(ctx context.Context, from Haystacks, number int, p Place) (*NeedleTrial, error) {
	tokens, questions := from.Size(number)
	t := &NeedleTrial{Place: p, Asked: questions, Answers: []NeedleAnswer{}}
	err := r.begin(tokens)
	if err == nil {
		err = r.read(ctx, from, number, t)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	t.passing = errors.Is(err, mneme.ErrMemory)
	if err != nil && !t.passing && !errors.Is(err, neural.ErrDiverged) {
		return nil, fmt.Errorf("text %d of %d tokens at depth %g: %w", p.Trial, p.Length, p.Depth, err)
	}
	if r.session != nil {
		st := r.session.Stats()
		t.BeyondTrained = st.BeyondTrained
		t.Memory = NeedleMemory{st.Memory.RowsKept, st.Memory.RowsSeen, st.Memory.RowsEvicted, st.Memory.KVBytes, st.Memory.StateBytes}
	}
	if err != nil {
		t.Error = err.Error()
		return t, r.close() // the next one begins with a session that has not failed
	}
	return t, nil
}

// begin makes a session for a text of so many tokens, or empties the one that there is.
func (r *needleReader) begin(tokens int) error {
	context := max(r.announced, tokens)
	if tokens <= math.MaxInt-contextStep {
		context = max(r.announced, (tokens+contextStep-1)/contextStep*contextStep)
	}
	if r.session != nil && r.context == context {
		return r.session.Truncate(0)
	}
	if err := r.close(); err != nil {
		return err
	}
	s, err := r.model.NewSession(append(slices.Clip(r.options), mneme.WithContext(context))...)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.session, r.context = s, context
	r.mu.Unlock()
	return nil
}

// read reads the text, which brings the cache within its budget, and then one question after the other, each from there.
func (r *needleReader) read(ctx context.Context, from Haystacks, number int, t *NeedleTrial) error {
	h, err := from.Haystack(number)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.reading, r.before = t.Length, r.session.Stats().PromptTokens
	r.mu.Unlock()
	if len(h.Tokens) > 0 {
		if err := r.session.Evaluate(ctx, h.Tokens, nil); err != nil {
			return err
		}
	}
	if len(h.Questions) == 1 {
		return r.ask(ctx, &h.Questions[0], t)
	}
	read, err := r.session.Snapshot()
	if err != nil {
		return err
	}
	defer read.Close()
	for i := range h.Questions {
		if err := r.session.Restore(read); err != nil {
			return err
		}
		if err := r.ask(ctx, &h.Questions[i], t); err != nil {
			return err
		}
	}
	return nil
}

// ask has the model answer a question, by greedy search.
func (r *needleReader) ask(ctx context.Context, q *Question, t *NeedleTrial) error {
	options := []mneme.Option{mneme.WithSampling(sample.Options{}), mneme.WithMaxTokens(q.tokens())}
	if q.Answer != nil {
		options = append(options, mneme.WithIgnoreEnd()) // to be held against the answer token by token
	}
	a := NeedleAnswer{Tokens: []int32{}}
	for token, err := range r.session.GenerateTokens(ctx, q.Tokens, options...) {
		if err != nil {
			return err
		}
		if token.ID >= 0 {
			a.Tokens = append(a.Tokens, token.ID)
		}
		a.Text += token.Text
		if q.Answer == nil && q.right(&a) {
			break // nothing that follows could change it
		}
	}
	a.Correct = q.right(&a)
	t.Answers = append(t.Answers, a)
	return nil
}

// right reports whether an answer is.
func (q *Question) right(a *NeedleAnswer) bool {
	if q.Answer != nil {
		return slices.Equal(a.Tokens, q.Answer)
	}
	text := strings.ToLower(a.Text)
	for _, e := range q.Expected {
		if !strings.Contains(text, strings.ToLower(e)) {
			return false
		}
	}
	return true
}

// progress is how many tokens of the text that is being read have been.
func (r *needleReader) progress() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil || r.reading == 0 {
		return 0
	}
	return min(r.reading, r.session.Stats().PromptTokens-r.before)
}

// rest says that no text is being read.
func (r *needleReader) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading = 0
}

// close ends the session.
func (r *needleReader) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.session == nil {
		return nil
	}
	s := r.session
	r.session, r.reading = nil, 0
	return s.Close()
}
