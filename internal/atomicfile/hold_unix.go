//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package atomicfile

import (
	"errors"
	"os"
	"syscall"
)

// hold locks a new temporary file for as long as it is open, and so at most as long as the process lives. Unlike the
// number of a process a lock means the same in other containers, and on other machines that share the folder. It
// is false if the file is not ours to write: between its creation and the lock it looks abandoned, and somebody who removes
// such files may have come by. Where the file system has no locks there is none, and nobody removes anything.
func hold(f *os.File) bool {
	if errors.Is(lock(f), syscall.EWOULDBLOCK) {
		return false
	}
	ours, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(f.Name())
	return err == nil && os.SameFile(ours, named)
}

// removeIfAbandoned removes the temporary file at path if its lock can be had.
func removeIfAbandoned(path string, _ int) {
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if lock(f) == nil {
		os.Remove(path)
	}
}

// lock does not wait.
func lock(f *os.File) error {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// place names the file before it is closed, for with that the lock ends.
func place(tmp *os.File, target string) error {
	return errors.Join(os.Rename(tmp.Name(), target), tmp.Close())
}
