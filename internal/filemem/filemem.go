// Package filemem hands out memory that lies in a mapped file: for keys and values of texts so long that the system should
// be able to write them to the disk and drop them from memory.
//
// The file is of use to the process that made it only. It begins with a header that says so, by which a later process knows
// that it may take it over.
package filemem

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// ErrInUse is wrapped where a file is taken that another process, or another File of this one, has.
var ErrInUse = errors.New("is in use")

const (
	headerBytes = 4096
	// firstExtent is where the first extent lies: mappings must begin at a multiple of the size of a page, on Windows of
	// 64 KiB.
	firstExtent = 64 << 10
)

// header is the first page of every file. It is compared as a whole, so that no other kind of file is taken for one.
func header() []byte {
	text := "Mneme memory file, version 1\n" +
		"Keys and values of a text lie here while a process works on it. Once that has ended, this file may be removed.\n"
	page := make([]byte, headerBytes)
	copy(page, text)
	return page
}

// File is memory in a file. It grows by extents, each with a mapping of its own. Its methods may be called by several
// goroutines at once.
//
// Where the disk cannot be read or written any more, touching the memory ends the program with a fault. That a disk is full
// is no such case (see Reserve) on file systems that write where they have written before; those that write
// elsewhere every time (btrfs, ZFS, APFS) promise nothing.
type File struct {
	path  string
	ahead chan []byte    // pieces to be read ahead
	users sync.WaitGroup // of the mappings: who names them to the system

	calls, coldUntil atomic.Int64 // of Cold
	waits            atomic.Int64 // for the disk, of the process

	mu      sync.Mutex // guards what follows, and what is sent to ahead
	file    *os.File   // nil after Close
	size    int64      // where the next extent will lie
	used    int64
	extents []extent
}

// Create makes the file at path, or takes it over: an existing one must be empty or begin with the header of such a file,
// else it is refused and left as it is. What it held is gone. The file is readable by its owner alone, where the file system
// knows owners, and locked until Close or the end of the process.
func Create(path string) (*File, error) {
	file, err := openLocked(path)
	if err != nil {
		return nil, fmt.Errorf("filemem: %s: %w", path, err)
	}
	if err := takeOver(file); err != nil {
		file.Close()
		return nil, fmt.Errorf("filemem: %s: %w", path, err)
	}
	f := &File{path: path, ahead: make(chan []byte, mostAhead), file: file, size: firstExtent}
	f.users.Go(f.readAhead)
	return f, nil
}

// takeOver leaves of a file that is locked, and that may be ours, the header.
func takeOver(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is not a regular file")
	}
	if info.Size() > 0 {
		page := make([]byte, headerBytes)
		n, err := file.ReadAt(page, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if !bytes.Equal(page[:n], header()) {
			return errors.New("holds something else than memory of this program, and is left as it is")
		}
	}
	// A file system without permissions refuses; the file was made with those of its user then.
	_ = file.Chmod(0o600)
	if _, err := file.WriteAt(header(), 0); err != nil {
		return errors.Join(err, file.Truncate(0))
	}
	return file.Truncate(headerBytes)
}

// Release takes out of the process's memory what of the file is in it. The content stays as it is: the system keeps it in
// its cache as long as it has memory to spare, and writes it to the disk otherwise. Whoever touches it, also while Release
// runs, has it back; what the system has dropped comes page by page, which is slow, unless Ahead asks for it before.
func (f *File) Release() error {
	f.mu.Lock()
	if f.file == nil {
		f.mu.Unlock()
		return nil
	}
	f.users.Add(1)
	defer f.users.Done()
	for i := range f.extents {
		f.extents[i].settle()
	}
	extents := f.extents // of those that are there, the mappings do not change
	f.mu.Unlock()
	for i := range extents {
		if err := drop(extents[i].data); err != nil {
			return fmt.Errorf("filemem: %s: releasing memory: %w", f.path, err)
		}
	}
	return nil
}

// Close gives back the memory, which must not be touched from then on, and what the file takes on the disk: of it the
// header is left. A second Close does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	if f.file == nil {
		f.mu.Unlock()
		return nil
	}
	file, extents := f.file, f.extents
	f.file, f.extents = nil, nil
	close(f.ahead)
	for range f.ahead { // what is left there will soon be no memory
	}
	f.mu.Unlock()
	f.users.Wait()
	var errs []error
	for i := range extents {
		errs = append(errs, unmap(extents[i].data))
	}
	errs = append(errs, file.Truncate(headerBytes), file.Close())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("filemem: %s: closing: %w", f.path, err)
	}
	return nil
}
