package model

import (
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
	"github.com/mneme-lm/mneme/weights/quant"
)

// NeuralMemory is a memory that learns while it reads, as Titans have it (Behrouz, Zhong and Mirrokni 2024), in some of the
// layers: there a second residual branch follows that of attention,
//
//	h ← h + W_o·Memory(RMSNorm(h))
//
// The zero NeuralMemory is none.
type NeuralMemory struct {
	neural.Config
	Layers []int // that have one, ascending
}

// neuralMemory reads mneme.memory.neural.*.
func (r *reader) neuralMemory(c *Config) NeuralMemory {
	const prefix = "memory.neural."
	if variant := r.string(prefix+"variant", "lmm"); variant != "lmm" {
		r.fail(r.key(prefix+"variant"), "%q is not supported (known: lmm)", variant)
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
	}}
	key := r.key(prefix + "layers")
	list, ok := r.md.Int32s(key)
	if !ok || len(list) == 0 {
		r.fail(key, "want a list of the layers with a memory")
	}
	for i, layer := range list {
		if layer < 0 || int(layer) >= c.Layers || i > 0 && layer <= list[i-1] {
			r.fail(key, "%d is no layer of %d, or not in ascending order", layer, c.Layers)
			return m
		}
		m.Layers = append(m.Layers, int(layer))
	}
	return m
}

// neuralLayer is the memory of a layer.
type neuralLayer struct {
	norm    []float32
	q, k, v linear // [heads·dim, embedding]
	gates   linear // [3·heads, embedding]: steps, momentum and decay
	out     linear // [heads·dim, embedding]: the gate of what is read
	o       linear // [embedding, heads·dim]
	memory  *neural.Memory
}

func (l *loader) neuralLayer(c *Config, i int) *neuralLayer {
	n, width := &c.Neural, c.Neural.Heads*c.Neural.Dim
	b := &neuralLayer{
		norm:  l.vector(block(i, "mem_norm.weight"), c.Embedding),
		q:     l.linear(block(i, "mem_q"), c.Embedding, width),
		k:     l.linear(block(i, "mem_k"), c.Embedding, width),
		v:     l.linear(block(i, "mem_v"), c.Embedding, width),
		gates: l.linear(block(i, "mem_gates"), c.Embedding, 3*n.Heads),
		out:   l.linear(block(i, "mem_out_gate"), c.Embedding, width),
		o:     l.linear(block(i, "mem_output"), width, c.Embedding),
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
	if n.LayerSteps && n.Depth > 1 {
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

// learning is the memory of a batch of n rows for layers with memories of H heads of d.
type learning struct {
	texts []learningText
	rows  neural.Rows          // [n, H·d], gates [n, 3·H]
	read  *kernels.Activations // [n, H·d]
}

// learningText is the rows of a batch that a sequence has.
type learningText struct {
	sequence *Sequence
	rows     []int32
}

func (s *learning) resize(m *Model, n int) {
	width := m.Neural.Heads * m.Neural.Dim
	for _, p := range []*[]float32{&s.rows.Q, &s.rows.K, &s.rows.V, &s.rows.Out} {
		grow(p, n*width)
	}
	grow(&s.rows.Gates, n*3*m.Neural.Heads)
	if s.read == nil {
		s.read = kernels.NewActivations(0, 0, m.forms)
	}
	s.read.Resize(n, width)
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
	for i := range s.texts {
		s.texts[i].sequence = nil
	}
	s.texts = s.texts[:0]
}

// learn sets change = W_o·Memory(normed), and has the memories of the sequences learn. Sequences without one read zeros.
func (p *pass) learn(l *layer) {
	b, s := l.neural, &p.learning
	p.multiply(p.normed, product{&b.q, s.rows.Q, nil}, product{&b.k, s.rows.K, nil}, product{&b.v, s.rows.V, nil},
		product{&b.gates, s.rows.Gates, nil}, product{&b.out, s.rows.Out, nil})
	p.expect(&b.o)
	heads := b.memory.Heads
	p.w.For(len(s.texts)*heads, 1, func(from, to int) {
		for at := from; at < to; at++ {
			text := &s.texts[at/heads]
			if states := text.sequence.memories; states != nil {
				b.memory.Advance(p.learner, states[l.index].(*neural.State), at%heads, s.rows, text.rows, s.read.Float)
				continue
			}
			for _, r := range text.rows {
				clear(row(s.read.Row(int(r)), at%heads, b.memory.Dim))
			}
		}
	})
	p.w.Barrier()
	p.w.For(len(p.batch), rowGrain, func(from, to int) {
		for i := from; i < to; i++ {
			p.impl.Convert(s.read, i, 0, s.read.Cols)
		}
	})
	p.w.Barrier()
	p.multiply(s.read, product{&b.o, p.change, nil})
}
