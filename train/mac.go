package train

import (
	"gorgonia.org/gorgonia"
)

// segments is a layer of VariantMAC on texts that are cut into segments, which follow one another.
type segments struct {
	*builder
	layer        int
	heads        Heads // of a whole text
	texts        int
	turned       *gorgonia.Node // queries, keys and values of attention
	plain        *gorgonia.Node // the same before they were rotated
	queries, out *gorgonia.Node // what retrieves for tokens: rows of which queries are read, and their gate
	state        *gorgonia.Node // of the memory before the segment
	before       *gorgonia.Node // rows of the memory that the next convolution reaches back to; nil: none
	attended     gorgonia.Nodes // y of each segment
	gates        gorgonia.Nodes // and what gates it
}

// mac returns what a layer of VariantMAC makes of x before its feed-forward network.
func (b *builder) mac(x *gorgonia.Node, l int, heads Heads) *gorgonia.Node {
	normed := b.norm(x, block(l, "attn_norm.weight"))
	if b.m.Shape.Neural.Zeroed || b.err != nil {
		return b.add(x, b.gatedBy(b.attention(normed, l, heads), nil, l))
	}
	s := &segments{builder: b, layer: l, heads: heads, texts: x.Shape()[0] / heads.Length}
	s.plain = b.qkv(normed, l)
	s.turned = b.next(func() (*gorgonia.Node, error) { return b.c.RoPE(s.plain, heads, b.m.Shape.RoPEBase) })
	s.queries = b.memoryRows(b.linear(normed, block(l, "mem_qkv.weight"), ""), l, heads.Length)
	s.out = b.linear(normed, block(l, "mem_out_gate.weight"), "")
	n := b.m.Shape.Neural
	s.state = b.next(func() (*gorgonia.Node, error) {
		return b.c.BeginState(n.Config, s.texts, b.initial(l)[:n.Depth]...)
	})
	for from := 0; from < heads.Length; from += n.Chunk {
		s.segment(from, min(from+n.Chunk, heads.Length))
	}
	return b.add(x, b.gatedBy(s.join(s.attended), s.join(s.gates), l))
}

func (s *segments) join(parts gorgonia.Nodes) *gorgonia.Node {
	return s.next(func() (*gorgonia.Node, error) { return s.c.Join(s.texts, parts...) })
}

// cut is the rows [from, to) of texts that have length rows each.
func (s *segments) cut(x *gorgonia.Node, length, from, to int) *gorgonia.Node {
	return s.next(func() (*gorgonia.Node, error) { return s.c.Cut(x, length, from, to) })
}

// read is what rows read of the memory before the segment, with its output projection.
func (s *segments) read(rows, out *gorgonia.Node) *gorgonia.Node {
	read := s.next(func() (*gorgonia.Node, error) { return s.c.Retrieve(s.m.Shape.Neural.Config, s.state, rows) })
	return s.finished(read, out, s.layer)
}

// segment adds the tokens [from, to) of all texts (equations 21 to 25).
func (s *segments) segment(from, to int) {
	n, l, of := s.m.Shape.Neural, s.layer, func(x *gorgonia.Node) *gorgonia.Node { return s.cut(x, s.heads.Length, from, to) }
	y := s.attend(from, to, s.read(of(s.queries), of(s.out)))
	normed := s.norm(y, block(l, "mem_norm.weight"))
	rows := s.convolved(s.linear(normed, block(l, "mem_qkv.weight"), ""), to-from)
	s.attended = append(s.attended, y)
	s.gates = append(s.gates, s.read(rows, s.linear(normed, block(l, "mem_out_gate.weight"), "")))
	if to == s.heads.Length {
		return
	}
	gates := s.linear(normed, block(l, "mem_gates.weight"), block(l, "mem_gates.bias"))
	state := s.state
	s.state = s.next(func() (*gorgonia.Node, error) { return s.c.Learn(n.Config, state, rows, gates, s.initial(l)...) })
}

// attend is attention of a segment to itself, to what was retrieved for its tokens, and to persistent tokens.
func (s *segments) attend(from, to int, retrieved *gorgonia.Node) *gorgonia.Node {
	h, l := s.heads, s.layer
	h.Length = to - from
	context := s.qkv(retrieved, l)
	context = s.next(func() (*gorgonia.Node, error) {
		return s.c.Rotate(context, h, rotationFrom(h, s.m.Shape.RoPEBase, from))
	})
	turned := s.cut(s.turned, s.heads.Length, from, to)
	beside := Beside{Fixed: s.persistent(l), Retrieved: context}
	if beside.Fixed != nil {
		beside.Plain = s.cut(s.plain, s.heads.Length, from, to)
	}
	attended := s.next(func() (*gorgonia.Node, error) { return s.c.AttentionBeside(turned, h, Sight{}, beside) })
	return s.linear(attended, block(l, "attn_output.weight"), "")
}

// convolved is the memory's rows of a segment of n after their convolution, which reaches back to segments before.
func (s *segments) convolved(rows *gorgonia.Node, n int) *gorgonia.Node {
	width, length := s.m.Shape.Neural.Convolution, n
	if s.err != nil || width < 2 {
		return s.memoryRows(rows, s.layer, n)
	}
	if s.before != nil {
		length += s.before.Shape()[0] / s.texts
		rows = s.join(gorgonia.Nodes{s.before, rows})
	}
	s.before = s.cut(rows, length, max(0, length-width+1), length)
	return s.cut(s.memoryRows(rows, s.layer, length), length, length-n, length)
}
