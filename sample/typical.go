package sample

import (
	"errors"
	"math"
)

// typical is locally typical sampling (Meister et al. 2022, arXiv:2202.00666, section 4): it keeps the tokens whose
// surprise −ln p is nearest to the entropy, as few as together have a probability above p.
type typical struct {
	p       float64
	minKeep int
}

func newTypical(o *Options) (sampler, error) {
	if o.TypicalP == 0 {
		return nil, errors.New("typ_p is 0, want above 0 and at most 1, which keeps all tokens")
	}
	if o.TypicalP == 1 {
		return nil, nil
	}
	return &typical{o.TypicalP, o.MinKeep}, nil
}

// apply ranks copies of the candidates by how typical they are, then keeps those that do not come after the last one
// wanted.
func (s *typical) apply(p *pool, _ *state) {
	p.weigh()
	mean := p.meanDistance()
	p.spare = reserve(p.spare, len(p.list))
	for _, c := range p.list {
		p.spare = append(p.spare, p.typicality(c, mean))
	}
	last := lastWithin(p.spare, reach{weight: s.p * p.total, above: true, count: s.minKeep})
	kept := p.list[:0]
	for _, c := range p.list {
		if ranked := p.typicality(c, mean); !before(&last, &ranked) {
			kept = append(kept, c)
		}
	}
	p.list = kept
	p.addUp()
}

// typicality returns a copy of a candidate with −|surprise − entropy| for its logit. The logarithm of the total, which
// both contain, cancels.
func (p *pool) typicality(c Candidate, mean float64) Candidate {
	c.Logit = -math.Abs((p.shift - c.Logit) - mean)
	return c
}
