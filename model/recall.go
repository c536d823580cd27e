package model

// recall has the memory of a layer that has one before its block read and learn: with h the residual stream, and RMSNorm_m the memory's
// norm,
//
//	h ← h + W_o·Memory(RMSNorm_m(h))
//
// What follows is the block as if h had come into it. So an adapter's memories stand before blocks of any architecture, and those of
// VariantMAL before attention.
func (p *pass) recall(l *layer) {
	if l.recallNorm == nil {
		return
	}
	if l.neural != nil {
		p.learn(l, p.change)
	} else {
		p.readBank(l)
	}
	p.expect(&l.q, &l.k, &l.v)
	p.add(nil, l.attentionNorm)
}

// entryNorm is the norm of what comes first in a layer.
func (l *layer) entryNorm() []float32 {
	if l.recallNorm != nil {
		return l.recallNorm
	}
	return l.attentionNorm
}

// expectMemory asks for the matrices that the memory before a layer's block reads first.
func (p *pass) expectMemory(l *layer) {
	if b := l.neural; b != nil {
		p.expect(&b.q, &b.k, &b.v, &b.gates, &b.out)
		return
	}
	p.expect(&l.memoryQuery)
}
