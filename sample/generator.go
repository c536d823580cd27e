package sample

import (
	"encoding/binary"
	"math/rand/v2"
)

// newGenerator returns ChaCha8 keyed with a seed, as the package's documentation says.
func newGenerator(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// uniform returns a number in [0, 1), a multiple of 2^-53.
func (s *state) uniform() float64 {
	return float64(s.rng.Uint64()>>11) * 0x1p-53
}

// draw returns the index of the first candidate at which the running sum of weights exceeds u × total, for u in
// [0, 1). The list must be weighed. Its time is the length of the list.
func (p *pool) draw(u float64) int {
	target := u * p.total
	sum, last := 0.0, 0
	for i := range p.list {
		w := p.list[i].Prob
		if w == 0 {
			continue
		}
		sum += w
		if sum > target {
			return i
		}
		last = i
	}
	return last // u × total was rounded up to the total
}
