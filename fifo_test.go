package mneme

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
)

const fifoChunk = 12

// fifoModel is a random model with a memory of chunks in its second layer.
func fifoModel(t testing.TB) *Model {
	t.Helper()
	const config = `{"V": 37, "d": 32, "L": 2, "H": 2, "h": 24, "Tc": 12, "C": 4, "m": 6, "memlayers": [1], "ns": 2, "pool": "query", "read": "heads", "gate": "simple", "fuse": "head", "src": "in"}`
	random := testdata.RandomTensor
	list := []testdata.Tensor{random("e.weight", 37, 32), random("nf.w", 32), random("head.weight", 37, 32)}
	for _, b := range []string{"bl.0.", "bl.1."} {
		list = append(list, random(b+"n1.w", 32), random(b+"n2.w", 32), random(b+"qkv.weight", 96, 32), random(b+"qkv.bias", 96),
			random(b+"o.weight", 32, 32), random(b+"ff.w1.weight", 48, 32), random(b+"ff.w2.weight", 32, 24), random(b+"lam", 3, 2))
	}
	for _, name := range []string{"U", "W", "km", "qm", "vm", "pk", "pv"} {
		list = append(list, random("bl.1."+name+".weight", 32, 32))
	}
	list = append(list, random("bl.1.W.bias", 32), random("bl.1.nm.w", 32), random("bl.1.np.w", 32), random("bl.1.pq", 2, 32))
	folder := t.TempDir()
	from, to := filepath.Join(folder, "fifo.safetensors"), filepath.Join(folder, "fifo.gguf")
	if err := os.WriteFile(from, testdata.Safetensors(t, map[string]string{"config": config}, list), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := convert.Convert(context.Background(), to, from, convert.Options{}); err != nil {
		t.Fatal(err)
	}
	file, err := weights.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel(file, []ModelOption{WithThreads(2)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func fifoText(n int) (ids []int32) {
	for i := range n {
		ids = append(ids, int32((i*i*7+i*3)%37))
	}
	return ids
}

// evaluated reads tokens and returns the logits after each.
func evaluated(t testing.TB, s *Session, tokens []int32) (rows [][]float32) {
	t.Helper()
	err := s.Evaluate(context.Background(), tokens, func(_ int, logits []float32) error {
		rows = append(rows, slices.Clone(logits))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func sameRows(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i := range got {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("%s: row %d differs", what, i)
		}
	}
}

// TestMemoryOfSessions has a session with a memory of chunks read in pieces, go back, be saved, loaded and restored.
func TestMemoryOfSessions(t *testing.T) {
	m, tokens := fifoModel(t), fifoText(39*fifoChunk+3)
	options := []SessionOption{WithKVType(quant.F32)}
	want := evaluated(t, newSession(t, m, options...), tokens)
	plan, err := m.Plan(len(tokens), options...)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "session")
	for _, have := range []int{1, fifoChunk - 1, fifoChunk, 2*fifoChunk + 5, 27 * fifoChunk, 31*fifoChunk - 1} {
		s := newSession(t, m, append(options, WithPrefillBlock(17), WithMemory("fifo"))...)
		sameRows(t, "before", evaluated(t, s, tokens[:have]), want[:have])
		if got := s.Stats().Memory.StateBytes; got != plan.StateBytes || got == 0 {
			t.Fatalf("%d bytes of state after %d tokens, planned were %d", got, have, plan.StateBytes)
		}
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		sameRows(t, "on", evaluated(t, s, tokens[have:]), want[have:])
		if err := s.Truncate(38*fifoChunk - 1); !errors.Is(err, ErrLearned) || s.Len() != len(tokens) {
			t.Fatalf("behind the chunk: %v, %d tokens", err, s.Len())
		}
		rest, err := s.Reuse(tokens) // the last token is read again
		if err != nil {
			t.Fatal(err)
		}
		sameRows(t, "again", evaluated(t, s, rest), want[len(tokens)-1:])
		if err := s.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		sameRows(t, "restored", evaluated(t, s, tokens[have:]), want[have:])
		other := newSession(t, m, append(options, WithKVStore(filepath.Join(t.TempDir(), "rows")))...)
		evaluated(t, other, fifoText(40)[5:])
		if err := other.Load(path); err != nil {
			t.Fatal(err)
		}
		sameRows(t, "loaded", evaluated(t, other, tokens[have:]), want[have:])

		none := newSession(t, m, append(options, WithMemory("none"))...)
		if err := none.Load(path); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "memory fifo") {
			t.Errorf("a session without memory loads one with it: %v", err)
		}
		if err := none.Restore(snapshot); err == nil || !strings.Contains(err.Error(), "memory fifo") {
			t.Errorf("a session without memory is restored to one with it: %v", err)
		}
		if err := s.Truncate(0); err != nil {
			t.Fatal(err)
		}
		sameRows(t, "anew", evaluated(t, s, tokens), want)
	}
}

// TestMemoryThatIsBounded is I12 as far as memory goes: what a text takes does not grow with it, and is what was planned.
func TestMemoryThatIsBounded(t *testing.T) {
	m := fifoModel(t)
	const block = 50
	for _, memory := range []string{"fifo", "none"} {
		options := []SessionOption{WithPrefillBlock(block), WithMemory(memory)}
		s, file := newSession(t, m, options...), newSession(t, m, append(options, WithKVStore(filepath.Join(t.TempDir(), "rows")))...)
		var early, stored Memory
		for _, n := range []int{1024, 4096, 16384, 65536} {
			if n > 16384 && memory == "none" {
				break
			}
			for _, x := range []*Session{s, file} {
				if n > 16384 && x == file {
					continue
				}
				if err := x.Evaluate(t.Context(), fifoText(n)[x.Len():], nil); err != nil {
					t.Fatal(err)
				}
			}
			plan, err := m.Plan(n, options...)
			if err != nil {
				t.Fatal(err)
			}
			mem := s.Stats().Memory
			if early.RowsSeen == 0 {
				early, stored = mem, file.Stats().Memory
			}
			if mem.KVBytesPeak > plan.KVBytes || mem.KVBytesPeak != early.KVBytesPeak || mem.StateBytes != early.StateBytes || mem.StateBytes != plan.StateBytes {
				t.Errorf("%s, %d tokens: %+v, at first %+v, planned were %+v", memory, n, mem, early, plan)
			}
			if mem.RowsSeen != n || mem.RowsKept > fifoChunk+kvcache.PageRows || mem.RowsEvicted != 0 || mem.Evictions != 0 {
				t.Errorf("%s, %d tokens: %+v", memory, n, mem)
			}
			if got := file.Stats().Memory; got.StoreBytes != stored.StoreBytes || got.StoreBytes == 0 || got.KVBytes != 0 {
				t.Errorf("%s, %d tokens: %+v in a file, at first %+v", memory, n, got, stored)
			}
		}
	}
	short, err := m.Plan(1000)
	if err != nil {
		t.Fatal(err)
	}
	long, err := m.Plan(1 << 40)
	if err != nil || long.KVBytes != short.KVBytes || long.StateBytes != short.StateBytes {
		t.Errorf("planned are %+v for much, %+v for little, %v", long, short, err)
	}
}

// resized is a random model with a memory of chunks, whose metadata asks for others.
func resized(t *testing.T, chunk uint32) (*Model, error) {
	t.Helper()
	file, err := weights.Parse(synthBytes(t, "mneme-fifo-tiny", quant.F16))
	if err != nil {
		t.Fatal(err)
	}
	md := file.Metadata().Clone()
	if err := md.Set("mneme.attention.chunk_length", chunk); err != nil {
		t.Fatal(err)
	}
	var infos []weights.TensorInfo
	data := map[string][]byte{}
	for _, x := range file.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: x.Name, Type: x.Type, Shape: x.Shape})
		data[x.Name] = x.Data
	}
	return newModel(written(t, md, infos, data), []ModelOption{WithThreads(1)})
}

// withMemory has the machine have so much memory to spare.
func withMemory(t *testing.T, bytes int64) {
	before := available
	available = func() (int64, bool) { return bytes, true }
	t.Cleanup(func() { available = before })
}

// TestMemoryThatDoesNotFit opens small files whose memories are large.
func TestMemoryThatDoesNotFit(t *testing.T) {
	if _, err := resized(t, 1<<24); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("chunks of 2^24 rows: %v", err)
	}
	m, err := resized(t, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	plan, err := m.Plan(0)
	if err != nil || plan.StateBytes < 1<<29 {
		t.Fatalf("%d bytes of state: %v", plan.StateBytes, err)
	}
	withMemory(t, plan.StateBytes-1)
	for what, options := range map[string][]SessionOption{
		"an empty session takes 512.": nil,
		"a context of 5 tokens takes": {WithContext(5)},
		"an empty session takes":      {WithKVStore(filepath.Join(t.TempDir(), "rows"))},
	} {
		_, err := m.NewSession(options...)
		if !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), what) {
			t.Errorf("want an error with %q: %v", what, err)
		}
	}
	if _, err := m.NewSession(WithMemory("none")); err != nil {
		t.Errorf("without memory: %v", err)
	}
}

// TestEpisodesThatDoNotFit counts what is learned of every episode.
func TestEpisodesThatDoNotFit(t *testing.T) {
	c := talk(t, synthModel(t, "mneme-mag-tiny"))
	const episodes, tokens = 3, 100
	s := c.session
	bytes, err := c.model.keyValueBytes(&s.options, s.sequence.Eviction, tokens)
	if err != nil || s.sequence.MemoryBytes() == 0 {
		t.Fatalf("%d bytes of memory, %v", s.sequence.MemoryBytes(), err)
	}
	bytes += s.sequence.MemoryBytes()
	withMemory(t, episodes*bytes)
	if err := c.refuseEpisodes(episodes, tokens); err != nil {
		t.Error(err)
	}
	withMemory(t, episodes*bytes-1)
	if err := c.refuseEpisodes(episodes, tokens); !errors.Is(err, ErrMemory) {
		t.Errorf("a byte less: %v", err)
	}
}

// TestChunksBeyondTrained has chunks longer than the text that the model was trained for.
func TestChunksBeyondTrained(t *testing.T) {
	m := fifoModel(t)
	m.net.ContextLength = fifoChunk - 4
	for _, block := range []int{1, 5, fifoChunk, 512} {
		s := newSession(t, m, WithPrefillBlock(block))
		for _, n := range []int{fifoChunk - 5, fifoChunk - 2, fifoChunk, fifoChunk + 3, 3 * fifoChunk, 1} {
			var err error
			if n > s.Len() {
				err = s.Evaluate(t.Context(), fifoText(n)[s.Len():], nil)
			} else if err = s.Truncate(0); err == nil {
				err = s.Evaluate(t.Context(), fifoText(n), nil)
			}
			if want := max(0, min(n, fifoChunk)-m.net.ContextLength); err != nil || s.Stats().BeyondTrained != want {
				t.Errorf("blocks of %d: %d tokens of %d are beyond what the model was trained for, want %d, %v", block, s.Stats().BeyondTrained, n, want, err)
			}
		}
	}
}

// TestMemoryNone zeroes the reads: the first chunk, which reads an empty bank, is the same, and what follows is not.
func TestMemoryNone(t *testing.T) {
	m, tokens := fifoModel(t), fifoText(3*fifoChunk)
	with := evaluated(t, newSession(t, m, WithKVType(quant.F32)), tokens)
	s := newSession(t, m, WithKVType(quant.F32), WithMemory("none"))
	for i, row := range evaluated(t, s, tokens) {
		if slices.Equal(row, with[i]) != (i < fifoChunk) {
			t.Fatalf("row %d: the memory makes a difference where it should not, or none", i)
		}
	}
	if got := s.Stats().Memory.StateBytes; got != 0 {
		t.Errorf("%d bytes of state without memory", got)
	}
	path := filepath.Join(t.TempDir(), "session")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := newSession(t, m, WithKVType(quant.F32), WithMemory("none")).Load(path); err != nil {
		t.Error(err)
	}
	if err := newSession(t, m, WithKVType(quant.F32)).Load(path); !errors.Is(err, ErrMismatch) {
		t.Errorf("a session with memory loads one without: %v", err)
	}
}

func TestMemoryRefused(t *testing.T) {
	m := fifoModel(t)
	for want, options := range map[string][]SessionOption{
		`no memory of kind neural, but fifo`: {WithMemory("neural")},
		"policy window":                      {WithPolicy("window"), WithKVBudget(64)},
		"attention chunked":                  {WithAttention("chunked")},
	} {
		if _, err := m.NewSession(options...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %s: %v", want, err)
		}
	}
	if _, err := m.Plan(100, WithMemory("neural")); err == nil {
		t.Error("a plan for a memory that the model has not")
	}
}
