package mneme

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// adapterFile writes a random adapter for a random model: a bank of chunks, or a memory that learns.
func adapterFile(t testing.TB, backbone, path, kind string, window int, seed uint64) string {
	t.Helper()
	m := openSynth(t, path, WithThreads(1))
	print, err := m.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	shape, err := synth.Lookup(backbone)
	if err != nil {
		t.Fatal(err)
	}
	a := synth.Adapter{Backbone: shape, Fingerprint: print, Window: window, Context: 4096}
	if kind == model.MemoryFifo {
		a.Fifo = synth.TinyFifo
	} else {
		a.Neural = synth.TinyNeural
	}
	to := filepath.Join(t.TempDir(), "adapter.gguf")
	if err := a.Write(context.Background(), to, quant.F16, seed); err != nil {
		t.Fatal(err)
	}
	return to
}

func adaptedModel(t testing.TB, backbone, kind string, window int) *Model {
	t.Helper()
	path := synthFile(t, backbone, quant.Q8_0)
	return openSynth(t, path, WithAdapter(adapterFile(t, backbone, path, kind, window, 1)))
}

func onAdaptedModels(t *testing.T, test func(t *testing.T, m *Model)) {
	for _, kind := range []string{model.MemoryFifo, model.MemoryNeural} {
		for backbone, window := range map[string]int{"phi3-tiny": 0, "gemma2-tiny": 20} {
			t.Run(fmt.Sprintf("%s, %s, %d", backbone, kind, window), func(t *testing.T) { test(t, adaptedModel(t, backbone, kind, window)) })
		}
	}
}

// TestAdapterOfASession is TestMemoryOfASession of models with adapters: however a text is cut, saved, copied or taken back to its
// beginning, it comes to the same, and the memory takes what was planned.
func TestAdapterOfASession(t *testing.T) {
	onAdaptedModels(t, func(t *testing.T, m *Model) {
		kind := m.net.Memory()
		ids := landmarkText(150)
		want := readPieces(t, newSession(t, m), ids, len(ids))
		for _, step := range []int{1, 13} {
			sameLogits(t, fmt.Sprintf("pieces of %d", step), readPieces(t, newSession(t, m), ids, step), want)
		}
		s := newSession(t, m, WithMemory(kind), WithPrefillBlock(9))
		sameLogits(t, "the beginning", readPieces(t, s, ids[:101], 101), want[:101])
		path := filepath.Join(t.TempDir(), "session")
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		state := s.Stats().Memory.StateBytes
		sameLogits(t, "the rest", readPieces(t, s, ids[101:], 50), want[101:])
		if again := s.Stats().Memory.StateBytes; again != state || state == 0 {
			t.Errorf("a state of %d bytes, after more text %d", state, again)
		}
		if plan, err := m.Plan(len(ids)); err != nil || plan.StateBytes != state || plan.WeightsBytes <= 0 {
			t.Errorf("planned are %d bytes of state, there are %d, %v", plan.StateBytes, state, err)
		}
		if err := s.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		sameLogits(t, "restored", readPieces(t, s, ids[101:], 50), want[101:])
		loaded := newSession(t, m)
		if err := loaded.Load(path); err != nil {
			t.Fatal(err)
		}
		sameLogits(t, "loaded", readPieces(t, loaded, ids[101:], 50), want[101:])
		if err := loaded.Truncate(120); !errors.Is(err, ErrLearned) {
			t.Errorf("taken back: %v", err)
		}
		if err := loaded.Truncate(149); kind == model.MemoryFifo && err != nil || kind == model.MemoryNeural && !errors.Is(err, ErrLearned) {
			t.Errorf("taken back by a token: %v", err)
		}
		if err := loaded.Truncate(0); err != nil {
			t.Fatal(err)
		}
		sameLogits(t, "from the beginning", readPieces(t, loaded, ids, 50), want)

		none := newSession(t, m, WithMemory(model.MemoryNone))
		if got := readPieces(t, none, ids, 50); slices.Equal(got[149], want[149]) || none.Stats().Memory.StateBytes != 0 {
			t.Errorf("the memory changes nothing, or %d bytes are left of it", none.Stats().Memory.StateBytes)
		}
		if err := none.Load(path); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "memory "+kind) {
			t.Errorf("a session without the memory loads one with it: %v", err)
		}
		if err := none.Restore(snapshot); err == nil {
			t.Error("a session without the memory is restored to one with it")
		}
	})
}

// TestAdapterIsForItsModel has adapters go with the models that they are for, and sessions with the adapters.
func TestAdapterIsForItsModel(t *testing.T) {
	path := synthFile(t, "phi3-tiny", quant.Q8_0)
	adapter, other := adapterFile(t, "phi3-tiny", path, "fifo", 0, 1), adapterFile(t, "phi3-tiny", path, "fifo", 0, 2)
	m, base, another := openSynth(t, path, WithAdapter(adapter)), openSynth(t, path, WithAdapter("")), openSynth(t, path, WithAdapter(other))
	prints := map[string]bool{}
	for _, x := range []*Model{m, base, another} {
		print, err := x.Fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		prints[print] = true
	}
	if len(prints) != 3 || m.Config().Adapter == "" || base.Config().Adapter != "" || m.Config().ContextLength != 4096 {
		t.Errorf("fingerprints %v, adapter %q of %d tokens", prints, m.Config().Adapter, m.Config().ContextLength)
	}
	for from, list := range map[*Model][]*Model{m: {base, another}, base: {m}} {
		s := newSession(t, from)
		readPieces(t, s, landmarkText(20), 20)
		saved := filepath.Join(t.TempDir(), "session")
		if err := s.Save(saved); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range list {
			if err := newSession(t, to).Load(saved); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), "with adapter memory for phi3-tiny") {
				t.Errorf("a session is loaded: %v", err)
			}
			if err := newSession(t, to).Restore(snapshot); err == nil {
				t.Error("a session is restored")
			}
		}
	}

	stranger := synthFile(t, "phi3-tiny", quant.F16)
	strangers, err := openSynth(t, stranger).Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	own, err := base.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		path, adapter string
		is            error
		want          []string
	}{
		"another model":        {stranger, adapter, ErrBackbone, []string{own, strangers, adapter}},
		"another architecture": {synthFile(t, "gemma2-tiny", quant.F16), adapter, ErrBackbone, []string{"phi3", "gemma2"}},
		"a model as adapter":   {path, stranger, ErrAdapter, []string{stranger, "general.type"}},
		"an adapter as model":  {adapter, adapter, ErrAdapter, []string{adapter}},
		"no file":              {path, filepath.Join(t.TempDir(), "none.gguf"), os.ErrNotExist, []string{"adapter", "none.gguf"}},
	} {
		_, err := Open(c.path, WithAdapter(c.adapter))
		if !errors.Is(err, c.is) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %q does not say %q in a line", what, err, want)
			}
		}
	}
}

// TestAdapterBesidePolicies has policies drop rows that the memory has learned from: it has read all tokens, and no probe. The memory of
// the first layer, which knows of no attention, is the same as without a policy.
func TestAdapterBesidePolicies(t *testing.T) {
	ids := landmarkText(120)
	for _, kind := range []string{model.MemoryFifo, model.MemoryNeural} {
		m := adaptedModel(t, "mneme-tiny", kind, 0)
		full := newSession(t, m)
		want := readPieces(t, full, ids, 120)
		first := full.sequence.Memories()[0].Save(nil)
		policies(t, func(t *testing.T, p kvcache.Kind) {
			s := newSession(t, m, WithPolicy(p.Name), WithKVBudget(48), WithPrefillBlock(20))
			for at := 0; at < len(ids); at += 40 {
				if err := s.Evaluate(t.Context(), ids[at:at+40], nil); err != nil {
					t.Fatal(err)
				}
			}
			if s.Stats().Memory.Evictions == 0 || !slices.Equal(s.sequence.Memories()[0].Save(nil), first) {
				t.Errorf("%d evictions; or another memory", s.Stats().Memory.Evictions)
			}
			whole := newSession(t, m, WithPolicy(p.Name), WithKVBudget(400))
			sameLogits(t, "a budget for the whole text", readPieces(t, whole, ids, 50), want)
		})
		for _, method := range []string{"full", "chunked:chunk=16", "retrieval:block=16,local=8"} {
			options := []SessionOption{WithAttention(method)}
			if kind, err := attention.KindOf(method); err != nil || kind.Budget {
				options = append(options, WithKVBudget(64))
			}
			s := newSession(t, m, options...)
			got := readPieces(t, s, ids, 30)
			if !slices.Equal(s.sequence.Memories()[0].Save(nil), first) {
				t.Errorf("%s: another memory", method)
			}
			if same := slices.Equal(got[119], want[119]); same != (method == "full") {
				t.Errorf("%s: the same logits: %v", method, same)
			}
			if _, err := s.AttentionMass(t.Context()); s.OpensSome() != errors.Is(err, ErrLearned) {
				t.Errorf("%s: %v", method, err)
			}
		}
	}
}

// TestAdapterWithAWindow has a text grow over a window: what it takes does not grow, and is what was planned.
func TestAdapterWithAWindow(t *testing.T) {
	for _, kind := range []string{model.MemoryFifo, model.MemoryNeural} {
		m := adaptedModel(t, "gemma2-tiny", kind, 20)
		for _, memory := range []string{"auto", "none"} {
			options := []SessionOption{WithMemory(memory), WithPrefillBlock(64)}
			s := newSession(t, m, options...)
			var early Memory
			for _, n := range []int{512, 2048} {
				if err := s.Evaluate(t.Context(), landmarkText(n)[s.Len():], nil); err != nil {
					t.Fatal(err)
				}
				plan, err := m.Plan(n, options...)
				if err != nil {
					t.Fatal(err)
				}
				mem := s.Stats().Memory
				if early.RowsSeen == 0 {
					early = mem
				}
				if mem.KVBytesPeak > plan.KVBytes || mem.KVBytesPeak != early.KVBytesPeak || mem.StateBytes != early.StateBytes || mem.StateBytes != plan.StateBytes {
					t.Errorf("%s, %s, %d tokens: %+v, at first %+v, planned were %+v", kind, memory, n, mem, early, plan)
				}
				if mem.RowsSeen != n || mem.RowsEvicted != 0 || mem.Evictions != 0 {
					t.Errorf("%s, %s, %d tokens: %+v", kind, memory, n, mem)
				}
			}
			short, err := m.Plan(1000, options...)
			if err != nil {
				t.Fatal(err)
			}
			if long, err := m.Plan(1<<40, options...); err != nil || long.KVBytes != short.KVBytes || long.StateBytes != short.StateBytes {
				t.Errorf("planned are %+v for much, %+v for little, %v", long, short, err)
			}
		}
	}
}

// TestMutatedAdapters opens a model with damaged adapters: each is one or an error.
func TestMutatedAdapters(t *testing.T) {
	path := synthFile(t, "phi3-tiny", quant.Q8_0)
	var originals [][]byte
	for _, kind := range []string{model.MemoryFifo, model.MemoryNeural} {
		data, err := os.ReadFile(adapterFile(t, "phi3-tiny", path, kind, 9, 1))
		if err != nil {
			t.Fatal(err)
		}
		originals = append(originals, data)
	}
	files := 150
	if testing.Short() {
		files = 30
	}
	rng := rand.New(rand.NewPCG(5, 6))
	loaded := 0
	damaged := filepath.Join(t.TempDir(), "damaged.gguf")
	for i := range files {
		if err := os.WriteFile(damaged, mutate(rng, originals[i%2]), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path, WithThreads(1), WithAdapter(damaged))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("not one line: %q", err)
			}
			continue
		}
		tryModel(t, m)
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		loaded++
	}
	t.Logf("%d of %d adapters loaded, the others failed with an error", loaded, files)
	if loaded == 0 || loaded == files {
		t.Errorf("%d of %d adapters loaded: the changes test nothing", loaded, files)
	}
}
