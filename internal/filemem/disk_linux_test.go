package filemem

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMoreThanTheDisk asks for as much as the disk holds in all, which is refused before any of it is taken.
func TestMoreThanTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	f := create(t, path)
	allocate(t, f, 1)
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil {
		t.Fatal(err)
	}
	if err := f.Reserve(int64(disk.Blocks) * disk.Bsize); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v, want %v", err, unix.ENOSPC)
	}
	if info, err := f.file.Stat(); err != nil || info.Size() != f.size {
		t.Errorf("%d bytes (%v), want %d as before", info.Size(), err, f.size)
	}
	allocate(t, f, leastExtent)[0] = 1
}
