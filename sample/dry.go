package sample

import "fmt"

// dry is the "don't repeat yourself" sampler (p-e-w, text-generation-webui pull request 5677): if the text ends with m
// tokens that occurred before, the token that followed them there would extend the repetition to m + 1, and from
// m = allowed on its logit falls by
//
//	multiplier · base^(m − allowed)
//
// with the greatest m where several earlier places propose one token. A repetition is not counted across a sequence
// breaker, and a token that contains one is never penalized.
type dry struct {
	lastN            int // -1: all
	multiplier, base float64
	allowed          int
	breakers         *breakers
}

func newDRY(o *Options) (sampler, error) {
	if o.DRYMultiplier == 0 || o.DRYLastN == 0 {
		return nil, nil
	}
	if o.DRYBase < 1 {
		return nil, fmt.Errorf("dry_base is %v, want at least 1", o.DRYBase)
	}
	b, err := newBreakers(o.Vocabulary, o.DRYBreakers)
	if err != nil {
		return nil, err
	}
	return &dry{o.lastN(o.DRYLastN), o.DRYMultiplier, o.DRYBase, o.DRYAllowedLength, b}, nil
}

func (s *dry) window() int { return s.lastN }

func (s *dry) apply(p *pool, st *state) {
	window := st.history.last(s.lastN)
	if len(window) <= s.allowed {
		return
	}
	limit := s.breakers.since(window)
	if limit < s.allowed {
		return
	}
	st.matches = suffixMatches(st.matches, window)
	s.mark(p, window, st.matches, limit)
	p.adjust(window, func(logit float64, mark int32) float64 {
		return logit - float64(s.multiplier*powInt(s.base, int(mark)-1-s.allowed))
	})
}

// mark notes for each token the longest repetition that it would extend, plus one.
func (s *dry) mark(p *pool, window, matches []int32, limit int) {
	marks := p.counters()
	for end := 0; end < len(window)-1; end++ {
		length, next := min(int(matches[end]), limit), window[end+1]
		if length < s.allowed || !inRow(next, p.row) || int(marks[next]) > length || s.breakers.alone(next) {
			continue
		}
		marks[next] = int32(length) + 1
	}
}

// suffixMatches returns for each place of a text how many tokens ending there equal as many at the text's end; for the
// last place 0. It is the Z-algorithm run backwards (Gusfield, Algorithms on Strings, Trees, and Sequences, 1997,
// section 1.4): every token is compared with success once at most, so its time is linear. dst is reused if it is long
// enough.
func suffixMatches(dst, text []int32) []int32 {
	n := len(text)
	if cap(dst) < n {
		dst = make([]int32, n, n+n/4)
	}
	z := dst[:n]
	if n == 0 {
		return z
	}
	z[n-1] = 0
	// left < box ≤ right: text(left..box] is the farthest-reaching match found so far, known to equal the text's end.
	left, box := n-1, n-1
	for end := n - 2; end >= 0; end-- {
		length := 0
		if end > left {
			length = min(int(z[n-1-(box-end)]), end-left)
		}
		for end-length >= 0 && text[end-length] == text[n-1-length] {
			length++
		}
		if end-length < left {
			left, box = end-length, end
		}
		z[end] = int32(length)
	}
	return z
}
