package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mneme-lm/mneme"
)

// DefaultPass is the share of right answers from which a cell of the grid counts as answered, unless NeedleOptions says
// otherwise.
const DefaultPass = 0.9

// Haystacks are texts in which something is hidden that is asked for at their end.
type Haystacks interface {
	// Places says what there is, in the order in which it is read.
	Places() []Place
	// Size is how many tokens the text of a place has at most, with its longest question and answer, and how many questions, by
	// its number among the places. A text that there is no memory for is not made.
	Size(number int) (tokens, questions int)
	// Haystack makes, or gets, the text of a place. It is called by several goroutines.
	Haystack(number int) (Haystack, error)
}

// Place is where a text stands in the grid. No two texts have the same place.
type Place struct {
	Length int     `json:"length"` // tokens, with a question and its answer
	Depth  float64 `json:"depth"`  // of what is hidden, as a share of the length
	Trial  int     `json:"trial"`  // number among those of the same length and depth
	Type   string  `json:"type"`   // of what is hidden
}

// Haystack is a text, and questions about it.
type Haystack struct {
	Tokens    []int32 // without the questions
	Questions []Question
}

// Question is read after a haystack, by a cache that has been brought within its budget before.
type Question struct {
	Tokens []int32
	// Answer is what the model is to write, to the token.
	Answer []int32
	// Expected is, where there is no Answer, what is to occur in the text that the model writes, all of it, in any order, in
	// small letters or capitals.
	Expected []string
	// MaxTokens is how much the model writes at most where there is no Answer.
	MaxTokens int
}

// length is the number of tokens of the text with its longest question and answer.
func (h *Haystack) length() int {
	most := 0
	for i := range h.Questions {
		q := &h.Questions[i]
		most = max(most, len(q.Tokens)+q.tokens())
	}
	return len(h.Tokens) + most
}

// tokens is how many tokens the model is to write.
func (q *Question) tokens() int {
	if q.Answer != nil {
		return len(q.Answer)
	}
	return q.MaxTokens
}

// NeedleOptions says how haystacks are read.
type NeedleOptions struct {
	// Session configures the sessions that read.
	Session []mneme.SessionOption
	// Context is how many tokens are announced to sessions at least. 0: as many as a text has.
	Context int
	// Pass is the share of right answers from which a cell counts as answered. 0: DefaultPass.
	Pass float64
	// Beside are models of the same file, which read other texts at the same time: small models gain more from that than from
	// threads of their own.
	Beside []*mneme.Model
	// Log, if it is set, is told every trial, and those that it has are not done again.
	Log *NeedleLog
	// Progress, if it is set, is called now and then with the number of tokens done and in all.
	Progress func(done, total int)
}

// Needle measures what a model finds in texts: each is read, the cache is brought within its budget, the question is read, and
// the model's own greedy answer is held against the one that is right. A text that cannot be read, for want of memory or since a
// learned memory diverged, counts as not answered. How much memory there is depends on what else is done at the time: such a text is
// tried once more when no other is being read, and does not become part of the log. Any other error ends the measurement.
func Needle(ctx context.Context, m *mneme.Model, h Haystacks, o NeedleOptions) (*NeedleResult, error) {
	r, err := newNeedleRun(m, h, o)
	if err != nil {
		return nil, fmt.Errorf("bench: needle: %w", err)
	}
	if err := r.run(ctx); err != nil {
		return nil, fmt.Errorf("bench: needle: %w", err)
	}
	return r.result(), nil
}

// needleRun is one measurement.
type needleRun struct {
	options   NeedleOptions
	haystacks Haystacks
	places    []Place
	trials    []*NeedleTrial // of each place; nil: to be done
	todo      []int          // numbers of places
	readers   []*needleReader
	next      atomic.Int64 // number in todo
	elapsed   time.Duration

	mu      sync.Mutex
	done    int // tokens of the texts that were read
	total   int
	refused []int // numbers of places whose texts there was no memory for beside others
}

func newNeedleRun(m *mneme.Model, h Haystacks, o NeedleOptions) (*needleRun, error) {
	if o.Pass == 0 {
		o.Pass = DefaultPass
	}
	if !(o.Pass > 0 && o.Pass <= 1) || o.Context < 0 {
		return nil, fmt.Errorf("a cell is answered with a share of %g, %d tokens are announced: want more than 0 and at most 1, and no negative number", o.Pass, o.Context)
	}
	r := &needleRun{options: o, haystacks: h, places: h.Places()}
	if len(r.places) == 0 {
		return nil, errors.New("there are no texts")
	}
	r.trials = make([]*NeedleTrial, len(r.places))
	seen := map[placeKey]bool{}
	for i, p := range r.places {
		if seen[p.key()] {
			return nil, fmt.Errorf("two texts of %d tokens have number %d at depth %g", p.Length, p.Trial, p.Depth)
		}
		seen[p.key()] = true
		if r.trials[i] = o.Log.finished(p); r.trials[i] == nil {
			r.todo = append(r.todo, i)
			r.total += p.Length
		}
	}
	for _, m := range slices.Concat([]*mneme.Model{m}, o.Beside) {
		s, err := m.NewSession(o.Session...) // what is wrong with the options is no matter of a text
		if err != nil {
			return nil, err
		}
		if err := s.Close(); err != nil {
			return nil, err
		}
		r.readers = append(r.readers, &needleReader{model: m, options: o.Session, announced: o.Context})
	}
	return r, nil
}

// run reads what is left to be read.
func (r *needleRun) run(ctx context.Context) error {
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := r.watch()
	var readers sync.WaitGroup
	for _, reader := range r.readers {
		readers.Go(func() {
			if err := r.work(ctx, reader); err != nil {
				cancel(err) // the first is the one that counts
			}
		})
	}
	readers.Wait()
	err := context.Cause(ctx)
	if err == nil {
		err = r.tryAgain(ctx)
	}
	stop()
	r.elapsed = time.Since(start)
	for _, reader := range r.readers {
		err = errors.Join(err, reader.close())
	}
	return errors.Join(err, r.options.Log.sync())
}

// work reads texts until there are none.
func (r *needleRun) work(ctx context.Context, reader *needleReader) error {
	for {
		at := int(r.next.Add(1)) - 1
		if at >= len(r.todo) {
			return nil
		}
		number := r.todo[at]
		trial, err := reader.try(ctx, r.haystacks, number, r.places[number])
		if err != nil {
			return err
		}
		if trial.passing && len(r.readers) > 1 {
			r.mu.Lock()
			r.refused = append(r.refused, number)
			r.mu.Unlock()
			continue
		}
		if err := r.finish(number, trial, reader); err != nil {
			return err
		}
	}
}

// tryAgain reads the texts that there was no memory for beside others, one after the other.
func (r *needleRun) tryAgain(ctx context.Context) (err error) {
	if len(r.refused) == 0 {
		return nil
	}
	for _, reader := range r.readers[1:] {
		err = errors.Join(err, reader.close())
	}
	if err != nil {
		return err
	}
	slices.Sort(r.refused)
	for _, number := range r.refused {
		trial, err := r.readers[0].try(ctx, r.haystacks, number, r.places[number])
		if err != nil {
			return err
		}
		if err := r.finish(number, trial, r.readers[0]); err != nil {
			return err
		}
	}
	return nil
}

// finish keeps what came of a text.
func (r *needleRun) finish(number int, trial *NeedleTrial, reader *needleReader) error {
	if !trial.passing {
		if err := r.options.Log.add(trial); err != nil {
			return err
		}
	}
	r.trials[number] = trial // nobody else has this number
	r.mu.Lock()
	defer r.mu.Unlock()
	reader.rest()
	r.done += r.places[number].Length
	return nil
}

// progressInterval is how often Progress is called.
const progressInterval = 200 * time.Millisecond

// watch calls Progress from time to time, until stop is called.
func (r *needleRun) watch() (stop func()) {
	if r.options.Progress == nil {
		return func() {}
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		ticker := time.NewTicker(progressInterval)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				r.options.Progress(r.read(), r.total)
				return
			case <-ticker.C:
				r.options.Progress(r.read(), r.total)
			}
		}
	}()
	return func() {
		close(quit)
		<-gone
	}
}

// read is how many tokens have been read.
func (r *needleRun) read() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := r.done
	for _, reader := range r.readers {
		done += reader.progress()
	}
	return min(done, r.total)
}

// answered reports whether so many right answers are enough.
func answered(correct, trials int, pass float64) bool {
	const rounding = 1e-9
	return float64(correct) >= math.Max(1, pass*float64(trials)-rounding)
}
