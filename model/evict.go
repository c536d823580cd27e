package model

import (
	"errors"
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
)

// Evict drops rows of a sequence until there is room for so many more per KV head within the budget of its policy, and
// returns how many went, over all layers and heads.
func (r *Runner) Evict(s *Sequence, room int) (dropped int64, err error) {
	if s.Eviction == nil || !s.Eviction.Over(s.Cache, room) {
		return 0, nil
	}
	if err := r.owns(s); err != nil {
		return 0, err
	}
	counts := make([]int, s.model.Layers)
	err = r.eachLayer(func(layer int) (err error) {
		counts[layer], err = s.Eviction.Evict(s.Cache, layer, room)
		return err
	})
	s.Cache.Evicted()
	for _, n := range counts {
		dropped += int64(n)
	}
	return dropped, err
}

// Prune prunes the keys of a sequence's old rows, if its policy does and there are enough of them.
func (r *Runner) Prune(s *Sequence) error {
	if s.Eviction == nil || !s.Eviction.Old(s.Cache) {
		return nil
	}
	if err := r.owns(s); err != nil {
		return err
	}
	err := r.eachLayer(func(layer int) error { return s.Eviction.Prune(s.Cache, layer) })
	s.Eviction.Pruned(s.Cache)
	return err
}

// owns returns an error unless a sequence is one of the runner's model.
func (r *Runner) owns(s *Sequence) error {
	if s.model != r.model {
		return fmt.Errorf("model: the sequence belongs to another model")
	}
	return nil
}

// eachLayer calls f for all layers: the threads work on a layer each.
func (r *Runner) eachLayer(f func(layer int) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	each := &layerwise{f: f, errors: make([]error, r.model.Layers)}
	if _, err := r.team.Run(each, nil); err != nil {
		return err
	}
	return errors.Join(each.errors...)
}

// layerwise is work on one layer after the other.
type layerwise struct {
	f      func(layer int) error
	errors []error
}

// Work is one thread's share.
func (e *layerwise) Work(w *kernels.Worker) {
	w.For(len(e.errors), 1, func(from, to int) {
		for l := from; l < to; l++ {
			e.errors[l] = e.f(l)
		}
	})
}
