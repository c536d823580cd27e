package mapped

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// mapFile maps the first size bytes of f for reading. The mapping outlives f; release ends it.
func mapFile(f *os.File, size int) (data []byte, release func() error, err error) {
	high, low := uint32(uint64(size)>>32), uint32(uint64(size))
	mapping, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, high, low, nil)
	if err != nil {
		return nil, nil, os.NewSyscallError("CreateFileMapping", err)
	}
	defer windows.CloseHandle(mapping) // the view keeps the mapping alive
	addr, err := windows.MapViewOfFile(mapping, windows.FILE_MAP_READ, 0, 0, uintptr(size))
	if err != nil {
		return nil, nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// addr is not memory of Go's, so that the conversion is safe; this form of it is one that go vet can follow.
	start := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	release = func() error { return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(addr)) }
	return unsafe.Slice((*byte)(start), size), release, nil
}
