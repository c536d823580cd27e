//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package filemem

import "os"

// allocateDisk gives the file room on the disk.
func allocateDisk(file *os.File, offset, size int64) error { return writeZeros(file, offset, size) }
