package mneme

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/model"
)

// AttentionMethods lists the methods that WithAttention knows.
func AttentionMethods() []attention.Kind { return attention.Kinds() }

// opensSome reports whether the budget is that of rows to open.
func (o *sessionOptions) opensSome() bool {
	kind, err := attention.KindOf(cmp.Or(o.attention, attention.AllRows))
	return err == nil && kind.Budget
}

// method is how queries attend; nil: as the model says.
func (o *sessionOptions) method() (*attention.Method, error) {
	if o.attention == "" {
		return nil, nil
	}
	budget := 0
	if o.opensSome() {
		budget = o.budget
	}
	return attention.NewMethod(o.attention, budget)
}

// OpensSome reports whether queries open some of the rows that they may see, so that [Session.AttentionMass] may be below 1.
func (s *Session) OpensSome() bool { return s.sequence.Opens() }

// AttentionMass has the model read the text's last token once more, and returns how much of the attention of its queries
// the rows hold that they open: the mean over layers and heads of the sum of these rows' weights in the softmax over all
// rows; with landmarks, in that softmax by which a query chooses between its own block and the stored ones. It is 1 where all
// rows are opened. It takes the time of a token with full attention, and leaves the session as it was. Where some are opened and the
// session has a learned memory it fails with ErrLearned: what that learned from the token would have to be taken back first.
func (s *Session) AttentionMass(ctx context.Context) (float64, error) {
	if err := s.claim(); err != nil {
		return 0, err
	}
	defer s.busy.Store(false)
	n := len(s.tokens)
	if n == 0 {
		return 0, errors.New("mneme: there is no text yet whose attention could be weighed")
	}
	if !s.sequence.Opens() {
		return 1, nil
	}
	if kind := s.sequence.Memory(); kind != model.MemoryNone {
		return 0, fmt.Errorf("mneme: the attention of the last token cannot be weighed beside a memory of kind %s: %w", kind, ErrLearned)
	}
	// Read by itself the token may open other rows than in the batch that it came in, so that its keys and values differ: those
	// that the text goes on from are put back.
	cache, first := s.sequence.Cache, s.sequence.RowsOf(n-1)
	tail := cache.Tail(first)
	if err := cache.Truncate(first); err != nil {
		return 0, err
	}
	stop, end := stopWith(ctx)
	defer end()
	s.sequence.Mass = []float64{}
	defer func() { s.sequence.Mass = nil }()
	err := s.model.runner.Forward(s.sequence.Rows(nil, s.tokens[n-1:], n-1), stop, nil)
	if again := cache.Replace(tail); again != nil {
		s.tokens = s.tokens[:n-1]
		return 0, errors.Join(err, fmt.Errorf("mneme: the last token's rows cannot be put back, the text ends before it: %w", again))
	}
	if err != nil {
		return 0, stopped(ctx, err)
	}
	sum := 0.
	for _, mass := range s.sequence.Mass {
		sum += mass
	}
	return sum / float64(len(s.sequence.Mass)), nil
}
