package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/train/tales"
	"github.com/mneme-lm/mneme/weights/safetensors"
)

// tinyNeural is a tiny model with a memory.
func tinyNeural() Shape {
	s := tiny()
	s.Sight = Sight{Window: 8}
	s.Neural = SmallNeural()
	s.Neural.Layers, s.Neural.Dim, s.Neural.Chunk = []int{1}, 8, 5
	return s
}

// tinyDeepNeural is one whose memory has two layers.
func tinyDeepNeural() Shape {
	s := tinyNeural()
	s.Neural = SmallDeepNeural()
	s.Neural.Layers, s.Neural.Dim, s.Neural.Chunk, s.Neural.Expansion = []int{1}, 8, 5, 3
	return s
}

// tinyVariant is a tiny model whose memory stands beside attention as a variant has it, with persistent tokens or without.
func tinyVariant(v model.Variant, persistent int) Shape {
	s := tinyNeural()
	s.Neural.Variant, s.Neural.Persistent = v, persistent
	if v == model.VariantMAC {
		s.Neural.Chunk = 7 // texts end within segments
		s.Sight = Sight{Chunk: 7}
	}
	return s
}

// stir changes what memories begin with: no key is next to zero, where a step changes it all at once, and what is learned counts.
func stir(m *Model) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range m.Params {
		if strings.HasSuffix(p.Name, "mem_conv.weight") || strings.HasSuffix(p.Name, "mem_gates.bias") || strings.Contains(p.Name, "mem_initial.") {
			for i := range p.Values {
				p.Values[i] += float32(0.3 * r.NormFloat64())
			}
		}
		if strings.HasSuffix(p.Name, "mem_persistent.weight") || strings.HasSuffix(p.Name, "branch_norm.weight") || strings.HasSuffix(p.Name, "gate_norm.weight") {
			for i := range p.Values {
				p.Values[i] += float32(r.NormFloat64())
			}
		}
	}
}

// prototypeOfTitans is the model of ../shared/prototypes/titans.safetensors.
func prototypeOfTitans(t *testing.T) *Model {
	t.Helper()
	f, err := safetensors.Open(testdata.Shared(t, "prototypes/titans.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := Small(262)
	s.RoPEBase = 1e4
	s.Sight, s.Neural = Sight{Window: 64}, SmallNeural()
	m, err := NewModel(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]string{"token_embd.weight": "e.weight", "output_norm.weight": "nf.w", "output.weight": "head.weight"}
	for l := range s.Layers {
		from := "bl." + string(rune('0'+l)) + "."
		for to, name := range map[string]string{
			"attn_norm.weight": "n1.w", "attn_qkv.weight": "a.qkv.weight", "attn_qkv.bias": "a.qkv.bias", "attn_output.weight": "a.o.weight",
			"ffn_norm.weight": "n2.w", "ffn_gate_up.weight": "m.w1.weight", "ffn_down.weight": "m.w2.weight",
			"mem_norm.weight": "n3.w", "mem_qkv.weight": "lm.qkv.weight", "mem_conv.weight": "lm.cw", "mem_gates.weight": "lm.gt.weight",
			"mem_gates.bias": "lm.gt.bias", "mem_initial.0.weight": "lm.M0", "mem_read_norm.weight": "lm.on",
			"mem_out_gate.weight": "lm.og.weight", "mem_output.weight": "lm.o.weight",
		} {
			names[block(l, to)] = from + name
		}
	}
	for _, p := range m.Params {
		tensor, ok := f.Tensor(names[p.Name])
		if !ok || tensor.Elements() != len(p.Values) {
			t.Fatalf("%s: no tensor %s of %d values", p.Name, names[p.Name], len(p.Values))
		}
		if err := tensor.Decode(p.Values, 0); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// The model that was trained elsewhere has the logits that it had there, with its memory and with nothing read from it.
func TestPrototypeOfTitans(t *testing.T) {
	for _, name := range []string{"titans", "titans_off"} {
		want := testdata.PrototypeGolden(t, name)
		for _, c := range computes(t) {
			m := prototypeOfTitans(t)
			if name == "titans_off" {
				clear(m.byName["blk.2.mem_output.weight"].Values)
			}
			testdata.CheckTop(t, name+", "+c.Impl.Name, logitsOf(t, c, m, ints(want.Tokens)), want)
		}
	}
}

// What a model without memories has is the same in one with them; keys begin as queries do, one token later.
func TestNewNeural(t *testing.T) {
	s := tinyNeural()
	m, err := NewModel(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.Neural = nil
	base, err := NewModel(s, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range base.Params {
		if m.Params[i].Name != p.Name || !slices.Equal(m.Params[i].Values, p.Values) {
			t.Errorf("parameter %d: %s and %s differ", i, m.Params[i].Name, p.Name)
		}
	}
	if n := len(m.Params) - len(base.Params); n != 9 {
		t.Errorf("%d parameters of a memory", n)
	}
	qkv, taps, bias := m.byName["blk.1.mem_qkv.weight"].Values, m.byName["blk.1.mem_conv.weight"].Values, m.byName["blk.1.mem_gates.bias"].Values
	const width = 2 * 8 * 32
	if !slices.Equal(qkv[:width], qkv[width:2*width]) || slices.Equal(qkv[:width], qkv[2*width:]) {
		t.Error("keys are not made as queries are, or values are")
	}
	for i := range 3 * 16 {
		want := []float32{0, 0, 0, 1}
		if i/16 == 1 {
			want = []float32{0, 0, 1, 0}
		}
		if !slices.Equal(taps[4*i:4*i+4], want) {
			t.Errorf("taps of channel %d: %v", i, taps[4*i:4*i+4])
		}
	}
	if !slices.Equal(bias, []float32{-2, -2, -2, -2, -7, -7}) {
		t.Errorf("biases %v", bias)
	}
}

func TestNeuralIsRefused(t *testing.T) {
	for name, change := range map[string]func(n *Neural){
		"no layers":       func(n *Neural) { n.Layers = nil },
		"a layer beyond":  func(n *Neural) { n.Layers = []int{2} },
		"layers twice":    func(n *Neural) { n.Layers = []int{1, 1} },
		"a layer below":   func(n *Neural) { n.Layers = []int{-1} },
		"depth":           func(n *Neural) { n.Depth = 3 },
		"no heads":        func(n *Neural) { n.Heads = 0 },
		"odd heads":       func(n *Neural) { n.Dim = 7 },
		"convolution":     func(n *Neural) { n.Convolution = -1 },
		"truncation":      func(n *Neural) { n.Truncate = -1 },
		"activation":      func(n *Neural) { n.SiLU = true },
		"epsilon":         func(n *Neural) { n.NormEpsilon = float32(math.NaN()) },
		"momentum beyond": func(n *Neural) { n.MostMomentum = 1.5 },
		"variant":         func(n *Neural) { n.Variant = model.VariantMAC + 1 },
		"mac in a window": func(n *Neural) { n.Variant = model.VariantMAC },
		"persistent":      func(n *Neural) { n.Persistent = -1 },
		"too persistent":  func(n *Neural) { n.Persistent = 1 << 20 },
	} {
		s := tinyNeural()
		change(s.Neural)
		if _, err := NewModel(s, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, change := range map[string]func(s *Shape){
		"mag without a window":    func(s *Shape) { s.Neural.Variant, s.Sight = model.VariantMAG, Sight{} },
		"mal in chunks":           func(s *Shape) { s.Neural.Variant, s.Sight = model.VariantMAL, Sight{Chunk: 5} },
		"mac with other segments": func(s *Shape) { s.Neural.Variant, s.Sight = model.VariantMAC, Sight{Chunk: 4} },
		"persistent tokens, landmarks": func(s *Shape) {
			s.Neural.Persistent, s.Sight, s.Landmark = 1, Sight{}, Landmark{Block: 7, Token: tales.Landmark}
		},
	} {
		s := tinyNeural()
		change(&s)
		if _, err := NewModel(s, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// BenchmarkNeuralStep measures steps of the small model with a memory: 4 texts of 512 tokens, windows of 64.
func BenchmarkNeuralStep(b *testing.B) {
	wide := SmallDeepNeural()
	wide.Expansion = 4
	for _, neural := range []struct {
		name string
		n    *Neural
	}{{"none", nil}, {"linear", SmallNeural()}, {"deep", SmallDeepNeural()}, {"deep-expansion=4", wide}} {
		b.Run(neural.name, func(b *testing.B) {
			s := Small(len(tales.Words()))
			s.Sight, s.Neural = Sight{Window: 64}, neural.n
			benchmarkStep(b, s, 4, 512)
		})
	}
}
