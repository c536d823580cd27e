package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/model"
)

// Neural is the memory of Titans in some of a model's layers, beside attention as its variant says. Queries, keys and values go
// through a convolution, the first two to length 1, and what is read through a norm and a gate.
type Neural struct {
	neural.Config
	Variant    model.Variant `json:",omitempty"`
	Persistent int           `json:",omitempty"` // learned tokens before every text, that attention of these layers sees
	Zeroed     bool          `json:",omitempty"` // everything that is read is zeros
	Layers     []int         // that have one, ascending
	// Truncate is the number of chunks that gradients go through (see [Compute.Scan]); 0: they go through the whole text,
	// as those of VariantMAC do.
	Truncate int
}

// SmallNeural is the memory that small models have, in one layer in the middle.
func SmallNeural() *Neural {
	return &Neural{Layers: []int{2}, Config: neural.Config{
		Heads: 2, Dim: 64, Depth: 1, Chunk: 16, Momentum: true, Convolution: 4, MostStep: 1, MostMomentum: 0.999, NormEpsilon: 1e-5,
	}}
}

// SmallDeepNeural is one whose M has a hidden layer, with all that keeps it steady.
func SmallDeepNeural() *Neural {
	n := SmallNeural()
	n.Depth, n.Expansion, n.UnitHidden, n.LayerSteps, n.MostError, n.DecayToInitial = 2, 2, true, true, 1, true
	return n
}

// mostPersistent is the most persistent tokens of a layer.
const mostPersistent = 1 << 12

// check says what is wrong with the memory of a shape.
func (n *Neural) check(s *Shape) error {
	if err := checkNeural(n.Config); err != nil {
		return fmt.Errorf("train: %w", err)
	}
	if len(n.Layers) == 0 || n.Convolution < 0 || n.Truncate < 0 || !(n.NormEpsilon >= 0) {
		return fmt.Errorf("train: no memory of shape %+v", *n)
	}
	for i, l := range n.Layers {
		if l < 0 || l >= s.Layers || i > 0 && l <= n.Layers[i-1] {
			return fmt.Errorf("train: memories in the layers %v of %d", n.Layers, s.Layers)
		}
		if err := n.checkBeside(s.sight(l)); err != nil {
			return fmt.Errorf("train: layer %d: %w", l, err)
		}
	}
	if s.Backbone != nil && (n.Variant != model.VariantLMM || n.Persistent > 0) {
		return fmt.Errorf("train: a memory of variant %v with %d persistent tokens on a backbone, whose blocks stay as they are", n.Variant, n.Persistent)
	}
	return nil
}

// checkBeside says what is wrong with a memory beside attention that sees so much.
func (n *Neural) checkBeside(s Sight) error {
	switch {
	case n.Variant > model.VariantMAC:
		return fmt.Errorf("a memory of variant %v cannot be trained", n.Variant)
	case n.Variant == model.VariantMAC && s.Chunk != n.Chunk:
		return fmt.Errorf("a memory of variant %v in chunks of %d beside attention to %+v", n.Variant, n.Chunk, s)
	case n.Variant == model.VariantMAC && n.Truncate > 0:
		return fmt.Errorf("gradients through %d chunks of a memory of variant %v, where they go through the whole text", n.Truncate, n.Variant)
	case (n.Variant == model.VariantMAG || n.Variant == model.VariantMAL) && s.Window == 0:
		return fmt.Errorf("a memory of variant %v stands beside attention to a window, not to %+v", n.Variant, s)
	case n.Persistent < 0 || n.Persistent > mostPersistent:
		return fmt.Errorf("%d persistent tokens", n.Persistent)
	case n.Persistent > 0 && s.Landmark > 0:
		return fmt.Errorf("persistent tokens beside landmarks")
	}
	return nil
}

// has reports whether a layer has a memory.
func (n *Neural) has(layer int) bool { return n != nil && slices.Contains(n.Layers, layer) }

// What the logits of step, momentum and decay begin with.
const (
	beginStep     = -2
	beginMomentum = -2
	beginDecay    = -7
)

// beginPersistent is how far from zero persistent tokens begin. Next to it, they are where weight of attention goes that finds nothing.
const beginPersistent = 0.02

// beginPart is what the logits of hidden layers' parts of the step begin with: these are 0.05 then.
const beginPart = -2.944

// newNeural adds the parameters of memories. Keys begin as the queries of the token before: what is read for a token is then
// what came after earlier tokens that were alike, which is what answering from a text starts from.
func (m *Model) newNeural(seed uint64) {
	n, d := m.Shape.Neural, m.Shape.Dim
	if n == nil {
		return
	}
	// numbers of its own: the other parameters are those of a model without memories
	r := rand.New(rand.NewPCG(seed, 0x71))
	width := n.Heads * n.Dim
	fill := func(p *Param, deviation float64) {
		for i := range p.Values {
			p.Values[i] = float32(deviation * r.NormFloat64())
		}
	}
	ones := func(p *Param) {
		for i := range p.Values {
			p.Values[i] = 1
		}
	}
	fanIn := 1 / math.Sqrt(float64(d))
	for _, l := range n.Layers {
		if n.Variant != model.VariantMAG {
			ones(m.param(block(l, "mem_norm.weight"), d))
		}
		qkv := m.param(block(l, "mem_qkv.weight"), 3*width, d)
		fill(qkv, fanIn)
		copy(qkv.Values[width*d:2*width*d], qkv.Values[:width*d])
		if n.Convolution > 0 {
			taps := m.param(block(l, "mem_conv.weight"), 3*width, n.Convolution)
			for i := range 3 * width {
				at := n.Convolution - 1
				if i/width == 1 {
					at = max(0, at-1)
				}
				taps.Values[i*n.Convolution+at] = 1
			}
		}
		fill(m.param(block(l, "mem_gates.weight"), 3*n.Heads, d), 0.02)
		bias := m.param(block(l, "mem_gates.bias"), 3*n.Heads)
		for i := range bias.Values {
			bias.Values[i] = [...]float32{beginStep, beginMomentum, beginDecay}[i/n.Heads]
		}
		m.newInitial(n, l, fill)
		ones(m.param(block(l, "mem_read_norm.weight"), width))
		fill(m.param(block(l, "mem_out_gate.weight"), width, d), fanIn)
		fill(m.param(block(l, "mem_output.weight"), d, width), 0.6/math.Sqrt(float64(width)))
		if n.gates() {
			ones(m.param(block(l, "mem_branch_norm.weight"), d))
			ones(m.param(block(l, "mem_gate_norm.weight"), d))
		}
		if n.Persistent > 0 {
			fill(m.param(block(l, "mem_persistent.weight"), n.Persistent, d), beginPersistent)
		}
	}
}

// newInitial adds the weights that M begins with: of a linear one nearly zero, else random in hidden layers and zero in the last.
func (m *Model) newInitial(n *Neural, l int, fill func(p *Param, deviation float64)) {
	for i := range n.Depth {
		p := m.param(block(l, initialName(i)), n.Heads, n.Width(i), n.Width(i-1))
		switch {
		case n.Depth == 1:
			fill(p, 0.02)
		case i < n.Depth-1:
			fill(p, 1/math.Sqrt(float64(n.Width(i-1))))
		}
	}
	if n.Steps() > 0 {
		p := m.param(block(l, "mem_steps.weight"), n.Depth-1, n.Heads)
		for i := range p.Values {
			p.Values[i] = beginPart
		}
	}
}

func initialName(layer int) string { return fmt.Sprintf("mem_initial.%d.weight", layer) }

// gates reports whether what is read of the memory gates what attention comes to.
func (n *Neural) gates() bool { return n.Variant == model.VariantMAG || n.Variant == model.VariantMAC }

// titans returns what a layer with a memory makes of x before its feed-forward network: see [model.Variant].
func (b *builder) titans(x *gorgonia.Node, l int, heads Heads) *gorgonia.Node {
	switch b.m.Shape.Neural.Variant {
	case model.VariantMAG:
		normed := b.norm(x, block(l, "attn_norm.weight"))
		var gate *gorgonia.Node
		if !b.m.Shape.Neural.Zeroed {
			gate = b.learning(normed, l, heads.Length)
		}
		return b.add(x, b.gatedBy(b.attention(normed, l, heads), gate, l))
	case model.VariantMAL:
		return b.attentive(b.neural(x, l, heads.Length), l, heads)
	case model.VariantMAC:
		return b.mac(x, l, heads)
	}
	return b.neural(b.attentive(x, l, heads), l, heads.Length)
}

// gatedBy is y ⊗ m, or of zeros, if there is no m.
func (b *builder) gatedBy(y, m *gorgonia.Node, l int) *gorgonia.Node {
	y = b.norm(y, block(l, "mem_branch_norm.weight"))
	if m == nil { // σ(0) = ½
		return b.next(func() (*gorgonia.Node, error) { return b.c.Scale(y, 0.5) })
	}
	m = b.norm(m, block(l, "mem_gate_norm.weight"))
	return b.next(func() (*gorgonia.Node, error) { return b.c.Gate(y, m) })
}

// neural adds what the memory of a layer reads.
func (b *builder) neural(x *gorgonia.Node, l, length int) *gorgonia.Node {
	if b.m.Shape.Neural.Zeroed {
		return x
	}
	return b.add(x, b.learning(b.norm(x, block(l, "mem_norm.weight")), l, length))
}

// learning is W_o·Memory(normed).
func (b *builder) learning(normed *gorgonia.Node, l, length int) *gorgonia.Node {
	n := b.m.Shape.Neural
	rows := b.memoryRows(b.linear(normed, block(l, "mem_qkv.weight"), ""), l, length)
	gates := b.linear(normed, block(l, "mem_gates.weight"), block(l, "mem_gates.bias"))
	read := b.next(func() (*gorgonia.Node, error) {
		return b.c.Scan(n.Config, length, n.Truncate, rows, gates, b.initial(l)...)
	})
	return b.finished(read, b.linear(normed, block(l, "mem_out_gate.weight"), ""), l)
}

// memoryRows is queries, keys and values of a memory after their convolution, the first two of length 1.
func (b *builder) memoryRows(rows *gorgonia.Node, l, length int) *gorgonia.Node {
	n := b.m.Shape.Neural
	convolved := rows
	if n.Convolution > 0 {
		convolved = b.next(func() (*gorgonia.Node, error) {
			return b.c.Convolution(rows, b.of[block(l, "mem_conv.weight")], length)
		})
	}
	return b.next(func() (*gorgonia.Node, error) {
		return b.c.UnitHeads(convolved, Heads{Count: n.Heads, Dim: n.Dim, Length: length})
	})
}

// initial is the weights that M's layers begin with and, where there are, steps.
func (b *builder) initial(l int) (learned gorgonia.Nodes) {
	n := b.m.Shape.Neural
	for i := range n.Depth {
		learned = append(learned, b.of[block(l, initialName(i))])
	}
	if n.Steps() > 0 {
		learned = append(learned, b.of[block(l, "mem_steps.weight")])
	}
	return learned
}

// finished is the norm, the gate and the output projection of what is read.
func (b *builder) finished(read, out *gorgonia.Node, l int) *gorgonia.Node {
	n := b.m.Shape.Neural
	normed := b.next(func() (*gorgonia.Node, error) {
		return b.c.RMSNormHeads(read, b.of[block(l, "mem_read_norm.weight")], n.Dim, n.NormEpsilon)
	})
	gated := b.next(func() (*gorgonia.Node, error) { return b.c.Gate(normed, out) })
	return b.linear(gated, block(l, "mem_output.weight"), "")
}
