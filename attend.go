package mneme

import (
	"cmp"
	"context"
	"errors"

	"github.com/mneme-lm/mneme/attention"
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
// rows. It is 1 where all rows are opened. It takes the time of a token with full attention.
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
	stop, end := stopWith(ctx)
	defer end()
	if err := s.sequence.Cache.Truncate(s.sequence.RowsOf(n - 1)); err != nil {
		return 0, err
	}
	s.sequence.Mass = []float64{}
	defer func() { s.sequence.Mass = nil }()
	row := s.sequence.Rows(nil, s.tokens[n-1:], n-1)
	if err := s.model.runner.Forward(row, stop, nil); err != nil {
		s.sequence.Mass = nil
		if again := s.model.runner.Forward(row, nil, nil); again != nil {
			s.tokens = s.tokens[:n-1]
			return 0, errors.Join(err, again)
		}
		return 0, stopped(ctx, err)
	}
	sum := 0.
	for _, mass := range s.sequence.Mass {
		sum += mass
	}
	return sum / float64(len(s.sequence.Mass)), nil
}
