//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package filemem

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openLocked opens the file at path, or makes it, for this process alone. That it can be opened does not mean that it is
// one of ours.
func openLocked(path string) (*os.File, error) {
	// Should this be a pipe, nobody waits for its other end.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, reason(err)
	}
	err = repeat(func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, os.NewSyscallError("flock", err)
	}
	return file, nil
}

// reason is what a path's error says beyond the path.
func reason(err error) error {
	var perr *os.PathError
	if errors.As(err, &perr) {
		return os.NewSyscallError(perr.Op, perr.Err)
	}
	return err
}

// repeat calls what a signal can interrupt until none does.
func repeat(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// mapExtent maps a stretch of the file, which may lie beyond its end: it must be there before it is touched.
func mapExtent(file *os.File, offset int64, size int) ([]byte, error) {
	data, err := unix.Mmap(int(file.Fd()), offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return data, nil
}

func unmap(data []byte) error { return os.NewSyscallError("munmap", unix.Munmap(data)) }

// drop takes pages out of the process's memory. Being those of a shared mapping of a file, they stay in the system's cache.
func drop(data []byte) error {
	return os.NewSyscallError("madvise", unix.Madvise(data, unix.MADV_DONTNEED))
}

// scattered says that pages will be read here and there. It is advice, and may be refused.
func scattered(pages []byte) { _ = unix.Madvise(pages, unix.MADV_RANDOM) }

// willNeed has pages read from the disk that are not in memory. It is advice, and may be refused.
func willNeed(pages []byte) { _ = unix.Madvise(pages, unix.MADV_WILLNEED) }

// writeZeros gives the file room on the disk where nothing else does.
func writeZeros(file *os.File, offset, size int64) error {
	zeros := make([]byte, min(size, 1<<20))
	for end := offset + size; offset < end; {
		n, err := file.WriteAt(zeros[:min(int64(len(zeros)), end-offset)], offset)
		if err != nil {
			return reason(err)
		}
		offset += int64(n)
	}
	return nil
}

// waits is how often the process has waited for the disk to bring it a page.
func waits() int64 {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return int64(usage.Majflt)
}
