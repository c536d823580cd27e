package kvcache

import "fmt"

// PutStored fills rows from row first on, of one layer and KV head, with keys and values in their stored form: whole
// rows of the cache's type, as many keys as values. The rows must have been appended.
func (c *Cache) PutStored(layer, head, first int, keys, values []byte) error {
	n := len(keys) / c.keyBytes
	if len(keys) != n*c.keyBytes || len(values) != n*c.valBytes {
		return fmt.Errorf("kvcache: %d bytes of keys and %d of values are not as many rows of %d and %d", len(keys), len(values), c.keyBytes, c.valBytes)
	}
	if first < 0 || first > c.rows || n > c.rows-first || layer < 0 || layer >= c.cfg.Layers || head < 0 || head >= c.cfg.Heads {
		return fmt.Errorf("kvcache: no %d rows from %d on of head %d in layer %d", n, first, head, layer)
	}
	for row := first; len(keys) > 0; {
		k, v := c.head(c.pages[row/PageRows], layer, head)
		at := row % PageRows
		n := copy(k[at*c.keyBytes:], keys) / c.keyBytes
		copy(v[at*c.valBytes:], values[:n*c.valBytes])
		keys, values, row = keys[n*c.keyBytes:], values[n*c.valBytes:], row+n
	}
	return nil
}
