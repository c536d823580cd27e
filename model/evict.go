package model

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
)

// Evict drops rows of a sequence until there is room for so many more per KV head within the budget of its policy, and
// returns how many went, over all layers and heads. The threads work on a layer each.
func (r *Runner) Evict(s *Sequence, room int) (dropped int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.model != r.model {
		return 0, fmt.Errorf("model: the sequence belongs to another model")
	}
	if s.Eviction == nil || !s.Eviction.Over(s.Cache, room) {
		return 0, nil
	}
	e := &evicting{sequence: s, room: room, dropped: make([]int, r.model.Layers), errors: make([]error, r.model.Layers)}
	if _, err := r.team.Run(e, nil); err != nil {
		return 0, err
	}
	s.Cache.Evicted()
	for l, n := range e.dropped {
		dropped += int64(n)
		if err == nil {
			err = e.errors[l]
		}
	}
	return dropped, err
}

// evicting is one round of eviction.
type evicting struct {
	sequence *Sequence
	room     int
	dropped  []int // per layer
	errors   []error
}

// Work is one thread's share.
func (e *evicting) Work(w *kernels.Worker) {
	s := e.sequence
	w.For(s.model.Layers, 1, func(from, to int) {
		for l := from; l < to; l++ {
			e.dropped[l], e.errors[l] = s.Eviction.Evict(s.Cache, l, e.room)
		}
	})
}
