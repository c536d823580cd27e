//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package filemem

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { tasks["limited"] = reserveWithinALimit }

// reserveWithinALimit works under a limit to the size of files, which stands for a full disk, and says what went wrong.
func reserveWithinALimit(path string) error {
	signal.Ignore(unix.SIGXFSZ)
	limit := unix.Rlimit{Cur: leastExtent + leastExtent/2, Max: leastExtent + leastExtent/2}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("skip:", err)
	} else {
		fmt.Println(tryWithinALimit(path))
	}
	time.Sleep(time.Hour)
	return nil
}

func tryWithinALimit(path string) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	for range leastExtent >> 20 {
		data, err := f.Allocate(1 << 20)
		if err != nil {
			return err
		}
		data[0] = 1
	}
	size := f.size
	err = f.Reserve(leastExtent)
	if !errors.Is(err, unix.EFBIG) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprint(leastExtent, " bytes")) {
		return fmt.Errorf("the reservation that is too large: %w", err)
	}
	if f.size != size {
		return fmt.Errorf("%d bytes, which were %d", f.size, size)
	}
	data, err := f.Allocate(leastExtent / 4) // an extent of the usual size would be too large
	if err != nil {
		return err
	}
	data[len(data)-1] = 1
	return f.Close()
}

// TestFullDisk has the room end in the middle.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	create(t, path).Close()
	child, said := startChild(t, "limited", path)
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = child.Wait() // it was killed
	if strings.HasPrefix(said, "skip") {
		t.Skip(said)
	}
	if said != "<nil>" {
		t.Error(said)
	}
}

// TestWriteZeros makes room where the system knows no other way.
func TestWriteZeros(t *testing.T) {
	f := create(t, filepath.Join(t.TempDir(), "kv"))
	const size = 3<<20 + 17
	if err := writeZeros(f.file, firstExtent, size); err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(f.file, headerBytes, 1<<62))
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != firstExtent-headerBytes+size || slices.ContainsFunc(data, func(b byte) bool { return b != 0 }) {
		t.Errorf("%d bytes after the header, want %d zeros", len(data), firstExtent-headerBytes+size)
	}
}
