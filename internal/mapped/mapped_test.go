package mapped

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"
)

func failingLoader(*os.File, int) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}

// TestMappedAndRead opens files of various sizes both ways.
func TestMappedAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, size := range []int{0, 1, 63, Alignment - 1, Alignment, Alignment + 1, 3<<20 + 7} {
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i>>8 ^ i)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		check := func(name string, f *File, err error, isMapped bool) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", name, size, err)
			}
			data := f.Data()
			if !bytes.Equal(data, want) || cap(data) != len(data) {
				t.Errorf("%s: %d bytes (room for %d), want the %d written", name, len(data), cap(data), size)
			}
			if f.Mapped() != isMapped {
				t.Errorf("%s, %d bytes: mapped is %v", name, size, f.Mapped())
			}
			if size > 0 && uintptr(unsafe.Pointer(&data[0]))%Alignment != 0 {
				t.Errorf("%s, %d bytes: begins at %p", name, size, &data[0])
			}
			for range 2 {
				if err := f.Close(); err != nil {
					t.Errorf("%s: Close: %v", name, err)
				}
			}
			if f.Data() != nil || f.Mapped() {
				t.Errorf("%s: there is data after Close", name)
			}
		}
		f, err := open(path, failingLoader) // which falls back to reading
		check("read", f, err, false)
		f, err = Open(path)
		switch runtime.GOOS {
		case "linux", "darwin", "windows":
			check("opened", f, err, size > 0)
		default:
			check("opened", f, err, f.Mapped())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		path string
		is   error
	}{
		{filepath.Join(dir, "absent"), fs.ErrNotExist},
		{dir, nil},
		{os.DevNull, nil},
	} {
		f, err := Open(c.path)
		if err == nil {
			f.Close()
			t.Errorf("%s: accepted", c.path)
		} else if c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", c.path, err, c.is)
		}
	}
}

// TestReadOfAShorterFile reads a file that was cut after its size was taken.
func TestReadOfAShorterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, make([]byte, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := open(path, func(*os.File, int) ([]byte, func() error, error) {
		return nil, nil, errors.Join(errors.ErrUnsupported, os.Truncate(path, 50))
	})
	if err == nil {
		t.Fatal("half a file was accepted")
	}
}
