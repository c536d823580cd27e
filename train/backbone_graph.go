package train

import (
	"gorgonia.org/gorgonia"
)

// constants adds the backbone's parameters that the model does not have itself, as constants.
func (b *builder) constants() {
	for _, p := range b.m.Shape.Backbone.params {
		if b.of[p.Name] == nil {
			x := b.leaf(p)
			b.of[p.Name] = b.next(func() (*gorgonia.Node, error) { return Frozen(x) })
		}
	}
}

// maybe returns a name if there is a parameter of it, else the empty one.
func (b *builder) maybe(name string) string {
	if b.of[name] == nil {
		return ""
	}
	return name
}

// backbone returns the logits of a backbone, with a memory in some of its layers or without.
func (b *builder) backbone(tokens *gorgonia.Node, length int) *gorgonia.Node {
	c := &b.m.Shape.Backbone.config
	t, err := b.m.Shape.Backbone.rotation(length)
	if err != nil {
		return b.node(nil, err)
	}
	x := b.next(func() (*gorgonia.Node, error) { return b.c.Embedding(b.of["token_embd.weight"], tokens) })
	if c.EmbeddingScale != 1 {
		embedded := x
		x = b.next(func() (*gorgonia.Node, error) { return b.c.Scale(embedded, c.EmbeddingScale) })
	}
	for l := range c.Layers {
		if b.m.Shape.Neural.has(l) {
			x = b.neural(x, l, length)
		}
		if b.m.Shape.Fifo.has(l) {
			x = b.recall(x, l, length)
		}
		x = b.backboneLayer(x, l, length, t)
	}
	output := b.maybe("output.weight")
	if output == "" {
		output = "token_embd.weight"
	}
	logits := b.linear(b.norm(x, "output_norm.weight"), output, b.maybe("output.bias"))
	if c.LogitSoftcap > 0 {
		raw := logits
		logits = b.next(func() (*gorgonia.Node, error) { return b.c.Softcap(raw, c.LogitSoftcap) })
	}
	return logits
}

// backboneLayer is a block as the architecture has it.
func (b *builder) backboneLayer(x *gorgonia.Node, l, length int, t Rotation) *gorgonia.Node {
	name := func(of string) string { return block(l, of) }
	attended := b.backboneAttention(b.norm(x, name("attn_norm.weight")), l, length, t)
	change := b.linear(attended, name("attn_output.weight"), b.maybe(name("attn_output.bias")))
	x = b.add(x, b.post(change, name("post_attention_norm.weight")))
	gateUp := b.linear(b.norm(x, name("ffn_norm.weight")), name("ffn_gate_up.weight"), b.maybe(name("ffn_gate_up.bias")))
	hidden := b.next(func() (*gorgonia.Node, error) {
		if b.m.Shape.Backbone.config.Architecture == "gemma2" {
			return b.c.GeGLU(gateUp)
		}
		return b.c.SwiGLU(gateUp)
	})
	change = b.linear(hidden, name("ffn_down.weight"), b.maybe(name("ffn_down.bias")))
	return b.add(x, b.post(change, name("post_ffw_norm.weight")))
}

// post is the norm of what a sublayer adds, where the architecture has one.
func (b *builder) post(x *gorgonia.Node, weight string) *gorgonia.Node {
	if b.maybe(weight) == "" {
		return x
	}
	return b.norm(x, weight)
}

// backboneAttention returns what the heads of a layer get for its normed rows.
func (b *builder) backboneAttention(rows *gorgonia.Node, l, length int, t Rotation) *gorgonia.Node {
	s, of := &b.m.Shape, b.m.Shape.Backbone
	h := of.layout(length)
	qkv := b.linear(rows, block(l, "attn_qkv.weight"), b.maybe(block(l, "attn_qkv.bias")))
	if n := of.heads[l]; n.q != nil {
		raw := qkv
		qkv = b.next(func() (*gorgonia.Node, error) { return b.c.HeadNorms(raw, h, n.q, n.k, s.Epsilon) })
	}
	turned := b.next(func() (*gorgonia.Node, error) { return b.c.Rotate(qkv, h, t) })
	return b.next(func() (*gorgonia.Node, error) {
		return b.c.ScoredAttention(turned, h, of.sight(l, s.sight(l)), Scores{of.config.AttentionScale, of.config.AttentionSoftcap})
	})
}
