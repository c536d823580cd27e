package convert

import (
	"encoding/json"
	"slices"
)

// titans is the configuration of a prototype with windows and, in some layers, a linear memory that learns while it reads.
type titans struct {
	window     int
	layers     []int
	heads, dim int
	chunk      int
}

// What these prototypes have in common and their configuration does not say.
const (
	titansContext     = 512 // tokens of the longest texts they were trained with
	titansConvolution = 4
	titansMomentum    = 0.999 // the most that a token asks for
	titansEpsilon     = 1e-5  // of the norm of what is read
)

// readTitans reads a configuration of a model with so many layers.
func readTitans(c *config, layers int) *titans {
	t := &titans{window: c.size("W", 1, -1)}
	if variant := c.text("variant", ""); variant != "seq" {
		c.fail("variant", "%q is not supported (known: seq)", variant)
	}
	if !c.get("memlayers", &t.layers, "a list of layers") || len(t.layers) == 0 {
		c.fail("memlayers", "want a list of layers")
	}
	slices.Sort(t.layers)
	t.layers = slices.Compact(t.layers)
	if len(t.layers) > 0 && (t.layers[0] < 0 || t.layers[len(t.layers)-1] >= layers) {
		c.fail("memlayers", "%v of %d layers", t.layers, layers)
	}
	var text json.RawMessage
	if !c.get("mem", &text, "an object") {
		c.fail("mem", "missing")
		return t
	}
	inner, err := parseConfig(text)
	if err != nil {
		c.fail("mem", "%v", err)
		return t
	}
	t.heads, t.dim, t.chunk = inner.size("H", 1, -1), inner.size("dm", 1, -1), inner.size("C", 1, -1)
	if kind := inner.text("kind", ""); kind != "linear" {
		inner.fail("kind", "%q is not supported (known: linear)", kind)
	}
	if err := inner.finish(); err != nil {
		c.fail("mem", "%v", err)
	}
	return t
}

func (m *input) titansMetadata(p prototype) {
	t := p.titans
	layers := make([]int32, len(t.layers))
	for i, layer := range t.layers {
		layers[i] = int32(layer)
	}
	m.set("mneme.context_length", uint32(titansContext))
	m.set("mneme.attention.kind", "window")
	m.set("mneme.attention.sliding_window", uint32(t.window))
	m.set("mneme.memory.kind", "neural")
	m.set("mneme.memory.neural.variant", "lmm")
	m.set("mneme.memory.neural.layers", layers)
	m.set("mneme.memory.neural.head_count", uint32(t.heads))
	m.set("mneme.memory.neural.head_length", uint32(t.dim))
	m.set("mneme.memory.neural.depth", uint32(1))
	m.set("mneme.memory.neural.chunk", uint32(t.chunk))
	m.set("mneme.memory.neural.momentum", true)
	m.set("mneme.memory.neural.momentum_max", float32(titansMomentum))
	m.set("mneme.memory.neural.convolution", uint32(titansConvolution))
	m.set("mneme.memory.neural.layer_norm_rms_epsilon", float32(titansEpsilon))
}

// titansTensors places those of a layer's memory.
func (m *input) titansTensors(p prototype, to, from string) {
	t, d := p.titans, p.embedding
	width := t.heads * t.dim
	m.move(to+"mem_norm.weight", from+"n3.w", d)
	for part, name := range []string{"mem_q", "mem_k", "mem_v"} {
		m.rows(to+name+".weight", from+"lm.qkv.weight", part*width, []int{3 * width, d}, width, d)
	}
	m.rows(to+"mem_conv.weight", from+"lm.cw", 0, []int{3 * width, 1, titansConvolution}, 3*width, titansConvolution)
	m.move(to+"mem_gates.weight", from+"lm.gt.weight", 3*t.heads, d)
	m.move(to+"mem_gates.bias", from+"lm.gt.bias", 3*t.heads)
	m.move(to+"mem_initial.0.weight", from+"lm.M0", t.heads, t.dim, t.dim)
	m.move(to+"mem_read_norm.weight", from+"lm.on", width)
	m.move(to+"mem_out_gate.weight", from+"lm.og.weight", width, d)
	m.move(to+"mem_output.weight", from+"lm.o.weight", d, width)
}
