package kvcache

import (
	"cmp"
	"slices"
	"sort"
	"sync"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache/cluster"
)

// clustering is memory for the clusters of a segment.
type clustering struct {
	kernels  kernels.Scratch
	clusters *cluster.Scratch
	keys     []float32 // of the segment, [rows/KeyGroup][dim][KeyGroup]
	sums     []float32 // [clusters, kernels.ValueWidth(dim)]: of the values of each
	key      []float32 // a summary

	first      []int32 // [clusters]: the number of the first row of each
	keyBytes   []byte  // [clusters]: the means of the keys as they are stored
	valueBytes []byte  // and those of the values
}

// clusterings are lent to those who cluster: they take much more memory than what other summaries need, and are used
// less often.
var clusterings = sync.Pool{New: func() any {
	m := new(clustering)
	m.clusters = cluster.NewScratch(&m.kernels)
	return m
}}

// cluster brings the next segment's rows into clusters: the rows of one become neighbours, in the order of their positions.
func (w *summarizer) cluster() error {
	m := clusterings.Get().(*clustering)
	defer clusterings.Put(m)
	l, x, n := w.list, &w.list.summaries, w.cfg.Index.Segment
	found, err := m.find(w, x.sealed, n)
	if err != nil {
		return err
	}
	if err := m.encode(found, x.sealed, w.cfg.ValueDim, x.blocks.pool); err != nil {
		return err
	}
	had := x.blocks.rows
	x.blocks.extend(m.first)
	x.blocks.put(had, m.keyBytes, m.valueBytes)
	l.wide.reorder(x.sealed, found.Members)
	l.refresh(x.sealed)
	x.sealed += n
	return nil
}

// find returns the clusters of the n rows from number first on, which are in the order of their positions, and sums up their
// values.
func (m *clustering) find(w *summarizer, first, n int) (*cluster.Clusters, error) {
	p, c := &w.list.wide, &w.cfg
	kernels.Grow(&m.keys, n*c.KeyDim)
	err := p.pieces(first, n, func(keys, _ []byte, at, rows int) error {
		w.impl.WidenKeys(m.keys[at*c.KeyDim:][:rows*c.KeyDim], keys, c.Type, c.KeyDim, rows)
		return nil
	})
	if err != nil {
		return nil, err
	}
	found, err := m.clusters.KMeans(w.impl, m.keys, n, c.KeyDim, n/c.Index.Block)
	if err != nil {
		return nil, err
	}
	clear(kernels.Grow(&m.sums, found.Len()*kernels.ValueWidth(c.ValueDim)))
	return found, p.pieces(first, n, func(_, values []byte, at, _ int) error {
		return found.SumValues(w.impl, m.sums, values, c.Type, c.ValueDim, at, &m.kernels)
	})
}

// encode makes the summaries of clusters of the rows from number first on what a pool's pages hold.
func (m *clustering) encode(found *cluster.Clusters, first, valueDim int, pool *pool) error {
	n, width := found.Len(), kernels.ValueWidth(valueDim)
	kernels.Grow(&m.first, n)
	kernels.Grow(&m.keyBytes, n*pool.key)
	kernels.Grow(&m.valueBytes, n*pool.value)
	for j := range n {
		m.first[j] = int32(first) + found.First[j]
		m.key = append(m.key[:0], found.Centroid(j)...)
		mean := m.sums[j*width:][:valueDim]
		for i := range mean {
			mean[i] /= float32(found.Size(j))
		}
		if err := encodeSummary(pool.typ, m.keyBytes[j*pool.key:][:pool.key], m.key); err != nil {
			return err
		}
		if err := encodeSummary(pool.typ, m.valueBytes[j*pool.value:][:pool.value], mean); err != nil {
			return err
		}
	}
	return nil
}

// pieces shows the n rows from number first on, the beginning of a group of keys, page by page: so many of them, the first one
// being number at of the n.
func (p *part) pieces(first, n int, f func(keys, values []byte, at, rows int) error) error {
	k, v := p.pool.key, p.pool.value
	for at := 0; at < n; {
		pg, in := p.pages[(first+at)/PageRows], (first+at)%PageRows
		rows := min(PageRows-in, n-at)
		if err := f(pg.keys[in*k:(in+rows)*k], pg.values[in*v:(in+rows)*v], at, rows); err != nil {
			return err
		}
		at += rows
	}
	return nil
}

// uncluster forgets the clusters of segments with rows beyond the first n. The first rows, those that stay, are brought back
// into the order of their positions.
func (l *list) uncluster(n, stay int) {
	x, c := &l.summaries, l.cfg.Index
	first := c.Sinks + max(0, n-c.Sinks)/c.Segment*c.Segment
	for at := first; at < min(stay, x.sealed); at += c.Segment {
		l.sort(at, c.Segment)
	}
	blocks := sort.Search(x.blocks.rows, func(i int) bool { return int(x.blocks.position(i)) >= first })
	x.cut(blocks, first)
}

// sort brings rows into the order of their positions.
func (l *list) sort(first, rows int) {
	order := make([]int32, rows)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Compare(l.wide.position(first+int(a)), l.wide.position(first+int(b)))
	})
	l.wide.reorder(first, order)
	l.refresh(first)
}
