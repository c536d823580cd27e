package fifo

import (
	"fmt"
	"math"
)

// Weights are the trained parameters of a layer's memory. Matrices are [out, in], y = W x. What is nil is not there.
type Weights struct {
	PoolNorm    []float32 // [Dim] RMS norm of rows before they are pooled
	PoolQueries []float32 // [PerChunk, Dim], of PoolQuery
	PoolKey     []float32 // [Dim, Dim], of PoolQuery: nil is the identity
	PoolValue   []float32 // [Dim, Dim] of what was pooled
	GateW       []float32 // [Dim, Dim] for GateSimple, [3·Dim, Dim] with the rows of z, r and c for GateGRU
	GateU       []float32 // of the same shape
	GateBias    []float32 // [Dim] or [3·Dim]
	SlotNorm    []float32 // [Dim] RMS norm of slots before keys and values are made of them
	Key, Value  []float32 // [Width, Dim] of slots; both nil: heads read slices of the slots as they are
}

// Layer is a layer's memory without its contents: what all sessions share. It is safe for concurrent use.
type Layer struct {
	Config
	Weights
	queries []float32 // [PerChunk, Dim]: PoolQueries·PoolKey/√Dim, so that rows are scored as they are
}

// NewLayer checks the weights against the configuration.
func NewLayer(c Config, w Weights) (*Layer, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	d, g := c.Dim, c.Gate.Matrices()
	for _, x := range []struct {
		name     string
		values   []float32
		size     int
		optional bool
	}{
		{"pooling norm", w.PoolNorm, d, true}, {"pooling value", w.PoolValue, d * d, true},
		{"gate's W", w.GateW, g * d * d, g == 0}, {"gate's U", w.GateU, g * d * d, g == 0}, {"gate's bias", w.GateBias, g * d, true},
		{"slot norm", w.SlotNorm, d, true}, {"key", w.Key, c.Width() * d, true}, {"value", w.Value, c.Width() * d, true},
		{"pooling queries", w.PoolQueries, c.queries() * d, c.Pooling != PoolQuery},
		{"pooling key", w.PoolKey, min(c.queries(), 1) * d * d, true},
	} {
		if x.values == nil && x.optional {
			continue
		}
		if len(x.values) != x.size {
			return nil, fmt.Errorf("fifo: %s: %d values, want %d", x.name, len(x.values), x.size)
		}
	}
	switch {
	case (w.Key == nil) != (w.Value == nil):
		return nil, fmt.Errorf("fifo: key and value projections come together or not at all")
	case w.Key == nil && c.Width() != d:
		return nil, fmt.Errorf("fifo: %d heads of %d cannot read slots of %d without projections", c.Heads, c.HeadDim, d)
	case w.Key == nil && w.SlotNorm != nil:
		return nil, fmt.Errorf("fifo: slots that are read as they are have no norm")
	}
	l := &Layer{Config: c, Weights: w}
	l.foldQueries()
	return l, nil
}

// queries is the number of learned queries.
func (c *Config) queries() int {
	if c.Pooling != PoolQuery {
		return 0
	}
	return c.PerChunk
}

// foldQueries uses that q·(K z) is (Kᵀq)·z: rows then need no keys.
func (l *Layer) foldQueries() {
	d := l.Dim
	l.queries = make([]float32, l.Config.queries()*d)
	scale := 1 / math.Sqrt(float64(d))
	sums := make([]float64, d)
	for i := range l.Config.queries() {
		q := l.PoolQueries[i*d : (i+1)*d]
		for j, v := range q {
			sums[j] = float64(v)
		}
		if l.PoolKey != nil {
			clear(sums)
			for o, v := range q {
				for j, k := range l.PoolKey[o*d : (o+1)*d] {
					sums[j] += float64(v) * float64(k)
				}
			}
		}
		for j, v := range sums {
			l.queries[i*d+j] = float32(v * scale)
		}
	}
}
