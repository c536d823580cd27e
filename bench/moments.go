package bench

import "math"

// moments gathers the mean and the spread of a series (Welford, "Note on a method for calculating corrected sums of
// squares and products", Technometrics 4, 1962).
type moments struct {
	n       int
	average float64
	squares float64 // sum of squared distances from the mean
}

func (m *moments) add(x float64) {
	m.n++
	delta := x - m.average
	m.average += delta / float64(m.n)
	m.squares += delta * (x - m.average)
}

func (m *moments) mean() float64 { return m.average }

// standardError is that of the mean: √(variance/(n−1)), with the variance of the series itself. It is 0 for fewer than
// two values, of which none is known.
func (m *moments) standardError() float64 {
	if m.n < 2 {
		return 0
	}
	return math.Sqrt(m.squares / float64(m.n) / float64(m.n-1))
}

// deviation is the standard deviation of what the series is a sample of: √(squares/(n−1)). It is 0 for fewer than two
// values, of which none is known.
func (m *moments) deviation() float64 {
	if m.n < 2 {
		return 0
	}
	return math.Sqrt(m.squares / float64(m.n-1))
}
