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
	first := s.Eviction.Needs().Packed && !s.packed()
	err = r.eachLayer(func(layer int) (err error) {
		if first {
			if err := r.unrotate(s, layer); err != nil {
				return err
			}
		}
		counts[layer], err = s.Eviction.Evict(s.Cache, layer, room)
		return err
	})
	s.Cache.Evicted()
	for _, n := range counts {
		dropped += int64(n)
	}
	return dropped, err
}

// unrotate takes the keys of a layer back to what they were before RoPE: from now on they are rotated when they are attended
// to.
func (r *Runner) unrotate(s *Sequence, layer int) error {
	pairs := len(s.rope.divisors)
	cos, sin := make([]float32, pairs), make([]float32, pairs)
	rotate := r.impl.RopePairs
	if s.model.Rope.Halves {
		rotate = r.impl.RopeHalves
	}
	by := float32(1 / (s.rope.magnitude * s.rope.magnitude))
	for h := range s.model.KVHeads {
		err := s.Cache.ChangeKeys(layer, h, func(position int32, key []float32) {
			s.rope.angles(position, cos, sin)
			for i := range cos {
				cos[i], sin[i] = cos[i]*by, -sin[i]*by
			}
			rotate(key, cos, sin)
		})
		if err != nil {
			return err
		}
	}
	return nil
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
