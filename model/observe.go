package model

import (
	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
)

// watch notes the rows of the batch whose queries a policy is to observe: of each sequence's block, the last ones.
func (a *attending) watch(rows []Row) {
	a.watched = a.watched[:0]
	for first := 0; first < len(rows); {
		s, end := rows[first].Sequence, first+1
		for end < len(rows) && rows[end].Sequence == s {
			end++
		}
		if n := s.observed(end - first); n > 0 {
			a.watched = append(a.watched, tile{end - n, n})
		}
		first = end
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

// observe shows the policies how queries attend. The queries that share a KV head are shown by one thread, in order, so
// that sums over them come out the same with any number of threads.
func (p *pass) observe(l *layer) {
	if len(p.watched) == 0 {
		return
	}
	p.w.For(len(p.watched)*p.model.KVHeads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			p.observeHead(l, p.watched[at/p.model.KVHeads], at%p.model.KVHeads)
		}
	})
	p.w.Barrier()
}

func (p *pass) observeHead(l *layer, t tile, head int) {
	m, s := p.model, p.batch[t.first].Sequence
	q, view := p.queries(l, t, head)
	needs := s.Eviction.Needs()
	limit := -1
	if needs.Past {
		limit = s.Cache.Len(l.index, head) - (s.Cache.Seen() - p.before[s].seen)
	}
	policy, rows := s.Eviction.Policy(), s.Cache.RowsOf(l.index, head)
	query := kvcache.Query{Of: t.rows, Group: m.Heads / m.KVHeads}
	attention.Weights(p.impl, &q, &view, limit, &p.params, p.attn, func(i, h int, weights []float32) {
		query.Position, query.Number, query.Head = q.Positions[i], i, h
		query.Vector = q.Q[i*q.QStride+h*m.KeyDim:][:m.KeyDim]
		policy.Observe(&rows, &query, weights)
	})
}
