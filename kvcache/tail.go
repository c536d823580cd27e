package kvcache

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
		k, v := p.pool.key, p.pool.value
		keys, values := make([]byte, n*k), make([]byte, n*v)
		for j := range n {
			row := p.rows - n + j
			p.copyRow(row, keys[j*k:(j+1)*k], values[j*v:(j+1)*v])
			if i == 0 {
				t.positions = append(t.positions, p.position(row))
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
