package train

import (
	"math/rand/v2"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/train/tales"
)

// memoryShapes are all kinds of gates, pooling and slots that gates mix with.
func memoryShapes() (all []Shape) {
	for gate := range fifo.GateNone + 1 {
		for pooling := range fifo.PoolQuery + 1 {
			for previous := range fifo.PreviousMean + 1 {
				s := tiny()
				s.Layers = 1
				s.Fifo = &Fifo{Chunk: 12, Window: 4, Slots: 6, PerChunk: 3, Layers: []int{0}, Gate: gate, Pooling: pooling, Previous: previous}
				all = append(all, s)
			}
		}
	}
	one := all[0]
	f := *one.Fifo
	f.Slots, f.PerChunk, f.Plain, f.Heads, f.Scale, f.Previous = 2, 1, true, 1, 0.1, fifo.PreviousMean
	one.Fifo = &f
	return append(all, one)
}

// weightsOf are those of a layer's memory for the engine.
func weightsOf(m *Model, layer int) fifo.Weights {
	of := func(name string) []float32 {
		if p := m.byName[block(layer, "mem_"+name)]; p != nil {
			return p.Values
		}
		return nil
	}
	return fifo.Weights{
		PoolNorm: of("pool_norm.weight"), PoolQueries: of("pool_q.weight"), PoolKey: of("pool_k.weight"), PoolValue: of("pool_v.weight"),
		GateW: of("gate_w.weight"), GateU: of("gate_u.weight"), GateBias: of("gate_w.bias"),
		SlotNorm: of("norm.weight"), Key: of("k.weight"), Value: of("v.weight"),
	}
}

// What is read of the memory is what the engine reads that goes through the same texts one by one.
func TestMemoryIsTheEngines(t *testing.T) {
	const texts = 2
	for _, c := range computes(t) {
		for _, s := range memoryShapes() {
			for _, length := range []int{13, 24, 59} {
				m, err := NewModel(s, 5)
				if err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(uint64(length), 5))
				for _, p := range m.Params {
					for i, v := range someValues(r, len(p.Values)) {
						p.Values[i] += 0.3 * v
					}
				}
				g, err := m.build(c, texts, length)
				if err != nil {
					t.Fatal(err)
				}
				b := &builder{c: c, m: m, g: g, of: map[string]*gorgonia.Node{}}
				for i, p := range m.Params {
					b.of[p.Name] = g.params[i]
				}
				x := someValues(r, texts*length*s.Dim)
				rows := gorgonia.NewMatrix(g.ExprGraph, tensor.Float32, gorgonia.WithName("rows"), gorgonia.WithShape(texts*length, s.Dim),
					gorgonia.WithValue(tensor.New(tensor.WithShape(texts*length, s.Dim), tensor.WithBacking(x))))
				read := b.memory(rows, 0, length)
				if b.err != nil {
					t.Fatal(b.err)
				}
				vm := gorgonia.NewTapeMachine(g.ExprGraph)
				if err := vm.RunAll(); err != nil {
					t.Fatal(err)
				}
				got := read.Value().Data().([]float32)
				want := engineReads(t, c, m, x, length)
				if d := away(widenedValues(got), widenedValues(want)); !(d < 5e-6) {
					t.Errorf("%s, %+v, %d rows: away by %v", c.Impl.Name, *s.Fifo, length, d)
				}
				if err := vm.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

// engineReads goes through texts with a bank for each.
func engineReads(t *testing.T, c Compute, m *Model, x []float32, length int) []float32 {
	t.Helper()
	config := m.Shape.fifoConfig()
	l, err := fifo.NewLayer(config, weightsOf(m, 0))
	if err != nil {
		t.Fatal(err)
	}
	d, width := m.Shape.Dim, config.Width()
	q, out := make([]float32, len(x)/d*width), make([]float32, len(x)/d*width)
	c.Impl.Gemm(&kernels.Gemm{
		TransB: true, M: len(x) / d, N: width, K: d, Alpha: 1, A: x, LDA: d, B: m.byName["blk.0.mem_q.weight"].Values, LDB: d, C: q, LDC: width,
	}, new(kernels.Scratch))
	s := fifo.NewScratch(new(kernels.Scratch))
	for text := range len(x) / d / length {
		bank := l.NewBank()
		for i := text * length; i < (text+1)*length; i++ {
			bank.Advance(c.Impl, s)
			for h := range config.Heads {
				at := i*width + h*config.HeadDim
				bank.Read(c.Impl, out[at:], width, q[at:], width, 1, h, s)
			}
			if err := bank.Write(c.Impl, x[i*d:(i+1)*d]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return out
}

// Where there is nothing to read, the weights of the memory's path matter unless the others are made to have all of it.
func TestRenormalize(t *testing.T) {
	c := computes(t)
	tokens := someStories(t, tales.New(seeded(1)), 1, 40)[0].Tokens
	for _, renormalize := range []bool{false, true} {
		s := tiny()
		s.Fifo = &Fifo{Chunk: 12, Window: 4, Slots: 4, PerChunk: 2, Layers: []int{0, 1}, Gate: fifo.GateGRU, Renormalize: renormalize}
		m, err := NewModel(s, 6)
		if err != nil {
			t.Fatal(err)
		}
		before := logitsOf(t, c[len(c)-1], m, tokens)
		for l := range s.Layers {
			for i := range s.Heads {
				m.byName[block(l, "mem_fuse.weight")].Values[2*s.Heads+i] = 1
			}
		}
		for i, logits := range logitsOf(t, c[len(c)-1], m, tokens) {
			if same := away(widenedValues(logits), widenedValues(before[i])) < 1e-5; same != (renormalize && i < s.Fifo.Chunk) {
				t.Errorf("renormalized: %v: with another weight row %d is the same: %v", renormalize, i, same)
			}
		}
	}
}

// A text that is one chunk, with all the weight on the first path, is read as by causal attention (I1).
func TestOneChunkIsCausalAttention(t *testing.T) {
	c := computes(t)
	s := tiny()
	base, err := NewModel(s, 6)
	if err != nil {
		t.Fatal(err)
	}
	s.Fifo = &Fifo{Chunk: 40, Window: 5, Slots: 8, PerChunk: 4, Layers: []int{1}, Pooling: fifo.PoolQuery}
	m, err := NewModel(s, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params {
		if same := base.byName[p.Name]; same != nil {
			copy(p.Values, same.Values)
		}
		if strings.HasSuffix(p.Name, "mem_fuse.weight") {
			for i := range p.Values[:s.Heads] {
				p.Values[i] = 100
			}
		}
	}
	tokens := someStories(t, tales.New(seeded(1)), 1, 40)[0].Tokens
	got, want := logitsOf(t, c[len(c)-1], m, tokens), logitsOf(t, c[len(c)-1], base, tokens)
	for i := range want {
		if d := away(widenedValues(got[i]), widenedValues(want[i])); !(d < 1e-6) {
			t.Errorf("row %d is away by %v", i, d)
		}
	}
}
