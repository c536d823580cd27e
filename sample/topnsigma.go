package sample

import "math"

// topNSigma keeps the logits that lie within n standard deviations, over all logits in the running, of the greatest
// (Tang et al. 2024, arXiv:2411.07641, section 3).
type topNSigma struct {
	n       float64
	minKeep int
}

func newTopNSigma(o *Options) (sampler, error) {
	if o.TopNSigma == 0 {
		return nil, nil
	}
	return &topNSigma{o.TopNSigma, o.MinKeep}, nil
}

func (s *topNSigma) apply(p *pool, _ *state) {
	p.enlist()
	bar := p.greatest()
	if !math.IsInf(bar, 1) {
		bar -= float64(s.n * p.deviation())
	}
	p.cut(bar, max(1, s.minKeep))
}

// deviation returns the standard deviation of the listed logits, none of which may be +Inf.
func (p *pool) deviation() float64 {
	n, sum, squares := float64(len(p.list)), 0.0, 0.0
	for i := range p.list {
		sum += p.list[i].Logit
	}
	mean := sum / n
	for i := range p.list {
		d := p.list[i].Logit - mean
		squares += float64(d * d)
	}
	return math.Sqrt(squares / n)
}
