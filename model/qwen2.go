package model

// qwen2 is the architecture of Qwen 2 and 2.5: a llama block with biases on q, k and v, and rotation of half-split
// pairs.
type qwen2 struct{ llama }

func (qwen2) configure(c *Config, r *reader) {
	c.Rope.Halves = true
	c.refuseExperts(r)
}

// refuseExperts is for architectures whose models with experts go by another name.
func (c *Config) refuseExperts(r *reader) {
	if c.Experts > 0 {
		r.fail(r.key("expert_count"), "%s models have no experts", c.Architecture)
	}
}
