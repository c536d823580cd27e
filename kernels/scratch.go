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
	if cap(s.values) < n {
		s.values = make([]float32, n)
	}
	return s.values[:n]
}

// unpacked returns room for a row of n quantized weights (see unpackRow).
func (s *Scratch) unpacked(n int) (q []int8, scales, mins []float32) {
	groups := n / groupLen
	if cap(s.bytes) < n {
		s.bytes = make([]int8, n)
	}
	if cap(s.scales) < 2*groups {
		s.scales = make([]float32, 2*groups)
	}
	return s.bytes[:n], s.scales[:groups], s.scales[groups : 2*groups]
}
