package quant

// reduction returns by how much values d*q + m lower the sum of squares below that of the values themselves.
func (o offsetMoments) reduction(d, m float64) float64 {
	return float64(d*(2*o.xq-float64(d*o.qq)-float64(2*m*o.q))) + float64(m*(2*o.x-float64(m*o.w)))
}

// best returns the scale and offset with the largest reduction.
func (o offsetMoments) best() (d, m float64) {
	det := float64(o.w*o.qq) - float64(o.q*o.q)
	if det <= 0 { // all codes are equal
		return 0, o.x / o.w
	}
	d = (float64(o.w*o.xq) - float64(o.x*o.q)) / det
	m = (float64(o.qq*o.x) - float64(o.q*o.xq)) / det
	return d, m
}

// bestBelow is best among the offsets that are not positive.
func (o offsetMoments) bestBelow() (d, m float64) {
	if d, m = o.best(); m <= 0 {
		return d, m
	}
	if o.qq == 0 {
		return 0, 0
	}
	return o.xq / o.qq, 0
}

// fit returns the float16 scale d and offset m of a block with values d*q + m. Each try is the number of steps between
// the smallest value, at code 0, and the largest. The first is ggml's choice, the largest code: the error is never
// above ggml's. The tries around it keep one end of the range on a code; centred ranges do worse.
func (high steps) fit(x []float64, tries []float64) (d, m float64) {
	low, top := extremes(x)
	if low >= -negligible && top <= negligible {
		return 0, 0
	}
	fixed := offsetMoments{w: float64(len(x)), x: sum(x)}
	var scale, offset, best, ggml float64
	for i, k := range tries {
		if low == top {
			offset, ggml = low, fixed.reduction(0, low)
			break
		}
		o := fixed.with(high.project(x, k/(top-low), low))
		a, b := o.best()
		r := o.reduction(a, b)
		if i == 0 {
			ggml = r
		}
		if r > best {
			scale, offset, best = a, b, r
		}
	}
	f := affineFit{high: high, x: x, fixed: fixed}
	f.refine(scale, offset)
	if f.reduction < ggml { // rounding to float16 cost more than the search gained
		f.try(scaleOf((top-low)/float64(high)), halfOf(low))
		// Values far from zero and close together: let the offset be the float16 below them and the scale bridge the gap.
		below := halfBelow(low)
		f.try(scaleOf((top-below)/float64(high)), below)
	}
	return f.d, f.m
}

// affineFit holds the best float16 scale and offset that were tried.
type affineFit struct {
	high            steps
	x               []float64
	fixed           offsetMoments
	d, m, reduction float64
}

// try returns the moments for a scale and offset, and keeps these if they are the best.
func (f *affineFit) try(d, m float64) offsetMoments {
	o := f.fixed.with(f.high.project(f.x, inverse(d), m))
	if r := o.reduction(d, m); r > f.reduction {
		f.d, f.m, f.reduction = d, m, r
	}
	return o
}

// refine alternates between the codes for a scale and offset and the scale and offset for those codes.
func (f *affineFit) refine(scale, offset float64) {
	var lastScale, lastOffset float64
	for range refinements {
		d, m := scaleOf(scale), halfOf(offset)
		if d == lastScale && m == lastOffset {
			break
		}
		lastScale, lastOffset = d, m
		scale, offset = f.try(d, m).best()
		if isCoarse(d) {
			f.try(nextScale(d), m)
		}
	}
}

// with returns the moments with the sums that do not depend on the codes.
func (o offsetMoments) with(codes offsetMoments) offsetMoments {
	codes.w, codes.x = o.w, o.x
	return codes
}

// superAffine describes the formats with super-blocks whose values are d*s*q - dmin*m, with integers s and m for each
// sub-block.
type superAffine struct {
	high steps
	sub  int // values in a sub-block
	max  int // the largest s and m
	base float64
	// tries are the numbers of steps between the smallest value of a sub-block, or zero if that is smaller, at code 0,
	// and the largest.
	tries []float64
}

// affine is a super-block's scales and offsets.
type affine struct {
	d, dmin float64
	s, m    [16]int
}

// subBlock is a sub-block's sample, the sums of its weights and weighed values, and its unrounded scale and offset.
type subBlock struct {
	sample
	fixed         offsetMoments
	scale, offset float64
}

// fit returns the best d, dmin, s and m. A super-block of positive values is fitted with both d and dmin negative, as
// only that makes offsets positive.
func (f *superAffine) fit(w *weights) affine {
	low, top := extremes(w.x[:])
	if low >= -negligible && top <= negligible {
		return affine{}
	}
	if low > 0 {
		for i := range w.x {
			w.x[i] = -w.x[i]
		}
	}
	a := f.fitSigned(w.byMagnitude(superBlock, f.base))
	if low > 0 {
		for i := range w.x {
			w.x[i] = -w.x[i]
		}
		a.d, a.dmin = -a.d, -a.dmin
	}
	return a
}

func (f *superAffine) fitSigned(b sample) affine {
	var storage [16]subBlock
	subs := storage[:superBlock/f.sub]
	var scale, offset float64
	for j := range subs {
		s := b.sub(j*f.sub, f.sub)
		subs[j] = subBlock{sample: s, fixed: offsetMoments{w: sum(s.w), x: sum(s.wx)}}
		f.fitSub(&subs[j])
		scale, offset = max(scale, subs[j].scale), min(offset, subs[j].offset)
	}
	var first affine
	if scale > 0 {
		first.d = scaleAbove(min(scale/float64(f.max), maxHalf))
	}
	if offset < 0 {
		first.dmin = scaleAbove(-offset / float64(f.max))
	}
	reduction, next := f.fitIntegers(&first, subs)
	if next.d >= 0 && next.dmin >= 0 {
		next.d, next.dmin = scaleOf(next.d), scaleOf(next.dmin)
		if r, _ := f.fitIntegers(&next, subs); r > reduction {
			return next
		}
	}
	return first
}

// fitSub finds the best real scale and offset of a sub-block.
func (f *superAffine) fitSub(b *subBlock) {
	low, top := extremes(b.x)
	low = min(low, 0)
	b.offset = low
	if low == top {
		return
	}
	var best float64
	for i, k := range f.tries {
		o := b.fixed.with(f.high.projectWeighed(b.sample, k/(top-low), low))
		scale, offset := o.bestBelow()
		if r := o.reduction(scale, offset); r > best || i == 0 {
			b.scale, b.offset, best = scale, offset, r
		}
	}
	for range refinements {
		o := b.fixed.with(f.high.projectWeighed(b.sample, inverse(b.scale), b.offset))
		scale, offset := o.bestBelow()
		r := o.reduction(scale, offset)
		if r <= best || scale <= 0 {
			break
		}
		b.scale, b.offset, best = scale, offset, r
	}
}

// fitIntegers sets a's s and m to the best for its d and dmin. It returns the reduction, and the best d and dmin for
// the s, m and codes.
func (f *superAffine) fitIntegers(a *affine, subs []subBlock) (reduction float64, next affine) {
	var ss, sm, mm, sx, mx float64 // of the normal equations for d and -dmin
	for j := range subs {
		o, r := f.fitPair(a, j, &subs[j])
		reduction += r
		s, m := float64(a.s[j]), float64(a.m[j])
		ss += float64(s * s * o.qq)
		sm += float64(s * m * o.q)
		mm += float64(m * m * o.w)
		sx += float64(s * o.xq)
		mx += float64(m * o.x)
	}
	next = *a
	switch det := float64(ss*mm) - float64(sm*sm); {
	case det > 0:
		next.d = (float64(sx*mm) - float64(mx*sm)) / det
		next.dmin = -(float64(ss*mx) - float64(sm*sx)) / det
	case ss > 0 && mm == 0:
		next.d = sx / ss
	case mm > 0 && ss == 0:
		next.dmin = -mx / mm
	}
	return reduction, next
}

// fitPair sets s and m of sub-block j: of the s next to the quotient of the real scale and d, each with the m that is
// best for its codes, the best.
func (f *superAffine) fitPair(a *affine, j int, b *subBlock) (best offsetMoments, reduction float64) {
	s0 := nearest(b.scale*inverse(a.d), 0, f.max)
	m0 := nearest(-b.offset*inverse(a.dmin), 0, f.max)
	found := false
	for s := max(s0-1, 0); s <= min(s0+1, f.max); s++ {
		scale := a.d * float64(s)
		m := m0
		for range 3 {
			offset := -a.dmin * float64(m)
			o := b.fixed.with(f.high.projectWeighed(b.sample, inverse(scale), offset))
			if r := o.reduction(scale, offset); r > reduction || !found {
				a.s[j], a.m[j], best, reduction, found = s, m, o, r, true
			}
			better := nearest((float64(scale*o.q)-o.x)/o.w*inverse(a.dmin), 0, f.max)
			if better == m {
				break
			}
			m = better
		}
	}
	return best, reduction
}
