//go:build !linux

package hugemem

import (
	"fmt"
	"unsafe"
)

const cacheLine = 64

// mapMemory takes memory of Go's, which is given back once nobody refers to it.
func mapMemory(size int) (data []byte, release func(), err error) {
	defer func() {
		if r := recover(); r != nil { // a size that no slice has
			err = fmt.Errorf("%v", r)
		}
	}()
	data = make([]byte, size+cacheLine)
	skip := -uintptr(unsafe.Pointer(&data[0])) % cacheLine
	return data[skip:][:size:size], func() {}, nil
}
