package mneme

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/sample"
	"github.com/mneme-lm/mneme/tokenizer"
)

// ErrEvicted is wrapped where a text is to be taken back to before its rows were dropped from the KV cache,
// or their keys pruned.
var ErrEvicted = kvcache.ErrEvicted

// Policies lists the policies that WithPolicy knows, beside "full".
func Policies() []kvcache.Kind { return kvcache.Kinds() }

// Eviction tells what a layer and KV head has left after rows were dropped from it.
type Eviction struct {
	Step  int        `json:"step"` // tokens that the model had read
	Layer int        `json:"layer"`
	Head  int        `json:"head"`
	Rows  int        `json:"rows"` // that are left
	Kept  [][2]int32 `json:"kept"` // their positions in the text, as ranges: from, and the one after the last
}

// eviction makes what keeps the cache within its budget or prunes its keys; nil: nothing does.
func (o *sessionOptions) eviction(m *Model) (*kvcache.Eviction, error) {
	policy := cmp.Or(o.policy, kvcache.Full)
	base, err := kvcache.Base(policy)
	if err != nil {
		return nil, err
	}
	if base == kvcache.Full {
		if o.budget > 0 && !o.opensSome() || o.budgets != nil {
			return nil, fmt.Errorf("mneme: a budget of rows is for a policy that drops some: %q keeps them all", kvcache.Full)
		}
		if policy == kvcache.Full {
			return nil, nil
		}
		return kvcache.NewEviction(policy, nil)
	}
	budgets := o.budgets
	switch {
	case budgets == nil && o.budget == 0:
		return nil, fmt.Errorf("mneme: policy %s: no budget of rows is given", o.policy)
	case budgets == nil:
		budgets = slices.Repeat([]int{o.budget}, m.net.Layers)
	case len(budgets) != m.net.Layers:
		return nil, fmt.Errorf("mneme: budgets for %d layers, the model has %d", len(budgets), m.net.Layers)
	}
	return kvcache.NewEviction(o.policy, budgets)
}

// makeRoom drops rows if so many more would exceed the cache's budget, and then until there is room for as many as given.
func (s *Session) makeRoom(more, room int, prompt []int32, stop *atomic.Bool) error {
	e, c := s.sequence.Eviction, s.sequence.Cache
	if e == nil || !e.Over(c, more) {
		return nil
	}
	if p, ok := e.Policy().(kvcache.Prober); ok {
		if err := s.probe(p, prompt, stop); err != nil {
			return err
		}
	}
	dropped, err := s.model.runner.Evict(s.sequence, room)
	if err != nil {
		return err
	}
	s.evictedAt = len(s.tokens)
	s.update(func(st *Stats) {
		st.Memory.Evictions++
		st.Memory.RowsEvicted += dropped
	})
	if s.options.trace != nil {
		s.trace()
	}
	return nil
}

// probe has the model read the text that a policy scores rows by, and takes it out again.
func (s *Session) probe(p kvcache.Prober, prompt []int32, stop *atomic.Bool) error {
	c := s.sequence.Cache
	block := s.tokens[max(0, min(s.evictedAt, len(s.tokens)-s.sequence.Eviction.Interval())):]
	tokens := p.Probe(&kvcache.Probing{
		Block: block, Episode: s.episode, Prompt: prompt,
		Room: max(s.options.block-s.textOf(s.options.block), 1), Encode: s.encodeLiterally(),
	})
	if len(tokens) == 0 {
		return fmt.Errorf("mneme: policy %s has nothing to score rows by", s.sequence.Eviction.Name())
	}
	rows := s.sequence.Rows(nil, tokens, len(s.tokens))
	before, memories := c.Seen(), s.sequence.Memories() // which are not to learn from a probe
	s.sequence.Probing = true
	err := s.model.runner.Forward(rows, stop, nil)
	s.sequence.Probing = false
	if err != nil {
		return err
	}
	s.sequence.SetMemories(memories)
	return c.Truncate(before)
}

// encodeLiterally is how a policy makes tokens of text; nil without a tokenizer.
func (s *Session) encodeLiterally() func(string) []int32 {
	t := s.model.tokenizer
	if t == nil {
		return nil
	}
	return func(text string) []int32 { return t.Encode(text, tokenizer.EncodeOptions{}) }
}

// wantsSurprise reports whether the policy wants to know how surprising each token is.
func (s *Session) wantsSurprise() bool {
	return s.sequence.Eviction != nil && s.sequence.Eviction.Needs().Surprise
}

// forwardSurprised is forward for a policy that wants −log p of every token: all logits of the batch are computed, and
// those after its last token are kept for the one that comes next. A token that nothing predicts, as the first of a text or
// after it was taken back, counts as much as the most surprising one beside it.
func (s *Session) forwardSurprised(tokens []int32, stop *atomic.Bool, wanted func(i int) bool, each func(i int, logits []float32)) error {
	for i := range s.batch {
		s.batch[i].Logits = true
	}
	values := make([]float32, len(tokens))
	var failure error
	add := func(i int, logits []float32) {
		p, err := sample.LogProb(logits, tokens[i])
		if err != nil && failure == nil {
			failure = fmt.Errorf("mneme: token %d (id %d): %w", len(s.tokens)+i, tokens[i], err)
		}
		values[i] = float32(-p)
	}
	predicted := len(s.expected) > 0
	if predicted {
		add(0, s.expected)
	}
	first := s.sequence.Cache.Seen()
	err := s.model.runner.Forward(s.batch, stop, func(i int, logits []float32) {
		if i+1 < len(tokens) {
			add(i+1, logits)
		} else {
			s.expected = append(s.expected[:0], logits...)
		}
		if wanted(i) {
			each(i, logits)
		}
	})
	if err != nil {
		return err
	}
	s.took(tokens)
	if !predicted {
		values[0] = slices.Max(values)
	}
	s.sequence.Eviction.Surprise(s.sequence.Cache, first, values)
	return failure
}

// trace reports what each head has left.
func (s *Session) trace() {
	cfg := s.sequence.Cache.Config()
	for layer := range cfg.Layers {
		for head := range cfg.Heads {
			view := s.sequence.Cache.View(layer, head)
			s.options.trace(Eviction{Step: len(s.tokens), Layer: layer, Head: head, Rows: view.Rows(), Kept: ranges(&view)})
		}
	}
}

// ranges are the positions of a view's rows, neighbours together.
func ranges(view *kvcache.View) [][2]int32 {
	list := [][2]int32{}
	for i := range view.Spans {
		for _, p := range view.Spans[i].Positions {
			if n := len(list); n > 0 && list[n-1][1] == p {
				list[n-1][1]++
				continue
			}
			list = append(list, [2]int32{p, p + 1})
		}
	}
	return list
}
