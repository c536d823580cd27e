package model

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// noiseDeviation is the standard deviation of the noise of Fill: attention over it is spread out evenly.
const noiseDeviation = 1. / 16

// Fill gives an empty sequence rows of noise, at positions 0 to rows−1, without a forward pass: for measurements that
// depend on how much there is in the cache, not on what. The noise is the same each time. If the sequence has a budget,
// rows are dropped after every block, and how many is returned; the policy has observed nothing. If it opens a part of its
// rows, the others are in blocks, as before the next batch. Its memories took in noise as well. On an error the sequence stays
// empty.
func (r *Runner) Fill(s *Sequence, rows, block int) (dropped int64, err error) {
	if n := s.Cache.Seen(); n > 0 {
		return 0, fmt.Errorf("model: noise is for an empty sequence, this one has %d rows", n)
	}
	if rows == 0 {
		return 0, nil
	}
	if rows < 0 || rows > math.MaxInt32 {
		return 0, fmt.Errorf("model: a past of %d rows: want none, or as many as positions can count", rows)
	}
	if block < 1 {
		return 0, fmt.Errorf("model: blocks of %d rows", block)
	}
	if s.Eviction == nil || !s.Eviction.Needs().Packed {
		if err := s.fits(int32(rows - 1)); err != nil {
			return 0, err
		}
	}
	dropped, err = r.fill(s, rows, block)
	if err == nil {
		err = r.sealOne(s)
	}
	if err == nil {
		err = r.fillMemories(s, rows)
	}
	if err != nil {
		if err := s.Truncate(0); err != nil {
			return 0, err
		}
	}
	return dropped, err
}

func (r *Runner) fill(s *Sequence, rows, block int) (dropped int64, err error) {
	noise, err := newNoise(s.Cache.Config())
	if err != nil {
		return 0, err
	}
	for first := 0; first < rows; {
		n := min(kvcache.PageRows, rows-first, block-first%block)
		if err := noise.fill(s.Cache, first, n); err != nil {
			return dropped, err
		}
		if first += n; first%block != 0 && first < rows {
			continue
		}
		s.Cache.DropUnseen()
		gone, err := r.Evict(s, 0)
		if err != nil {
			return dropped, err
		}
		dropped += gone
	}
	return dropped, nil
}

// noise is two pages' worth of random rows in their stored form, of which each page of a head takes a stretch.
type noise struct {
	keys, values       []byte // [2·PageRows rows]
	keyBytes, valBytes int
}

func newNoise(c kvcache.Config) (*noise, error) {
	rng := rand.New(rand.NewPCG(2, 7))
	var n noise
	var err error
	if n.keys, err = randomRows(rng, c.Type, c.KeyDim); err != nil {
		return nil, err
	}
	if n.values, err = randomRows(rng, c.Type, c.ValueDim); err != nil {
		return nil, err
	}
	n.keyBytes, n.valBytes = len(n.keys)/(2*kvcache.PageRows), len(n.values)/(2*kvcache.PageRows)
	return &n, nil
}

func randomRows(rng *rand.Rand, t quant.Type, dim int) ([]byte, error) {
	x := make([]float32, 2*kvcache.PageRows*dim)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * noiseDeviation)
	}
	bytes, err := t.RowBytes(dim)
	if err != nil {
		return nil, err
	}
	rows := make([]byte, 2*kvcache.PageRows*bytes)
	return rows, quant.Encode(t, rows, x)
}

// fill appends rows [first, first+n), no more than a page's.
func (n *noise) fill(c *kvcache.Cache, first, rows int) error {
	positions := make([]int32, rows)
	for i := range positions {
		positions[i] = int32(first + i)
	}
	if _, err := c.Append(positions); err != nil {
		return err
	}
	for l := range c.Config().Layers {
		for h := range c.Config().Heads {
			from := (first/kvcache.PageRows*31 + l*17 + h*7) % kvcache.PageRows
			keys, values := n.keys[from*n.keyBytes:], n.values[from*n.valBytes:]
			if err := c.Put(l, h, first, keys[:rows*n.keyBytes], values[:rows*n.valBytes]); err != nil {
				return err
			}
		}
	}
	return nil
}
