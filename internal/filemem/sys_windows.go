package filemem

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// openLocked opens the file at path, or makes it, so that nobody else can open it. That it can be opened does not mean that
// it is one of ours.
func openLocked(path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	const shared = 0
	handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, shared, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, ErrInUse
	}
	if err != nil {
		return nil, os.NewSyscallError("CreateFile", err)
	}
	return os.NewFile(uintptr(handle), path), nil
}

// mapExtent maps a stretch of the file, which it makes long enough: a full disk is an error here.
func mapExtent(file *os.File, offset int64, size int) ([]byte, error) {
	end := uint64(offset) + uint64(size)
	mapping, err := windows.CreateFileMapping(windows.Handle(file.Fd()), nil, windows.PAGE_READWRITE, uint32(end>>32), uint32(end), nil)
	if err != nil {
		return nil, os.NewSyscallError("CreateFileMapping", err)
	}
	defer windows.CloseHandle(mapping) // the view keeps the mapping alive
	addr, err := windows.MapViewOfFile(mapping, windows.FILE_MAP_WRITE, uint32(uint64(offset)>>32), uint32(offset), uintptr(size))
	if err != nil {
		return nil, os.NewSyscallError("MapViewOfFile", err)
	}
	// addr is not memory of Go's, so that the conversion is safe; this form of it is one that go vet can follow.
	start := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	return unsafe.Slice((*byte)(start), size), nil
}

func unmap(data []byte) error {
	return os.NewSyscallError("UnmapViewOfFile", windows.UnmapViewOfFile(address(data)))
}

func address(data []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(data))) }

// allocateDisk has nothing to do: a file that is not sparse has all the room that its size says.
func allocateDisk(*os.File, int64, int64) error { return nil }

// drop takes pages out of the working set: that is what unlocking pages does that are not locked, besides saying so.
func drop(data []byte) error {
	err := windows.VirtualUnlock(address(data), uintptr(len(data)))
	if errors.Is(err, windows.ERROR_NOT_LOCKED) {
		return nil
	}
	return os.NewSyscallError("VirtualUnlock", err)
}

// scattered has nothing to do: little is read around what is touched here.
func scattered([]byte) {}

var prefetch = windows.NewLazySystemDLL("kernel32.dll").NewProc("PrefetchVirtualMemory")

// willNeed has pages read from the disk that are not in memory. It is advice, and may be refused.
func willNeed(pages []byte) {
	if prefetch.Find() != nil {
		return
	}
	ranges := [1]struct{ address, bytes uintptr }{{address(pages), uintptr(len(pages))}}
	_, _, _ = prefetch.Call(uintptr(windows.CurrentProcess()), uintptr(len(ranges)), uintptr(unsafe.Pointer(&ranges)), 0)
}

// waits is not known here.
func waits() int64 { return 0 }
