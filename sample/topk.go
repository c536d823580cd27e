package sample

// topK keeps the k greatest logits (Fan et al. 2018, arXiv:1805.04833, section 5.4).
type topK struct{ k int }

func newTopK(o *Options) (sampler, error) {
	if o.TopK == 0 {
		return nil, nil
	}
	return &topK{max(o.TopK, o.MinKeep)}, nil
}

func (s *topK) apply(p *pool, _ *state) { p.top(s.k) }
