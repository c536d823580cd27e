package filemem

import (
	"errors"
	"fmt"
	"math"
	"os"
)

// Alignment is that of every piece of memory, and what its size is rounded up to: the least size of a page on any system.
const Alignment = 4096

// Extents have 64 MiB at least, and a sixteenth of the file: a short text takes little of the disk, and a file of 100 GB has
// about a hundred mappings, each of which takes a call to the system to be released.
const (
	leastExtent = 64 << 20
	extentShare = 16
)

// extent is a stretch of the file and its mapping.
type extent struct {
	data []byte
	used int // bytes handed out, from the start
	read int // bytes that are read here and there, from the start, see settle
}

// settle says of what was handed out that it will be read here and there. What the system would otherwise read around each
// piece that is missing, 128 KiB or even megabytes, pushes out of memory what is needed. For what is yet to be written its
// reading around is good: it makes whole runs of pages at once, which are then mapped and unmapped an order of magnitude
// faster.
func (e *extent) settle() {
	if to := e.used / pageSize * pageSize; e.read < to {
		scattered(e.data[e.read:to])
		e.read = to
	}
}

// Reserve makes sure that pieces of n bytes in total, each of them rounded up to Alignment, can be had from Allocate, as
// long as nobody else takes them. It is an error if the disk has no room for them, and nothing has changed then.
func (f *File) Reserve(n int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reserve(n)
}

// reserve makes sure that there is an extent with n bytes left. Pieces of n bytes in total then fit in whatever order
// extents are tried in, since that extent loses only what is allocated in it.
func (f *File) reserve(n int64) error {
	if f.file == nil {
		return fmt.Errorf("filemem: %s: %w", f.path, os.ErrClosed)
	}
	if n <= 0 || f.withRoom(n) != nil {
		return nil
	}
	usual := max(leastExtent, f.size/extentShare)
	err := f.grow(max(n, usual))
	if err != nil && n < usual {
		err = f.grow(n) // the disk may have room for that
	}
	if err != nil {
		return fmt.Errorf("filemem: %s: making room for %d bytes after %d: %w", f.path, n, f.size, err)
	}
	return nil
}

// withRoom returns the first extent with n bytes left, nil if there is none.
func (f *File) withRoom(n int64) *extent {
	for i := range f.extents {
		if e := &f.extents[i]; n <= int64(len(e.data)-e.used) {
			return e
		}
	}
	return nil
}

// grow adds an extent of at least n bytes.
func (f *File) grow(n int64) error {
	if n > min(math.MaxInt, math.MaxInt64-f.size)-firstExtent {
		return errors.New("more than can be addressed")
	}
	n = (n + firstExtent - 1) / firstExtent * firstExtent // so that the next one begins where a mapping may
	// The mapping comes first: a size that is out of the question is refused before any of it is written.
	data, err := mapExtent(f.file, f.size, int(n))
	if err != nil {
		return err
	}
	if err := allocateDisk(f.file, f.size, n); err != nil {
		_ = unmap(data)
		_ = f.file.Truncate(f.size) // if this fails, the room stays taken, and serves the next extent
		return err
	}
	f.extents = append(f.extents, extent{data: data})
	f.size += n
	return nil
}

// Allocate returns n bytes of zeros, aligned to Alignment. They are the caller's until Close.
func (f *File) Allocate(n int) ([]byte, error) {
	if n < 0 || n > math.MaxInt-Alignment {
		return nil, fmt.Errorf("filemem: %s: a piece of %d bytes", f.path, n)
	}
	size := (n + Alignment - 1) / Alignment * Alignment
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.reserve(int64(size)); err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, nil
	}
	e := f.withRoom(int64(size))
	piece := e.data[e.used:][:n:n]
	e.used += size
	f.used += int64(size)
	return piece, nil
}

// Bytes is the number of bytes that were handed out, rounded up piece by piece to Alignment.
func (f *File) Bytes() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used
}
