package model

import "math"

// gemma2 is the architecture of Gemma 2 (Gemma Team 2024, section 2): embeddings scaled by √d, norms before and after
// each sublayer, GeGLU, soft-capped attention scores and logits, and a sliding window in every other layer:
//
//	h ← h + RMSNorm(Attention(RMSNorm(h)))
//	h ← h + RMSNorm(GeGLU(RMSNorm(h)))
type gemma2 struct{ llama }

func (gemma2) configure(c *Config, r *reader) {
	c.Rope.Halves = true
	c.EmbeddingScale = float32(math.Sqrt(float64(c.Embedding)))
	if c.SlidingWindow == 0 {
		c.SlidingWindow = 4096
	}
	if c.Layers == 46 { // the 27B model scales queries by the embedding's share of a head, not by the head's size
		c.AttentionScale = float32(1 / math.Sqrt(float64(c.Embedding/c.Heads)))
	}
	c.refuseExperts(r)
}

func (g gemma2) load(l *loader, c *Config, i int) layer {
	b := g.llama.load(l, c, i)
	b.attentionPostNorm = l.vector(block(i, "post_attention_norm.weight"), c.Embedding)
	b.feedForwardPostNorm = l.vector(block(i, "post_ffw_norm.weight"), c.Embedding)
	if i%2 == 0 {
		b.window = c.SlidingWindow
	}
	return b
}

func (gemma2) forward(p *pass, l, next *layer) {
	p.attention(l)
	if p.narrow(l) {
		return
	}
	p.expect(&l.gate)
	p.expect(&l.up)
	p.add(l.attentionPostNorm, l.feedForwardNorm)
	p.feedForward(l, p.impl.GeGLU)
	p.end(l.feedForwardPostNorm, next)
}
