package mneme

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// neuralModel is a random model whose last layer has a memory of so many layers.
func neuralModel(t testing.TB, depth int) *Model {
	t.Helper()
	shape, err := synth.Lookup("mneme-tiny")
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if err := synth.WriteTo(context.Background(), &plain, shape, quant.F32, 1); err != nil {
		t.Fatal(err)
	}
	file, err := weights.Parse(plain.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	const heads, dim, expansion, width = 3, 16, 2, 4
	md := file.Metadata().Clone()
	for key, value := range map[string]any{
		"kind": "neural", "neural.layers": []int32{1}, "neural.head_count": uint32(heads), "neural.head_length": uint32(dim), "neural.depth": uint32(depth),
		"neural.expansion": uint32(expansion), "neural.chunk": uint32(7), "neural.convolution": uint32(width), "neural.step_max": float32(.2),
		"neural.momentum_max": float32(.9), "neural.read_after": depth > 1, "neural.silu": depth > 1,
	} {
		if err := md.Set("mneme.memory."+key, value); err != nil {
			t.Fatal(err)
		}
	}
	var infos []weights.TensorInfo
	data := map[string][]byte{}
	for _, x := range file.Tensors() {
		infos = append(infos, weights.TensorInfo{Name: x.Name, Type: x.Type, Shape: x.Shape})
		data[x.Name] = x.Data
	}
	rng := rand.New(rand.NewPCG(8, uint64(depth)))
	add := func(name string, shape ...int) {
		info := weights.TensorInfo{Name: "blk.1.mem_" + name, Type: quant.F32, Shape: shape}
		n := 1
		for _, d := range shape {
			n *= d
		}
		for range n {
			v := float32(rng.NormFloat64() / math.Sqrt(float64(shape[0])))
			data[info.Name] = binary.LittleEndian.AppendUint32(data[info.Name], math.Float32bits(v))
		}
		infos = append(infos, info)
	}
	e := shape.Embedding
	add("norm.weight", e)
	for _, name := range []string{"q", "k", "v", "out_gate"} {
		add(name+".weight", e, heads*dim)
	}
	add("gates.weight", e, 3*heads)
	add("gates.bias", 3*heads)
	add("output.weight", heads*dim, e)
	add("read_norm.weight", heads*dim)
	add("conv.weight", width, 3*heads*dim)
	for i := range depth {
		in, out := expansion*dim, expansion*dim
		if i == 0 {
			in = dim
		}
		if i == depth-1 {
			out = dim
		}
		add(fmt.Sprintf("initial.%d.weight", i), in, out, heads)
	}
	m, err := newModel(written(t, md, infos, data), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func onNeuralModels(t *testing.T, test func(t *testing.T, m *Model)) {
	for _, depth := range []int{1, 3} {
		t.Run(fmt.Sprintf("depth %d", depth), func(t *testing.T) { test(t, neuralModel(t, depth)) })
	}
	for _, variant := range []string{"lmm", "mag", "mal", "mac"} {
		t.Run(variant, func(t *testing.T) { test(t, openSynth(t, synthFile(t, "mneme-"+variant+"-tiny", quant.F32))) })
	}
}

// However a text is cut, saved, copied or taken back to its beginning, it comes to the same, and the memory takes what was planned.
func TestMemoryOfASession(t *testing.T) {
	onNeuralModels(t, func(t *testing.T, m *Model) {
		ids := landmarkText(150)
		want := readPieces(t, newSession(t, m), ids, len(ids))
		for _, step := range []int{1, 13, 64} {
			sameLogits(t, fmt.Sprintf("pieces of %d", step), readPieces(t, newSession(t, m), ids, step), want)
		}
		s := newSession(t, m, WithMemory(model.MemoryNeural), WithPrefillBlock(9))
		sameLogits(t, "the beginning", readPieces(t, s, ids[:100], 100), want[:100])
		path := filepath.Join(t.TempDir(), "session")
		if err := s.Save(path); err != nil {
			t.Fatal(err)
		}
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		state := s.Stats().Memory.StateBytes
		sameLogits(t, "the rest", readPieces(t, s, ids[100:], 50), want[100:])
		if again := s.Stats().Memory.StateBytes; again != state || state == 0 {
			t.Errorf("a state of %d bytes, after more text %d", state, again)
		}
		if plan, err := m.Plan(len(ids)); err != nil || plan.StateBytes != state {
			t.Errorf("planned are %d bytes of state, there are %d, %v", plan.StateBytes, state, err)
		}
		for range 2 {
			if err := s.Restore(snapshot); err != nil {
				t.Fatal(err)
			}
			sameLogits(t, "restored", readPieces(t, s, ids[100:], 50), want[100:])
		}
		loaded := newSession(t, m)
		if err := loaded.Load(path); err != nil {
			t.Fatal(err)
		}
		sameLogits(t, "loaded", readPieces(t, loaded, ids[100:], 50), want[100:])
		if err := loaded.Truncate(120); !errors.Is(err, ErrLearned) {
			t.Errorf("taken back: %v", err)
		}
		if _, err := loaded.Reuse(ids); !errors.Is(err, ErrLearned) || loaded.Len() != len(ids) {
			t.Errorf("reused: %v, %d tokens", err, loaded.Len())
		}
		if err := loaded.Truncate(0); err != nil {
			t.Fatal(err)
		}
		sameLogits(t, "from the beginning", readPieces(t, loaded, ids, 50), want)
	})
}

// Wherever in a chunk a text is saved, and at the end of one, it goes on from there.
func TestMemorySavedWithinAChunk(t *testing.T) {
	for name, m := range map[string]*Model{"lmm": neuralModel(t, 2), "mac": openSynth(t, synthFile(t, "mneme-mac-tiny", quant.F32))} {
		chunk := m.net.Neural.Chunk
		ids := landmarkText(3*chunk + 2)
		want := readPieces(t, newSession(t, m), ids, len(ids))
		path := filepath.Join(t.TempDir(), "session")
		s := newSession(t, m)
		readPieces(t, s, ids[:chunk], chunk)
		for n := chunk; n <= 2*chunk; n++ {
			if err := s.Save(path); err != nil {
				t.Fatal(err)
			}
			loaded := newSession(t, m)
			if err := loaded.Load(path); err != nil {
				t.Fatalf("%s, %d tokens in chunks of %d: %v", name, n, chunk, err)
			}
			sameLogits(t, fmt.Sprintf("%s, loaded after %d tokens", name, n), readPieces(t, loaded, ids[n:], chunk), want[n:])
			sameLogits(t, fmt.Sprintf("%s, token %d", name, n), readPieces(t, s, ids[n:n+1], 1), want[n:n+1])
		}
	}
}

func TestMemoryLeftOut(t *testing.T) {
	m, plain := neuralModel(t, 1), openSynth(t, synthFile(t, "mneme-tiny", quant.F32))
	ids := landmarkText(60)
	s := newSession(t, m, WithMemory(model.MemoryNone))
	sameLogits(t, "left out", readPieces(t, s, ids, 60), readPieces(t, newSession(t, plain, WithMemory(model.MemoryNone)), ids, 60))
	if with := readPieces(t, newSession(t, m), ids, 60); slices.Equal(with[59], s.logitsOf(t, ids)) {
		t.Error("the memory changes nothing")
	}
	if err := s.Truncate(30); err != nil || s.Stats().Memory.StateBytes != 0 {
		t.Errorf("%v, %d bytes of state", err, s.Stats().Memory.StateBytes)
	}
	path := filepath.Join(t.TempDir(), "session")
	if err := s.Save(path); err != nil {
		t.Fatal(err)
	}
	snapshot, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	other := newSession(t, m)
	if err := other.Load(path); !errors.Is(err, ErrMismatch) {
		t.Errorf("loaded with a memory: %v", err)
	}
	if err := other.Restore(snapshot); err == nil {
		t.Error("restored with a memory")
	}
	if _, err := plain.NewSession(WithMemory(model.MemoryNeural)); err == nil {
		t.Error("a memory that the model does not have")
	}
	if _, err := m.NewSession(WithMemory("elephant")); err == nil {
		t.Error("a memory that there is not")
	}
}

// logitsOf reads a text from the beginning, and returns the logits after its last token.
func (s *Session) logitsOf(t *testing.T, ids []int32) []float32 {
	t.Helper()
	if err := s.Truncate(0); err != nil {
		t.Fatal(err)
	}
	return readPieces(t, s, ids, len(ids))[len(ids)-1]
}

// What a policy has the model read to score rows by is not learned from.
func TestProbesAreNotLearned(t *testing.T) {
	m := neuralModel(t, 2)
	ids := landmarkText(100)
	s := newSession(t, m, WithPolicy("kvzip"), WithKVBudget(64), WithPrefillBlock(20))
	if err := s.Evaluate(t.Context(), ids, nil); err != nil {
		t.Fatal(err)
	}
	if s.Stats().Memory.Evictions == 0 {
		t.Fatal("nothing was dropped")
	}
	fill := func(state []byte) uint32 { return binary.LittleEndian.Uint32(state[4+36:]) } // behind the state's length
	if got := fill(s.sequence.Memories().Save()); got != 100%7 {
		t.Errorf("%d tokens in the chunk, want %d", got, 100%7)
	}
}

// TestMemoryWithinABudget keeps the rows that windows and segments see, and no others: what is written stays the same, and neither the
// cache nor the memory grows with the text.
func TestMemoryWithinABudget(t *testing.T) {
	for _, variant := range []string{"lmm", "mag", "mal", "mac"} {
		m := openSynth(t, synthFile(t, "mneme-"+variant+"-tiny", quant.F32))
		ids := landmarkText(700)
		want := readPieces(t, newSession(t, m), ids, len(ids))
		s := newSession(t, m, WithPolicy("window:sinks=0,positions=text"), WithKVBudget(40), WithPrefillBlock(16))
		var state, peak int64
		for at := 0; at < len(ids); at += 100 {
			for i, logits := range readPieces(t, s, ids[at:at+100], 50) {
				for j, v := range logits {
					if d := math.Abs(float64(v - want[at+i][j])); !(d < 1e-4) {
						t.Fatalf("%s: logit %d after token %d: %v, want %v", variant, j, at+i, v, want[at+i][j])
					}
				}
			}
			stats := s.Stats().Memory
			if at > 0 && (stats.StateBytes != state || stats.KVBytesPeak != peak) || stats.Evictions == 0 {
				t.Errorf("%s: after %d tokens %d bytes of state, %d of rows at most; before that %d and %d", variant, at+100, stats.StateBytes, stats.KVBytesPeak, state, peak)
			}
			state, peak = stats.StateBytes, stats.KVBytesPeak
		}
	}
	m := openSynth(t, synthFile(t, "mneme-mac-tiny", quant.F32))
	if _, err := m.NewSession(WithPolicy("window"), WithKVBudget(40)); err == nil {
		t.Error("a policy that moves rows away from what was retrieved for them")
	}
}
