package quant

// reduction returns by how much values d*q lower the sum of squares below that of the values themselves, the error of
// d = 0.
func (m moments) reduction(d float64) float64 { return float64(d * (2*m.xq - float64(d*m.qq))) }

// best returns the scale with the largest reduction, and that reduction.
func (m moments) best() (d, reduction float64) {
	if m.qq == 0 {
		return 0, 0
	}
	return m.xq / m.qq, float64(m.xq*m.xq) / m.qq
}

// refinements is the number of times that a fit rounds the scale, projects, and solves for a better one. The second
// lowers the error by one to three percent, a third by at most one.
const refinements = 2

// fitScale returns the float16 scale d of a block with values d*q. Each try is the magnitude of the code that the
// largest value shall take. The first is ggml's choice, in which that code is negative: the error is never above that
// of the scale that ggml takes without a search.
func fitScale(g grid, s sample, tries []float64) float64 {
	top := peak(s.x)
	if top <= negligible && top >= -negligible {
		return 0
	}
	var start, best, ggml float64
	for i, k := range tries {
		plus, minus := g.project(s, k/top)
		if d, r := plus.best(); r > best {
			start, best = d, r
		}
		d, r := minus.best()
		if r > best {
			start, best = d, r
		}
		if i == 0 {
			ggml = r
		}
	}
	d, best := refineScale(g, s, start)
	if best < ggml { // rounding to float16 cost more than the search gained
		half := scaleOf(-top / tries[0])
		if m, _ := g.project(s, inverse(half)); m.reduction(half) > best {
			return half
		}
	}
	return d
}

// refineScale alternates between the codes for a scale and the scale for those codes. It returns the best float16 scale
// that it meets, and its reduction.
func refineScale(g grid, s sample, start float64) (d, reduction float64) {
	try := func(half float64) moments {
		m, _ := g.project(s, inverse(half))
		if r := m.reduction(half); r > reduction {
			d, reduction = half, r
		}
		return m
	}
	previous := 0.0
	for range refinements {
		half := scaleOf(start)
		if half == previous {
			break
		}
		previous = half
		start, _ = try(half).best()
		if isCoarse(half) {
			try(nextScale(half))
		}
	}
	return d, reduction
}

// superScale describes the formats with super-blocks whose values are d*s*q, with an integer s for each sub-block.
type superScale struct {
	grid grid
	sub  int // values in a sub-block
	s    int // s ranges over -s … s-1

	// The magnitude of the code that the largest value of a sub-block takes, before rounding, lies between least and
	// most: every s for which it does is tried, but of more than tries only evenly spaced ones.
	least, most float64
	tries       int

	// peaks are the codes that the largest value of the super-block would take with s one below its largest magnitude:
	// each gives a d to try.
	peaks []float64
}

// fit returns d and the s of every sub-block.
func (f *superScale) fit(b sample) (d float64, scales [16]int) {
	var tops [16]float64
	top := 0.0
	for j := range len(b.x) / f.sub {
		low, high := extremes(b.x[j*f.sub : (j+1)*f.sub])
		tops[j] = max(-low, high)
		top = max(top, tops[j])
	}
	if top <= negligible {
		return 0, scales
	}
	best := 0.0
	for _, k := range f.peaks {
		try := scaleAbove(top / (k * float64(f.s-1)))
		if s, r := f.fitScales(b, try, &tops); r > best {
			d, scales, best = try, s, r
		}
	}
	for range refinements {
		next, r := f.refit(b, d, &scales)
		if r <= best {
			break
		}
		d, best = next, r
	}
	return d, scales
}

// refit returns the best d for the scales and the codes that d gives, and the reduction of it.
func (f *superScale) refit(b sample, d float64, scales *[16]int) (next, reduction float64) {
	var all moments
	for j := range len(b.x) / f.sub {
		s := float64(scales[j])
		m, _ := f.grid.project(b.sub(j*f.sub, f.sub), inverse(d*s))
		all.xq += float64(s * m.xq)
		all.qq += float64(s * s * m.qq)
	}
	next, _ = all.best()
	next = scaleOf(next)
	for j := range len(b.x) / f.sub {
		scale := next * float64(scales[j])
		m, _ := f.grid.project(b.sub(j*f.sub, f.sub), inverse(scale))
		reduction += m.reduction(scale)
	}
	return next, reduction
}

// fitScales returns the best s of every sub-block for d, and the reduction. tops are the largest magnitudes.
func (f *superScale) fitScales(b sample, d float64, tops *[16]float64) (scales [16]int, reduction float64) {
	for j := range len(b.x) / f.sub {
		if tops[j] <= negligible {
			continue
		}
		sub := b.sub(j*f.sub, f.sub)
		first := max(int(tops[j]/(d*f.most)), 1)
		last := min(int(tops[j]/(d*f.least))+1, f.s)
		best := 0.0
		for s := first; s <= last; s += 1 + (last-first)/f.tries {
			scale := d * float64(s)
			plus, minus := f.grid.project(sub, 1/scale)
			if r := plus.reduction(scale); r > best && s < f.s {
				scales[j], best = s, r
			}
			if r := minus.reduction(-scale); r > best {
				scales[j], best = -s, r
			}
		}
		reduction += best
	}
	return scales, reduction
}
