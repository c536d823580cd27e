package filemem

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// childPath makes the test binary a child that works with the file of that path.
const childPath, childTask = "FILEMEM_TEST_PATH", "FILEMEM_TEST_TASK"

// tasks are what a child may do, by name. Each returns only on an error.
var tasks = map[string]func(path string) error{"write": writeUntilKilled}

func TestMain(m *testing.M) {
	path := os.Getenv(childPath)
	if path == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, tasks[os.Getenv(childTask)](path))
	os.Exit(1)
}

// startChild runs a child and waits for its first line.
func startChild(t *testing.T, task, path string) (child *exec.Cmd, line string) {
	t.Helper()
	child = exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path, childTask+"="+task)
	child.Stderr = os.Stderr
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err = bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatalf("the child said %q: %v", line, err)
	}
	return child, strings.TrimSpace(line)
}

const childWord = "what the child wrote"

// writeUntilKilled has a file and writes to it, for as long as it lives.
func writeUntilKilled(path string) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		data, err := f.Allocate(1 << 20)
		if err != nil {
			return err
		}
		for at := 0; at < len(data); at += 1024 {
			copy(data[at:], childWord)
		}
		if i == 9 {
			fmt.Println("written")
		}
		if i > 9 && i%10 == 0 {
			f.Ahead(data)
			if err := f.Release(); err != nil {
				return err
			}
		}
		if i == 200 {
			time.Sleep(time.Hour)
		}
	}
}

// TestKilled kills processes that have the file: it is locked as long as they live, what they wrote stays after that, and
// the next takes the file over, without that.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv")
	if err := create(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		child, _ := startChild(t, "write", path)
		if f, err := Create(path); err == nil {
			f.Close()
			t.Error("two processes have the file")
		} else if !errors.Is(err, ErrInUse) {
			t.Errorf("error %v, want %v", err, ErrInUse)
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := child.Wait(); err == nil {
			t.Fatal("the child ended by itself")
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() < firstExtent+10<<20 {
			t.Errorf("the child left %d bytes", info.Size())
		}
		f := create(t, path)
		if info, err = os.Stat(path); err != nil || info.Size() != headerBytes {
			t.Errorf("%d bytes once it is taken over (%v), want the header's %d", info.Size(), err, headerBytes)
		}
		if data := allocate(t, f, 20<<20); slices.ContainsFunc(data, func(b byte) bool { return b != 0 }) {
			t.Error("what the child wrote is still there")
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
