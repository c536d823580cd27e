package episodic

import "math"

// dot returns the inner product of two vectors of one length.
func dot(a, b []float32) float64 {
	b = b[:len(a)]
	var sum float64
	for i, v := range a {
		sum += float64(v) * float64(b[i]) // exact before it is added, so that fusing the two changes nothing
	}
	return sum
}

// cosine returns the cosine of the angle between two vectors of one length, 0 if either has no direction.
func cosine(a, b []float32) float64 {
	lengths := math.Sqrt(dot(a, a)) * math.Sqrt(dot(b, b))
	if lengths == 0 {
		return 0
	}
	return max(-1, min(1, dot(a, b)/lengths))
}

// notFinite returns the index of the first element that is not a finite number, -1 if all are.
func notFinite(x []float32) int {
	for i, v := range x {
		if v-v != 0 {
			return i
		}
	}
	return -1
}
