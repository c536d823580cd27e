// Package mapped brings files into memory to be read: mapped where the system can, so that it loads what is used and can
// drop it again, and read otherwise.
package mapped

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"runtime"
	"unsafe"
)

// Alignment is that of the first byte of every file, the least size of a page on any system.
const Alignment = 4096

// File is the content of a file. Its bytes must not be written to: with a mapping that ends the program with a fault.
// Nor may the file on the disk be changed or truncated before Close: what was mapped changes with it, and reading what is
// no longer there is a fault as well. Another file of the same name, as package atomicfile puts there, is harmless.
type File struct {
	data    []byte
	release func() error // nil if there is nothing to release
}

// Open opens the file at path, which must be a regular one.
func Open(path string) (*File, error) { return open(path, mapFile) }

// OpenReplaceable is Open for a file whose name another may take while it is open. Where the system does not let a file go
// that is mapped (Windows), it is read.
func OpenReplaceable(path string) (*File, error) {
	if runtime.GOOS == "windows" {
		return open(path, readOnly)
	}
	return Open(path)
}

// readOnly is a loader that leaves the file to be read.
func readOnly(*os.File, int) ([]byte, func() error, error) { return nil, nil, errors.ErrUnsupported }

// loader brings the first size bytes of a file into memory; release ends that.
type loader func(f *os.File, size int) (data []byte, release func() error, err error)

func open(path string, load loader) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := sizeOf(f)
	if err != nil {
		return nil, err
	}
	if size == 0 { // nothing cannot be mapped
		return &File{}, nil
	}
	data, release, err := load(f, size)
	if err != nil {
		data, err = readFile(f, size)
	}
	if err != nil {
		return nil, err
	}
	return &File{data: data, release: release}, nil
}

// sizeOf refuses what is not a file of known size: a folder, a pipe, a device.
func sizeOf(f *os.File) (int, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	if info.Size() > math.MaxInt-Alignment {
		return 0, &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("larger than can be addressed")}
	}
	return int(info.Size()), nil
}

// readFile is for where files cannot be mapped.
func readFile(f *os.File, size int) ([]byte, error) {
	data := make([]byte, size+Alignment)
	skip := -uintptr(unsafe.Pointer(&data[0])) % Alignment
	data = data[skip:][:size:size]
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), data); err != nil {
		return nil, &fs.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	return data, nil
}

// Data returns the file's bytes, nil after Close.
func (f *File) Data() []byte { return f.data }

// Mapped reports whether the file is mapped. An empty one is not.
func (f *File) Mapped() bool { return f.release != nil }

// Close releases the memory. No slice of Data may be used after it or while it runs. A second Close does nothing.
func (f *File) Close() error {
	release := f.release
	f.data, f.release = nil, nil
	if release == nil {
		return nil
	}
	return release()
}
