package kvcache

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// prune takes the channels that were not chosen from the keys of the first n of the rows that have them all. A page of
// theirs goes as soon as none of its rows is left in it.
func (l *list) prune(n int) error {
	if err := l.narrow.reserve(l.narrow.needs(n)); err != nil {
		return fmt.Errorf("kvcache: pruned keys: %w", err)
	}
	grown, moved, err := l.narrow.rows, 0, error(nil)
	for moved < n {
		source, from, to := l.wide.pages[moved/PageRows], moved%PageRows, l.narrow.rows%PageRows
		some := min(n-moved, PageRows-from, PageRows-to)
		pg := l.narrow.writable(l.narrow.rows/PageRows, to)
		if err = l.narrow.takeChannels(pg, to, source, from, some, l.wide.pool.keyDim, l.channels); err != nil {
			l.narrow.cut(l.narrow.rows)
			break
		}
		moved, l.narrow.rows = moved+some, l.narrow.rows+some
		if moved%PageRows == 0 {
			l.wide.pool.give(source)
			l.wide.pages[moved/PageRows-1] = nil
		}
	}
	l.wide.drop(moved)
	l.refresh(grown)
	return err
}

// takeChannels makes n rows of a page whose keys have dim channels rows of another page, of this part, without the channels
// that are not named. Halves and floats keep their bits; keys in blocks, whose scales stand for other channels then, are
// encoded anew.
func (p *part) takeChannels(pg *page, to int, source *page, from, n, dim int, channels []int32) error {
	if p.pool.typ.BlockLen() == 1 {
		gather(pg.keys, to, source.keys, from, n, p.pool.typ.BlockBytes(), dim, channels)
	} else if err := p.encode(pg.keys, to, source.keys, from, n, dim, channels); err != nil {
		return err
	}
	v := p.pool.value
	copy(pg.values[to*v:(to+n)*v], source.values[from*v:])
	copy(pg.positions[to:to+n], source.positions[from:])
	return nil
}

// gather copies keys [from, from+n) whose values have size bytes each: runs of keys that lie side by side in a group here
// and there.
func gather(dst []byte, to int, src []byte, from, n, size, dim int, channels []int32) {
	const group = kernels.KeyGroup
	for n > 0 {
		some := min(n, group-from%group, group-to%group)
		d := (to/group*len(channels)*group + to%group) * size
		s := (from/group*dim*group + from%group) * size
		for i, c := range channels {
			copy(dst[d+i*group*size:][:some*size], src[s+int(c)*group*size:])
		}
		from, to, n = from+some, to+some, n-some
	}
}

// encode is gather for types that are stored in blocks.
func (p *part) encode(dst []byte, to int, src []byte, from, n, dim int, channels []int32) error {
	size, err := p.pool.typ.RowBytes(dim)
	if err != nil {
		return err
	}
	whole, wide := make([]byte, size), make([]float32, dim)
	row, narrow := make([]byte, p.pool.key), make([]float32, len(channels))
	for i := range n {
		kernels.TakeKey(whole, p.pool.typ, dim, from+i, src)
		if err := quant.Decode(p.pool.typ, wide, whole); err != nil {
			return fmt.Errorf("kvcache: pruned keys: %w", err)
		}
		for j, c := range channels {
			narrow[j] = max(-mostHalf, min(wide[c], mostHalf)) // decoding may have rounded up
		}
		if err := quant.Encode(p.pool.typ, row, narrow); err != nil {
			return fmt.Errorf("kvcache: pruned keys: %w", err)
		}
		kernels.PutKey(dst, p.pool.typ, p.pool.keyDim, to+i, row)
	}
	return nil
}
