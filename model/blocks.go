package model

import (
	"slices"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
)

// sealing has the threads make blocks of what sequences have read, a KV head each.
type sealing struct {
	runner    *Runner
	sequences []*Sequence
}

// seal makes blocks of the rows of the batch's sequences that are no longer among the newest.
func (r *Runner) seal(rows []Row) error {
	work := &r.sealing
	work.runner, work.sequences = r, work.sequences[:0]
	for first := 0; first < len(rows); first = runEnd(rows, first) {
		s := rows[first].Sequence
		if s == nil || s.model != r.model || slices.Contains(work.sequences, s) {
			continue // rows of several sequences may alternate, and threads work on what is listed at once
		}
		leave, step := s.leaves()
		if n := s.Cache.Unsealed(); step > 0 && (n >= leave+step || n < leave && s.Cache.Sealed() > 0) {
			work.sequences = append(work.sequences, s)
		}
	}
	if len(work.sequences) == 0 {
		return nil
	}
	r.failure.Store(nil)
	defer clear(work.sequences) // they belong to the caller
	if _, err := r.team.Run(work, nil); err != nil {
		return err
	}
	if err := r.failure.Load(); err != nil {
		return *err
	}
	for _, s := range work.sequences {
		s.Cache.DropOld()
	}
	return nil
}

// sealOne makes blocks of the rows of a sequence, as a batch with it would.
func (r *Runner) sealOne(s *Sequence) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seal([]Row{{Sequence: s}})
}

// Work is one thread's share.
func (b *sealing) Work(w *kernels.Worker) {
	m := b.runner.model
	heads := m.Layers * m.KVHeads
	w.For(len(b.sequences)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			s, head := b.sequences[at/heads], at%heads
			if b.runner.layers[head/m.KVHeads].local() {
				continue // whose queries find the few rows that they see without blocks, in the order of the text
			}
			leave, _ := s.leaves()
			if err := s.Cache.Seal(b.runner.impl, head/m.KVHeads, head%m.KVHeads, leave); err != nil {
				b.runner.fail(err)
			}
		}
	})
}

// leaves is how many of the newest rows are left in no block, and how many at a time become blocks; 0: none do.
func (s *Sequence) leaves() (leave, step int) {
	if s.Attention == nil || !slices.ContainsFunc(s.model.layers, func(l layer) bool { return !l.local() }) {
		return 0, 0
	}
	x := s.Attention.Index()
	if r := s.Attention.Retrieval; r != nil {
		if leave = r.Local; s.Cache.MostRows() < r.Rows {
			leave = s.Cache.MostRows() // all are opened, in the order of the text
		}
	}
	return leave, max(x.Block, x.Segment)
}

// weighMass works out how much of the attention of a sequence's last query the rows that it opens hold, where that is asked
// for.
func (p *pass) weighMass(l *layer) {
	m := p.model
	n := len(p.weighed) * m.KVHeads
	if n == 0 {
		return
	}
	group := m.Heads / m.KVHeads
	p.w.For(n, 1, func(from, to int) {
		for at := from; at < to; at++ {
			t, h := tile{first: p.weighed[at/m.KVHeads], rows: 1}, at%m.KVHeads
			s := p.batch[t.first].Sequence
			mass := s.Mass[l.index*m.Heads+h*group:][:group]
			if s.landmarks != nil {
				p.weighLandmarks(l, t.first, h, mass)
				continue
			}
			q, view := p.queries(l, t, h)
			p.open(l, t, h, &q, &view, &p.opened)
			page := max(aroundBytes, kvcache.PageRows*(view.KeyBytes+view.ValueBytes))
			attention.Mass(p.impl, &q, &view, &p.opened, &p.params, p.attn, mass, func(spans int) { p.passed(s, spans*page) })
		}
	})
	p.w.Barrier()
}

// weigh notes the rows of a batch whose attention is to be weighed: that of each sequence's last token, if it asks for that.
func (a *attending) weigh(m *Model, rows []Row) {
	a.weighed = a.weighed[:0]
	for i := range rows {
		s := rows[i].Sequence
		if s.Mass != nil && (i+1 == len(rows) || rows[i+1].Sequence != s) {
			kernels.Grow(&s.Mass, m.Layers*m.Heads)
			last := i
			if landmark, ok := s.Landmark(); ok && rows[i].Token == landmark && i > 0 && rows[i-1].Sequence == s {
				last--
			}
			a.weighed = append(a.weighed, last)
		}
	}
}
