package mneme

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/model"
)

// Snapshot is a session's text and cache at one moment. It does not change, and may be restored any number of times, also
// into other sessions of the same model with the same options. It shares memory with the session it was taken of.
type Snapshot struct {
	model     *Model
	policy    string
	attention string
	budgets   []int
	longRope  bool
	cache     *kvcache.Snapshot
	memory    string
	memories  model.Memories
	tokens    []int32
	pending   []int32
	expected  []float32
	sampler   []byte
	samplerAt int
	lent      *lent
	store     *store
	closed    atomic.Bool
	evictedAt int
	furthest  int

	evictions   int
	rowsEvicted int64
}

// Len is the number of tokens in the text.
func (s *Snapshot) Len() int { return len(s.tokens) + len(s.pending) }

// Bytes is the size of its keys and values, which may be shared with sessions and other snapshots, and of its copy of what the
// model's memory holds.
func (s *Snapshot) Bytes() int64 { return s.cache.Bytes() + s.memories.Bytes() }

// Snapshot takes a copy of what the session holds, in no more time than it takes to say so: memory is shared until either
// side changes it, but for a model's learned memory, which is copied.
func (s *Session) Snapshot() (*Snapshot, error) {
	if err := s.claim(); err != nil {
		return nil, err
	}
	defer s.busy.Store(false)
	st := s.Stats()
	return &Snapshot{
		model: s.model, policy: s.policyName(), attention: s.attentionName(), budgets: s.budgets(), longRope: s.sequence.LongRope(), cache: s.sequence.Cache.Snapshot(),
		memory: s.sequence.Memory(), memories: s.sequence.Memories(),
		tokens: s.tokens[:len(s.tokens):len(s.tokens)], pending: slices.Clone(s.pending), expected: slices.Clone(s.expected),
		sampler: slices.Clone(s.sampler), samplerAt: s.samplerAt, lent: s.lent, store: s.store.hold(), evictedAt: s.evictedAt, furthest: s.furthest,
		evictions: st.Memory.Evictions, rowsEvicted: st.Memory.RowsEvicted,
	}, nil
}

// Restore takes the session to where it was, or another session of the same model and options was, when the snapshot was
// taken; the other one may have less of a budget. What the session has counted in Stats goes on, but for Memory, which tells
// of the text that it now holds.
func (s *Session) Restore(from *Snapshot) error {
	if err := s.claim(); err != nil {
		return err
	}
	defer s.busy.Store(false)
	switch {
	case from == nil:
		return errors.New("mneme: no snapshot to restore")
	case from.closed.Load():
		return errors.New("mneme: the snapshot was closed")
	case from.store != nil && from.store != s.store:
		return errors.New("mneme: the snapshot's rows lie in the file of another session")
	case from.model != s.model:
		return errors.New("mneme: the snapshot is of a session with another model")
	case from.policy != s.policyName():
		return fmt.Errorf("mneme: the snapshot is of a session with policy %s, this one has %s", from.policy, s.policyName())
	case from.attention != s.attentionName():
		return fmt.Errorf("mneme: the snapshot is of a session with attention %s, this one has %s", from.attention, s.attentionName())
	case from.memory != s.sequence.Memory():
		return fmt.Errorf("mneme: the snapshot is of a session with memory %s, this one has %s", from.memory, s.sequence.Memory())
	case !fits(from.budgets, s.budgets()):
		return fmt.Errorf("mneme: the snapshot is of a session with budgets of %v rows, this one has %v", from.budgets, s.budgets())
	case from.longRope != s.sequence.LongRope():
		return errors.New("mneme: the snapshot is of a session with other RoPE factors: one is for a context beyond the original one")
	}
	if err := s.sequence.Cache.Restore(from.cache); err != nil {
		return err
	}
	s.sequence.SetMemories(from.memories.Clone())
	s.tokens, s.pending, s.expected = from.tokens, slices.Clone(from.pending), slices.Clone(from.expected)
	s.sampler, s.samplerAt, s.lent = slices.Clone(from.sampler), from.samplerAt, from.lent
	s.evictedAt, s.furthest = from.evictedAt, from.furthest
	s.update(func(st *Stats) { st.Memory.Evictions, st.Memory.RowsEvicted = from.evictions, from.rowsEvicted })
	return nil
}

// fits reports whether budgets leave as many rows to every layer as others do.
func fits(rows, budgets []int) bool {
	for l := range rows {
		if len(rows) != len(budgets) || rows[l] > budgets[l] {
			return false
		}
	}
	return true
}

// budgets are the rows per KV head of each layer; none for a full cache.
func (s *Session) budgets() []int {
	budgets := []int{}
	if e := s.sequence.Eviction; e != nil && e.Bounded() {
		for l := range s.model.net.Layers {
			budgets = append(budgets, e.Budget(l))
		}
	}
	return budgets
}

// policyName is the session's policy, with its parameters.
func (s *Session) policyName() string {
	if e := s.sequence.Eviction; e != nil {
		return e.Name()
	}
	return kvcache.Full
}

// attentionName is how the session's queries attend, with its parameters.
func (s *Session) attentionName() string {
	if a := s.sequence.Attention; a != nil {
		return a.Name()
	}
	return attention.AllRows
}
