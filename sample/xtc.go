package sample

import "errors"

// xtc excludes top choices (p-e-w, text-generation-webui pull request 6335): with the given probability, every token
// with p ≥ threshold goes, except the least probable of them.
type xtc struct {
	probability, threshold float64
	minKeep                int
}

func newXTC(o *Options) (sampler, error) {
	if o.XTCProbability == 0 || o.XTCThreshold > 0.5 {
		return nil, nil
	}
	if o.XTCThreshold == 0 {
		return nil, errors.New("xtc_threshold is 0, want above 0: every token would be a top choice")
	}
	return &xtc{o.XTCProbability, o.XTCThreshold, o.MinKeep}, nil
}

func (s *xtc) apply(p *pool, st *state) {
	if st.uniform() >= s.probability {
		return
	}
	p.weigh()
	bar := s.threshold * p.total
	top, least := 0, -1
	for i := range p.list {
		if p.list[i].Prob < bar {
			continue
		}
		top++
		if least < 0 || before(&p.list[least], &p.list[i]) {
			least = i
		}
	}
	if top < 2 || len(p.list)-(top-1) < s.minKeep {
		return
	}
	kept := p.list[:0]
	for i, c := range p.list {
		if i == least || c.Prob < bar {
			kept = append(kept, c)
		}
	}
	p.list = kept
	p.addUp()
}
