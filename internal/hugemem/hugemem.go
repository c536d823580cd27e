// Package hugemem hands out memory for data that is read over and over from end to end, in huge pages where the system
// has them: with pages of 4 KiB, looking up addresses limits how fast memory is read.
package hugemem

import "fmt"

// Map returns size bytes of zeros, aligned to a cache line, and the function that gives them back, after which they must
// not be touched.
func Map(size int) (data []byte, release func(), err error) {
	if size <= 0 {
		return nil, func() {}, nil
	}
	data, release, err = mapMemory(size)
	if err != nil {
		return nil, nil, fmt.Errorf("hugemem: %d bytes: %w", size, err)
	}
	return data, release, nil
}
