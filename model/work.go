package model

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Work is what a token on its own makes a processor do at the least: what must come from memory, and the arithmetic of
// the matrix products. An operation is a multiplication or an addition.
type Work struct {
	WeightBytes int64 // of the matrices that the token is multiplied by, as they are stored
	CacheBytes  int64 // of the keys and values that it attends to, its own among them
	Int8Ops     int64 // of products with block types, whose kernels multiply 8-bit integers
	FloatOps    int64 // of products with float types
}

// Work works out what a token takes that attends to a context of so many tokens, itself included, from a cache with
// rows of the given type; with its logits, if they are asked for.
//
// All matrices of all layers count, of experts as many as a token is given to. The output matrix, which may be the
// embedding matrix, counts with the logits. In layers with a sliding window only the rows within it count. Norms, biases,
// the embedding's row and the arithmetic of attention are left out.
func (m *Model) Work(rows quant.Type, context int, logits bool) (Work, error) {
	if context < 0 {
		return Work{}, fmt.Errorf("model: a context of %d tokens", context)
	}
	key, err := rows.RowBytes(m.KeyDim)
	if err != nil {
		return Work{}, err
	}
	value, err := rows.RowBytes(m.ValueDim)
	if err != nil {
		return Work{}, err
	}
	var w Work
	for i := range m.layers {
		l := &m.layers[i]
		w.add(1, l.q, l.k, l.v, l.o, l.gate, l.up, l.down, l.router)
		for _, experts := range [][]linear{l.gateExperts, l.upExperts, l.downExperts} {
			w.add(float64(m.ExpertsUsed)/float64(max(1, m.Experts)), experts...)
		}
		seen := context
		if l.window > 0 {
			seen = min(seen, l.window)
		}
		w.CacheBytes += int64(m.KVHeads) * int64(key+value) * int64(seen)
	}
	if logits {
		w.add(1, m.output)
	}
	return w, nil
}

// add counts a share of the matrices given.
func (w *Work) add(share float64, matrices ...linear) {
	var bytes, int8Ops, floatOps int64
	for i := range matrices {
		l := &matrices[i]
		bytes += int64(len(l.Data))
		ops := 2 * int64(l.Rows) * int64(l.Cols)
		if kernels.FormOf(l.Type)&kernels.FormQ8 != 0 {
			int8Ops += ops
		} else {
			floatOps += ops
		}
	}
	w.WeightBytes += int64(share * float64(bytes))
	w.Int8Ops += int64(share * float64(int8Ops))
	w.FloatOps += int64(share * float64(floatOps))
}
