package filemem

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// allocateDisk gives the file room on the disk, which reads as zeros. What the disk cannot have is refused before it is
// tried, since that would leave other writers without room for a moment.
func allocateDisk(file *os.File, offset, size int64) error {
	var disk unix.Statfs_t
	err := repeat(func() error { return unix.Fstatfs(int(file.Fd()), &disk) })
	if err == nil && disk.Blocks > 0 && disk.Bavail < uint64(size)/uint64(max(disk.Bsize, 1)) {
		return os.NewSyscallError("fallocate", unix.ENOSPC)
	}
	err = repeat(func() error { return unix.Fallocate(int(file.Fd()), 0, offset, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return writeZeros(file, offset, size)
	}
	return os.NewSyscallError("fallocate", err)
}
