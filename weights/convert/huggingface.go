package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mneme-lm/mneme/weights/safetensors"
)

// The files of a folder as Hugging Face's transformers leave it.
const (
	hfConfigFile  = "config.json"
	hfWeightsFile = "model.safetensors"
	hfIndexFile   = "model.safetensors.index.json" // of weights in several files
)

// maxConfig bounds the size of a configuration. Those of tokenizers may have a description of every special token.
const maxConfig = 16 << 20

// openHF opens a folder with config.json and weights in safetensors.
func openHF(folder string) (*input, error) {
	m, err := readHF(folder)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	return m, nil
}

func readHF(folder string) (*input, error) {
	text, err := readFile(filepath.Join(folder, hfConfigFile), maxConfig)
	if err != nil {
		return nil, err
	}
	c, err := parseHF(text)
	if err != nil {
		return nil, err
	}
	f, err := openHFWeights(folder)
	if err != nil {
		return nil, err
	}
	m := newInput(f)
	m.hfMetadata(c, nameOfFolder(folder))
	m.hfTensors(c)
	if m.err == nil { // the vocabulary is as large as the configuration says
		m.hfTokenizer(folder, c)
	}
	if err := m.finish(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return m, nil
}

func openHFWeights(folder string) (*safetensors.File, error) {
	f, err := safetensors.Open(filepath.Join(folder, hfWeightsFile))
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	f, err = safetensors.OpenIndex(filepath.Join(folder, hfIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(filepath.Join(folder, hfIndexFile)); statErr != nil {
			return nil, fmt.Errorf("there is neither %s nor %s", hfWeightsFile, hfIndexFile)
		}
	}
	return f, err
}

// hfMetadata writes the keys of a plain architecture, under the names that other engines read as well.
func (m *input) hfMetadata(c *hfConfig, name string) {
	m.set("general.architecture", c.arch)
	m.set("general.name", name)
	for _, p := range []struct {
		key   string
		value any
	}{
		{"block_count", uint32(c.layers)},
		{"context_length", uint32(c.context)},
		{"embedding_length", uint32(c.embedding)},
		{"feed_forward_length", uint32(c.feedForward)},
		{"attention.head_count", uint32(c.heads)},
		{"attention.head_count_kv", uint32(c.kvHeads)},
		{"attention.layer_norm_rms_epsilon", float32(c.epsilon)},
		{"attention.key_length", uint32(c.headDim)},
		{"attention.value_length", uint32(c.headDim)},
		{"rope.dimension_count", uint32(c.headDim)},
		{"rope.freq_base", float32(c.rope.base)},
		{"vocab_size", uint32(c.vocabulary)},
	} {
		m.set(c.arch+"."+p.key, p.value)
	}
	if c.rope.kind == "linear" || c.rope.kind == "yarn" {
		m.set(c.arch+".rope.scaling.type", c.rope.kind)
		m.set(c.arch+".rope.scaling.factor", float32(c.rope.factor))
	}
	if c.rope.kind == "yarn" {
		m.set(c.arch+".rope.scaling.original_context_length", uint32(c.rope.original))
	}
}

// hfTensors gives the tensors their names in GGUF.
func (m *input) hfTensors(c *hfConfig) {
	e, q, kv := c.embedding, c.heads*c.headDim, c.kvHeads*c.headDim
	m.move("token_embd.weight", "model.embed_tokens.weight", c.vocabulary, e)
	for i := 0; i < c.layers && m.err == nil; i++ {
		to, from := fmt.Sprintf("blk.%d.", i), fmt.Sprintf("model.layers.%d.", i)
		m.move(to+"attn_norm.weight", from+"input_layernorm.weight", e)
		m.hfLinear(to+"attn_q", from+"self_attn.q_proj", q, e, c.order())
		m.hfLinear(to+"attn_k", from+"self_attn.k_proj", kv, e, c.order())
		m.hfLinear(to+"attn_v", from+"self_attn.v_proj", kv, e, nil)
		m.hfLinear(to+"attn_output", from+"self_attn.o_proj", e, q, nil)
		if c.arch == "qwen3" {
			m.move(to+"attn_q_norm.weight", from+"self_attn.q_norm.weight", c.headDim)
			m.move(to+"attn_k_norm.weight", from+"self_attn.k_norm.weight", c.headDim)
		}
		m.move(to+"ffn_norm.weight", from+"post_attention_layernorm.weight", e)
		m.hfLinear(to+"ffn_gate", from+"mlp.gate_proj", c.feedForward, e, nil)
		m.hfLinear(to+"ffn_up", from+"mlp.up_proj", c.feedForward, e, nil)
		m.hfLinear(to+"ffn_down", from+"mlp.down_proj", e, c.feedForward, nil)
		m.mark(from + "self_attn.rotary_emb.inv_freq") // which old files repeat, and follows from the configuration
	}
	m.move("output_norm.weight", "model.norm.weight", e)
	m.mark("lm_head.weight") // where it is tied, the embeddings are what counts
	if !c.tied {
		m.move("output.weight", "lm_head.weight", c.vocabulary, e)
	}
	if c.rope.kind == "llama3" {
		factors := c.rope.llama3Factors(c.headDim)
		m.tensors = append(m.tensors, tensor{name: "rope_freqs.weight", shape: []int{len(factors)}, from: inMemory("rope_freqs.weight", factors)})
	}
}

// hfLinear moves PREFIX.weight [out, in] and, if there is one, PREFIX.bias [out], with their rows in another order.
func (m *input) hfLinear(to, from string, out, in int, order func(row int) int) {
	parts := []struct {
		name  string
		shape []int
	}{{".weight", []int{out, in}}, {".bias", []int{out}}}
	for _, p := range parts {
		if _, ok := m.old[from+p.name]; !ok && p.name == ".bias" {
			continue
		}
		m.move(to+p.name, from+p.name, p.shape...)
		if m.err == nil {
			m.tensors[len(m.tensors)-1].order = order
		}
	}
}

// order is where the rows of the matrices that make queries and keys are. What is called llama in GGUF files rotates
// neighbouring dimensions of a head, transformers those of its first half with those of its second: pair j is in rows 2j
// and 2j+1 of the one, and j and j+d/2 of the other.
func (c *hfConfig) order() func(row int) int {
	if c.arch != "llama" {
		return nil
	}
	d := c.headDim
	return func(row int) int {
		head, at := row-row%d, row%d
		return head + at%2*(d/2) + at/2
	}
}
