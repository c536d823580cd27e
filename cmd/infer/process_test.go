package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// program returns a command that runs the program itself in a process of its own.
func program(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// ends waits for a process and returns its exit code. One that does not end is killed and fails the test.
func ends(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	timer := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	err := cmd.Wait()
	if !timer.Stop() {
		t.Fatal("it did not end")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestProcessExitCodes(t *testing.T) {
	for args, want := range map[string]int{"version": exitSuccess, "sing": exitUsage, "inspect /none": exitFailure} {
		cmd := program(t, strings.Fields(args)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got := ends(t, cmd); got != want {
			t.Errorf("infer %s: exit %d, want %d", args, got, want)
		}
	}
}

func needSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent an interrupt on Windows")
	}
}

func TestInterruptWhileWriting(t *testing.T) {
	needSignals(t)
	cmd := program(t, "run", "-m", tinyModel(t), "-p", "the cat", "-n", "100000000", "--ignore-eos")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	head := make([]byte, 200)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(r)
	code := ends(t, cmd)
	lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
	if code != exitFailure || lines[len(lines)-1] != "infer: interrupted" {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
	if text := string(head) + string(rest); !strings.HasPrefix(text, "the cat") || !strings.HasSuffix(text, "\n") {
		t.Errorf("printed %.50q … %q", text, text[len(text)-10:])
	}
}

func TestInterruptWhileReading(t *testing.T) {
	needSignals(t)
	for _, args := range [][]string{
		{"run", "-m", tinyModel(t), "-f", "-", "--json"},
		{"perplexity", "-m", tinyModel(t), "-f", "-", "--stream", "--json"},
		{"logits", "-m", tinyModel(t), "-f", "-", "--json"},
	} {
		cmd := program(t, args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(in, strings.Repeat("the cat sat on the mat. ", 20000)); err != nil {
			t.Fatal(err)
		}
		in.Close()                         // it has its text, and far more of it than it can read by the time it is stopped
		time.Sleep(100 * time.Millisecond) // and is past looking at the command line
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if code := ends(t, cmd); code != exitFailure || stderr.String() != "infer: interrupted\n" || stdout.Len() != 0 {
			t.Errorf("%s: exit %d, stderr %q, stdout %.50q", args[0], code, stderr.String(), stdout.String())
		}
	}
}

func TestInterruptLeavesNoFile(t *testing.T) {
	needSignals(t)
	dir := t.TempDir()
	cmd := program(t, "synth", "llama-7b", filepath.Join(dir, "big.gguf"), "--type", "Q4_K")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // until the file has begun
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	code := ends(t, cmd)
	entries, err := os.ReadDir(dir)
	if code != exitFailure || err != nil || len(entries) != 0 {
		t.Errorf("exit %d, left %v, %v", code, entries, err)
	}
}

func TestBrokenPipe(t *testing.T) {
	cmd := program(t, "run", "-m", tinyModel(t), "-p", "the cat", "-n", "100000000", "--ignore-eos")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 20)); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if code := ends(t, cmd); code == exitSuccess || strings.Contains(stderr.String(), "pipe") {
		t.Errorf("exit %d, stderr %q", code, stderr.String())
	}
}

// BenchmarkFirstToken times a program from its start to its end with one token written, from a file that is in memory:
// the bytes of the file per second, all of which are read for the token. At 600 MB/s and above, the first token from a
// file of 600 MB is there within a second.
func BenchmarkFirstToken(b *testing.B) {
	path := middlingModel(b)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	for b.Loop() {
		out, err := program(b, "run", "-m", path, "-p", "Once", "-n", "1", "--temp", "0", "--ignore-eos").Output()
		if err != nil || !strings.HasPrefix(string(out), "Once") {
			b.Fatalf("printed %q: %v", out, err)
		}
	}
}
