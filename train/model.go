package train

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Shape is that of a small model: a llama block with biases for queries, keys and values. With a Backbone it is what the backbone's
// file says, and its memory, of one kind, stands before the blocks of its layers.
type Shape struct {
	Vocabulary, Dim, Layers, Heads, Hidden int
	RoPEBase                               float64
	Epsilon                                float32 // of the RMS norms
	Sight                                  Sight
	Sights                                 []Sight // of each layer, where they differ; there is no Sight then
	Landmark                               Landmark
	Fifo                                   *Fifo   // nil: none
	Neural                                 *Neural // nil: none

	Backbone *Backbone `json:",omitempty"` // nil: the model is one of its own
	Tuned    bool      `json:",omitempty"` // the backbone's weights are learned, too
}

// check says what is wrong with a shape.
func (s *Shape) check() error {
	if s.Backbone != nil {
		return s.checkBackbone()
	}
	if s.Vocabulary < 1 || s.Dim < 1 || s.Layers < 1 || s.Heads < 1 || s.Hidden < 1 || s.Dim%(2*s.Heads) != 0 {
		return fmt.Errorf("train: no model of shape %+v", *s)
	}
	if len(s.Sights) > 0 && (len(s.Sights) != s.Layers || s.Sight != Sight{}) {
		return fmt.Errorf("train: %d sights for %d layers, and %+v for all", len(s.Sights), s.Layers, s.Sight)
	}
	for l := range s.Layers {
		if err := s.sight(l).check(); err != nil {
			return fmt.Errorf("train: layer %d: %w", l, err)
		}
	}
	return s.checkMemories()
}

// checkMemories says what is wrong with landmarks and memories.
func (s *Shape) checkMemories() error {
	if err := s.checkLandmark(); err != nil {
		return err
	}
	if s.Fifo != nil && s.Neural != nil {
		return errors.New("train: a model has one memory, not both a gated one and a neural one")
	}
	if s.Neural != nil {
		if err := s.Neural.check(s); err != nil {
			return err
		}
	}
	return s.checkFifo()
}

// sight is what queries of a layer see.
func (s *Shape) sight(layer int) Sight {
	switch {
	case s.Landmark.Block > 0:
		return Sight{Landmark: s.Landmark.Block}
	case len(s.Sights) > 0:
		return s.Sights[layer]
	}
	return s.Sight
}

// Small is the shape that all small models have, with 0.9 million parameters.
func Small(vocabulary int) Shape {
	return Shape{Vocabulary: vocabulary, Dim: 128, Layers: 4, Heads: 4, Hidden: 352, RoPEBase: 1e6, Epsilon: 1e-6}
}

// Param is a matrix or a vector that is learned. What lies in Values is what every graph of the model computes with.
type Param struct {
	Name   string // as in GGUF, but for attn_qkv, mem_qkv and ffn_gate_up, which hold several of its tensors
	Shape  []int  // [out, in], or [n]; of a memory's initial weights, [heads, out, in]
	Values []float32
}

// Model is the parameters of a shape.
type Model struct {
	Shape  Shape
	Params []*Param
	byName map[string]*Param
}

// NewModel returns a model with random parameters. Three heads of the first layer begin by attending to the three tokens
// before their own, which is what finding a fact by its words starts from (see [Model.look]).
func NewModel(s Shape, seed uint64) (*Model, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	m := &Model{Shape: s, byName: map[string]*Param{}}
	r := rand.New(rand.NewPCG(seed, 0x3d))
	matrix := func(name string, out, in int, deviation float64) {
		p := m.param(name, out, in)
		for i := range p.Values {
			p.Values[i] = float32(deviation * r.NormFloat64())
		}
	}
	norm := func(name string) {
		p := m.param(name, s.Dim)
		for i := range p.Values {
			p.Values[i] = 1
		}
	}
	fanIn := func(n int) float64 { return 1 / math.Sqrt(float64(n)) }
	if s.Backbone != nil {
		m.onBackbone(seed, matrix, norm)
		return m, nil
	}
	matrix("token_embd.weight", s.Vocabulary, s.Dim, 0.5)
	for l := range s.Layers {
		norm(block(l, "attn_norm.weight"))
		matrix(block(l, "attn_qkv.weight"), 3*s.Dim, s.Dim, fanIn(s.Dim))
		m.param(block(l, "attn_qkv.bias"), 3*s.Dim)
		matrix(block(l, "attn_output.weight"), s.Dim, s.Dim, 0.6*fanIn(s.Dim))
		m.fifoParams(l, matrix, norm)
		norm(block(l, "ffn_norm.weight"))
		matrix(block(l, "ffn_gate_up.weight"), 2*s.Hidden, s.Dim, fanIn(s.Dim))
		matrix(block(l, "ffn_down.weight"), s.Dim, s.Hidden, 0.6*fanIn(s.Hidden))
	}
	norm("output_norm.weight")
	matrix("output.weight", s.Vocabulary, s.Dim, 0.02)
	for head := range min(3, s.Heads-1) {
		m.look(head, head+1)
	}
	m.newNeural(seed)
	return m, nil
}

// as is the model with the same parameters and another shape, which has use for no others.
func (m *Model) as(s Shape) *Model { return &Model{Shape: s, Params: m.Params, byName: m.byName} }

// forgetful is the shape in which everything that is read of a memory is zeros, if there is one.
func (s Shape) forgetful() (without Shape, remembers bool) {
	remembers = s.Neural != nil || s.Fifo != nil
	if s.Fifo != nil {
		f := *s.Fifo
		f.Zeroed, s.Fifo = true, &f
	}
	if s.Neural != nil {
		n := *s.Neural
		n.Zeroed, s.Neural = true, &n
	}
	return s, remembers
}

// Parameters is the number of values that are learned.
func (m *Model) Parameters() (n int64) {
	for _, p := range m.Params {
		n += int64(len(p.Values))
	}
	return n
}

func block(layer int, name string) string { return fmt.Sprintf("blk.%d.%s", layer, name) }

func (m *Model) param(name string, shape ...int) *Param {
	p := &Param{Name: name, Shape: shape, Values: make([]float32, tensor.Shape(shape).TotalSize())}
	m.Params = append(m.Params, p)
	m.byName[name] = p
	return p
}

// look has a head of the first layer attend to the token that many back, by biases: a pair of a key points to angle 0, and that
// of a query to minus the angle that RoPE adds over the distance. Their product is largest at that distance, whatever
// the tokens. The fastest pairs tell neighbours apart best.
func (m *Model) look(head, back int) {
	const amplitude, pairs = 6, 4
	bias := m.byName[block(0, "attn_qkv.bias")].Values
	dim := m.Shape.Dim / m.Shape.Heads
	q, k := bias[head*dim:], bias[m.Shape.Dim+head*dim:]
	for i := range min(pairs, dim/2) {
		angle := float64(back) * math.Pow(m.Shape.RoPEBase, -2*float64(i)/float64(dim))
		q[i], q[i+dim/2] = float32(amplitude*math.Cos(angle)), float32(-amplitude*math.Sin(angle))
		k[i] = amplitude
	}
}

// graph is the model on some texts of the same length, with its inputs and what it comes to.
type graph struct {
	*gorgonia.ExprGraph
	tokens, targets []int // what the next run reads
	weights         []float32
	params          gorgonia.Nodes // as those of the model
	logits, loss    *gorgonia.Node
	rows            int // of a text: its tokens, and landmarks
	landmark        Landmark
}

// builder adds nodes until one fails.
type builder struct {
	c   Compute
	m   *Model
	g   *graph
	of  map[string]*gorgonia.Node
	err error
}

func (b *builder) node(n *gorgonia.Node, err error) *gorgonia.Node {
	if err != nil && b.err == nil {
		b.err = err
	}
	return n
}

// next is node, for an operation on nodes of which one may have failed: then it is not tried.
func (b *builder) next(try func() (*gorgonia.Node, error)) *gorgonia.Node {
	if b.err != nil {
		return nil
	}
	return b.node(try())
}

func (b *builder) linear(x *gorgonia.Node, weight, bias string) *gorgonia.Node {
	return b.next(func() (*gorgonia.Node, error) { return b.c.Linear(x, b.of[weight], b.of[bias]) })
}

func (b *builder) norm(x *gorgonia.Node, weight string) *gorgonia.Node {
	return b.next(func() (*gorgonia.Node, error) { return b.c.RMSNorm(x, b.of[weight], b.m.Shape.Epsilon) })
}

func (b *builder) add(x, y *gorgonia.Node) *gorgonia.Node {
	return b.next(func() (*gorgonia.Node, error) { return b.c.Add(x, y) })
}

// leaf adds an input with the values of a parameter.
func (b *builder) leaf(p *Param) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(p.Shape...), tensor.WithBacking(p.Values))
	return gorgonia.NewTensor(b.g.ExprGraph, tensor.Float32, len(p.Shape), gorgonia.WithName(p.Name), gorgonia.WithShape(p.Shape...), gorgonia.WithValue(v))
}

// input adds a vector whose values are those of the slice whenever the graph runs.
func (b *builder) input(name string, of tensor.Dtype, values any, n int) *gorgonia.Node {
	v := tensor.New(tensor.WithShape(n), tensor.WithBacking(values))
	return gorgonia.NewVector(b.g.ExprGraph, of, gorgonia.WithName(name), gorgonia.WithShape(n), gorgonia.WithValue(v))
}

// build makes the graph of the model for so many texts of a length, and of their loss.
func (m *Model) build(c Compute, texts, length int) (*graph, error) {
	s := m.Shape
	if texts < 1 || length < 1 {
		return nil, fmt.Errorf("train: %d texts of %d tokens", texts, length)
	}
	length = s.Landmark.row(length)
	rows := texts * length
	g := &graph{
		ExprGraph: gorgonia.NewGraph(), tokens: make([]int, rows), targets: make([]int, rows), weights: make([]float32, rows),
		rows: length, landmark: s.Landmark,
	}
	b := &builder{c: c, m: m, g: g, of: map[string]*gorgonia.Node{}}
	for _, p := range m.Params {
		b.of[p.Name] = b.leaf(p)
		g.params = append(g.params, b.of[p.Name])
	}
	tokens := b.input("tokens", tensor.Int, g.tokens, rows)
	if s.Backbone != nil {
		b.constants()
		g.logits = b.backbone(tokens, length)
	} else {
		g.logits = b.small(tokens, length)
	}
	targets, weights := b.input("targets", tensor.Int, g.targets, rows), b.input("weights", tensor.Float32, g.weights, rows)
	g.loss = b.next(func() (*gorgonia.Node, error) { return c.CrossEntropy(g.logits, targets, weights) })
	return g, b.err
}

// small returns the logits of a small model.
func (b *builder) small(tokens *gorgonia.Node, length int) *gorgonia.Node {
	s := &b.m.Shape
	heads := Heads{Count: s.Heads, Dim: s.Dim / s.Heads, Length: length}
	x := b.next(func() (*gorgonia.Node, error) { return b.c.Embedding(b.of["token_embd.weight"], tokens) })
	for l := range s.Layers {
		x = b.layer(x, l, heads)
	}
	return b.linear(b.norm(x, "output_norm.weight"), "output.weight", "")
}

func (b *builder) layer(x *gorgonia.Node, l int, heads Heads) *gorgonia.Node {
	if b.m.Shape.Neural.has(l) {
		x = b.titans(x, l, heads)
	} else {
		x = b.attentive(x, l, heads)
	}
	gateUp := b.linear(b.norm(x, block(l, "ffn_norm.weight")), block(l, "ffn_gate_up.weight"), "")
	hidden := b.next(func() (*gorgonia.Node, error) { return b.c.SwiGLU(gateUp) })
	return b.add(x, b.linear(hidden, block(l, "ffn_down.weight"), ""))
}

// attentive adds attention.
func (b *builder) attentive(x *gorgonia.Node, l int, heads Heads) *gorgonia.Node {
	return b.add(x, b.attention(b.norm(x, block(l, "attn_norm.weight")), l, heads))
}

// attention is W_o·Attention(rows).
func (b *builder) attention(rows *gorgonia.Node, l int, heads Heads) *gorgonia.Node {
	return b.linear(b.attend(rows, l, heads), block(l, "attn_output.weight"), "")
}

// attend returns what the heads of a layer get for its normed rows.
func (b *builder) attend(rows *gorgonia.Node, l int, heads Heads) *gorgonia.Node {
	s := &b.m.Shape
	plain := b.qkv(rows, l)
	qkv := b.next(func() (*gorgonia.Node, error) { return b.c.RoPE(plain, heads, s.RoPEBase) })
	if s.Fifo != nil {
		return b.fused(qkv, rows, l, heads)
	}
	beside := Beside{Fixed: b.persistent(l), Plain: plain}
	return b.next(func() (*gorgonia.Node, error) { return b.c.AttentionBeside(qkv, heads, s.sight(l), beside) })
}

// qkv is queries, keys and values of a layer before they are rotated.
func (b *builder) qkv(rows *gorgonia.Node, l int) *gorgonia.Node {
	return b.linear(rows, block(l, "attn_qkv.weight"), block(l, "attn_qkv.bias"))
}

// persistent is keys and values of a layer's persistent tokens, nil if it has none.
func (b *builder) persistent(l int) *gorgonia.Node {
	if n := b.m.Shape.Neural; !n.has(l) || n.Persistent == 0 {
		return nil
	}
	return b.qkv(b.of[block(l, "mem_persistent.weight")], l)
}
