package model

import "github.com/mneme-lm/mneme/kernels"

// columns are the cosines and sines of the positions from 0 on, for keys that are stored before RoPE: [pairs][stride].
type columns struct {
	cos, sin []float32
	stride   int
}

// turnColumns is the number of columns for so many positions. Attention works on whole groups of keys, and reads as many
// positions beyond the last. The odd number of groups keeps columns out of each other's cache lines.
func turnColumns(positions int) int {
	groups := positions/kernels.KeyGroup + 2
	return (groups | 1) * kernels.KeyGroup
}

// turn makes columns for at least so many positions.
func (r *Runner) turn(rope *ropeTable, positions int) {
	c := r.turns[rope]
	need := turnColumns(positions)
	if c != nil && c.stride >= need {
		return
	}
	if c != nil {
		need = max(need, turnColumns(c.stride+c.stride/4))
	}
	pairs := len(rope.divisors)
	c = &columns{cos: make([]float32, pairs*need), sin: make([]float32, pairs*need), stride: need}
	cos, sin := make([]float32, pairs), make([]float32, pairs)
	for pos := range need {
		rope.angles(int32(pos), cos, sin)
		for i := range pairs {
			c.cos[i*need+pos], c.sin[i*need+pos] = cos[i], sin[i]
		}
	}
	r.turns[rope] = c
}

// turned is how the keys of a layer and KV head are rotated when they are attended to; nil: they are stored so.
func (p *pass) turned(s *Sequence, layer, head int, turn *kernels.Turn) *kernels.Turn {
	if !s.packed() {
		return nil
	}
	from, c := p.before[s], p.turns[s.rope]
	had := s.Cache.Len(layer, head) - (s.Cache.Seen() - from.seen)
	*turn = kernels.Turn{
		Cos: c.cos, Sin: c.sin, Stride: c.stride, Pairs: len(s.rope.divisors), First: from.base - had, Halves: p.model.Rope.Halves,
	}
	return turn
}
