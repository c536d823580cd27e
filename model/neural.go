package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/weights/quant"
)

// NeuralMemory is a memory that learns while it reads, as Titans have it (Behrouz, Zhong and Mirrokni 2024, arXiv 2501.00663), in
// some of the layers: see Variant for how it stands beside attention. The zero NeuralMemory is none.
type NeuralMemory struct {
	neural.Config
	Variant    Variant
	Layers     []int // that have one, ascending
	Persistent int   // persistent tokens of each of these layers (equation 19): see persistent
}

// Variant is how a memory stands beside the attention of its layer. Of what comes into the layer, h, attention reads x = RMSNorm(h).
// SWA is attention to a window of the text, P‖ stands for the persistent tokens before it, ⊗ is
//
//	y ⊗ m = RMSNorm_a(y) ⊙ σ(RMSNorm_b(m))
//
// with learned scales a (mem_branch_norm) and b (mem_gate_norm). The paper says of it only that both branches are normalized with
// learned vectors, and a nonlinearity follows; this form is ours. RMSNorm_m is mem_norm.
type Variant uint8

// The variants. In all of them a token depends on nothing that comes behind it.
const (
	// VariantLMM has the memory as a second residual branch behind attention, which is of any kind:
	//
	//	h ← h + Attn(P‖x)
	//	h ← h + Memory(RMSNorm_m(h))
	VariantLMM Variant = iota
	// VariantMAG has the memory gate attention to a window (equations 26 to 28). Both read x:
	//
	//	y = SWA(P‖x),  m = Memory(x),  h ← h + y ⊗ m
	//
	// In the paper the memory reads P first. That would give it other weights to begin with, the same for every text, and those are
	// learned anyhow: here it reads the text alone.
	VariantMAG
	// VariantMAL has the memory before attention to a window (equations 29 to 31), each with its residual branch, as recurrent and
	// attention layers are stacked elsewhere: see pass.recall. A memory that gives zeros is the identity, as that of M in the paper:
	//
	//	h ← h + Memory(RMSNorm_m(h))
	//	h ← h + SWA(P‖RMSNorm(h))
	//
	// P is what attention meets, not what the memory makes of it, for the reason given above.
	VariantMAL
	// VariantMAC has what is read of the memory stand in the context of attention (equations 21 to 25). The text is cut into segments:
	// the chunks of attention, as long as those of the memory, whose weights M_{t−1} are those from before segment t. For token j of
	// it, and a query i:
	//
	//	c_j = Memory_{t−1}(x_j)                                            (21)
	//	y_i = Attn(P ‖ c_j ‖ x_j, j ≤ i in the segment)                    (22, 23)
	//	M_t learns from RMSNorm_m(y_i)                                     (24)
	//	h ← h + y ⊗ Memory_{t−1}(RMSNorm_m(y))                             (25)
	//
	// c_j, with its output projection, goes through the same W_K and W_V as x_j, and its key is rotated to token j's position: a query
	// sees no c_j behind its own token, since that was retrieved with the query of token j. Equation 25 gates by M_t, which at the
	// end of a segment knows tokens that a query must not: here it is M_{t−1} or, where reads are those after a token's own update
	// (neural.Config.ReadAfter), the memory with the updates up to the token's. The queries of 21 are convolved among themselves,
	// as those of y are.
	VariantMAC
)

var variantNames = [...]string{"lmm", "mag", "mal", "mac"}

// String returns the variant's name in metadata.
func (v Variant) String() string {
	if int(v) < len(variantNames) {
		return variantNames[v]
	}
	return fmt.Sprintf("variant(%d)", uint8(v))
}

// gates reports whether what is read of the memory gates what attention comes to.
func (v Variant) gates() bool { return v == VariantMAG || v == VariantMAC }

// neuralMemory reads mneme.memory.neural.*.
func (r *reader) neuralMemory(c *Config) NeuralMemory {
	const prefix = "memory.neural."
	name := r.string(prefix+"variant", VariantLMM.String())
	variant := slices.Index(variantNames[:], name)
	if variant < 0 {
		r.fail(r.key(prefix+"variant"), "%q is not supported (known: %s)", name, strings.Join(variantNames[:], ", "))
		return NeuralMemory{}
	}
	m := NeuralMemory{Config: neural.Config{
		Heads: r.size(prefix+"head_count", 1, -1), Dim: r.size(prefix+"head_length", 1, -1),
		Depth: r.size(prefix+"depth", 1, 1), Expansion: r.size(prefix+"expansion", 1, 1), Chunk: r.size(prefix+"chunk", 1, -1),
		Momentum: r.bool(prefix+"momentum", true), ReadAfter: r.bool(prefix+"read_after", false), FullLoss: r.bool(prefix+"full_loss", false),
		UnitHidden: r.bool(prefix+"unit_hidden", false), LayerSteps: r.bool(prefix+"layer_steps", false),
		MostError: float32(r.float(prefix+"error_max", 0)), DecayToInitial: r.bool(prefix+"decay_to_initial", false),
		Convolution: r.size(prefix+"convolution", 0, 0), SiLU: r.bool(prefix+"silu", false),
		MostStep: float32(r.float(prefix+"step_max", 1)), MostMomentum: float32(r.float(prefix+"momentum_max", 1)),
		NormEpsilon: float32(r.float(prefix+"layer_norm_rms_epsilon", float64(c.NormEpsilon))),
	}, Variant: Variant(variant), Persistent: r.size(prefix+"persistent", 0, 0)}
	m.Retrieving = m.Variant == VariantMAC
	m.Layers = r.layers(prefix+"layers", c.Layers)
	return m
}

// mostRetrieved is the most bytes of what is retrieved for a segment of a layer, far more than any model has use for.
const mostRetrieved = 1 << 30

// checkNeural refuses what a memory's variant cannot stand beside.
func (r *reader) checkNeural(c *Config) {
	m := &c.Neural
	want := map[Variant]AttentionKind{VariantMAG: AttentionWindow, VariantMAL: AttentionWindow, VariantMAC: AttentionChunked}
	for _, layer := range m.Layers {
		kind := c.AttentionKinds[min(layer, len(c.AttentionKinds)-1)]
		if k, ok := want[m.Variant]; ok && kind != k {
			r.fail(r.key("attention.kind"), "a memory of variant %v stands beside %v attention, layer %d has %v", m.Variant, k, layer, kind)
		}
		if kind == AttentionLandmark && m.Persistent > 0 {
			r.fail(r.key("memory.neural.persistent"), "persistent tokens beside landmark attention are not supported")
		}
	}
	if m.Variant == VariantMAC && m.Chunk != c.ChunkLength {
		r.fail(r.key("memory.neural.chunk"), "%d tokens, where segments of attention have %d", m.Chunk, c.ChunkLength)
	}
	if width := float64(c.KVHeads) * float64(c.KeyDim+c.ValueDim); m.Variant == VariantMAC && 4*width*float64(m.Chunk) > mostRetrieved {
		r.fail(r.key("memory.neural.chunk"), "what is retrieved for segments of %d tokens takes more than %d MiB", m.Chunk, mostRetrieved>>20)
	}
	if m.Persistent > maxPersistent {
		r.fail(r.key("memory.neural.persistent"), "%d is more than %d", m.Persistent, maxPersistent)
	}
}

// neuralLayer is the memory of a layer.
type neuralLayer struct {
	norm    []float32 // of the memory behind attention; nil: both read the same, or the memory comes first
	q, k, v linear    // [heads·dim, embedding]
	gates   linear    // [3·heads, embedding]: steps, momentum and decay
	out     linear    // [heads·dim, embedding]: the gate of what is read
	o       linear    // [embedding, heads·dim]
	memory  *neural.Memory

	branchNorm, gateNorm []float32      // a and b of ⊗, see Variant; nil: no gate
	persistent           *kvcache.Fixed // nil: none
	variant              Variant
}

func (l *loader) neuralLayer(c *Config, i int) *neuralLayer {
	n, width := &c.Neural, c.Neural.Heads*c.Neural.Dim
	b := &neuralLayer{variant: n.Variant}
	if n.Variant != VariantMAG {
		b.norm = l.vector(block(i, "mem_norm.weight"), c.Embedding)
	}
	b.q = l.linear(block(i, "mem_q"), c.Embedding, width)
	b.k = l.linear(block(i, "mem_k"), c.Embedding, width)
	b.v = l.linear(block(i, "mem_v"), c.Embedding, width)
	b.gates = l.linear(block(i, "mem_gates"), c.Embedding, 3*n.Heads)
	b.out = l.linear(block(i, "mem_out_gate"), c.Embedding, width)
	b.o = l.linear(block(i, "mem_output"), width, c.Embedding)
	if n.Variant.gates() {
		b.branchNorm = l.vector(block(i, "mem_branch_norm.weight"), c.Embedding)
		b.gateNorm = l.vector(block(i, "mem_gate_norm.weight"), c.Embedding)
	}
	w := neural.Weights{Norm: l.vector(block(i, "mem_read_norm.weight"), width)}
	for layer := range n.Depth {
		out, in := n.Width(layer), n.Width(layer-1)
		name := block(i, fmt.Sprintf("mem_initial.%d.weight", layer))
		if w.Initial = append(w.Initial, l.values(name, in, out, n.Heads)); l.err != nil {
			return b // before there are as many as the file says, of which it has none
		}
	}
	if n.Convolution > 0 {
		w.Convolution = l.values(block(i, "mem_conv.weight"), n.Convolution, 3*width)
	}
	if n.Steps() > 0 {
		w.Steps = l.values(block(i, "mem_steps.weight"), n.Heads, n.Depth-1)
	}
	if l.err != nil {
		return b
	}
	b.memory, l.err = neural.New(n.Config, w)
	return b
}

// values reads a tensor of the given shape, fastest dimension first, as float32.
func (l *loader) values(name string, shape ...int) []float32 {
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	t := l.tensor(name, shape...)
	if t == nil {
		return nil
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	out := make([]float32, n)
	if err := quant.Decode(t.Type, out, t.Data); err != nil {
		l.fail(name, "%w", err)
	}
	return out
}

// list returns the matrices that activations are multiplied by.
func (b *neuralLayer) list() []*linear { return []*linear{&b.q, &b.k, &b.v, &b.gates, &b.out, &b.o} }

// learning is the memory of a batch of n rows for layers with memories of H heads of d, in an embedding of E.
type learning struct {
	texts []learningText
	rows  neural.Rows          // [n, H·d], gates [n, 3·H]
	read  *kernels.Activations // [n, H·d]
	gate  []float32            // [n, E] what gates attention, before its norm
	segmenting
}

// learningText is the rows of a batch that a sequence has.
type learningText struct {
	sequence *Sequence
	rows     []int32
}

func (s *learning) resize(m *Model, n int) {
	width := m.Neural.Heads * m.Neural.Dim
	for _, p := range []*[]float32{&s.rows.Q, &s.rows.K, &s.rows.V, &s.rows.Out} {
		kernels.Grow(p, n*width)
	}
	kernels.Grow(&s.rows.Gates, n*3*m.Neural.Heads)
	if s.read == nil {
		s.read = kernels.NewActivations(0, 0, m.forms)
	}
	s.read.Resize(n, width)
	if m.Neural.Variant.gates() {
		kernels.Grow(&s.gate, n*m.Embedding)
	}
	if m.Neural.Variant == VariantMAC {
		s.segmenting.resize(m, n)
	}
}

// sort finds the rows of each sequence.
func (s *learning) sort(batch []Row) {
	s.forget()
	for i := range batch {
		at := slices.IndexFunc(s.texts, func(t learningText) bool { return t.sequence == batch[i].Sequence })
		if at < 0 {
			at = len(s.texts)
			if at < cap(s.texts) {
				s.texts = s.texts[:at+1] // with the memory of an earlier batch
			} else {
				s.texts = append(s.texts, learningText{})
			}
			s.texts[at].sequence, s.texts[at].rows = batch[i].Sequence, s.texts[at].rows[:0]
		}
		s.texts[at].rows = append(s.texts[at].rows, int32(i))
	}
}

// forget drops the sequences, which belong to callers.
func (s *learning) forget() {
	s.segmenting.forget()
	for i := range s.texts {
		s.texts[i].sequence = nil
	}
	s.texts = s.texts[:0]
}

// learn sets to = W_o·Memory(normed), and has the memories of the sequences learn. Sequences without one read zeros.
func (p *pass) learn(l *layer, to []float32) {
	b, s := l.neural, &p.learning
	p.multiply(p.normed, product{&b.q, s.rows.Q, nil}, product{&b.k, s.rows.K, nil}, product{&b.v, s.rows.V, nil},
		product{&b.gates, s.rows.Gates, nil}, product{&b.out, s.rows.Out, nil})
	p.expect(&b.o)
	heads := b.memory.Heads
	p.w.For(len(s.texts)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			text := &s.texts[at/heads]
			if states := text.sequence.memories; states != nil {
				p.advance(l, states[l.index].(*neural.State), at%heads, s.rows, text.rows)
				continue
			}
			p.readNothing(at%heads, text.rows)
		}
	})
	p.w.Barrier()
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.impl.Convert(s.read, i, 0, s.read.Cols)
		}
	})
	p.w.Barrier()
	p.multiply(s.read, product{&b.o, to, nil})
}

// advance has a head of a sequence's memory read rows and learn from them.
func (p *pass) advance(l *layer, state *neural.State, h int, rows neural.Rows, pick []int32) {
	if err := l.neural.memory.Advance(p.learner, state, h, rows, pick, p.learning.read.Float); err != nil {
		p.fail(fmt.Errorf("model: layer %d: %w", l.index, err))
	}
}

// readNothing is what a head reads for rows of a sequence without a memory.
func (p *pass) readNothing(h int, rows []int32) {
	for _, r := range rows {
		clear(row(p.learning.read.Row(int(r)), h, p.model.Neural.Dim))
	}
}

// gateChange sets change = change ⊗ gate.
func (p *pass) gateChange(b *neuralLayer) {
	m := p.model
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.gateRow(b, row(p.change, i, m.Embedding), row(p.change, i, m.Embedding), row(p.learning.gate, i, m.Embedding))
		}
	})
	p.w.Barrier()
}

// gateRow sets to = y ⊗ m (see Variant), and spoils m.
func (p *pass) gateRow(b *neuralLayer, to, y, m []float32) {
	p.impl.RMSNorm(to, y, b.branchNorm, p.model.NormEpsilon)
	p.impl.RMSNorm(m, m, b.gateNorm, p.model.NormEpsilon)
	p.impl.Softcap(m, 2) // σ(x) = ½ + ½·tanh(x/2)
	for i, v := range m {
		m[i] = .5 + .25*v
	}
	p.impl.Scale(to, to, m, 1)
}
