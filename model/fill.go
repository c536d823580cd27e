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
// depend on how much there is in the cache, not on what. The noise is the same each time. On an error the sequence
// stays empty.
func (s *Sequence) Fill(rows int) error {
	if n := s.Cache.Len(); n > 0 {
		return fmt.Errorf("model: noise is for an empty sequence, this one has %d rows", n)
	}
	if rows == 0 {
		return nil
	}
	if rows < 0 || rows > math.MaxInt32 {
		return fmt.Errorf("model: a past of %d rows: want none, or as many as positions can count", rows)
	}
	if err := s.fits(int32(rows - 1)); err != nil {
		return err
	}
	noise, err := newNoise(s.Cache.Config())
	if err != nil {
		return err
	}
	for first := 0; first < rows; first += kvcache.PageRows {
		if err := noise.fillPage(s.Cache, first, min(kvcache.PageRows, rows-first)); err != nil {
			return s.empty(err)
		}
	}
	return nil
}

func (s *Sequence) empty(cause error) error {
	if err := s.Cache.Truncate(0); err != nil {
		return err
	}
	return cause
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

// fillPage appends rows [first, first+n).
func (n *noise) fillPage(c *kvcache.Cache, first, rows int) error {
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
