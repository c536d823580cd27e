package kvcache

import "github.com/mneme-lm/mneme/kernels"

// Tail is a copy of a cache's newest rows.
type Tail struct {
	first        int // number of the first of them
	positions    []int32
	keys, values [][]byte // of each layer and KV head, in their stored form
}

// Tail copies the rows from number first on, of a cache that prunes no keys.
func (c *Cache) Tail(first int) *Tail {
	n := c.seen - first
	t := &Tail{first: first}
	for i := range c.lists {
		p := &c.lists[i].wide
		keys, values := make([]byte, n*c.wide.key), make([]byte, n*c.wide.value)
		for j := range n {
			row := p.rows - n + j
			pg, at := p.pages[row/PageRows], row%PageRows
			kernels.TakeKey(keys[j*c.wide.key:(j+1)*c.wide.key], c.wide.typ, c.wide.keyDim, at, pg.keys)
			copy(values[j*c.wide.value:], pg.values[at*c.wide.value:(at+1)*c.wide.value])
			if i == 0 {
				t.positions = append(t.positions, pg.positions[at])
			}
		}
		t.keys, t.values = append(t.keys, keys), append(t.values, values)
	}
	return t
}

// Replace puts a tail back in place of the rows that there are from the same number on.
func (c *Cache) Replace(t *Tail) error {
	if err := c.Truncate(t.first); err != nil {
		return err
	}
	if _, err := c.Append(t.positions); err != nil {
		return err
	}
	for i := range c.lists {
		if err := c.Put(i/c.cfg.Heads, i%c.cfg.Heads, t.first, t.keys[i], t.values[i]); err != nil {
			return err
		}
	}
	return nil
}
