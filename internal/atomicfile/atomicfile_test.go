package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// entries returns the names in dir, so that a test sees temporary files left behind.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, path, text string) *File {
	t.Helper()
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	f := write(t, path, "one")
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before Commit: the file has its name already (%v)", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "one" {
		t.Errorf("content %q, want %q", got, "one")
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Errorf("folder holds %q, want x alone", got)
	}
	if err := f.Abort(); err != nil {
		t.Errorf("Abort after Commit: %v", err)
	}
	if err := f.Commit(); !errors.Is(err, ErrDone) {
		t.Errorf("second Commit: %v, want ErrDone", err)
	}
	if _, err := f.Write(nil); !errors.Is(err, ErrDone) {
		t.Errorf("Write after Commit: %v, want ErrDone", err)
	}
	if got := content(t, path); got != "one" {
		t.Errorf("content after Abort %q, want %q", got, "one")
	}
}

func TestAbortKeepsOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := write(t, path, "new")
	if err := f.Abort(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "old" {
		t.Errorf("content %q, want %q", got, "old")
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Errorf("folder holds %q, want x alone", got)
	}
}

func TestReplaceKeepsPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows has no permission bits")
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := write(t, path, "new").Commit(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o640 || content(t, path) != "new" {
		t.Errorf("mode %v content %q, want 0640 and %q", info.Mode(), content(t, path), "new")
	}
}

func TestFollowsLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := write(t, link, "new").Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, target); got != "new" {
		t.Errorf("target holds %q, want %q", got, "new")
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", info, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	if f, err := Create(dir); err == nil {
		f.Abort()
		t.Error("a folder was accepted")
	}
	if f, err := Create(os.DevNull); err == nil {
		f.Abort()
		t.Error("a device was accepted")
	}
	if f, err := Create(filepath.Join(dir, "absent", "x")); err == nil {
		f.Abort()
		t.Error("a missing folder was accepted")
	}
	if got := entries(t, dir); len(got) != 0 {
		t.Errorf("folder holds %q, want nothing", got)
	}
}

func TestFailedRenameLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	f := write(t, path, "one")
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o755); err != nil { // a folder takes the name meanwhile
		t.Fatal(err)
	}
	if err := f.Commit(); err == nil {
		t.Error("Commit over a folder succeeded")
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Errorf("folder holds %q, want the folder alone", got)
	}
}
