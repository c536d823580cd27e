package model

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/attention"
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

// Work works out what the last token of a context of so many takes, from a cache with rows of the given type, to which it
// attends by a method, nil: as the model says; with its logits, if they are asked for.
//
// All matrices of all layers count, of experts as many as a token is given to. The output matrix, which may be the
// embedding matrix, counts with the logits. In layers with windows or chunks only the rows within these count, and of rows of
// which some are opened only these. What a model's memory holds, which is read and written, is left out, with its arithmetic: fifo's
// slots and the rows of its chunk, neural's weights and surprise, and what VariantMAC retrieves. So are norms, biases, the embedding's row, the summaries of blocks and the arithmetic
// of attention.
func (m *Model) Work(rows quant.Type, asked *attention.Method, context int, logits bool) (Work, error) {
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
	method, err := m.method(asked)
	if err != nil {
		return Work{}, err
	}
	var w Work
	for i := range m.layers {
		l := &m.layers[i]
		w.add(1, l.q, l.k, l.v, l.memoryQuery, l.memoryOutput, l.o, l.gate, l.up, l.down, l.router)
		if l.neural != nil {
			for _, matrix := range l.neural.list() {
				w.add(1, *matrix)
			}
			if l.neural.variant == VariantMAC { // these meet the token and what it retrieves, or what attention makes of it
				bytes := w.WeightBytes
				w.add(1, l.k, l.v, l.neural.q, l.neural.out, l.neural.o)
				w.WeightBytes = bytes
			}
		}
		for _, experts := range [][]linear{l.gateExperts, l.upExperts, l.downExperts} {
			w.add(float64(m.ExpertsUsed)/float64(max(1, m.Experts)), experts...)
		}
		w.CacheBytes += int64(m.KVHeads) * int64(key+value) * int64(m.rowsRead(l, method, context))
	}
	if logits {
		w.add(1, m.output)
	}
	return w, nil
}

// rowsRead is the number of rows that the last token of a context reads in a layer, for a KV head.
func (m *Model) rowsRead(l *layer, method *attention.Method, context int) int {
	if context == 0 {
		return 0
	}
	p := m.attentionParams(l, method)
	seen := min(context, p.Sees(int32(min(context-1, math.MaxInt32))))
	switch {
	case method == nil:
	case method.Landmarks != nil:
		x := method.Landmarks
		seen = min(x.Rows(context), (x.Open+1)*(x.Block+1)) // those that are opened, and the token's own block
	case method.Retrieval != nil && !l.local():
		seen = min(seen, method.Retrieval.Rows)
	}
	return seen
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
