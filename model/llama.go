package model

// llama is the architecture of Llama 1 to 3, Mistral, TinyLlama, SmolLM and, with experts, Mixtral:
//
//	h ← h + Attention(RMSNorm(h))
//	h ← h + SwiGLU(RMSNorm(h)), or a sum over the chosen experts of the same
//
// Biases are used where the file has them.
type llama struct{}

func (llama) configure(*Config, *reader) {}

func (llama) load(l *loader, c *Config, i int) layer {
	b := layer{
		attentionNorm:   l.vector(block(i, "attn_norm.weight"), c.Embedding),
		q:               l.linear(block(i, "attn_q"), c.Embedding, c.Heads*c.KeyDim),
		k:               l.linear(block(i, "attn_k"), c.Embedding, c.KVHeads*c.KeyDim),
		v:               l.linear(block(i, "attn_v"), c.Embedding, c.KVHeads*c.ValueDim),
		o:               l.linear(block(i, "attn_output"), c.Heads*c.ValueDim, c.Embedding),
		feedForwardNorm: l.vector(block(i, "ffn_norm.weight"), c.Embedding),
	}
	// Files made for other engines repeat Llama 3's RoPE factors in each layer.
	l.optional(block(i, "rope_freqs.weight"), c.Rope.Dimensions/2)
	if c.Experts > 0 {
		b.router = l.linear(block(i, "ffn_gate_inp"), c.Embedding, c.Experts)
		b.gateExperts = l.experts(block(i, "ffn_gate"), c.Embedding, c.FeedForward, c.Experts)
		b.upExperts = l.experts(block(i, "ffn_up"), c.Embedding, c.FeedForward, c.Experts)
		b.downExperts = l.experts(block(i, "ffn_down"), c.FeedForward, c.Embedding, c.Experts)
		return b
	}
	b.gate = l.linear(block(i, "ffn_gate"), c.Embedding, c.FeedForward)
	b.up = l.linear(block(i, "ffn_up"), c.Embedding, c.FeedForward)
	b.down = l.linear(block(i, "ffn_down"), c.FeedForward, c.Embedding)
	return b
}

func (llama) forward(p *pass, l, next *layer) {
	p.attention(l)
	if p.narrow(l) {
		return
	}
	p.expect(&l.gate)
	p.expect(&l.up)
	p.add(nil, l.feedForwardNorm)
	if l.router.Rows > 0 {
		p.experts(l, p.impl.SwiGLU)
	} else {
		p.feedForward(l, p.impl.SwiGLU)
	}
	p.end(nil, next)
}
