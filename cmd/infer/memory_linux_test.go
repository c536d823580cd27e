package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A run holds the file, which it maps and shares with whoever else has it open, the cache, and not much more, whatever
// the size of the model: the weights are nowhere copied, and what a batch is worked out in is bounded by its block.
func TestRunHoldsLittleBesideFileAndCache(t *testing.T) {
	if testing.Short() {
		t.Skip("a model that is large enough takes seconds to write")
	}
	const overhead = 64_000_000
	path := middlingModel(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		prompt string
		n      int
	}{
		{"writing", "Once", 40},
		{"reading", strings.Repeat("the cat sat on the mat. ", 70), 1}, // more than a block
	} {
		t.Run(c.name, func(t *testing.T) {
			status := filepath.Join(t.TempDir(), "status")
			cmd := program(t, "run", "-m", path, "-p", c.prompt, "-n", fmt.Sprint(c.n), "--ignore-eos", "--json")
			cmd.Env = append(cmd.Env, statusTo+"="+status)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			r := decode[runResult](t, string(out))
			if len(r.Tokens) != c.n {
				t.Fatalf("%d tokens written", len(r.Tokens))
			}
			peak, own := statusBytes(t, status, "VmHWM"), statusBytes(t, status, "RssAnon")
			t.Logf("file %d, cache %d, peak %d, own %d bytes", info.Size(), r.Memory.KVBytesPeak, peak, own)
			if peak < info.Size()/2 || own <= 0 { // of the embedding matrix only some rows are read
				t.Errorf("a peak of %d bytes, %d of its own, cannot be: the file has %d", peak, own, info.Size())
			}
			if most := info.Size() + r.Memory.KVBytesPeak + overhead; peak > most {
				t.Errorf("%d bytes at the peak, want at most %d: file %d, cache %d", peak, most, info.Size(), r.Memory.KVBytesPeak)
			}
			if most := r.Memory.KVBytesPeak + overhead; own > most {
				t.Errorf("%d bytes of its own at the end, want at most %d: cache %d", own, most, r.Memory.KVBytesPeak)
			}
		})
	}
}

// statusBytes reads a field of a process's status.
func statusBytes(t *testing.T, path, field string) int64 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var kib int64
		if _, err := fmt.Sscanf(line, field+": %d kB", &kib); err == nil {
			return 1024 * kib
		}
	}
	t.Fatalf("no %s in %s", field, data)
	return 0
}
