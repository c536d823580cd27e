package mneme

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// smallModel is a model that is fast, with heads of any size.
func smallModel(t testing.TB, headDim int, opts ...ModelOption) *Model {
	t.Helper()
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		t.Fatal(err)
	}
	shape.Embedding, shape.FeedForward, shape.Heads, shape.KVHeads, shape.HeadDim = 64, 64, 2, 2, headDim
	path := filepath.Join(t.TempDir(), "small.gguf")
	if err := synth.Write(context.Background(), path, shape, quant.Q8_0, 1, nil); err != nil {
		t.Fatal(err)
	}
	m, err := Open(path, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// heap is what is in use of the heap, by objects and by the spans that hold them.
func heap() (objects, spans int64) {
	var st runtime.MemStats
	runtime.GC()
	runtime.GC() // what the first one finalized, or found in pools
	runtime.ReadMemStats(&st)
	return int64(st.HeapAlloc), int64(st.HeapInuse)
}

// A text without end is read, in blocks and token by token, within the memory of budget and block. What the session says
// of its memory is what it takes from the allocator, and that is the same after 20,000 tokens and after all. Of what grows
// there are only the ids of the tokens, which are the text itself.
func TestStream(t *testing.T) {
	m := smallModel(t, 128, WithThreads(1)) // rows that are large beside everything else that a session needs
	tokens := 200_000
	if testing.Short() {
		tokens = 20_000
	}
	for _, c := range []struct {
		policy string
		block  int
	}{{"window", 128}, {"h2o", 32}} {
		t.Run(c.policy, func(t *testing.T) {
			stream(t, m, tokens, WithPolicy(c.policy), WithKVBudget(64), WithPrefillBlock(c.block), WithKVType(quant.F32))
		})
	}
}

// streaming watches a session that reads a stream.
type streaming struct {
	session *Session
	plan    Plan
	base    int64 // objects on the heap without the session; 0: not looked at
	most    int64 // bytes of the cache's pages
	held    int64 // of these, the most that the heap was held against
	excess  int64 // the most that the heap had beside what is told
}

func stream(t *testing.T, m *Model, tokens int, opts ...SessionOption) {
	early := tokens / 10
	plan, err := m.Plan(tokens, opts...)
	if err != nil {
		t.Fatal(err)
	}
	// What the forward pass works in belongs to the model, and stays.
	(&streaming{session: newSession(t, m, opts...), plan: plan}).read(t, 2000)
	w := &streaming{plan: plan}
	w.base, _ = heap()
	w.session = newSession(t, m, opts...)
	w.read(t, early)
	first := w.atRest(t)
	w.read(t, tokens-early)
	last := w.atRest(t)
	if st := w.session.Stats().Memory; st.RowsSeen != tokens || st.KVBytesPeak != w.most || w.held != w.most {
		t.Errorf("%d rows seen; a peak of %d bytes is told, %d were there, and %d found on the heap", st.RowsSeen, st.KVBytesPeak, w.most, w.held)
	}
	if d := last - first; d > first/20 || -d > first/20 {
		t.Errorf("%d bytes of heap in use after %d tokens, %d after %d", first, early, last, tokens)
	}
	t.Logf("heap in use: %d bytes after %d tokens, %d after %d; cache %d at its peak, planned %d; at most %d beside what is told", first, early, last, tokens, w.most, plan.KVBytes, w.excess)
}

// read reads on, in pieces of several blocks and then some tokens alone, and holds the heap against what is told in the
// middle of blocks, when the cache is largest, and after them.
func (w *streaming) read(t *testing.T, n int) {
	t.Helper()
	const piece, alone = 1000, 10
	s := w.session
	ids := make([]int32, piece)
	for end := s.Len() + n; s.Len() < end; {
		for i := range ids {
			ids[i] = idOfStream(s.model, s.Len()+i)
		}
		checked := s.Len()%10_000 != 0 || w.base == 0
		err := s.Evaluate(t.Context(), ids[:piece-alone], func(i int, _ []float32) error {
			w.bound(t)
			if !checked && i > piece/2 && i%s.options.block == 0 {
				checked = true
				w.compare(t)
			}
			return nil
		})
		for i := piece - alone; i < piece && err == nil; i++ {
			err = s.Evaluate(t.Context(), ids[i:i+1], nil)
			w.bound(t)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// idOfStream is the token at a place in the stream.
func idOfStream(m *Model, i int) int32 { return int32((i*i*7 + i/977 + 5) % m.Config().Vocabulary) }

// bound checks that the cache is within what was planned.
func (w *streaming) bound(t *testing.T) {
	t.Helper()
	cache := w.session.sequence.Cache
	w.most = max(w.most, cache.Bytes())
	if cache.PeakBytes() > w.plan.KVBytes || cache.MarkBytes() > 2*w.plan.StateBytes { // as append grows slices
		t.Fatalf("after %d tokens a cache of %d bytes and %d of state, planned were %d and %d",
			w.session.Len(), cache.PeakBytes(), cache.MarkBytes(), w.plan.KVBytes, w.plan.StateBytes)
	}
}

// compare holds the heap against what the cache says that it takes, the marks, and the ids of the text. What else a
// session has takes less than 20 KiB: the rows of the batch under way, 24 bytes each, the ids of the piece that is being
// read, twice 4 KiB, and 200 bytes that describe a page and where its rows lie, all rounded up to the allocator's sizes.
// That is less than a sixth of a page of the cache's.
func (w *streaming) compare(t *testing.T) {
	t.Helper()
	const rest = 20 << 10
	s := w.session
	objects, _ := heap()
	told := s.sequence.Cache.Bytes() + s.sequence.Cache.MarkBytes() + 4*int64(cap(s.tokens))
	w.held = max(w.held, s.sequence.Cache.Bytes())
	d := objects - w.base - told
	w.excess = max(w.excess, d)
	if d < 0 || d > rest {
		t.Fatalf("after %d tokens the session takes %d bytes of the heap, and tells of %d", s.Len(), objects-w.base, told)
	}
}

// atRest returns the heap in use without the text's ids.
func (w *streaming) atRest(t *testing.T) int64 {
	t.Helper()
	w.compare(t)
	_, spans := heap()
	return spans - 4*int64(cap(w.session.tokens))
}

// A reading that its caller ends leaves the cache within its budget, as often as it happens.
func TestBudgetHoldsWhenReadingEnds(t *testing.T) {
	m := synthModel(t, "llama-tiny")
	opts := []SessionOption{WithPolicy("window"), WithKVBudget(64), WithPrefillBlock(32)}
	s := newSession(t, m, opts...)
	plan, err := m.Plan(1_000_000, opts...)
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	for range 20 {
		err := s.Evaluate(t.Context(), text(m, 32), func(int, []float32) error { return enough })
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		if mem := s.Stats().Memory; mem.RowsKept > 64 || mem.KVBytesPeak > plan.KVBytes {
			t.Fatalf("%d rows after %d tokens, a peak of %d bytes; the budget is 64, planned were %d", mem.RowsKept, mem.RowsSeen, mem.KVBytesPeak, plan.KVBytes)
		}
	}
}
