package hugemem

import (
	"os"

	"golang.org/x/sys/unix"
)

// mapMemory maps anonymous memory. That the pages are huge is a wish: the system may have none, or be told to give none.
func mapMemory(size int) (data []byte, release func(), err error) {
	data, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	_ = unix.Madvise(data, unix.MADV_HUGEPAGE)
	return data, func() { _ = unix.Munmap(data) }, nil // it cannot fail for what was mapped as a whole
}
