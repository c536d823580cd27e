package model

import (
	"slices"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// watch notes the rows of the batch whose queries a policy is to observe, or channels are to be chosen by: of each
// sequence's block, the last ones.
func (a *attending) watch(rows []Row) {
	a.watched, a.noted = a.watched[:0], a.noted[:0]
	for first := 0; first < len(rows); {
		s, end := rows[first].Sequence, runEnd(rows, first)
		if n := s.observed(end - first); n > 0 {
			a.watched = append(a.watched, tile{first: end - n, rows: n})
		}
		if n := s.noted(end - first); n > 0 {
			a.noted = append(a.noted, tile{first: end - n, rows: n})
		}
		first = end
	}
}

// keep has the scores kept of queries that attend by themselves and are observed, as in decoding: their keys are as good as
// read twice otherwise.
func (a *attending) keep(m *Model, rows []Row) {
	most, n := 0, 0
	for i := range a.watched {
		w := &a.watched[i]
		at := slices.IndexFunc(a.tiles, func(t tile) bool { return t.first == w.first && t.rows == 1 })
		if w.rows != 1 || at < 0 {
			continue
		}
		n++
		w.kept, a.tiles[at].kept = n, n
		most = max(most, rows[w.first].Sequence.Cache.MostRows())
	}
	if most > 0 {
		a.keptStride = kernels.WholeGroups(most)
		kernels.Grow(&a.kept, n*m.Heads*a.keptStride)
	}
}

// observed is how many of a block's queries the sequence's policy wants to see.
func (s *Sequence) observed(block int) int {
	if s.Eviction == nil {
		return 0
	}
	if _, probes := s.Eviction.Policy().(kvcache.Prober); probes && !s.Probing {
		return 0
	}
	return min(block, s.Eviction.Needs().Queries)
}

// noted is how many of a block's queries are noted, to choose by them which channels keys keep. A text that will be taken
// out again does not count.
func (s *Sequence) noted(block int) int {
	if s.Eviction == nil || s.Probing {
		return 0
	}
	return min(block, s.Eviction.Queries(s.Cache))
}

// observe shows the policies how queries attend, and notes queries. Those that share a KV head are shown by one thread, in
// order, so that sums over them come out the same with any number of threads.
func (p *pass) observe(l *layer) {
	heads := p.model.KVHeads
	watched := len(p.watched) * heads
	n := watched + len(p.noted)*heads
	if n == 0 {
		return
	}
	p.w.For(n, 1, func(from, to int) {
		for at := from; at < to; at++ {
			if at < watched {
				p.observeHead(l, p.watched[at/heads], at%heads)
				continue
			}
			p.noteHead(l, p.noted[(at-watched)/heads], at%heads)
		}
	})
	p.w.Barrier()
}

func (p *pass) noteHead(l *layer, t tile, head int) {
	q, _ := p.queries(l, t, head)
	p.batch[t.first].Sequence.Cache.Note(l.index, head, q.Positions, q.Q, q.QStride, q.Heads)
}

func (p *pass) observeHead(l *layer, t tile, head int) {
	m, s := p.model, p.batch[t.first].Sequence
	q, view := p.queries(l, t, head)
	needs := s.Eviction.Needs()
	limit := -1
	if needs.Past {
		limit = s.Cache.Len(l.index, head) - (s.Cache.Seen() - p.before[s].seen)
	}
	p.setParams(l, t)
	policy, rows := s.Eviction.Policy(), s.Cache.RowsOf(l.index, head)
	query := kvcache.Query{Of: t.rows, Group: m.Heads / m.KVHeads}
	attention.Weights(p.impl, &q, &view, limit, &p.params, p.attn, func(i, h int, weights []float32) {
		query.Position, query.Number, query.Head = q.Positions[i], i, h
		query.Vector = q.Q[i*q.QStride+h*m.KeyDim:][:m.KeyDim]
		policy.Observe(&rows, &query, weights)
	})
}
