package filemem

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// create makes a file that the test's end closes. Where there are no mappings, the test ends.
func create(t testing.TB, path string) *File {
	t.Helper()
	f, err := Create(path)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("files cannot be mapped here:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func allocate(t testing.TB, f *File, n int) []byte {
	t.Helper()
	data, err := f.Allocate(n)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// content reads a file that nobody has.
func content(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCreate takes a file that is not there, one that was ours, and one that is empty: each is there for its owner alone,
// and what is left after Close is the header.
func TestCreate(t *testing.T) {
	fresh, empty := filepath.Join(t.TempDir(), "kv"), filepath.Join(t.TempDir(), "kv")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path string }{{"absent", fresh}, {"ours", fresh}, {"empty", empty}} {
		f := create(t, c.path)
		data := allocate(t, f, 100_000)
		for i, b := range data {
			if b != 0 {
				t.Fatalf("%s: byte %d is %d", c.name, i, b)
			}
			data[i] = 'x'
		}
		info, err := os.Stat(c.path)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("%s: permissions %v", c.name, mode)
		}
		for range 2 {
			if err := f.Close(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		if left := content(t, c.path); !bytes.Equal(left, header()) {
			t.Errorf("%s: %d bytes are left, want the header's %d", c.name, len(left), headerBytes)
		}
		if err := os.Chmod(c.path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCreateRefuses tries what is not ours: the error names it, and it stays as it was.
func TestCreateRefuses(t *testing.T) {
	probe := filepath.Join(t.TempDir(), "probe")
	create(t, probe) // or there is nothing to test
	other := header()
	other[len("Mneme memory file, version ")]++
	for name, data := range map[string][]byte{
		"a text":               []byte("These are my memoirs."),
		"a short text":         []byte("M"),
		"zeros":                make([]byte, 2*headerBytes),
		"half a header":        header()[:headerBytes/2],
		"another version":      other,
		"one that quotes ours": append(header()[:200], bytes.Repeat([]byte("and so on. "), 1000)...),
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, data, 0o640); err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := Create(path); err == nil {
			f.Close()
			t.Errorf("%s was accepted", name)
		} else if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "something else") {
			t.Errorf("%s: %v", name, err)
		}
		after, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content(t, path), data) || after.Mode() != before.Mode() || !after.ModTime().Equal(before.ModTime()) {
			t.Errorf("%s was changed", name)
		}
	}
	dir := t.TempDir()
	for path, want := range map[string]error{
		dir:                                nil,
		filepath.Join(dir, "absent", "kv"): fs.ErrNotExist,
		os.DevNull:                         nil,
		"nul\x00":                          nil,
	} {
		if f, err := Create(path); err == nil {
			f.Close()
			t.Errorf("%q was accepted", path)
		} else if want != nil && !errors.Is(err, want) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// TestInUse creates a file that another File has: that one does not notice.
func TestInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	f := create(t, path)
	data := allocate(t, f, 5000)
	copy(data, "mine")
	for range 2 {
		second, err := Create(path)
		if err == nil {
			second.Close()
			t.Fatal("two have the file")
		}
		if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want %v", err, ErrInUse)
		}
	}
	if !bytes.HasPrefix(data, []byte("mine")) {
		t.Error("the content is gone")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	create(t, path)
}

func TestAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	f := create(t, path)
	data := allocate(t, f, 10_000)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.Allocate(1)
	_, none := f.Allocate(0)
	for i, err := range []error{f.Reserve(1), f.Reserve(0), err, none} {
		if !errors.Is(err, fs.ErrClosed) || !strings.Contains(err.Error(), path) {
			t.Errorf("call %d: %v, want %v", i, err, fs.ErrClosed)
		}
	}
	f.Ahead(data)
	if err := f.Release(); err != nil {
		t.Error(err)
	}
}
