package sample

import "errors"

// topP is nucleus sampling (Holtzman et al. 2019, arXiv:1904.09751, section 3.1): it keeps the most probable tokens,
// as few as together have a probability of at least p.
type topP struct {
	p       float64
	minKeep int
}

func newTopP(o *Options) (sampler, error) {
	if o.TopP == 0 {
		return nil, errors.New("top_p is 0, want above 0 and at most 1, which keeps all tokens")
	}
	if o.TopP == 1 {
		return nil, nil
	}
	return &topP{o.TopP, o.MinKeep}, nil
}

func (s *topP) apply(p *pool, _ *state) {
	p.weigh()
	p.keepFirst(reach{weight: s.p * p.total, count: s.minKeep})
}
