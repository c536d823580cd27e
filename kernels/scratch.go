package kernels

// Scratch is memory that one thread reuses from call to call.
type Scratch struct {
	values []float32
	bytes  []int8
	scales []float32
	native nativeScratch
}

// Floats returns n float32 values with whatever was in them. The next call for floats takes them back.
func (s *Scratch) Floats(n int) []float32 {
	return Grow(&s.values, n)
}

// Grow makes p n elements long, which hold whatever was in them, or in memory of their own, and returns them.
func Grow[T any](p *[]T, n int) []T {
	if cap(*p) < n {
		*p = make([]T, n)
	}
	*p = (*p)[:n]
	return *p
}

// unpacked returns room for a row of n quantized weights (see unpackRow).
func (s *Scratch) unpacked(n int) (q []int8, scales, mins []float32) {
	groups := n / groupLen
	scales = Grow(&s.scales, 2*groups)
	return Grow(&s.bytes, n), scales[:groups], scales[groups:]
}
