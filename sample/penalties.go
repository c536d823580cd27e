package sample

// penalties makes tokens less likely that were seen in the last n: the repetition penalty of CTRL (Keskar et al. 2019,
// arXiv:1909.05858, section 4.1), which divides the logit by r, with negative logits multiplied instead, since dividing
// those would favour the token; and the frequency and presence penalties of the OpenAI API.
//
//	l ← l/r if l > 0, else l·r
//	l ← l − count·frequency − presence
type penalties struct {
	lastN                       int // -1: all
	repeat, frequency, presence float64
}

func newPenalties(o *Options) (sampler, error) {
	repeat := o.RepeatPenalty
	if repeat == 0 {
		repeat = 1
	}
	if o.RepeatLastN == 0 || (repeat == 1 && o.FrequencyPenalty == 0 && o.PresencePenalty == 0) {
		return nil, nil
	}
	return &penalties{o.lastN(o.RepeatLastN), repeat, o.FrequencyPenalty, o.PresencePenalty}, nil
}

func (s *penalties) window() int { return s.lastN }

func (s *penalties) apply(p *pool, st *state) {
	window := st.history.last(s.lastN)
	if len(window) == 0 {
		return
	}
	counts := p.counters()
	for _, id := range window {
		if inRow(id, p.row) {
			counts[id]++
		}
	}
	p.adjust(window, func(logit float64, count int32) float64 {
		if logit > 0 {
			logit /= s.repeat
		} else {
			logit = float64(logit * s.repeat)
		}
		return logit - (float64(float64(count)*s.frequency) + s.presence)
	})
}
