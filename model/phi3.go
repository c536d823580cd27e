package model

// phi3 is the architecture of Phi-3 and 3.5: a llama block whose q, k and v are stored as one matrix, and gate and up as
// another, with a sliding window in every layer and, in the long-context models, RoPE factors that depend on the
// length of the context.
type phi3 struct{ llama }

func (phi3) configure(c *Config, r *reader) {
	c.Rope.Halves = true
	if c.SlidingWindow == 0 && (c.Layers == 32 || c.Layers == 40) && c.ContextLength == 4096 {
		c.SlidingWindow = 2047 // files of the 4k models from before the key existed
	}
	c.refuseExperts(r)
}

func (phi3) load(l *loader, c *Config, i int) layer {
	q, k, v := c.Heads*c.KeyDim, c.KVHeads*c.KeyDim, c.KVHeads*c.ValueDim
	b := layer{
		window:          c.SlidingWindow,
		attentionNorm:   l.vector(block(i, "attn_norm.weight"), c.Embedding),
		o:               l.linear(block(i, "attn_output"), c.Heads*c.ValueDim, c.Embedding),
		feedForwardNorm: l.vector(block(i, "ffn_norm.weight"), c.Embedding),
		down:            l.linear(block(i, "ffn_down"), c.FeedForward, c.Embedding),
	}
	qkv := l.linear(block(i, "attn_qkv"), c.Embedding, q+k+v)
	gateUp := l.linear(block(i, "ffn_up"), c.Embedding, 2*c.FeedForward)
	if l.err != nil {
		return b
	}
	b.q, b.k, b.v = qkv.slice(0, q), qkv.slice(q, q+k), qkv.slice(q+k, q+k+v)
	b.gate, b.up = gateUp.slice(0, c.FeedForward), gateUp.slice(c.FeedForward, 2*c.FeedForward)
	return b
}
