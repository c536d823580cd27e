package mneme

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A file that was loaded is given back when no session and no snapshot needs it any more, and not before.
func TestLoadedFilesAreGivenBack(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	path := filepath.Join(t.TempDir(), "session-of-this-test")
	s := newSession(t, m)
	if err := s.Evaluate(t.Context(), text(m, 300), nil); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, s, []int32{7})
	if err := s.Truncate(300); err != nil {
		t.Fatal(err)
	}
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.Load(path); err != nil {
			t.Fatal(err)
		}
	}
	from, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Truncate(0); err != nil {
		t.Fatal(err)
	}
	waitForMappings(t, path, 1)
	other := newSession(t, m)
	if err := other.Restore(from); err != nil {
		t.Fatal(err)
	}
	s, from = nil, nil
	waitForMappings(t, path, 1)
	if got := readAll(t, other, []int32{7}); got[0][0] != want[0][0] {
		t.Errorf("a session with rows in the file goes on with %v, want %v", got[0][0], want[0][0])
	}
	if err := other.Restore(emptySnapshot(t, m)); err != nil {
		t.Fatal(err)
	}
	waitForMappings(t, path, 0)
}

func emptySnapshot(t *testing.T, m *Model) *Snapshot {
	t.Helper()
	from, err := newSession(t, m).Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return from
}

// waitForMappings collects garbage until the file at path is mapped so many times.
func waitForMappings(t *testing.T, path string, want int) {
	t.Helper()
	got := -1
	for range 200 {
		runtime.GC()
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip(err)
		}
		if got = strings.Count(string(maps), path); got == want {
			return
		}
		if got < want {
			break
		}
		time.Sleep(10 * time.Millisecond) // cleanups run by themselves
	}
	t.Fatalf("the file is mapped %d times, want %d", got, want)
}
