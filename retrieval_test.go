package mneme

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// retrievals are methods that open some of the rows, for budgets from about 200 rows on.
var retrievals = []string{
	"retrieval:block=16,local=16", "retrieval:summary=bounds,block=32,local=8", "retrieval:block=16,sinks=0,local=1",
	"retrieval:summary=clusters,segment=64,local=16", "retrieval:summary=clusters,segment=48,local=8,estimate=0.3",
}

// eachRetrieval runs a test with all of them, short tests with the first and the last.
func eachRetrieval(t *testing.T, test func(t *testing.T, method string)) {
	for i, method := range retrievals {
		if testing.Short() && i > 0 && i < len(retrievals)-1 {
			continue
		}
		t.Run(method, func(t *testing.T) { test(t, method) })
	}
}

func furthest(a, b [][]float32) float64 {
	far := 0.
	for i := range a {
		for j := range a[i] {
			far = max(far, math.Abs(float64(a[i][j])-float64(b[i][j])))
		}
	}
	return far
}

// With as many rows to open as the text has, attention is full attention.
func TestBudgetToOpenTheWholeText(t *testing.T) {
	const n = 300
	for _, shape := range []string{"llama-tiny", "moe-tiny", "qwen2-tiny", "qwen3-tiny", "gemma2-tiny", "phi3-tiny"} {
		if testing.Short() && shape != "llama-tiny" && shape != "gemma2-tiny" {
			continue
		}
		m := synthModel(t, shape)
		ids := text(m, n)
		for _, rows := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			if _, err := rows.RowBytes(m.Config().KeyDim); err != nil {
				continue // a head is less than a block
			}
			want := readAll(t, newSession(t, m, WithKVType(rows)), ids)
			eachRetrieval(t, func(t *testing.T, method string) {
				s := newSession(t, m, WithKVType(rows), WithAttention(method), WithKVBudget(n), WithPrefillBlock(64))
				got := slices.Concat(readAll(t, s, ids[:250]), readAll(t, s, ids[250:251]), readAll(t, s, ids[251:]))
				if far := furthest(want, got); far > 1e-5 {
					t.Errorf("%s, rows of %s: logits are off by %g", shape, rows, far)
				}
				if mass, err := s.AttentionMass(context.Background()); err != nil || math.Abs(mass-1) > 1e-5 {
					t.Errorf("attention mass %v, %v", mass, err)
				}
			})
		}
	}
}

// A text that is read, gone on with one by one, taken back and gone on with again is always the same text, whether its rows
// lie in memory or in a file.
func TestRowsInAFile(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	ids := text(m, 700)
	eachRetrieval(t, func(t *testing.T, method string) {
		var want [][]float32
		for _, file := range []string{"", filepath.Join(t.TempDir(), "rows")} {
			s := newSession(t, m, WithAttention(method), WithKVBudget(200), WithPrefillBlock(64), WithKVStore(file))
			got := readAll(t, s, ids[:600])
			for i := 600; i < 640; i++ {
				got = append(got, readAll(t, s, ids[i:i+1])...)
			}
			if err := s.Truncate(333); err != nil {
				t.Fatal(err)
			}
			got = append(got, readAll(t, s, ids[100:300])...)
			if mem := s.Stats().Memory; (file != "") != (mem.StoreBytes > 0) || (file != "") != (mem.KVBytes == 0) || mem.StateBytes == 0 {
				t.Errorf("file %q: %+v", file, mem)
			}
			mass, err := s.AttentionMass(context.Background())
			if err != nil || !(mass > 0.1 && mass < 1) {
				t.Errorf("attention mass %v, %v", mass, err)
			}
			if file == "" {
				want = got
			} else if far := furthest(want, got); far != 0 {
				t.Errorf("logits differ by %g", far)
			}
			if err := errors.Join(s.Close(), s.Close()); err != nil {
				t.Error(err)
			}
			if err := s.Evaluate(context.Background(), ids, nil); err == nil {
				t.Error("a closed session goes on")
			}
			if file == "" {
				continue
			}
			if info, err := os.Stat(file); err != nil || info.Size() > 4096 {
				t.Errorf("the file after the session's end: %v, %v", info, err)
			}
		}
	})
}

func TestStoreBelongsToOneSession(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	path := filepath.Join(t.TempDir(), "rows")
	s := newSession(t, m, WithKVStore(path))
	readAll(t, s, text(m, 200))
	if _, err := m.NewSession(WithKVStore(path)); !errors.Is(err, ErrStoreInUse) {
		t.Errorf("a second session with the file: %v", err)
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	other := newSession(t, m)
	if err := other.Restore(snapshot); err == nil {
		t.Error("a session without the file has taken over rows that lie in it")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.NewSession(WithKVStore(path)); !errors.Is(err, ErrStoreInUse) {
		t.Errorf("a session with a file that a snapshot needs: %v", err)
	}
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	again := newSession(t, m, WithKVStore(path))
	if err := again.Restore(snapshot); err == nil {
		t.Error("a closed snapshot was restored")
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	if err := os.WriteFile(theirs, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.NewSession(WithKVStore(theirs)); err == nil {
		t.Error("a file of somebody else's was taken")
	}
	if data, err := os.ReadFile(theirs); err != nil || string(data) != "precious" {
		t.Errorf("it holds %q, %v", data, err)
	}
}

// What is saved and loaded, or a snapshot and restored, goes on as though nothing had been.
func TestBlocksAreSaved(t *testing.T) {
	m := synthModel(t, "qwen2-tiny")
	ids := text(m, 500)
	dir := t.TempDir()
	eachRetrieval(t, func(t *testing.T, method string) {
		opts := []SessionOption{WithAttention(method), WithKVBudget(200), WithPrefillBlock(32)}
		s := newSession(t, m, opts...)
		readAll(t, s, ids[:400])
		path := filepath.Join(dir, "session")
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		want := readAll(t, s, ids[400:])
		loaded, restored := newSession(t, m, append(opts, WithKVStore(filepath.Join(dir, "rows")))...), newSession(t, m, opts...)
		defer loaded.Close()
		if err := loaded.Load(path); err != nil {
			t.Fatal(err)
		}
		if err := restored.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		for name, other := range map[string]*Session{"loaded": loaded, "restored": restored} {
			if far := furthest(want, readAll(t, other, ids[400:])); far != 0 {
				t.Errorf("%s: logits differ by %g", name, far)
			}
		}
		if err := newSession(t, m, WithAttention("retrieval"), WithKVBudget(400)).Load(path); !errors.Is(err, ErrMismatch) {
			t.Errorf("loaded with other blocks: %v", err)
		}
		if err := newSession(t, m).Restore(snapshot); err == nil {
			t.Error("restored without blocks")
		}
	})
}

func TestPlanOfRowsInAFile(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	memory, err := m.Plan(5000)
	if err != nil {
		t.Fatal(err)
	}
	file, err := m.Plan(5000, WithKVStore(filepath.Join(t.TempDir(), "rows")))
	if err != nil {
		t.Fatal(err)
	}
	if file.KVBytes != 0 || file.StoreBytes != memory.KVBytes || memory.StoreBytes != 0 || memory.KVBytes == 0 {
		t.Errorf("in memory %+v, in a file %+v", memory, file)
	}
}
