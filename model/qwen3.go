package model

// qwen3 is the architecture of Qwen 3: a llama block in which each head's query and key are RMS-normed before they
// are rotated, with heads whose size does not follow from the embedding.
type qwen3 struct{ llama }

func (qwen3) configure(c *Config, r *reader) {
	c.Rope.Halves = true
	c.refuseExperts(r)
}

func (q qwen3) load(l *loader, c *Config, i int) layer {
	b := q.llama.load(l, c, i)
	b.qNorm = l.vector(block(i, "attn_q_norm.weight"), c.KeyDim)
	b.kNorm = l.vector(block(i, "attn_k_norm.weight"), c.KeyDim)
	return b
}
