package model

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// mneme is the architecture of models that are trained with a way of remembering: a llama block with biases on q, k and v
// and rotation of half-split pairs, as qwen2 has, whose attention in each layer is of the kind that mneme.attention.kind
// says, one string for all layers or an array with one for each. What mneme.memory.kind says is remembered beside: neural, some
// layers have a memory that learns, in the layout that mneme.memory.neural.variant says (Variant); fifo, it is one of three paths of attention (Fifo).
type mneme struct{ llama }

// AttentionKind is what a layer's queries see of the text.
type AttentionKind uint8

// The kinds of attention.
const (
	AttentionFull     AttentionKind = iota // all that came before
	AttentionWindow                        // the last Config.SlidingWindow rows, the query's own among them
	AttentionChunked                       // what came before in the query's own chunk: the text is cut after every Config.ChunkLength tokens
	AttentionLandmark                      // its own block, and others by the scores of their landmarks: Config.Landmark
)

var attentionKindNames = [...]string{"full", "window", "chunked", "landmark"}

// String returns the kind's name in metadata.
func (k AttentionKind) String() string {
	if int(k) < len(attentionKindNames) {
		return attentionKindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Attention tells what kind of attention the layers have, first those that come first where they differ: window/full.
func (c Config) Attention() string {
	var names []string
	for _, k := range c.AttentionKinds {
		if !slices.Contains(names, k.String()) {
			names = append(names, k.String())
		}
	}
	return cmp.Or(strings.Join(names, "/"), AttentionFull.String())
}

// Landmark is the shape of landmark attention (Mohtashami and Jaggi 2023, sections 3.1 and 3.2). The zero Landmark is none.
type Landmark struct {
	Block  int // ordinary tokens in a block; a landmark follows them, so that a stored block has one row more
	Token  int // the landmark's id
	Local  int // ordinary tokens that are processed at a time
	Blocks int // blocks that a query opens
}

func (mneme) configure(c *Config, r *reader) {
	c.Rope.Halves = true
	c.refuseExperts(r)
	c.AttentionKinds = r.attentionKinds(c.Layers)
	if slices.Contains(c.AttentionKinds, AttentionWindow) {
		c.SlidingWindow = r.size("attention.sliding_window", 1, -1)
	}
	if slices.Contains(c.AttentionKinds, AttentionChunked) {
		c.ChunkLength = r.size("attention.chunk_length", 1, -1)
	}
	switch memory := r.string("memory.kind", MemoryNone); {
	case r.err != nil || memory == MemoryNone:
	case memory == MemoryFifo:
		c.Fifo = r.fifo(c)
	case memory == MemoryNeural:
		c.Neural = r.neuralMemory(c)
		r.checkNeural(c)
	default:
		r.fail(r.key("memory.kind"), "a memory of kind %q is not supported (known: none, fifo, neural)", memory)
	}
	if !slices.Contains(c.AttentionKinds, AttentionLandmark) {
		return
	}
	if slices.ContainsFunc(c.AttentionKinds, func(k AttentionKind) bool { return k != AttentionLandmark }) {
		r.fail(r.key("attention.kind"), "landmark attention in some layers and not in others: landmarks are rows of all of them")
	}
	c.Landmark = Landmark{
		Block:  r.size("attention.landmark.block_length", 1, -1),
		Token:  r.size("attention.landmark.token_id", 0, -1),
		Local:  r.size("attention.landmark.local", 1, -1),
		Blocks: r.size("attention.landmark.blocks", 1, -1),
	}
}

// attentionKinds reads the kind of each layer, or one for all.
func (r *reader) attentionKinds(layers int) []AttentionKind {
	key := r.key("attention.kind")
	names, each := r.md.Strings(key)
	if !each {
		names = []string{r.string("attention.kind", AttentionFull.String())}
	} else if len(names) != layers {
		r.fail(key, "%d kinds for %d layers", len(names), layers)
		return nil
	}
	var kinds []AttentionKind
	for _, name := range names {
		i := slices.Index(attentionKindNames[:], name)
		if i < 0 {
			r.fail(key, "unknown kind %q (known: %s)", name, strings.Join(attentionKindNames[:], ", "))
			return nil
		}
		kinds = append(kinds, AttentionKind(i))
	}
	return kinds
}

func (m mneme) load(l *loader, c *Config, i int) layer {
	if c.Landmark.Token >= c.Vocabulary && l.err == nil {
		l.err = fmt.Errorf("model: metadata key %q: token %d is not in the vocabulary of %d",
			"mneme.attention.landmark.token_id", c.Landmark.Token, c.Vocabulary)
	}
	b := m.llama.load(l, c, i)
	if i == len(c.AttentionKinds) { // one for all, repeated for layers that are there, not for as many as the file says
		c.AttentionKinds = append(c.AttentionKinds, c.AttentionKinds[i-1])
	}
	if slices.Contains(c.Neural.Layers, i) {
		b.neural = l.neuralLayer(c, i)
		if c.Neural.Persistent > 0 && l.err == nil {
			b.neural.persistent = l.persistent(c, i, &b)
		}
		if c.Neural.Variant == VariantMAL {
			b.recallNorm, b.neural.norm = b.neural.norm, nil
		}
	}
	switch c.AttentionKinds[i] {
	case AttentionWindow:
		b.window = c.SlidingWindow
	case AttentionChunked:
		b.chunk = c.ChunkLength
	}
	if c.Fifo.Slots > 0 {
		if b.fused = l.fused(c, i); slices.Contains(c.Fifo.Layers, i) && l.err == nil {
			b.bank, b.memoryQuery = l.bank(c, i)
		}
	}
	return b
}

func (m mneme) forward(p *pass, l, next *layer) {
	if l.neural == nil || l.recallNorm != nil {
		m.llama.forward(p, l, next)
		return
	}
	switch b := l.neural; b.variant {
	case VariantLMM:
		p.attention(l)
		p.add(nil, b.norm)
		p.learn(l, p.change)
	case VariantMAG:
		p.attention(l)
		p.learn(l, p.learning.gate)
		p.gateChange(b)
	case VariantMAC:
		p.attendNormed(l)
		p.readSegments(l)
	}
	if p.narrow(l) {
		return
	}
	p.expect(&l.gate)
	p.expect(&l.up)
	p.add(nil, l.feedForwardNorm)
	p.feedForward(l, p.impl.SwiGLU)
	p.end(nil, next)
}
