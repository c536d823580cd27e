package convert

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/weights/safetensors"
)

// Prototypes are small models of words that were trained to try memories out: a safetensors file whose metadata have the
// configuration, as JSON, in the member config. Those with full and landmark attention, with a gated first-in-first-out memory and
// with a memory of Titans can be converted, to the architecture mneme. Their words are those of vocab.json beside the file, if
// there is one.

// What prototypes have in common and their configuration does not say.
const (
	prototypeContext  = 256 // ordinary tokens of the texts they were trained with
	prototypeEpsilon  = 1e-6
	prototypeRopeBase = 10000
	prototypeLandmark = 2  // the landmark's id
	prototypeLocal    = 64 // ordinary tokens that are processed at a time, with which …
	prototypeOpened   = 8  // … and with so many opened blocks landmark attention was measured
)

// prototype is the configuration.
type prototype struct {
	vocabulary, embedding, layers, heads, feedForward int
	block                                             int // rows of a block with its landmark; 0: none
	fifo                                              prototypeFifo
	titans                                            *titans
}

// names are what the tensors of attention and of the feed-forward layer are called, after the layer's number.
func (p *prototype) names() (attention, feedForward string) {
	if p.fifo.chunk > 0 {
		return "", "ff."
	}
	return "a.", "m."
}

func openPrototype(path string) (*input, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	m := newInput(f)
	if err := m.readPrototype(f, path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	return m, nil
}

func (m *input) readPrototype(f *safetensors.File, path string) error {
	text, ok := f.Metadata("config")
	if !ok {
		return errors.New("no configuration in the metadata of the file: of a model in a folder, with config.json, name the folder")
	}
	p, err := parsePrototype(text)
	if err != nil {
		return err
	}
	m.prototypeMetadata(p, nameOf(path))
	m.prototypeTokenizer(path, p.vocabulary)
	m.prototypeTensors(p)
	return m.finish()
}

func parsePrototype(text string) (prototype, error) {
	c, err := parseConfig([]byte(text))
	if err != nil {
		return prototype{}, err
	}
	p := prototype{
		vocabulary: c.size("V", 1, -1), embedding: c.size("d", 1, -1), layers: c.size("L", 1, -1),
		heads: c.size("H", 1, -1), feedForward: c.size("h", 1, -1),
	}
	if p.heads > 0 && p.embedding%(2*p.heads) != 0 {
		c.fail("H", "%d heads of an even size do not fit an embedding of %d", p.heads, p.embedding)
	}
	switch {
	case c.has("Tc"):
		p.fifo = parsePrototypeFifo(c, p.layers)
	case c.has("mem") || c.has("variant"):
		p.titans = readTitans(c, p.layers)
	default:
		p.readMode(c)
	}
	return p, c.finish()
}

// readMode reads what a prototype without a memory says of its attention.
func (p *prototype) readMode(c *config) {
	p.block = c.size("B", 0, 0)
	if c.size("window", 0, 0) != 0 {
		c.fail("window", "windows are not supported")
	}
	switch mode := c.text("mode", ""); {
	case mode != "full" && mode != "landmark":
		c.fail("mode", "%q is not supported (known: full, landmark)", mode)
	case mode == "full" && p.block != 0, mode == "landmark" && p.block < 2:
		c.fail("B", "blocks of %d rows with attention of the mode %s", p.block, mode)
	}
}

func (m *input) prototypeMetadata(p prototype, name string) {
	m.set("general.architecture", "mneme")
	m.set("general.name", name)
	context := prototypeContext
	if p.block > 0 {
		context += prototypeContext / (p.block - 1) // positions count landmarks
	}
	m.set("mneme.block_count", uint32(p.layers))
	m.set("mneme.context_length", uint32(context))
	m.set("mneme.embedding_length", uint32(p.embedding))
	m.set("mneme.feed_forward_length", uint32(p.feedForward))
	m.set("mneme.attention.head_count", uint32(p.heads))
	m.set("mneme.attention.head_count_kv", uint32(p.heads))
	m.set("mneme.attention.layer_norm_rms_epsilon", float32(prototypeEpsilon))
	m.set("mneme.rope.dimension_count", uint32(p.embedding/p.heads))
	m.set("mneme.rope.freq_base", float32(prototypeRopeBase))
	m.set("mneme.vocab_size", uint32(p.vocabulary))
	if p.fifo.chunk > 0 {
		m.prototypeFifoMetadata(p)
		return
	}
	if p.titans != nil {
		m.titansMetadata(p)
		return
	}
	if p.block == 0 {
		m.set("mneme.attention.kind", "full")
		return
	}
	m.set("mneme.attention.kind", "landmark")
	m.set("mneme.attention.landmark.block_length", uint32(p.block-1))
	m.set("mneme.attention.landmark.token_id", uint32(prototypeLandmark))
	m.set("mneme.attention.landmark.local", uint32(prototypeLocal))
	m.set("mneme.attention.landmark.blocks", uint32(prototypeOpened))
}

func (m *input) prototypeTensors(p prototype) {
	v, d, h := p.vocabulary, p.embedding, p.feedForward
	attention, feedForward := p.names()
	m.move("token_embd.weight", "e.weight", v, d)
	for i := 0; i < p.layers && m.err == nil; i++ {
		to, from := fmt.Sprintf("blk.%d.", i), fmt.Sprintf("bl.%d.", i)
		m.move(to+"attn_norm.weight", from+"n1.w", d)
		for part, name := range []string{"attn_q", "attn_k", "attn_v"} {
			m.rows(to+name+".weight", from+attention+"qkv.weight", part*d, []int{3 * d, d}, d, d)
			m.rows(to+name+".bias", from+attention+"qkv.bias", part*d, []int{3 * d}, d)
		}
		m.move(to+"attn_output.weight", from+attention+"o.weight", d, d)
		m.move(to+"ffn_norm.weight", from+"n2.w", d)
		for part, name := range []string{"ffn_gate", "ffn_up"} {
			m.rows(to+name+".weight", from+feedForward+"w1.weight", part*h, []int{2 * h, d}, h, d)
		}
		m.move(to+"ffn_down.weight", from+feedForward+"w2.weight", d, h)
		if p.fifo.chunk > 0 {
			m.prototypeFifoTensors(p, i, to, from)
		}
		if p.titans != nil && slices.Contains(p.titans.layers, i) {
			m.titansTensors(p, to, from)
		}
	}
	m.move("output_norm.weight", "nf.w", d)
	m.move("output.weight", "head.weight", v, d)
}
