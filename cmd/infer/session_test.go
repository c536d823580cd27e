package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
)

// list spells token ids as --tokens takes them.
func list(ids ...[]int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(slices.Concat(ids...)), " ", ","), "[]")
}

// greedy are the flags of a run that writes n tokens and leaves nothing to chance.
func greedy(n int, flags ...string) []string {
	return append([]string{"-n", fmt.Sprint(n), "--ignore-eos", "--temp", "0"}, flags...)
}

func TestRunSession(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	first := runAsJSON(t, greedy(10, "-p", "the cat", "--session", path)...)
	if alone := runAsJSON(t, greedy(10, "-p", "the cat")...); !slices.Equal(first.Tokens, alone.Tokens) || *first.PromptReused != 0 {
		t.Errorf("to be saved: %v, %d reused; else %v", first.Tokens, *first.PromptReused, alone.Tokens)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	text := slices.Concat(first.PromptTokens, first.Tokens)
	for _, c := range []struct {
		name   string
		prompt []int32
		reused int
	}{
		{"goes on", slices.Concat(text, []int32{5, 6, 7}), len(text)},
		{"the same again", slices.Concat(text, []int32{5, 6, 7}), len(text) + 2},
		{"less of it", text[:9], 8},
		{"differs at the end", slices.Concat(text[:7], []int32{3, 4}), 7},
		{"differs from the beginning", []int32{9, 8}, 0},
		{"one token", []int32{9}, 0},
	} {
		alone := runAsJSON(t, greedy(8, "--tokens", list(c.prompt))...)
		got := runAsJSON(t, greedy(8, "--tokens", list(c.prompt), "--session", path)...)
		if *got.PromptReused != c.reused || !slices.Equal(got.PromptTokens, c.prompt) || !slices.Equal(got.Tokens, alone.Tokens) {
			t.Errorf("%s: %d of %v reused, want %d; written %v, without the file %v", c.name, *got.PromptReused, got.PromptTokens, c.reused, got.Tokens, alone.Tokens)
		}
		if want := len(c.prompt) + 7; *got.Memory.RowsSeen != want || *got.Memory.RowsKept != want {
			t.Errorf("%s: %d rows seen, %d kept, want %d", c.name, *got.Memory.RowsSeen, *got.Memory.RowsKept, want)
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
	other := runAsJSON(t, greedy(3, "--prompt-cache", path, "-p", "the cat")...)
	if *other.PromptReused != 0 {
		t.Errorf("another text: %d tokens reused", *other.PromptReused)
	}
	again := runAsJSON(t, greedy(3, "--prompt_cache", path, "-p", "the cat")...)
	if *again.PromptReused != len(again.PromptTokens)-1 || !slices.Equal(again.Tokens, other.Tokens) {
		t.Errorf("the same prompt: %d of %d tokens reused, %v, want %v", *again.PromptReused, len(again.PromptTokens), again.Tokens, other.Tokens)
	}
}

// What is printed is the same with a session and without, and the prompt is printed whole.
func TestRunSessionPrints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	args := append([]string{"run", "-m", tinyModel(t)}, greedy(6, "-p", "the cat")...)
	want := succeed(t, args...)
	for range 2 {
		if got := succeed(t, append(args, "--session", path)...); got != want {
			t.Errorf("printed %q, want %q", got, want)
		}
	}
	if r := infer(append(args, "--session", path, "-v")...); r.code != exitSuccess || !strings.Contains(r.stderr, "read 1 tokens") {
		t.Errorf("-v: exit %d, %q", r.code, r.stderr)
	}
}

// In several runs a sampled text comes out as in one, unless a seed begins it anew.
func TestRunSessionGoesOnSampling(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	flags := []string{"--ignore-eos", "--temp", "1.5", "--repeat-penalty", "1.2"}
	whole := runAsJSON(t, append(flags, "--tokens", "1,5", "-n", "30", "--seed", "4")...)
	a := runAsJSON(t, append(flags, "--tokens", "1,5", "-n", "12", "--seed", "4", "--session", path)...)
	b := runAsJSON(t, append(flags, "--tokens", list([]int32{1, 5}, a.Tokens), "-n", "18", "--session", path)...)
	if got := slices.Concat(a.Tokens, b.Tokens); !slices.Equal(got, whole.Tokens) {
		t.Errorf("in two runs %v, in one %v", got, whole.Tokens)
	}
	// Other samplers than those of the first run take up its state as well.
	text := list([]int32{1, 5}, a.Tokens, b.Tokens)
	if r := runAsJSON(t, "--ignore-eos", "--tokens", text, "-n", "4", "--mirostat", "2", "--session", path); len(r.Tokens) != 4 {
		t.Errorf("with mirostat: %v", r.Tokens)
	}
}

// A text whose rows were dropped goes on from a file as it does in one run.
func TestRunSessionWithinABudget(t *testing.T) {
	bounded(t, func(t *testing.T, name string, flags []string) {
		path := filepath.Join(t.TempDir(), "session")
		flags = append(flags, "--prefill-block", "16")
		whole := runAsJSON(t, append(flags, greedy(30, "-p", cats)...)...)
		a := runAsJSON(t, append(flags, greedy(11, "-p", cats, "--session", path)...)...)
		text := slices.Concat(a.PromptTokens, a.Tokens)
		b := runAsJSON(t, append(flags, greedy(19, "--tokens", list(text), "--session", path)...)...)
		if got := slices.Concat(a.Tokens, b.Tokens); !slices.Equal(got, whole.Tokens) || *b.PromptReused != len(text)-1 && *b.PromptReused != len(text) {
			t.Errorf("in two runs %v (%d tokens reused of %d), in one %v", got, *b.PromptReused, len(text), whole.Tokens)
		}
		if *b.Memory.Evictions < *a.Memory.Evictions || *b.Memory.RowsEvicted != *whole.Memory.RowsEvicted || *b.Memory.RowsSeen != *whole.Memory.RowsSeen {
			t.Errorf("%d rows dropped of %d, in one run %d of %d", *b.Memory.RowsEvicted, *b.Memory.RowsSeen, *whole.Memory.RowsEvicted, *whole.Memory.RowsSeen)
		}
		other := "1,7,8,9"
		alone := runAsJSON(t, append(flags, greedy(9, "--tokens", other)...)...)
		args := append([]string{"run", "--json", "-m", tinyModel(t), "--tokens", other, "--session", path}, greedy(9, flags...)...)
		r := infer(args...)
		if r.code != exitSuccess || strings.Count(r.stderr, "\n") != 1 || !strings.HasPrefix(r.stderr, "infer: warning: --session: ") || !strings.Contains(r.stderr, "from the beginning") {
			t.Errorf("another prompt: exit %d, stderr %q", r.code, r.stderr)
		}
		got := decode[runJSON](t, r.stdout)
		if *got.PromptReused != 0 || !slices.Equal(got.Tokens, alone.Tokens) || *got.Memory.RowsSeen != *alone.Memory.RowsSeen {
			t.Errorf("another prompt: %d reused, %v, want %v", *got.PromptReused, got.Tokens, alone.Tokens)
		}
		succeed(t, args...) // its rows are all there: no warning
	})
}

func TestRunSessionThatFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "session")
	run := func(flags ...string) []string {
		return append([]string{"run", "-m", tinyModel(t), "-p", "the cat", "-n", "3", "--ignore-eos"}, flags...)
	}
	window := []string{"--kv", "window", "--kv-budget", "32", "--session", path}
	succeed(t, run(window...)...)
	saved, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := variant(t, "other.gguf", func(md *weights.Metadata) { md.Set("general.name", "another") })
	damaged := slices.Clone(saved)
	damaged[len(damaged)/2] ^= 1
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"policy", run("--session", path), []string{"policy window", "this session has full", "does not fit"}},
		{"another policy", run("--kv", "h2o", "--kv-budget", "32", "--session", path), []string{"policy window", "h2o"}},
		{"parameters", run("--kv", "window:sinks=2", "--kv-budget", "32", "--session", path), []string{"policy window", "window:sinks=2"}},
		{"budget", run("--kv", "window", "--kv-budget", "33", "--session", path), []string{"budgets [32 32]", "[33 33]"}},
		{"type", run(append(window, "--kv-type", "q8_0")...), []string{"F16", "Q8_0"}},
		{"model", append(run(window...), "-m", other), []string{"model", "another"}},
		{"damaged", run("--session", writeFile(t, "damaged", string(damaged))), []string{"damaged", "checksum"}},
		{"cut", run("--session", writeFile(t, "cut", string(saved[:len(saved)-7]))), []string{"cut"}},
		{"empty", run("--session", writeFile(t, "empty", "")), []string{"empty"}},
		{"text", run("--session", writeFile(t, "text", strings.Repeat("the cat ", 1000))), []string{"text"}},
		{"the model itself", run("--session", tinyModel(t)), []string{tinyModel(t)}},
		{"folder", run("--session", dir), []string{dir, "not a regular file"}},
		{"no folder", run("--session", filepath.Join(dir, "none", "session")), []string{"--session", filepath.Join(dir, "none")}},
		{"under a file", run("--session", filepath.Join(path, "session")), []string{path}},
	} {
		for _, args := range [][]string{c.args, append(c.args[:len(c.args):len(c.args)], "--json")} {
			r := infer(args...)
			for _, say := range c.says {
				refused(t, r, exitFailure, say, args)
			}
		}
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(saved) {
		t.Errorf("the file was changed (%v)", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		return // whatever its permissions say, a folder can be written to
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o700)
	if r := infer(run(window...)...); r.code != exitFailure || !strings.HasPrefix(r.stderr, "infer: mneme: save session: ") || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("a folder that cannot be written to: exit %d, stderr %q", r.code, r.stderr)
	}
}

// A run that is interrupted leaves its session as it was before, and nothing beside it.
func TestInterruptLeavesSession(t *testing.T) {
	needSignals(t)
	path := filepath.Join(t.TempDir(), "session")
	succeed(t, "run", "-m", tinyModel(t), "-p", "the cat", "-n", "5", "--ignore-eos", "--session", path)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	cmd := program(t, "run", "-m", tinyModel(t), "-p", "the cat", "-n", "100000000", "--ignore-eos", "--session", path)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if _, err := io.ReadFull(r, make([]byte, 200)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, r)
	if code := ends(t, cmd); code != exitFailure || !strings.HasSuffix(stderr.String(), "infer: interrupted\n") {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the file has %d bytes, before %d (%v)", len(after), len(before), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left %v, %v", entries, err)
	}
	if r := runAsJSON(t, "-p", "the cat", "-n", "2", "--session", path); *r.PromptReused == 0 {
		t.Error("nothing of the session was reused")
	}
}
