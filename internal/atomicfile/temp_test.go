package atomicfile

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The test binary runs again as a child that does what childTask says with the file childPath.
const (
	childTask = "ATOMICFILE_TEST_TASK"
	childPath = "ATOMICFILE_TEST_PATH"
)

func TestMain(m *testing.M) {
	task := os.Getenv(childTask)
	if task == "" {
		os.Exit(m.Run())
	}
	if err := child(task, os.Getenv(childPath)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child begins a file and ends without a word ("leave"), or when its input ends ("hold"), or commits many ("commit").
func child(task, path string) error {
	if task == "commit" {
		return commitMany(path)
	}
	f, err := Create(path)
	if err != nil {
		return err
	}
	if _, err := f.Write([]byte("child")); err != nil {
		return err
	}
	if task == "leave" {
		return nil
	}
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return f.Commit()
}

func command(t *testing.T, task, path string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), childTask+"="+task, childPath+"="+path)
	c.Stderr = os.Stderr
	return c
}

// needHolds skips tests of what only some systems have.
func needHolds(t *testing.T) {
	t.Helper()
	switch runtime.GOOS {
	case "linux", "darwin", "freebsd", "netbsd", "openbsd", "dragonfly", "windows":
	default:
		t.Skip("this system does not tell abandoned files")
	}
}

func TestAbandonedFilesGo(t *testing.T) {
	needHolds(t)
	dir := t.TempDir()
	path, other := filepath.Join(dir, "x"), filepath.Join(dir, "x.y")
	for _, p := range []string{path, path, other} {
		if err := command(t, "leave", p).Run(); err != nil {
			t.Fatal(err)
		}
	}
	left := entries(t, dir)
	if len(left) != 2 { // the second child removed what the first one left
		t.Fatalf("folder holds %q, want a temporary file for x and one for x.y", left)
	}
	if err := write(t, path, "one").Commit(); err != nil {
		t.Fatal(err)
	}
	left = slices.DeleteFunc(left, func(name string) bool { return strings.HasPrefix(name, ".x.tmp-") })
	if got := entries(t, dir); len(left) != 1 || !slices.Equal(got, append(left, "x")) {
		t.Errorf("folder holds %q, want x and a temporary file for x.y", got)
	}
}

// TestFilesThatAreWrittenStay: neither another process's nor one's own temporary file is removed.
func TestFilesThatAreWrittenStay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	own := write(t, path, "own")
	c := command(t, "hold", path)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, len("ready"))); err != nil {
		t.Fatal(err)
	}
	if err := write(t, path, "between").Commit(); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := c.Wait(); err != nil {
		t.Fatalf("the child's file: %v", err)
	}
	if got := content(t, path); got != "child" {
		t.Errorf("content %q, want the child's", got)
	}
	if err := own.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "own" {
		t.Errorf("content %q, want %q", got, "own")
	}
	if got := entries(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("folder holds %q, want x alone", got)
	}
}

func TestOtherNamesStay(t *testing.T) {
	dir := t.TempDir()
	name := tempName("x", 1<<30, 0x1234)
	names := []string{
		".x.tmp-", ".x.tmp-1", ".x.tmp-abc", ".x.tmp-1-", ".x.tmp-1-123", ".x.tmp-01-0000000000001234", ".x.tmp-1-000000000000ABCD",
		".x.tmp-1-00000000000012345", name + "~", name[1:], tempName("y", 1, 2), tempName("x.tmp-1", 1, 2),
	}
	for _, n := range names {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, tempName("x", 1, 3)), 0o755); err != nil {
		t.Fatal(err)
	}
	before := entries(t, dir)
	if err := write(t, filepath.Join(dir, "x"), "one").Abort(); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir); !slices.Equal(got, before) {
		t.Errorf("folder holds %q, want %q", got, before)
	}
	if pid, ok := writerOf(name, "x"); !ok || pid != 1<<30 {
		t.Errorf("%s: process %d %v", name, pid, ok)
	}
}

const rounds = 100

// commitMany writes path over and over.
func commitMany(path string) error {
	for i := range rounds {
		f, err := Create(path)
		if err != nil {
			return err
		}
		if _, err := f.Write(bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
			return err
		}
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return nil
}

// TestManyWriters has processes and goroutines write the same file, each looking for what the others might have left.
func TestManyWriters(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("windows does not replace a file at the moment that another process does")
	}
	path := filepath.Join(t.TempDir(), "x")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			run := func() error { return commitMany(path) }
			if i%2 == 0 {
				run = command(t, "commit", path).Run
			}
			if err := run(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	data := content(t, path)
	if len(data) != 1000 || strings.Count(data, data[:1]) != len(data) {
		t.Errorf("%d bytes, not of one writer", len(data))
	}
	if got := entries(t, filepath.Dir(path)); len(got) != 1 {
		t.Errorf("folder holds %q, want x alone", got)
	}
}

func TestWriteAt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	f := write(t, path, "....content")
	if _, err := f.WriteAt([]byte("head"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(", more")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "headcontent, more" {
		t.Errorf("content %q", got)
	}
	if _, err := f.WriteAt(nil, 0); err == nil {
		t.Error("WriteAt after Commit was accepted")
	}
}
