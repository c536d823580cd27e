package model

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/mneme-lm/mneme/attention"
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
	// Attention is how queries attend to the cache; nil: as the model says, to all rows.
	Attention *attention.Method
	// Mass, if it is not nil, receives the shares of the next batch's last query's attention that the rows which it opens
	// hold: [layers][heads].
	Mass []float64

	model *Model
	rope  *ropeTable
	limit int // positions; 0: none

	landmarks *landmarked  // nil: there are none
	memories  Memories     // nil: the model has no memory, or it is left out
	touched   atomic.Int64 // bytes of a store that queries opened since it was last released
	releasing sync.Mutex
}

// SequenceOptions say what a sequence keeps and how it is attended to. The zero value is a text of float32 rows.
type SequenceOptions struct {
	Rows quant.Type // of keys and values
	// Context is the number of tokens that it is to hold. It matters only for models with two sets of RoPE factors (Phi-3's
	// long-context ones): up to the original context the short factors apply, beyond it the long ones, and a sequence cannot
	// change over. 0 chooses the short ones. Other models read on without limit.
	Context   int
	Eviction  *kvcache.Eviction
	Attention *attention.Method
	Store     kvcache.Store // that rows lie in; nil: the heap
	NoMemory  bool          // what is read of the model's memory is zeros, and it learns nothing
}

// NewSequence makes an empty sequence.
func (m *Model) NewSequence(o SequenceOptions) (*Sequence, error) {
	cfg := m.CacheConfig(o.Rows)
	if o.Eviction != nil {
		var err error
		if cfg, err = o.Eviction.Shape(cfg); err != nil {
			return nil, err
		}
	}
	method, err := m.method(o.Attention)
	if err != nil {
		return nil, err
	}
	if method != nil {
		cfg.Index = method.Index()
		if o.Eviction != nil && cfg.Index != (kvcache.Index{}) {
			return nil, fmt.Errorf("model: attention %s finds rows by their blocks, and policy %s drops rows out of them: choose one of the two", method.Name(), o.Eviction.Name())
		}
	}
	if method == nil && o.Eviction == nil {
		cfg.Local = m.local()
	}
	cache, err := kvcache.NewIn(o.Store, cfg)
	if err != nil {
		return nil, err
	}
	s := &Sequence{Cache: cache, Eviction: o.Eviction, Attention: method, model: m, rope: m.rope}
	if m.longRope != nil {
		if o.Context > m.Rope.OriginalContext {
			s.rope = m.longRope
		} else {
			s.limit = m.Rope.OriginalContext
		}
	}
	if method != nil && method.Landmarks != nil {
		s.landmarks = &landmarked{Landmarks: method.Landmarks, token: int32(m.Landmark.Token)}
	}
	if err := s.makeMemories(o); err != nil {
		return nil, err
	}
	return s, nil
}

// CacheConfig is the shape of the model's KV cache.
func (m *Model) CacheConfig(rows quant.Type) kvcache.Config {
	return kvcache.Config{Layers: m.Layers, Heads: m.KVHeads, KeyDim: m.KeyDim, ValueDim: m.ValueDim, Type: rows}
}

// local is how far back queries see, where the model says that they do not see far in any layer: then the cache need not grow with
// the text. Rows that a policy is to choose from stay, and so do those of other architectures' windows, unless an
// adapter has narrowed all layers.
func (m *Model) local() (x kvcache.Local) {
	if len(m.AttentionKinds) == 0 {
		return x
	}
	for _, kind := range m.AttentionKinds {
		switch kind {
		case AttentionWindow:
			x.Window = m.SlidingWindow
		case AttentionChunked:
			x.Chunk = m.ChunkLength
		default:
			return kvcache.Local{}
		}
	}
	return x
}

// packed reports whether keys are stored before RoPE, to be rotated to positions without gaps. As long as no row was dropped
// there are no gaps: positions are those in the text, and keys are stored as everywhere.
func (s *Sequence) packed() bool {
	if s.landmarks != nil {
		return true
	}
	return s.Eviction != nil && s.Eviction.Needs().Packed && s.Cache.HasEvicted()
}

// Positions is how many positions RoPE has given the text, counted from 0: those of its tokens or, where these are fewer, those of
// a chunk, or those that the rows have which are left.
func (s *Sequence) Positions() int {
	switch {
	case s.landmarks != nil:
		return s.base()
	case s.packed():
		return s.Cache.MostRows()
	case s.model.Fifo.fuses():
		return min(int(s.Cache.LastPosition())+1, s.model.Fifo.Chunk)
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

// retrieval is how blocks of a layer's rows are opened; nil: all rows are.
func (s *Sequence) retrieval(l *layer) *attention.Retrieval {
	if s.Attention == nil || l.local() {
		return nil
	}
	return s.Attention.Retrieval
}

// Opens reports whether queries open some of the rows that they may see.
func (s *Sequence) Opens() bool { return s.retrieves() || s.landmarks != nil }

// retrieves reports whether they find those by summaries of blocks.
func (s *Sequence) retrieves() bool { return s.Attention != nil && s.Attention.Retrieval != nil }

// mostSpans is the most spans that queries meet of a KV head.
func (s *Sequence) mostSpans() int {
	n := s.Cache.MostSpans()
	if !s.retrieves() || s.Cache.Seen() <= s.Attention.Retrieval.Rows {
		return n
	}
	r, unsealed := s.Attention.Retrieval, s.Cache.Unsealed()
	opened := r.MostSpans(unsealed) // which may be more than there are pages
	if slices.ContainsFunc(s.model.layers, func(l layer) bool { return l.local() }) {
		return max(n, opened) // local layers meet whole views
	}
	return max(opened, min(n, (r.Rows+unsealed)/kvcache.PageRows+1)) // all are opened at first
}
