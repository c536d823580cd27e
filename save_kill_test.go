//go:build unix

package mneme

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mneme-lm/mneme/weights/quant"
)

// What makes the test binary a child that saves a session until it is killed: its model, its policy, and the session's file.
const (
	childModel   = "MNEME_TEST_SAVE_MODEL"
	childPolicy  = "MNEME_TEST_SAVE_POLICY"
	childSession = "MNEME_TEST_SAVE_SESSION"
)

func TestMain(m *testing.M) {
	path := os.Getenv(childSession)
	if path == "" {
		os.Exit(m.Run())
	}
	fmt.Fprintln(os.Stderr, saveForever(os.Getenv(childModel), os.Getenv(childPolicy), path))
	os.Exit(1)
}

// savedOptions are those of the session that is saved: rows are dropped from it all the time.
func savedOptions(policy string) []SessionOption {
	return []SessionOption{WithPolicy(policy), WithKVBudget(48), WithPrefillBlock(32)}
}

// readSome has a session read some tokens more: which and how many depends on how many it has read alone.
func readSome(s *Session) error {
	first, n := s.Len(), 1+s.Len()*7%40
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = idAt(s.model, first+i)
	}
	return s.Evaluate(context.Background(), ids, nil)
}

// idAt is the token at a place in the text.
func idAt(m *Model, i int) int32 { return int32((i*i*7 + i*13 + 5) % m.net.Vocabulary) }

// saveForever reads on from what path holds, and saves, and tells before and after how many tokens it has read.
func saveForever(model, policy, path string) error {
	m, err := Open(model, WithThreads(1))
	if err != nil {
		return err
	}
	s, err := m.NewSession(savedOptions(policy)...)
	if err != nil {
		return err
	}
	if err := s.Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for {
		if err := readSome(s); err != nil {
			return err
		}
		fmt.Println("saving", s.Len())
		if err := s.Save(path); err != nil {
			return err
		}
		fmt.Println("saved", s.Len())
	}
}

// A process that is killed at any moment while it reads and saves leaves a file with a whole session in it: one of those
// that it was about to save, no older than the last that it said was saved, and that goes on bit for bit like one that
// was never saved.
func TestKilledWhileSaving(t *testing.T) {
	model := synthFile(t, "llama-tiny", quant.Q8_0)
	for policy, kills := range map[string]int{"window": 80, "h2o": 20} {
		if testing.Short() {
			kills /= 10
		}
		t.Run(policy, func(t *testing.T) { killWhileSaving(t, model, policy, kills) })
	}
}

func killWhileSaving(t *testing.T, model, policy string, kills int) {
	const most = 60 * time.Millisecond
	m, err := Open(model)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join(t.TempDir(), "session")
	whole := newSession(t, m, savedOptions(policy)...) // reads the same, without a stop
	last, unfinished := 0, 0
	for i := range kills {
		saving, saved := saveUntilKilled(t, model, policy, path, i%2 == 0, rand.N(most))
		list, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(list) > 2 {
			t.Fatalf("kill %d: the folder holds %v (%v), want the file and at most one that is not finished", i, list, err)
		}
		s := newSession(t, m, savedOptions(policy)...)
		if err := s.Load(path); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		if n := s.Len(); n < max(saved, last) || n > max(saving, last) {
			t.Fatalf("kill %d: the file holds %d tokens, after %d were there, %d saved and %d about to be", i, n, last, saved, saving)
		}
		last = s.Len()
		if saving > last {
			unfinished++
		}
		goesOnLike(t, s, whole)
	}
	if unfinished == 0 && !testing.Short() {
		t.Error("no process was killed between reading and having saved")
	}
	t.Logf("%d kills, %d of them before the text that was read was saved; %d tokens", kills, unfinished, last)
}

// goesOnLike reads on with whole to where s is, and then the same token with both.
func goesOnLike(t *testing.T, s, whole *Session) {
	t.Helper()
	for whole.Len() < s.Len() {
		if err := readSome(whole); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(s.Tokens(), whole.Tokens()) {
		t.Fatalf("%d tokens were loaded, and are not those that were read", s.Len())
	}
	here, err := whole.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	next := []int32{idAt(s.model, s.Len())}
	got, want := readAll(t, s, next), readAll(t, whole, next)
	if !slices.Equal(got[0], want[0]) {
		t.Fatalf("after %d tokens it goes on with other logits", s.Len())
	}
	a, b := s.Stats().Memory, whole.Stats().Memory
	if a.RowsKept != b.RowsKept || a.RowsSeen != b.RowsSeen {
		t.Fatalf("%d of %d rows are left, want %d of %d", a.RowsKept, a.RowsSeen, b.RowsKept, b.RowsSeen)
	}
	if err := whole.Restore(here); err != nil {
		t.Fatal(err)
	}
}

// saveUntilKilled runs a child and kills it after a while, counted from the first session that it saved, or from its
// start if there is a file already. It returns how many tokens the child was about to save at last, and had saved.
func saveUntilKilled(t *testing.T, model, policy, path string, waitForOne bool, while time.Duration) (saving, saved int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childModel+"="+model, childPolicy+"="+policy, childSession+"="+path)
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
	var text strings.Builder
	for waitForOne && !strings.Contains(text.String(), "saved") {
		line, err := out.ReadString('\n')
		text.WriteString(line)
		if err != nil {
			t.Errorf("nothing was saved: %v", err)
			break
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
	text.Write(rest)
	for line := range strings.Lines(text.String()) {
		if !strings.HasSuffix(line, "\n") {
			break // the child had not finished it
		}
		var n int
		if _, err := fmt.Sscanf(line, "saving %d", &n); err == nil {
			saving = n
		} else if _, err := fmt.Sscanf(line, "saved %d", &n); err == nil {
			saved = n
		}
	}
	return saving, saved
}
