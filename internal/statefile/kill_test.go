package statefile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// childPath makes the test binary a child that saves states to that path until it is killed.
const childPath = "STATEFILE_TEST_PATH"

func TestMain(m *testing.M) {
	path := os.Getenv(childPath)
	if path == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, saveForever(path))
	os.Exit(1)
}

// state returns the sections of the state with that number. Even and odd ones have other sections, of other sizes; the
// bytes of all depend on the number.
func state(number uint64) []content {
	sections := []content{{"number", 64, binary.LittleEndian.AppendUint64(nil, number)}}
	if number%2 == 0 {
		return append(sections,
			content{"keys", 4096, pattern(4*number, 2<<20)},
			content{"tokens", 64, pattern(4*number+1, 12345)},
			content{"values", 4096, pattern(4*number+2, 1<<20)})
	}
	return append(sections,
		content{"values", 4096, pattern(4*number, chunkBytes+5000)},
		content{"sampler", 64, pattern(4*number+1, 77)})
}

// saveForever saves one state after another, from the one after that which path holds, and tells which are saved.
func saveForever(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	number, err := numberOf(f)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for {
		number++
		w, err := Create(path)
		if err != nil {
			return err
		}
		if err := fill(w, state(number)); err != nil {
			return err
		}
		if err := w.Commit(); err != nil {
			return err
		}
		if _, err := fmt.Println(number); err != nil {
			return err
		}
	}
}

func numberOf(f *File) (uint64, error) {
	data, ok := f.Section("number")
	if !ok || len(data) != 8 {
		return 0, fmt.Errorf("a number of %d bytes", len(data))
	}
	return binary.LittleEndian.Uint64(data), nil
}

// TestKilledWhileSaving kills a process that saves states, at any moment: the file must hold a whole state, not older
// than the last that was said to be saved. Every second round waits for the first to be saved, so that states do change.
func TestKilledWhileSaving(t *testing.T) {
	kills, most := 100, 60*time.Millisecond
	if testing.Short() {
		kills = 10
	}
	path := filepath.Join(t.TempDir(), "state")
	save(t, path, state(0))
	last, unfinished := uint64(0), 0
	for i := range kills {
		saved := saveUntilKilled(t, path, i%2 == 1, rand.N(most))
		number := checkState(t, path)
		if number < max(saved, last) {
			t.Fatalf("kill %d: the file holds state %d, after %d was there and %d saved", i, number, last, saved)
		}
		last = number
		list, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 2 {
			t.Fatalf("kill %d: the folder holds %v, want the file and at most one that is not finished", i, list)
		}
		unfinished += len(list) - 1
	}
	if last < uint64(kills/2) {
		t.Errorf("only %d states were saved", last)
	}
	t.Logf("%d kills, %d of them in the middle of saving; %d states", kills, unfinished, last)
	save(t, path, state(last+1))
	checkState(t, path)
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("the folder holds %v (%v), want the file alone", list, err)
	}
}

// saveUntilKilled runs a child and kills it after a while, counted from the first state that it saved, or from its start.
// It returns the last state that the child said was saved.
func saveUntilKilled(t *testing.T, path string, waitForOne bool, while time.Duration) (saved uint64) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path)
	var complaint strings.Builder
	child.Stderr = &complaint
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	out := bufio.NewReader(stdout)
	var text string
	if waitForOne {
		if text, err = out.ReadString('\n'); err != nil {
			t.Errorf("no state was saved: %v", err)
		}
	}
	time.Sleep(while)
	if err := child.Process.Kill(); err != nil {
		t.Errorf("the child ended by itself: %v", err)
	}
	rest, err := io.ReadAll(out)
	if err != nil {
		t.Error(err)
	}
	if err := child.Wait(); err == nil || complaint.Len() > 0 {
		t.Fatalf("the child ended by itself: %v: %s", err, complaint.String())
	}
	text += string(rest)
	text = text[:strings.LastIndex(text, "\n")+1] // of whole lines
	if lines := strings.Fields(text); len(lines) > 0 {
		if saved, err = strconv.ParseUint(lines[len(lines)-1], 10, 64); err != nil {
			t.Error(err)
		}
	}
	return saved
}

// checkState returns the number of the state that the file holds, having compared all of it.
func checkState(t *testing.T, path string) uint64 {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	number, err := numberOf(f)
	if err != nil {
		t.Fatal(err)
	}
	checkSections(t, f, state(number))
	return number
}
