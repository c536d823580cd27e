package sample

// temperature divides the logits by t (Ackley, Hinton, Sejnowski 1985). Dynamic temperature (kalomaze; llama.cpp pull
// request 4972) sets t by how undecided the model is: with H the entropy and n the number of candidates,
//
//	t = low + (high − low) · (H / ln n)^exponent
type temperature struct {
	low, high, exponent float64 // low == high: not dynamic
}

func newTemperature(o *Options) (sampler, error) {
	if o.DynamicRange > 0 {
		return &temperature{max(0, o.Temperature-o.DynamicRange), o.Temperature + o.DynamicRange, o.DynamicExponent}, nil
	}
	if o.Temperature == 1 {
		return nil, nil
	}
	return &temperature{low: o.Temperature, high: o.Temperature}, nil
}

func (s *temperature) apply(p *pool, _ *state) {
	if s.low == s.high {
		p.enlist()
		p.scale(s.low)
		return
	}
	p.weigh()
	if len(p.list) < 2 {
		return
	}
	undecided := (p.meanDistance() + logPositive(p.total)) / logPositive(float64(len(p.list)))
	undecided = max(0, min(1, undecided))
	p.scale(s.low + float64((s.high-s.low)*powUnit(undecided, s.exponent)))
}

// coldest is the temperature below which only the best token is left: dividing by less could exceed the range of
// numbers.
const coldest = 1e-30

func (p *pool) scale(t float64) {
	if t < coldest {
		p.top(1)
		return
	}
	for i := range p.list {
		p.list[i].Logit /= t
	}
	p.weighed = false
}
