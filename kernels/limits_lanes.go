//go:build !purego && (amd64 || arm64)

package kernels

func xor(lanes []uint64) (all uint64) {
	for _, v := range lanes {
		all ^= v
	}
	return all
}

func total[T int32 | float32](lanes []T) (sum T) {
	for _, v := range lanes {
		sum += v
	}
	return sum
}
