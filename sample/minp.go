package sample

// minP keeps the tokens whose probability is at least p times that of the most probable (Nguyen et al. 2024,
// arXiv:2407.01082, section 3): logit ≥ greatest logit + ln p.
type minP struct {
	logP    float64
	minKeep int
}

func newMinP(o *Options) (sampler, error) {
	if o.MinP < 0x1p-1022 {
		return nil, nil
	}
	return &minP{logPositive(o.MinP), o.MinKeep}, nil
}

func (s *minP) apply(p *pool, _ *state) {
	p.cut(p.greatest()+s.logP, max(1, s.minKeep))
}
