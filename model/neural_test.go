package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// TestPrototypeTitans reads the document of a golden file at once, in pieces, and token by token, with the memory and without it.
func TestPrototypeTitans(t *testing.T) {
	m := openPrototype(t, "titans")
	for name, options := range map[string]SequenceOptions{"titans": {Rows: quant.F32}, "titans_off": {Rows: quant.F32, NoMemory: true}} {
		g := testdata.PrototypeGolden(t, name)
		first := len(g.Tokens) - len(g.Top)
		if first <= m.ContextLength/2 || len(g.Top) == 0 {
			t.Fatalf("%s: %d rows of %d tokens", name, len(g.Top), len(g.Tokens))
		}
		for i, impl := range kernels.Implementations() {
			r := NewRunner(m, impl, 2)
			defer r.Close()
			pieces := []int{len(g.Tokens), 100, 1}
			if i == 0 {
				pieces = pieces[:1] // the reference takes long
			}
			var want [][]float32
			for _, piece := range pieces {
				seq, err := m.NewSequence(options)
				if err != nil {
					t.Fatal(err)
				}
				var rows [][]float32
				for at := 0; at < len(g.Tokens); at += piece {
					rows = append(rows, forward(t, r, seq, g.Tokens[at:min(at+piece, len(g.Tokens))], at)...)
				}
				rows = rows[first:]
				if want == nil {
					testdata.CheckTop(t, name+"/"+impl.Name, rows, g)
					want = rows
					continue
				}
				if !slices.EqualFunc(rows, want, slices.Equal[[]float32]) {
					t.Errorf("%s/%s: other logits in pieces of %d", name, impl.Name, piece)
				}
			}
		}
	}
}

// TestMemoriesOfABatch reads texts of several sequences, one without a memory, in batches where their rows alternate: each is
// as by itself, for any number of threads and from packed matrices, and a batch that is stopped or refused leaves no trace.
func TestMemoriesOfABatch(t *testing.T) {
	m := openPrototype(t, "titans")
	const n = 90
	texts := make([][]int32, 3)
	for i := range texts {
		for j := range n {
			texts[i] = append(texts[i], int32(4+(7*i+j*j)%250))
		}
	}
	sequence := func(i int) *Sequence {
		s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: i == 2})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want, states := make([][][]float32, len(texts)), make([][]byte, len(texts))
	alone := newRunner(t, m, 1)
	for i, text := range texts {
		s := sequence(i)
		want[i] = forward(t, alone, s, text, 0)
		states[i] = s.Memories().Save()
	}
	if len(states[0]) == 0 || len(states[2]) > 0 {
		t.Fatalf("states of %d and %d bytes", len(states[0]), len(states[2]))
	}
	for _, threads := range []int{1, 2} {
		r := newRunner(t, m, threads)
		if threads == 2 {
			if err := r.Repack(); err != nil {
				t.Fatal(err)
			}
		}
		sequences := []*Sequence{sequence(0), sequence(1), sequence(2)}
		for at := 0; at < n; at += 30 {
			var rows []Row
			for j := at; j < at+30; j++ {
				for i, s := range sequences {
					rows = append(rows, Row{Token: texts[i][j], Position: int32(j), Sequence: s, Logits: j%4 == 0})
				}
			}
			before := sequences[0].Memories().Save()
			stopped := new(atomic.Bool)
			stopped.Store(true)
			if err := r.Forward(rows, stopped, nil); err != ErrStopped {
				t.Fatal(err)
			}
			refused := slices.Concat(rows, []Row{{Token: -1, Position: 500, Sequence: sequences[0]}})
			if err := r.Forward(refused, nil, nil); err == nil {
				t.Fatal("a token that there is none of")
			}
			if !bytes.Equal(sequences[0].Memories().Save(), before) {
				t.Fatal("a batch that failed has left something behind")
			}
			err := r.Forward(rows, nil, func(k int, values []float32) {
				if i, j := k%3, at+k/3; !slices.Equal(values, want[i][j]) {
					t.Errorf("%d threads, text %d, token %d: other logits", threads, i, j)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range sequences {
			if !bytes.Equal(s.Memories().Save(), states[i]) {
				t.Errorf("%d threads, text %d: another state", threads, i)
			}
		}
	}
}

// TestLearnedIsKept goes on from copies and from saved states.
func TestLearnedIsKept(t *testing.T) {
	m := openPrototype(t, "titans")
	r := newRunner(t, m, 1)
	s := newSequence(t, m, quant.F32)
	forward(t, r, s, []int32{1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22}, 0)
	saved, copied := s.Memories().Save(), s.Memories()
	if got := copied.Bytes(); got != m.MemoryBytes() || got == 0 || s.Memory() != MemoryNeural {
		t.Errorf("%d bytes, want %d", got, m.MemoryBytes())
	}
	forward(t, r, s, []int32{30, 31}, 19)
	if bytes.Equal(s.Memories().Save(), saved) {
		t.Error("two tokens taught nothing")
	}
	if s.SetMemories(copied); !bytes.Equal(s.Memories().Save(), saved) {
		t.Error("a copy is not what was copied")
	}
	read, err := s.ReadMemories(saved, 19)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Truncate(20); !errors.Is(err, memory.ErrLearned) || s.Cache.Seen() != 21 {
		t.Errorf("a token is taken back: %v", err)
	}
	if err := s.Truncate(0); err != nil || !bytes.Equal(s.Memories().Save(), newSequence(t, m, quant.F32).Memories().Save()) {
		t.Errorf("something is left of what was unlearned: %v", err)
	}
	if s.SetMemories(read); !bytes.Equal(s.Memories().Save(), saved) {
		t.Error("what was saved is not restored")
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "half": saved[:len(saved)/2], "more": append(bytes.Clone(saved), 0), "other": bytes.Repeat([]byte{1}, len(saved)),
	} {
		if _, err := s.ReadMemories(data, 19); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestDecodingWithMemoryDoesNotAllocate(t *testing.T) {
	m := openPrototype(t, "titans")
	for _, threads := range []int{1, 2} {
		decodeWithoutAllocating(t, m, quant.F32, threads)
	}
}

func TestNeuralRefused(t *testing.T) {
	const prefix = "mneme.memory.neural."
	_, f := openPrototypeFile(t, "titans")
	for name, c := range map[string]struct {
		set  map[string]any
		want string
	}{
		"variant":        {map[string]any{prefix + "variant": "mad"}, `"mad" is not supported (known: lmm, mag, mal, mac)`},
		"mac of windows": {map[string]any{prefix + "variant": "mac"}, "beside chunked attention, layer 2 has window"},
		"no gate":        {map[string]any{prefix + "variant": "mag"}, "blk.2.mem_branch_norm.weight"},
		"persistent":     {map[string]any{prefix + "persistent": uint32(3)}, "blk.2.mem_persistent.weight"},
		"many":           {map[string]any{prefix + "persistent": uint32(maxPersistent + 1)}, prefix + "persistent"},
		"no heads":       {map[string]any{prefix + "head_count": nil}, prefix + "head_count"},
		"no layers":      {map[string]any{prefix + "layers": nil}, prefix + "layers"},
		"layer beyond":   {map[string]any{prefix + "layers": []int32{4}}, prefix + "layers"},
		"layer twice":    {map[string]any{prefix + "layers": []int32{2, 2}}, prefix + "layers"},
		"another layer":  {map[string]any{prefix + "layers": []int32{1}}, "blk.1.mem_norm.weight"},
		"chunk":          {map[string]any{prefix + "chunk": uint32(1 << 20)}, "tokens in a chunk"},
		"momentum":       {map[string]any{prefix + "momentum": uint32(1)}, prefix + "momentum"},
		"most momentum":  {map[string]any{prefix + "momentum_max": float32(2)}, "momentum up to 2"},
		"deeper":         {map[string]any{prefix + "depth": uint32(1 << 27)}, "mem_initial.1.weight"},
		"an error":       {map[string]any{prefix + "error_max": float32(-1)}, "errors up to a length of -1"},
		"wider":          {map[string]any{prefix + "head_length": uint32(65)}, "mem_q.weight"},
		"no convolution": {map[string]any{prefix + "convolution": uint32(0)}, "mem_conv.weight"},
	} {
		_, err := Load(edited(t, f, edit{set: c.set}))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one with %s", name, err, c.want)
		}
	}
}

// TestSteadiedMemory reads what the metadata says of a memory of two layers; each of its switches changes what is read.
func TestSteadiedMemory(t *testing.T) {
	const prefix = "mneme.memory.neural."
	_, f := openPrototypeFile(t, "titans")
	second := randomTensor("blk.2.mem_initial.1.weight", 64, 64, 2)
	steps := randomTensor("blk.2.mem_steps.weight", 2)
	switches := map[string]any{
		prefix + "unit_hidden": true, prefix + "layer_steps": true, prefix + "error_max": float32(.25), prefix + "decay_to_initial": true,
	}
	logits := func(without string) []float32 {
		set := maps.Clone(switches)
		delete(set, without)
		add := []weights.Tensor{second, steps}
		if without == prefix+"layer_steps" {
			add = add[:1]
		}
		set[prefix+"depth"], set[prefix+"expansion"] = uint32(2), uint32(1)
		m, err := Load(edited(t, f, edit{set: set, add: add}))
		if err != nil {
			t.Fatal(err)
		}
		n := m.Neural
		if n.Depth != 2 || n.UnitHidden != (set[prefix+"unit_hidden"] != nil) || n.LayerSteps != (set[prefix+"layer_steps"] != nil) ||
			(n.MostError == .25) != (set[prefix+"error_max"] != nil) || n.DecayToInitial != (set[prefix+"decay_to_initial"] != nil) {
			t.Errorf("without %q: %+v", without, n)
		}
		tokens := text(60, 3)
		for i := range tokens {
			tokens[i] %= 262
		}
		rows := forward(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), tokens, 0)
		return rows[len(rows)-1]
	}
	all := logits("")
	for name := range switches {
		if slices.Equal(logits(name), all) {
			t.Errorf("%s changes nothing", name)
		}
	}
	set := maps.Clone(switches)
	set[prefix+"depth"] = uint32(2)
	if _, err := Load(edited(t, f, edit{set: set, add: []weights.Tensor{second}})); err == nil || !strings.Contains(err.Error(), "blk.2.mem_steps.weight") {
		t.Errorf("no steps: error %v", err)
	}
}

// randomTensor is one of small values.
func randomTensor(name string, shape ...int) weights.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	var data []byte
	rng := rand.New(rand.NewPCG(uint64(n), 1))
	for range n {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(rng.NormFloat64()/8)))
	}
	return weights.Tensor{Name: name, Type: quant.F32, Shape: shape, Data: data}
}

// TestMemoryInTheLastLayer asks for few logits: rows that nobody asks for are dropped after the memory has read them.
func TestMemoryInTheLastLayer(t *testing.T) {
	_, f := openPrototypeFile(t, "titans")
	rename := map[string]string{}
	for _, tensor := range f.Tensors() {
		if name, ok := strings.CutPrefix(tensor.Name, "blk.2.mem_"); ok {
			rename[tensor.Name] = "blk.3.mem_" + name
		}
	}
	m, err := Load(edited(t, f, edit{set: map[string]any{"mneme.memory.neural.layers": []int32{3}}, rename: rename}))
	if err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, m, 1)
	tokens := text(100, 3)
	for i := range tokens {
		tokens[i] %= 262
	}
	want, s := forward(t, r, newSequence(t, m, quant.F32), tokens, 0), newSequence(t, m, quant.F32)
	for at := 0; at < len(tokens); at += 20 {
		rows := make([]Row, 20)
		for i := range rows {
			rows[i] = Row{Token: tokens[at+i], Position: int32(at + i), Sequence: s, Logits: at >= 40 && i%9 == 8}
		}
		err := r.Forward(rows, nil, func(i int, values []float32) {
			if !slices.Equal(values, want[at+i]) {
				t.Errorf("token %d: other logits", at+i)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
