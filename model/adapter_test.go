package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

const backbonePrint = "of the backbone"

// testAdapter is an adapter for tests, whose files are in memory.
type testAdapter struct{ synth.Adapter }

// adaptersOf are random memories for a backbone, a bank of chunks and one that learns, in all of its layers.
func adaptersOf(t testing.TB, backbone string) []testAdapter {
	t.Helper()
	shape, err := synth.Lookup(backbone)
	if err != nil {
		t.Fatal(err)
	}
	a := synth.Adapter{Backbone: shape, Fingerprint: backbonePrint, Context: 64}
	chunks, learning := a, a
	chunks.Fifo, learning.Neural = synth.TinyFifo, synth.TinyNeural
	return []testAdapter{{chunks}, {learning}}
}

func (a testAdapter) file(t testing.TB, typ quant.Type) *weights.File {
	t.Helper()
	var out bytes.Buffer
	if err := a.WriteTo(context.Background(), &out, typ, 1); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func withAdapter(t testing.TB, base *Model, f *weights.File) *Model {
	t.Helper()
	a, err := ReadAdapter(f)
	if err != nil {
		t.Fatal(err)
	}
	m, err := base.WithAdapter(a, backbonePrint)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// logitsOf reads a text: some of it at once, the rest token by token.
func logitsOf(t *testing.T, m *Model, tokens []int32, repack bool, o SequenceOptions) (logits [][]float32) {
	t.Helper()
	r := newRunner(t, m, 1)
	if repack {
		if err := r.Repack(); err != nil {
			t.Fatal(err)
		}
	}
	o.Rows = quant.F16
	s, err := m.NewSequence(o)
	if err != nil {
		t.Fatal(err)
	}
	first := len(tokens) * 2 / 3
	logits = forward(t, r, s, tokens[:first], 0)
	for i, id := range tokens[first:] {
		logits = append(logits, forward(t, r, s, []int32{id}, first+i)...)
	}
	return logits
}

// TestZeroAdapterIsTheBackbone has what is read of memories multiplied by zeros, as where training begins: the logits are the backbone's,
// bit for bit, and with a window those of the adapter without its memory. So they are with weights of any types, and repacked ones.
func TestZeroAdapterIsTheBackbone(t *testing.T) {
	for i, name := range shapes() {
		for j, backbone := range []quant.Type{quant.F32, []quant.Type{quant.Q8_0, quant.Q4_0}[i%2]} {
			base := synthModel(t, name, backbone)
			tokens := text(30, i+1)
			repack := (i+j)%2 == 0
			want := logitsOf(t, base, tokens, repack, SequenceOptions{})
			for k, a := range adaptersOf(t, name) {
				a.Zero, a.Layers = true, []int{k}
				f := a.file(t, []quant.Type{quant.F32, quant.F16, quant.Q8_0}[(i+j+k)%3])
				m := withAdapter(t, base, f)
				sameBits(t, name+", "+m.Memory(), logitsOf(t, m, tokens, repack, SequenceOptions{}), want)
				sameBits(t, name+", none", logitsOf(t, m, tokens, repack, SequenceOptions{NoMemory: true}), want)

				const window = 7
				m = withAdapter(t, base, edited(t, f, edit{set: map[string]any{"mneme.attention.sliding_window": uint32(window)}}))
				narrow := logitsOf(t, m, tokens, repack, SequenceOptions{NoMemory: true})
				sameBits(t, name+", window, "+m.Memory(), logitsOf(t, m, tokens, repack, SequenceOptions{}), narrow)
				sameBits(t, name+", within the window", narrow[:window], want[:window])
				if slices.Equal(narrow[len(narrow)-1], want[len(want)-1]) {
					t.Errorf("%s: the window changes nothing", name)
				}
			}
		}
	}
}

// TestAdapterIsRead has memories that say something, in weights of every type: they change what comes after the first chunk, or the first
// token, and the model that they were added to stays as it is.
func TestAdapterIsRead(t *testing.T) {
	for i, name := range shapes() {
		base := synthModel(t, name, quant.F32)
		tokens := text(20, 3)
		want := logitsOf(t, base, tokens, false, SequenceOptions{})
		for _, a := range adaptersOf(t, name) {
			var of [][][]float32
			for _, typ := range []quant.Type{quant.F32, []quant.Type{quant.F16, quant.Q8_0}[i%2]} {
				m := withAdapter(t, base, a.file(t, typ))
				if m.WeightBytes() <= base.WeightBytes() || base.Memory() != MemoryNone || m.ContextLength != base.ContextLength {
					t.Errorf("%s, %s: %d bytes of weights, %d with the adapter", name, base.Memory(), base.WeightBytes(), m.WeightBytes())
				}
				got := logitsOf(t, m, tokens, false, SequenceOptions{})
				first := 0
				for first < len(got) && slices.Equal(got[first], want[first]) {
					first++
				}
				if wanted := a.Fifo.Chunk; first != wanted && (m.Memory() == MemoryFifo || first > 1) {
					t.Errorf("%s, %s: token %d is the first that is changed, want %d", name, m.Memory(), first, wanted)
				}
				of = append(of, got)
			}
			if last := len(tokens) - 1; slices.Equal(of[0][last], of[1][last]) {
				t.Errorf("%s: types do not matter", name)
			}
		}
	}
}

// onAdapted tests models with adapters: one of each kind of memory, with a window and without one.
func onAdapted(t *testing.T, backbones []string, test func(t *testing.T, m *Model)) {
	for i, name := range backbones {
		for j, a := range adaptersOf(t, name) {
			if (i+j)%2 == 0 {
				a.Window = 9
			}
			t.Run(name, func(t *testing.T) { test(t, withAdapter(t, synthModel(t, name, quant.F32), a.file(t, quant.F32))) })
		}
	}
}

// TestAdapterInAnyBatches is TestTitansInAnyBatches of backbones with adapters.
func TestAdapterInAnyBatches(t *testing.T) {
	onAdapted(t, []string{"gemma2-tiny", "mneme-tiny"}, inAnyBatches)
}

// TestAdapterGoesBack is TestTitansGoesBack of them.
func TestAdapterGoesBack(t *testing.T) {
	onAdapted(t, []string{"phi3-tiny", "mneme-tiny"}, goesBack)
}

// TestAdapterThatDiverges has steps so large that weights outgrow float32: the batch fails, and is taken back.
func TestAdapterThatDiverges(t *testing.T) {
	base, a := synthModel(t, "qwen3-tiny", quant.F32), adaptersOf(t, "qwen3-tiny")[1]
	f := edited(t, a.file(t, quant.F32), edit{set: map[string]any{"mneme.memory.neural.step_max": float32(1e30)}})
	m := withAdapter(t, base, f)
	r, s := newRunner(t, m, 2), newSequence(t, m, quant.F32)
	tokens := text(200, 4)
	var err error
	at, saved := 0, s.Memories().Save()
	for ; at < len(tokens) && err == nil; at += 5 {
		saved = s.Memories().Save()
		err = r.Forward(rowsOf(s, tokens[at:at+5], at), nil, nil)
	}
	if !errors.Is(err, neural.ErrDiverged) || s.Cache.Seen() != at-5 || !slices.Equal(s.Memories().Save(), saved) {
		t.Errorf("error %v after %d rows, of which %d are left", err, at, s.Cache.Seen())
	}
}

// TestAdapterIsFlat has a text grow: with a window, what is kept of it and what a token takes does not; nor does what the memory is.
func TestAdapterIsFlat(t *testing.T) {
	for _, name := range []string{"gemma2-tiny"} {
		base := synthModel(t, name, quant.F32)
		for _, a := range adaptersOf(t, name) {
			a.Window = 40
			m := withAdapter(t, base, a.file(t, quant.F32))
			r, s := newRunner(t, m, 1), newSequence(t, m, quant.F16)
			bytes, state := int64(0), 0
			for n := 0; n < 2<<10; n += 256 {
				if err := r.Forward(rowsOf(s, text(256, n), n), nil, nil); err != nil {
					t.Fatal(err)
				}
				if n < 512 {
					bytes, state = s.Cache.Bytes(), len(s.SaveMemories())
					continue
				}
				if rows := s.Cache.MostRows(); rows > a.Window+2*kvcache.PageRows {
					t.Fatalf("%s, %s: %d rows after %d tokens", name, m.Memory(), rows, n)
				}
				if s.Cache.Bytes() > bytes || len(s.SaveMemories()) != state || s.MemoryBytes() != m.MemoryBytes() {
					t.Fatalf("%s, %s: after %d tokens %d bytes of rows and %d of memory, before %d and %d", name, m.Memory(), n, s.Cache.Bytes(), len(s.SaveMemories()), bytes, state)
				}
			}
			early, err := m.Work(quant.F16, nil, 1<<10, true)
			if err != nil {
				t.Fatal(err)
			}
			if late, err := m.Work(quant.F16, nil, 64<<10, true); err != nil || late != early {
				t.Errorf("%s: %+v after 65,536 tokens, %+v after 1,024; %v", name, late, early, err)
			}
			if plain, err := base.Work(quant.F16, nil, 64<<10, true); err != nil || early.CacheBytes >= plain.CacheBytes || early.WeightBytes <= plain.WeightBytes {
				t.Errorf("%s: %+v, and %+v without the adapter; %v", name, early, plain, err)
			}
			if _, rows, err := m.Shape(quant.F16, nil, 64<<10, 256); err != nil || rows > a.Window+3*kvcache.PageRows+256 {
				t.Errorf("%s: %d rows are planned, %v", name, rows, err)
			}
		}
	}
}

// TestAdapterRowsThatGo has rows go that no query sees: not a bit changes.
func TestAdapterRowsThatGo(t *testing.T) {
	a := adaptersOf(t, "phi3-tiny")[0]
	a.Window = 60
	m := withAdapter(t, synthModel(t, "phi3-tiny", quant.F32), a.file(t, quant.F32))
	tokens := text(600, 2)
	want := forward(t, newRunner(t, m, 1), keepingSequence(t, m, quant.F16), tokens, 0)
	r, s := newRunner(t, m, 2), newSequence(t, m, quant.F16)
	for at := 0; at < len(tokens); {
		n := min(1+at%130, len(tokens)-at)
		sameBits(t, "a part", forward(t, r, s, tokens[at:at+n], at), want[at:at+n])
		at += n
	}
	if s.Cache.MostRows() == len(tokens) {
		t.Error("no rows are gone")
	}
}

// TestAdapterBesideLandmarks has memories read the landmarks in the text, too, and adapters with windows refused.
func TestAdapterBesideLandmarks(t *testing.T) {
	base := load(t, edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: landmarks()}))
	tokens := text(150, 3)
	read := func(m *Model) ([][]float32, *Sequence) {
		s := newSequence(t, m, quant.F32)
		return landmarkLogits(t, newRunner(t, m, 1), s, tokens, 40), s
	}
	want, _ := read(base)
	for _, a := range adaptersOf(t, "mneme-tiny") {
		m := withAdapter(t, base, a.file(t, quant.F32))
		got, s := read(m)
		if slices.Equal(got[149], want[149]) {
			t.Errorf("%s: the memory changes nothing", m.Memory())
		}
		if _, err := s.ReadMemories(s.SaveMemories(), s.RowsOf(len(tokens))); err != nil {
			t.Errorf("%s: %v", m.Memory(), err)
		}
		a.Zero = true
		zero, _ := read(withAdapter(t, base, a.file(t, quant.F32)))
		sameBits(t, m.Memory(), zero, want)
		a.Window = 20
		x, err := ReadAdapter(a.file(t, quant.F32))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := base.WithAdapter(x, backbonePrint); err == nil || !strings.Contains(err.Error(), "landmarks") {
			t.Errorf("a window: %v", err)
		}
	}
}

// TestAdapterHeads has queries of a bank with heads of another width than those of attention.
func TestAdapterHeads(t *testing.T) {
	base, a := synthModel(t, "llama-tiny", quant.F32), adaptersOf(t, "llama-tiny")[0]
	a.Layers = []int{1}
	f := a.file(t, quant.F32)
	const width = 3 * 20
	change := edit{set: map[string]any{"mneme.memory.fifo.head_count": uint32(3), "mneme.memory.fifo.head_length": uint32(20)}, rename: map[string]string{}}
	for name, shape := range map[string][]int{
		"mem_q.weight": {base.Embedding, width}, "mem_k.weight": {base.Embedding, width}, "mem_v.weight": {base.Embedding, width}, "mem_output.weight": {width, base.Embedding},
	} {
		change.rename["blk.1."+name] = ""
		change.add = append(change.add, randomTensor("blk.1."+name, shape...))
	}
	file := synthFile(t, "llama-tiny", quant.F32)
	f = edited(t, f, change)
	m := withAdapter(t, base, f)
	tokens := text(30, 2)
	want := newNaiveAdapted(file, f, base, m, 0, false).logits(tokens)
	for i, got := range forward(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), tokens, 0)[len(tokens)-1] {
		if d := float64(got) - want[i]; !(d < 1e-3 && d > -1e-3) {
			t.Fatalf("logit %d is %v, want %v", i, got, want[i])
		}
	}
}

// TestAdapterStateBytes tells from an adapter's file alone what it takes with its model.
func TestAdapterStateBytes(t *testing.T) {
	for _, name := range shapes() {
		base := synthModel(t, name, quant.F32)
		for _, spec := range adaptersOf(t, name) {
			spec.Layers = []int{0}
			f := spec.file(t, quant.F16)
			a, err := ReadAdapter(f)
			if err != nil {
				t.Fatal(err)
			}
			if bytes, err := a.StateBytes(); err != nil || bytes == 0 || bytes != withAdapter(t, base, f).MemoryBytes() {
				t.Errorf("%s: %d bytes, with its model %d; %v", name, bytes, withAdapter(t, base, f).MemoryBytes(), err)
			}
		}
	}
}

// TestAdapterFilled goes on after noise as after a text that was read.
func TestAdapterFilled(t *testing.T) {
	onAdapted(t, []string{"phi3-tiny"}, func(t *testing.T, m *Model) {
		r := newRunner(t, m, 1)
		for _, rows := range []int{1, 8, 41, 3000} {
			s := newSequence(t, m, quant.F16)
			if err := fillNoise(t, s, rows); err != nil {
				t.Fatal(err)
			}
			saved := s.SaveMemories()
			want := forward(t, r, s, text(20, 1), rows)
			again := newSequence(t, m, quant.F16)
			if err := fillNoise(t, again, rows); err != nil {
				t.Fatal(err)
			}
			restored, err := again.ReadMemories(saved, rows)
			if err != nil {
				t.Fatal(err)
			}
			again.SetMemories(restored)
			for i, id := range text(20, 1) {
				sameBits(t, m.Memory(), forward(t, r, again, []int32{id}, rows+i), want[i:i+1])
			}
		}
	})
}

func TestAdapterRefused(t *testing.T) {
	base := synthModel(t, "llama-tiny", quant.F32)
	var files []*weights.File
	for _, a := range adaptersOf(t, "llama-tiny") {
		files = append(files, a.file(t, quant.F32))
	}
	for name, c := range map[string]struct {
		kind int // of files
		edit edit
		want string
	}{
		"a model":           {0, edit{set: map[string]any{"general.type": "model"}}, "no adapter"},
		"nothing":           {0, edit{set: map[string]any{"general.type": nil}}, "no adapter"},
		"a LoRA":            {0, edit{set: map[string]any{"adapter.type": "lora"}}, `"lora"`},
		"no architecture":   {0, edit{set: map[string]any{"general.architecture": nil}}, "general.architecture"},
		"no fingerprint":    {0, edit{set: map[string]any{"adapter.backbone.fingerprint": nil}}, "fingerprint"},
		"another backbone":  {0, edit{set: map[string]any{"adapter.backbone.fingerprint": "of another"}}, "of another, this one has " + backbonePrint},
		"another kind":      {0, edit{set: map[string]any{"general.architecture": "qwen3"}}, "architecture qwen3, this one has llama"},
		"no memory":         {0, edit{set: map[string]any{"mneme.memory.kind": nil}}, `"none"`},
		"unknown memory":    {0, edit{set: map[string]any{"mneme.memory.kind": "stone"}}, `"stone"`},
		"memory as number":  {0, edit{set: map[string]any{"mneme.memory.kind": uint32(1)}}, "mneme.memory.kind"},
		"no chunk":          {0, edit{set: map[string]any{"mneme.memory.fifo.chunk": nil}}, "mneme.memory.fifo.chunk"},
		"half a chunk":      {0, edit{set: map[string]any{"mneme.memory.fifo.slots": uint32(3)}}, "whole chunks"},
		"huge bank":         {0, edit{set: map[string]any{"mneme.memory.fifo.slots": uint32(1 << 24)}}, "too large"},
		"huge chunk":        {0, edit{set: map[string]any{"mneme.memory.fifo.chunk": uint64(1 << 60)}}, "mneme.memory.fifo.chunk"},
		"infinite scale":    {0, edit{set: map[string]any{"mneme.memory.fifo.scale": 1e300}}, "scale"},
		"other heads":       {0, edit{set: map[string]any{"mneme.memory.fifo.head_length": uint32(31)}}, "blk.0.mem_q.weight"},
		"layer beyond":      {0, edit{set: map[string]any{"mneme.memory.fifo.layers": []int32{0, 2}}}, "mneme.memory.fifo.layers"},
		"no layers":         {1, edit{set: map[string]any{"mneme.memory.neural.layers": nil}}, "mneme.memory.neural.layers"},
		"fewer layers":      {1, edit{set: map[string]any{"mneme.memory.neural.layers": []int32{0}}}, "no use for blk.1."},
		"another variant":   {1, edit{set: map[string]any{"mneme.memory.neural.variant": "mac"}}, "variant"},
		"persistent":        {1, edit{set: map[string]any{"mneme.memory.neural.persistent": uint32(2)}}, "persistent"},
		"infinite steps":    {1, edit{set: map[string]any{"mneme.memory.neural.step_max": 1e300}}, "steps"},
		"many networks":     {1, edit{set: map[string]any{"mneme.memory.neural.depth": uint32(1 << 27)}}, "blk.0.mem_initial"},
		"no window":         {0, edit{set: map[string]any{"mneme.attention.sliding_window": uint32(0)}}, "sliding_window"},
		"window as text":    {1, edit{set: map[string]any{"mneme.attention.sliding_window": "wide"}}, "sliding_window"},
		"no context":        {1, edit{set: map[string]any{"mneme.context_length": uint32(0)}}, "context_length"},
		"no input norm":     {0, edit{rename: map[string]string{"blk.1.mem_input_norm.weight": ""}}, "blk.1.mem_input_norm.weight"},
		"no output":         {0, edit{rename: map[string]string{"blk.0.mem_output.weight": ""}}, "blk.0.mem_output.weight"},
		"no norm":           {1, edit{rename: map[string]string{"blk.0.mem_norm.weight": ""}}, "blk.0.mem_norm.weight"},
		"no values":         {1, edit{rename: map[string]string{"blk.1.mem_v.weight": ""}}, "blk.1.mem_v.weight"},
		"output turned":     {1, edit{reshape: map[string][]int{"blk.1.mem_output.weight": {256, 64}}}, "blk.1.mem_output.weight"},
		"empty output":      {1, edit{reshape: map[string][]int{"blk.1.mem_output.weight": {0, 64}}}, "blk.1.mem_output.weight"},
		"no gate":           {0, edit{rename: map[string]string{"blk.0.mem_gate_w.weight": ""}}, "blk.0.mem_gate_w.weight"},
		"paths":             {0, edit{add: []weights.Tensor{floats("blk.0.mem_fuse.weight", 1, 2, 3)}}, "no use for blk.0.mem_fuse.weight"},
		"weights of others": {1, edit{add: []weights.Tensor{floats("output_norm.weight", 1)}}, "no use for output_norm.weight"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := ReadAdapter(edited(t, files[c.kind], c.edit))
			if err == nil {
				_, err = base.WithAdapter(a, backbonePrint)
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v, want one that names %s", err, c.want)
			}
			if strings.Contains(name, "another") && c.kind == 0 && !errors.Is(err, ErrBackbone) {
				t.Errorf("%v is not typed", err)
			}
		})
	}
	f := files[0]
	if _, err := Load(f); !errors.Is(err, ErrAdapter) {
		t.Errorf("an adapter as a model: %v", err)
	}
	if _, err := ReadAdapter(synthFile(t, "llama-tiny", quant.F32)); !errors.Is(err, ErrAdapter) {
		t.Errorf("a model as an adapter: %v", err)
	}
	a, err := ReadAdapter(edited(t, f, edit{set: map[string]any{"general.architecture": "mneme"}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := synthModel(t, "mneme-lmm-tiny", quant.F32).WithAdapter(a, backbonePrint); err == nil || !strings.Contains(err.Error(), "neural already") {
		t.Errorf("a model with a memory: %v", err)
	}
	m := withAdapter(t, base, f)
	if err := newRunner(t, m, 1).Forward(rowsOf(newSequence(t, m, quant.F32), []int32{5, 6}, 3), nil, nil); err == nil {
		t.Error("a text that begins at position 3")
	}
}

func TestAdapterDecodingDoesNotAllocate(t *testing.T) {
	onAdapted(t, []string{"gemma2-tiny", "phi3-tiny"}, func(t *testing.T, m *Model) { decodeWithoutAllocating(t, m, quant.F32, 2) })
}

// BenchmarkAdapterToken is the time of a token after texts of different lengths: of a backbone, with a window, and with memories beside
// that window, where it is to be the same after all of them.
func BenchmarkAdapterToken(b *testing.B) {
	shape, err := synth.Lookup("llama-tiny")
	if err != nil {
		b.Fatal(err)
	}
	var file bytes.Buffer
	if err := synth.WriteTo(b.Context(), &file, shape, quant.Q8_0, 1); err != nil {
		b.Fatal(err)
	}
	f, err := weights.Parse(file.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	base, err := Load(f)
	if err != nil {
		b.Fatal(err)
	}
	impl, err := kernels.Choose("")
	if err != nil {
		b.Fatal(err)
	}
	models := map[string]*Model{"backbone": base}
	for _, a := range adaptersOf(b, "llama-tiny") {
		a.Window = 256
		m := withAdapter(b, base, a.file(b, quant.Q8_0))
		models[m.Memory()], models["window"] = m, m
	}
	for _, name := range []string{"backbone", "window", MemoryFifo, MemoryNeural} {
		for _, length := range []int{1 << 10, 4 << 10, 16 << 10} {
			b.Run(fmt.Sprintf("%s/after=%d", name, length), func(b *testing.B) {
				r := NewRunner(models[name], impl, 1)
				defer r.Close()
				s, err := models[name].NewSequence(SequenceOptions{Rows: quant.F16, NoMemory: name == "window"})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for ; n < length; n += 512 {
					if err := r.Forward(rowsOf(s, text(512, n), n), nil, nil); err != nil {
						b.Fatal(err)
					}
				}
				row := make([]Row, 1)
				for b.Loop() {
					row[0] = Row{Token: int32(3 + n%500), Position: int32(n), Sequence: s, Logits: true}
					if err := r.Forward(row, nil, nil); err != nil {
						b.Fatal(err)
					}
					n++
				}
			})
		}
	}
}

// FuzzAdapter adds whatever is an adapter to a small backbone, and reads with it.
func FuzzAdapter(f *testing.F) {
	shape, err := synth.Lookup("phi3-tiny")
	if err != nil {
		f.Fatal(err)
	}
	shape.Embedding, shape.FeedForward, shape.Heads, shape.KVHeads = 32, 32, 1, 1
	var file bytes.Buffer
	if err := synth.WriteTo(context.Background(), &file, shape, quant.Q8_0, 1); err != nil {
		f.Fatal(err)
	}
	parsed, err := weights.Parse(file.Bytes())
	if err != nil {
		f.Fatal(err)
	}
	base, err := Load(parsed)
	if err != nil {
		f.Fatal(err)
	}
	impl, err := kernels.Choose("")
	if err != nil {
		f.Fatal(err)
	}
	for i, a := range adaptersOf(f, "phi3-tiny") {
		a.Layers, a.Window = []int{1}, 6*i
		a.Backbone.Heads, a.Backbone.KVHeads, a.Backbone.Embedding = 1, 1, 32
		if a.Neural.Heads > 0 {
			a.Neural.Heads, a.Neural.Depth = 1, 1
		}
		var out bytes.Buffer
		if err := a.WriteTo(context.Background(), &out, quant.Q8_0, 1); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := weights.Parse(data)
		if err != nil {
			return
		}
		a, err := ReadAdapter(file)
		if err != nil {
			return
		}
		state, alone := a.StateBytes()
		m, err := base.WithAdapter(a, a.Backbone)
		if err != nil {
			return
		}
		const most = 16 << 20 // of a state, so that the fuzzer has memory for many
		if bytes := m.MemoryBytes(); bytes > most || bytes <= 0 {
			return
		} else if alone != nil || state != bytes {
			t.Fatalf("%d bytes of state, by the file alone %d; %v", bytes, state, alone)
		}
		r := NewRunner(m, impl, 1)
		defer r.Close()
		s, err := m.NewSequence(SequenceOptions{Rows: quant.F16})
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < 20; at += 4 { // weights may be no numbers: then it is an error
			if err := r.Forward(rowsOf(s, text(4, at), at), nil, nil); err != nil {
				return
			}
		}
		if _, err := s.ReadMemories(s.SaveMemories(), 20); err != nil {
			t.Fatal(err)
		}
	})
}
