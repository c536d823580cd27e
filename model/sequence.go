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
	model *Model
	rope  *ropeTable
	limit int // rows; 0: none
}

// NewSequence makes an empty sequence that stores keys and values in rows of the given type.
//
// context is the number of tokens that it is to hold. It matters only for models with two sets of RoPE factors (Phi-3's
// long-context ones): up to the original context the short factors apply, beyond it the long ones, and a sequence
// cannot change over. 0 chooses the short ones. Other models read on without limit.
func (m *Model) NewSequence(rows quant.Type, context int) (*Sequence, error) {
	cache, err := kvcache.New(m.CacheConfig(rows))
	if err != nil {
		return nil, err
	}
	s := &Sequence{Cache: cache, model: m, rope: m.rope}
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

// Limit is the number of tokens that the sequence can hold, 0 if there is no bound.
func (s *Sequence) Limit() int { return s.limit }

// fits reports whether a row at pos is within the context.
func (s *Sequence) fits(pos int32) error {
	if s.limit > 0 && int(pos) >= s.limit {
		return fmt.Errorf("model: position %d: the sequence was made for %d tokens (short RoPE factors): %w", pos, s.limit, ErrContext)
	}
	return nil
}
