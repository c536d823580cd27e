package kvcache

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// mostHalf is the largest number that a half can hold, and so a scale of a block.
const mostHalf = 65504

// ChangeKeys has f change the keys of a layer and KV head, one after the other, and stores them anew; what is more than
// halves can hold becomes the most that they can, where rows are made of these. Keys that were pruned cannot be changed.
// Different heads may be worked on at once.
func (c *Cache) ChangeKeys(layer, head int, f func(position int32, key []float32)) error {
	l := c.list(layer, head)
	if l.narrow.rows > 0 {
		return fmt.Errorf("kvcache: keys of layer %d, head %d were pruned, and cannot be changed", layer, head)
	}
	p := &l.wide
	row, key := make([]byte, p.pool.key), make([]float32, p.pool.keyDim)
	for i := range p.rows {
		pg, at := p.writable(i/PageRows, min(PageRows, p.rows-i/PageRows*PageRows)), i%PageRows
		kernels.TakeKey(row, p.pool.typ, p.pool.keyDim, at, pg.keys)
		if err := quant.Decode(p.pool.typ, key, row); err != nil {
			return fmt.Errorf("kvcache: key %d of layer %d, head %d: %w", i, layer, head, err)
		}
		f(pg.positions[at], key)
		if p.pool.typ != quant.F32 {
			for j, v := range key {
				key[j] = max(-mostHalf, min(v, mostHalf))
			}
		}
		if err := quant.Encode(p.pool.typ, row, key); err != nil {
			return fmt.Errorf("kvcache: key %d of layer %d, head %d: %w", i, layer, head, err)
		}
		kernels.PutKey(pg.keys, p.pool.typ, p.pool.keyDim, at, row)
	}
	l.refresh(0)
	return nil
}
