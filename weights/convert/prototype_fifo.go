package convert

import "slices"

// prototypeFifo is the configuration of a gated first-in-first-out memory; the zero value is none.
type prototypeFifo struct {
	chunk, window   int
	slots, perChunk int
	layers          []int // that have a memory
}

// parsePrototypeFifo reads the one combination of switches whose layout is known: learned queries pool the layer's input, a simple
// gate, reads by head with projections, and weights of the paths for each head.
func parsePrototypeFifo(c *config, layers int) prototypeFifo {
	f := prototypeFifo{chunk: c.size("Tc", 1, -1), window: c.size("C", 1, -1), slots: c.size("m", 1, -1), perChunk: c.size("ns", 1, -1)}
	for name, want := range map[string]string{"pool": "query", "read": "heads", "gate": "simple", "fuse": "head", "src": "in"} {
		if got := c.text(name, ""); got != want {
			c.fail(name, "%q is not supported (known: %s)", got, want)
		}
	}
	c.get("memlayers", &f.layers, "a list of whole numbers")
	for i, l := range f.layers {
		if l < 0 || l >= layers || i > 0 && l <= f.layers[i-1] {
			c.fail("memlayers", "%v: want numbers of the %d layers that ascend", f.layers, layers)
			break
		}
	}
	switch {
	case c.err != nil:
	case len(f.layers) == 0:
		c.fail("memlayers", "no layer has a memory")
	case f.chunk%f.window != 0:
		c.fail("C", "chunks of %d tokens cannot be cut into windows of %d", f.chunk, f.window)
	case f.slots%f.perChunk != 0:
		c.fail("m", "a bank of %d slots does not hold whole chunks of %d slots", f.slots, f.perChunk)
	}
	return f
}

func (m *input) prototypeFifoMetadata(p prototype) {
	m.set("mneme.attention.kind", "chunked")
	m.set("mneme.attention.chunk_length", uint32(p.fifo.chunk))
	m.set("mneme.memory.kind", "fifo")
	m.set("mneme.memory.fifo.window", uint32(p.fifo.window))
	m.set("mneme.memory.fifo.slots", uint32(p.fifo.slots))
	m.set("mneme.memory.fifo.chunk_slots", uint32(p.fifo.perChunk))
	m.set("mneme.memory.fifo.gate", "simple")
	m.set("mneme.memory.fifo.pooling", "query")
	m.set("mneme.memory.fifo.head_count", uint32(p.heads))
	var layers []int32
	for _, l := range p.fifo.layers {
		layers = append(layers, int32(l))
	}
	m.set("mneme.memory.fifo.layers", layers)
}

func (m *input) prototypeFifoTensors(p prototype, i int, to, from string) {
	d := p.embedding
	m.move(to+"mem_fuse.weight", from+"lam", 3, p.heads)
	if !slices.Contains(p.fifo.layers, i) {
		return
	}
	m.move(to+"mem_pool_norm.weight", from+"np.w", d)
	m.move(to+"mem_pool_q.weight", from+"pq", p.fifo.perChunk, d)
	m.move(to+"mem_norm.weight", from+"nm.w", d)
	m.move(to+"mem_gate_w.bias", from+"W.bias", d)
	for _, name := range [][2]string{
		{"pool_k", "pk"}, {"pool_v", "pv"}, {"gate_w", "W"}, {"gate_u", "U"}, {"q", "qm"}, {"k", "km"}, {"v", "vm"},
	} {
		m.move(to+"mem_"+name[0]+".weight", from+name[1]+".weight", d, d)
	}
}
