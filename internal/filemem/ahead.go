package filemem

import (
	"os"
	"unsafe"
)

// mostAhead bounds the pieces that wait to be read ahead: more would be read too late to be of use.
const mostAhead = 4096

var pageSize = os.Getpagesize()

// Whether the process waited for the disk is looked at every checkCalls calls of Cold; where it did, that holds for
// coldCalls.
const (
	checkCalls = 64
	coldCalls  = 4096
)

// Ahead says that pieces of the memory will be read soon, so that the system reads them from the disk if they are no
// longer in memory. It returns at once. Pieces that there are too many of are not read ahead, nor is what is no memory of
// the file.
func (f *File) Ahead(data ...[]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return
	}
	for _, piece := range data {
		select {
		case f.ahead <- piece:
		default:
			return
		}
	}
}

// Cold reports whether the process has waited for the disk of late. Where it has not, what is asked for is in memory, and
// found there in less time than Ahead takes to ask for it.
func (f *File) Cold() bool {
	call := f.calls.Add(1)
	if call%checkCalls == 0 {
		if n := waits(); n > f.waits.Swap(n) {
			f.coldUntil.Store(call + coldCalls)
		}
	}
	return call < f.coldUntil.Load()
}

// readAhead is the goroutine that names pieces to the system, which may make it wait for the disk.
func (f *File) readAhead() {
	for piece := range f.ahead {
		if pages := f.pages(piece); len(pages) > 0 {
			willNeed(pages)
		}
	}
}

// pages returns the pages that a piece lies on, none if it is not of the file.
func (f *File) pages(piece []byte) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := uintptr(unsafe.Pointer(unsafe.SliceData(piece)))
	for i := range f.extents {
		data := f.extents[i].data
		start := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
		if from < start || from-start >= uintptr(len(data)) {
			continue
		}
		first := int(from - start)
		return data[first/pageSize*pageSize : min(first+len(piece), len(data))]
	}
	return nil
}
