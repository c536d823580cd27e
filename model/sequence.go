package model

import (
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// ErrContext is wrapped when a sequence would grow beyond the context it was made for.
var ErrContext = errors.New("beyond the context")

// Sequence is one text that a model reads and writes: what of it the model keeps. A sequence belongs to one goroutine
// at a time.
type Sequence struct {
	Cache *kvcache.Cache
	// Eviction keeps the cache within a budget, or prunes its keys; nil: it grows with the text.
	Eviction *kvcache.Eviction
	// Probing says that the next batch is a text that the policy scores rows by, which will be taken out again.
	Probing bool

	model *Model
	rope  *ropeTable
	limit int // positions; 0: none
}

// NewSequence makes an empty sequence that stores keys and values in rows of the given type, within the budget of an
// eviction policy if that is not nil.
//
// context is the number of tokens that it is to hold. It matters only for models with two sets of RoPE factors (Phi-3's
// long-context ones): up to the original context the short factors apply, beyond it the long ones, and a sequence
// cannot change over. 0 chooses the short ones. Other models read on without limit.
func (m *Model) NewSequence(rows quant.Type, context int, eviction *kvcache.Eviction) (*Sequence, error) {
	cfg := m.CacheConfig(rows)
	if eviction != nil {
		var err error
		if cfg, err = eviction.Shape(cfg); err != nil {
			return nil, err
		}
	}
	cache, err := kvcache.New(cfg)
	if err != nil {
		return nil, err
	}
	s := &Sequence{Cache: cache, Eviction: eviction, model: m, rope: m.rope}
	if m.longRope != nil {
		if context > m.Rope.OriginalContext {
			s.rope = m.longRope
		} else {
			s.limit = m.Rope.OriginalContext
		}
	}
	return s, nil
}

// CacheConfig is the shape of the model's KV cache.
func (m *Model) CacheConfig(rows quant.Type) kvcache.Config {
	return kvcache.Config{Layers: m.Layers, Heads: m.KVHeads, KeyDim: m.KeyDim, ValueDim: m.ValueDim, Type: rows}
}

// packed reports whether keys are stored before RoPE, to be rotated to positions without gaps. As long as no row was dropped
// there are no gaps: positions are those in the text, and keys are stored as everywhere.
func (s *Sequence) packed() bool {
	return s.Eviction != nil && s.Eviction.Needs().Packed && s.Cache.HasEvicted()
}

// NextPosition is the position that RoPE gives the next token: in the text, or among the rows that are left.
func (s *Sequence) NextPosition() int {
	if s.packed() {
		return s.Cache.MostRows()
	}
	return int(s.Cache.LastPosition()) + 1
}

// LongRope reports whether the second of two sets of RoPE factors applies.
func (s *Sequence) LongRope() bool { return s.rope == s.model.longRope }

// Limit is the number of tokens that the sequence can hold, 0 if there is no bound.
func (s *Sequence) Limit() int { return s.limit }

// fits reports whether RoPE's position pos is within the context.
func (s *Sequence) fits(pos int32) error {
	if s.limit > 0 && int(pos) >= s.limit {
		return fmt.Errorf("model: position %d: the sequence was made for %d tokens (short RoPE factors): %w", pos, s.limit, ErrContext)
	}
	return nil
}
