package kvcache

import (
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights/quant"
)

// summarizer makes the summaries of a list's blocks. A list keeps it from block to block, for the memory.
type summarizer struct {
	impl   *kernels.Implementation
	cfg    Config
	list   *list
	group  []float32 // [keyDim][KeyGroup] keys
	key    []float32 // a summary
	last   []byte    // the key of a landmark as it is stored
	row    []byte    // a summary as it is stored
	number [1]int32
}

// summarizer is the list's own.
func (l *list) summarizer(impl *kernels.Implementation, c *Cache) *summarizer {
	if l.sealing == nil {
		pool := l.summaries.blocks.pool
		l.sealing = &summarizer{cfg: c.cfg, list: l, key: make([]float32, pool.keyDim), row: make([]byte, pool.key)}
	}
	l.sealing.impl = impl
	return l.sealing
}

// seal makes a block of the next rows, or clusters of the next segment's.
func (w *summarizer) seal() error {
	if w.cfg.Index.Summary == Centroid {
		return w.cluster()
	}
	x := &w.list.summaries
	first, end := x.sealed, x.sealed+w.cfg.Index.Block
	switch w.cfg.Index.Summary {
	case Landmark:
		if err := w.takeLast(end - 1); err != nil {
			return err
		}
	case Bounds:
		w.bounds(first, end)
	default:
		w.mean(first, end)
	}
	if err := w.add(&x.blocks, w.list.dropped+first); err != nil {
		return err
	}
	x.sealed = end
	if w.cfg.Index.grouped() && x.blocks.rows%GroupBlocks == 0 {
		return w.addGroup()
	}
	return nil
}

// add appends the summary.
func (w *summarizer) add(to *part, first int) error {
	w.number[0] = int32(first)
	if err := encodeSummary(to.pool.typ, w.row, w.key); err != nil {
		return err
	}
	to.extend(w.number[:])
	to.put(to.rows-1, w.row, nil)
	return nil
}

// encodeSummary makes row the stored form of x, which is changed where it does not fit.
func encodeSummary(t quant.Type, row []byte, x []float32) error {
	if t != quant.F32 {
		for i, v := range x {
			x[i] = max(-mostHalf, min(v, mostHalf))
		}
	}
	return quant.Encode(t, row, x)
}

// each decodes the keys of rows [first, end), whole groups, and shows them group by group: [dim][KeyGroup].
func (w *summarizer) each(p *part, first, end int, f func(group []float32)) {
	for at := first; at < end; at += kernels.KeyGroup {
		pg, in := p.pages[at/PageRows], at%PageRows
		k := p.pool.key
		dim := p.pool.keyDim
		if len(w.group) < dim*kernels.KeyGroup {
			w.group = make([]float32, dim*kernels.KeyGroup)
		}
		group := w.group[:dim*kernels.KeyGroup]
		w.impl.WidenKeys(group, pg.keys[in*k:(in+kernels.KeyGroup)*k], p.pool.typ, dim, kernels.KeyGroup)
		f(group)
	}
}

// mean sets the summary to the mean of the keys of rows [first, end).
func (w *summarizer) mean(first, end int) {
	w.average(&w.list.wide, first, end)
}

func (w *summarizer) average(p *part, first, end int) {
	clear(w.key)
	w.each(p, first, end, func(group []float32) {
		for d := range w.key {
			sum := float32(0)
			for _, v := range group[d*kernels.KeyGroup:][:kernels.KeyGroup] {
				sum += v
			}
			w.key[d] += sum
		}
	})
	by := 1 / float32(end-first)
	for d := range w.key {
		w.key[d] *= by
	}
}

// bounds sets the summary to the largest and the least value of each channel of the keys of rows [first, end).
func (w *summarizer) bounds(first, end int) {
	n := w.cfg.KeyDim
	begun := false
	w.each(&w.list.wide, first, end, func(group []float32) {
		for d := range n {
			lanes := group[d*kernels.KeyGroup:][:kernels.KeyGroup]
			most, least := lanes[0], lanes[0]
			for _, v := range lanes[1:] {
				most, least = max(most, v), min(least, v)
			}
			if begun {
				most, least = max(most, w.key[d]), min(least, w.key[n+d])
			}
			w.key[d], w.key[n+d] = most, least
		}
		begun = true
	})
}

// takeLast sets the summary to the key of a row.
func (w *summarizer) takeLast(r int) error {
	p := &w.list.wide
	if w.last == nil {
		w.last = make([]byte, p.pool.key)
	}
	kernels.TakeKey(w.last, p.pool.typ, p.pool.keyDim, r%PageRows, p.pages[r/PageRows].keys)
	return quant.Decode(p.pool.typ, w.key, w.last)
}

// addGroup summarizes the last GroupBlocks blocks together.
func (w *summarizer) addGroup() error {
	x := &w.list.summaries
	first := x.blocks.rows - GroupBlocks
	if w.cfg.Index.Summary == Mean {
		w.average(&x.blocks, first, x.blocks.rows)
		return w.add(&x.groups, first)
	}
	n := w.cfg.KeyDim
	w.each(&x.blocks, first, x.blocks.rows, func(group []float32) {
		for d := range w.key {
			lanes := group[d*kernels.KeyGroup:][:kernels.KeyGroup]
			bound := lanes[0]
			for _, v := range lanes[1:] {
				if d < n {
					bound = max(bound, v)
				} else {
					bound = min(bound, v)
				}
			}
			w.key[d] = bound
		}
	})
	return w.add(&x.groups, first)
}
