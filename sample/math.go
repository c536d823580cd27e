package sample

import "math"

// The functions here give the same bits on every platform. Package math does not promise that: some architectures have
// an assembly version, and on some the compiler fuses a product and a sum into one operation with one rounding. An
// explicit conversion, as in float64(x*y) + z, rules the fusion out (Go specification, "Floating-point operators").

// ln2High has 33 significant bits, so that its product with an integer of up to 20 bits is exact.
const (
	ln2High = 0x1.62e42fefp-1
	ln2Low  = math.Ln2 - ln2High
)

// expSteps is into how many parts the table divides an octave.
const expSteps = 256

// expTable holds 2^(i/expSteps).
var expTable = func() (table [expSteps]float64) {
	for i := range table {
		x := float64(i) * (math.Ln2 / expSteps)
		sum := 1.0
		for n := 18; n >= 1; n-- { // Horner's scheme of the Taylor series; the next term is below 2^-60
			sum = 1 + float64(x*sum)/float64(n)
		}
		table[i] = sum
	}
	return table
}()

// expLowest is the argument below which expNegative returns 0, just before results become subnormal.
const expLowest = -708

// expNegative returns e^x for x ≤ 0, within 2 units in the last place, and 0 for x < expLowest. With
// x = n·ln2/256 + r, |r| ≤ ln2/512, it is 2^(n/256) from the table times the Taylor polynomial of degree 4 in r, whose
// next term is below 2^-54.
func expNegative(x float64) float64 {
	if x < expLowest {
		return 0
	}
	n := int(float64(x*(expSteps/math.Ln2)) - 0.5)
	r := x - float64(float64(n)*(ln2High/expSteps))
	r -= float64(float64(n) * (ln2Low / expSteps))
	r2 := float64(r * r)
	q := (0.5 + float64(r*(1.0/6))) + float64(r2*(1.0/24))
	y := expTable[n&(expSteps-1)]
	y += float64(y * (r + float64(r2*q)))
	return math.Float64frombits(math.Float64bits(y) + uint64(n>>8)<<52)
}

// logPositive returns ln x for a positive, finite, normal x. With x = m·2^e, m in [√½, √2), and s = (m − 1)/(m + 1),
// it is e·ln2 + 2·artanh(s), by the series of artanh.
func logPositive(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	s := (m - 1) / (m + 1)
	s2 := s * s
	sum := 0.0
	for n := 23; n >= 3; n -= 2 { // s2 ≤ 0.0295: the next term is below 2^-60
		sum = float64(s2 * (sum + 1/float64(n)))
	}
	low := 2*s + float64(2*float64(s*sum)) + float64(float64(e)*ln2Low)
	return float64(float64(e)*ln2High) + low
}

// powUnit returns x^y for x in [0, 1] and y ≥ 0.
func powUnit(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case x < 0x1p-1022:
		return 0
	}
	return expNegative(float64(y * logPositive(x)))
}

// powInt returns x^n for x ≥ 1 and n ≥ 0, +Inf if that is too great.
func powInt(x float64, n int) float64 {
	y := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 != 0 {
			y *= x
		}
		x *= x
	}
	return y
}
