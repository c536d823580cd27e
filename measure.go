package mneme

import (
	"fmt"

	"github.com/mneme-lm/mneme/model"
)

// Work works out what one token makes the machine do at the least, if it attends to a context of so many tokens in a
// session with these options: see model.Work. With the speed of the machine it says how fast a model can be.
func (m *Model) Work(context int, logits bool, opts ...SessionOption) (model.Work, error) {
	o, err := newSessionOptions(opts)
	if err != nil {
		return model.Work{}, err
	}
	e, err := o.eviction(m)
	if err != nil {
		return model.Work{}, err
	}
	if e != nil && e.Bounded() { // the mean over layers is what their bytes add up to
		context = min(context, e.MeanBudget())
	}
	method, err := o.method()
	if err != nil {
		return model.Work{}, err
	}
	return m.net.Work(o.rows, method, context, logits)
}

// Fill is for benchmarks: it gives an empty session a past of so many tokens, by writing noise into its cache and its memories,
// without the time that reading them would take. What the model says after it means nothing, but takes as long as after any
// other text of that length. The noise is the same each time; Tokens tells of as many tokens with id 0. On an error the
// session stays empty.
func (s *Session) Fill(tokens int) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.busy.Store(false)
	if tokens < 0 {
		return fmt.Errorf("mneme: a past of %d tokens", tokens)
	}
	if n := s.Len(); n > 0 {
		return fmt.Errorf("mneme: only an empty session can be filled, this one has %d tokens", n)
	}
	if err := s.reserve(tokens); err != nil {
		return err
	}
	dropped, err := s.model.runner.Fill(s.sequence, s.sequence.RowsOf(tokens), s.textOf(s.options.block))
	if err != nil {
		return err
	}
	s.tokens, s.evictedAt, s.furthest = make([]int32, tokens), tokens, s.sequence.Positions()
	s.sequence.Cache.Trim()
	s.update(func(st *Stats) { st.Memory.RowsEvicted += dropped })
	return nil
}
