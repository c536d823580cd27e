package model

import "github.com/mneme-lm/mneme/attention"

// residentBytes is about how much of a store queries may bring into the process's memory before it is released again: many
// times what the queries of a token open, little beside the weights of a model.
const residentBytes = 48 << 20

// aroundBytes is what comes into memory with a piece that is read: systems map what lies around it at the same time.
const aroundBytes = 64 << 10

// touch notes what queries open of rows that lie in a store, and has what the system may have to read from the disk read
// ahead.
func (p *pass) touch(s *Sequence, opened *attention.Opened) {
	store := s.Cache.Store()
	if store == nil {
		return
	}
	view, cold := &opened.View, store.Cold()
	bytes := int64(0)
	p.ahead = p.ahead[:0]
	for i := range view.Spans {
		span := &view.Spans[i]
		bytes += max(aroundBytes, int64(len(span.Keys)+len(span.Values)))
		if cold {
			p.ahead = append(p.ahead, span.Keys, span.Values)
		}
	}
	p.passed(s, int(bytes))
	if cold {
		store.Ahead(p.ahead...)
		clear(p.ahead)
	}
}

// releaseStores releases the stores of which enough has been brought into memory: one thread does, between two layers.
func (p *pass) releaseStores() {
	if p.w.ID != 0 {
		return
	}
	for s := range p.before {
		p.passed(s, 0)
	}
}

// passed notes that so many more bytes of a store have been brought into memory, and releases it if that is enough. Others
// who bring in more wait for that.
func (p *pass) passed(s *Sequence, bytes int) {
	store := s.Cache.Store()
	if store == nil || s.touched.Add(int64(bytes)) < residentBytes {
		return
	}
	s.releasing.Lock()
	defer s.releasing.Unlock()
	if s.touched.Load() < residentBytes {
		return // somebody else was here first
	}
	if err := store.Release(); err != nil {
		p.fail(err)
	}
	s.touched.Store(0)
}
