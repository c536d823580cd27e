package quant

// The inner loops of the search: give every value of a block its nearest code and sum what the error depends on.
// Nearly all the time of Encode is spent here.
//
// Products are converted explicitly before they are added. That forbids fused multiply-add, so that every machine sums
// to the same bits, chooses the same scales and writes the same bytes.

// roundMagic is 1.5 * 2^52. Adding it to a number below 2^51 leaves no bits for a fraction, so that adding and then
// subtracting it rounds to the nearest integer, ties to even.
const roundMagic = 3 << 51

// sample is a block of values x and their weights w: the error of a code is weighed by w. wx holds the products.
type sample struct{ x, w, wx []float64 }

// sub returns n values from index from on.
func (s sample) sub(from, n int) sample {
	return sample{s.x[from : from+n], s.w[from : from+n], s.wx[from : from+n]}
}

// moments are the sums of x*q and q*q over values x and codes q, weighed.
type moments struct{ xq, qq float64 }

// grid is the set of codes of a format with values d*q. It is not an interface, through which the compiler would not
// see that a sample stays on the stack: rows of a cache are encoded, too.
type grid struct {
	integers
	weighed bool // the sample has weights
	levels  bool // the codes are the levels of IQ4_NL and IQ4_XS, with weights, and not integers
}

// project returns the moments of the nearest codes at scales 1/inv and -1/inv.
func (g grid) project(s sample, inv float64) (plus, minus moments) {
	switch {
	case g.levels:
		return projectLevels(s, inv)
	case g.weighed:
		return g.projectWeighed(s, inv)
	}
	return g.integers.project(s, inv)
}

// integers are the codes low … high, where high is -low or -low-1.
type integers struct{ low, high float64 }

// project has all weights 1. It rounds once for both scales. Their codes differ in sign, and where the extra code
// -low-1 or its negative is nearest, which one of the two scales does not have.
func (g integers) project(s sample, inv float64) (plus, minus moments) {
	x, n := s.x, -g.low
	var xq, qq, xq2, qq2, sumHigh, countHigh, sumLow, countLow float64
	for i := 0; i+1 < len(x); i += 2 {
		q := float64(x[i]*inv) + roundMagic - roundMagic
		if q >= n {
			q = n
			sumHigh += x[i]
			countHigh++
		} else if q <= -n {
			q = -n
			sumLow += x[i]
			countLow++
		}
		xq += float64(x[i] * q)
		qq += float64(q * q)
		q = float64(x[i+1]*inv) + roundMagic - roundMagic
		if q >= n {
			q = n
			sumHigh += x[i+1]
			countHigh++
		} else if q <= -n {
			q = -n
			sumLow += x[i+1]
			countLow++
		}
		xq2 += float64(x[i+1] * q)
		qq2 += float64(q * q)
	}
	return g.split(moments{xq + xq2, qq + qq2}, sumHigh, countHigh, sumLow, countLow)
}

// split takes the moments of the codes -n … n, where n = -low, with the sums of weighed values and weights at code n
// and at code -n, to those of the codes low … high and of their negatives.
func (g integers) split(m moments, sumHigh, weightHigh, sumLow, weightLow float64) (plus, minus moments) {
	if g.high == -g.low {
		return m, moments{-m.xq, m.qq}
	}
	step := 2*g.high + 1 // n*n - (n-1)*(n-1)
	plus = moments{m.xq - sumHigh, m.qq - float64(weightHigh*step)}
	minus = moments{-m.xq - sumLow, m.qq - float64(weightLow*step)}
	return plus, minus
}

// projectWeighed is project with weights.
func (g integers) projectWeighed(s sample, inv float64) (plus, minus moments) {
	x, n := s.x, -g.low
	w, wx := s.w[:len(x)], s.wx[:len(x)]
	var xq, qq, xq2, qq2, sumHigh, weightHigh, sumLow, weightLow float64
	for i := 0; i+1 < len(x); i += 2 {
		q := float64(x[i]*inv) + roundMagic - roundMagic
		if q >= n {
			q = n
			sumHigh += wx[i]
			weightHigh += w[i]
		} else if q <= -n {
			q = -n
			sumLow += wx[i]
			weightLow += w[i]
		}
		xq += float64(wx[i] * q)
		qq += float64(w[i] * float64(q*q))
		q = float64(x[i+1]*inv) + roundMagic - roundMagic
		if q >= n {
			q = n
			sumHigh += wx[i+1]
			weightHigh += w[i+1]
		} else if q <= -n {
			q = -n
			sumLow += wx[i+1]
			weightLow += w[i+1]
		}
		xq2 += float64(wx[i+1] * q)
		qq2 += float64(w[i+1] * float64(q*q))
	}
	return g.split(moments{xq + xq2, qq + qq2}, sumHigh, weightHigh, sumLow, weightLow)
}

func projectLevels(s sample, inv float64) (plus, minus moments) {
	x := s.x
	w, wx := s.w[:len(x)], s.wx[:len(x)]
	for i, v := range x {
		quotient := float64(v * inv)
		q := float64(iq4Levels[nearestLevel(quotient)])
		plus.xq += float64(wx[i] * q)
		plus.qq += float64(w[i] * float64(q*q))
		q = float64(iq4Levels[nearestLevel(-quotient)])
		minus.xq += float64(wx[i] * q)
		minus.qq += float64(w[i] * float64(q*q))
	}
	return plus, minus
}

// offsetMoments are the sums of w, w*x, w*q, w*x*q and w*q*q over values x, weights w and codes q.
type offsetMoments struct{ w, x, q, xq, qq float64 }

// steps is the largest code of a format with codes 0 … steps and values d*q + m.
type steps float64

// project returns the moments of the nearest codes at scale 1/inv and offset m, with all weights 1. It leaves out the
// sums that do not depend on the codes.
func (high steps) project(x []float64, inv, m float64) (o offsetMoments) {
	top, shift := float64(high), float64(m*inv)
	var q1, xq, qq, q2, xq2, qq2 float64
	for i := 0; i+1 < len(x); i += 2 {
		q := float64(x[i]*inv) - shift + roundMagic - roundMagic
		if q > top {
			q = top
		}
		if q < 0 {
			q = 0
		}
		q1 += q
		xq += float64(x[i] * q)
		qq += float64(q * q)
		q = float64(x[i+1]*inv) - shift + roundMagic - roundMagic
		if q > top {
			q = top
		}
		if q < 0 {
			q = 0
		}
		q2 += q
		xq2 += float64(x[i+1] * q)
		qq2 += float64(q * q)
	}
	return offsetMoments{q: q1 + q2, xq: xq + xq2, qq: qq + qq2}
}

// projectWeighed is project with weights.
func (high steps) projectWeighed(s sample, inv, m float64) (o offsetMoments) {
	x := s.x
	w, wx := s.w[:len(x)], s.wx[:len(x)]
	top, shift := float64(high), float64(m*inv)
	var q1, xq, qq, q2, xq2, qq2 float64
	for i := 0; i+1 < len(x); i += 2 {
		q := float64(x[i]*inv) - shift + roundMagic - roundMagic
		if q > top {
			q = top
		}
		if q < 0 {
			q = 0
		}
		wq := float64(w[i] * q)
		q1 += wq
		xq += float64(wx[i] * q)
		qq += float64(wq * q)
		q = float64(x[i+1]*inv) - shift + roundMagic - roundMagic
		if q > top {
			q = top
		}
		if q < 0 {
			q = 0
		}
		wq = float64(w[i+1] * q)
		q2 += wq
		xq2 += float64(wx[i+1] * q)
		qq2 += float64(wq * q)
	}
	return offsetMoments{q: q1 + q2, xq: xq + xq2, qq: qq + qq2}
}
