package convert

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/bits"
	"path/filepath"
	"strings"

	"github.com/mneme-lm/mneme/internal/mapped"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights/safetensors"
)

// A checkpoint of llama2.c, in the first of its formats, has seven numbers of 32 bits and then all weights as float32, each
// kind of matrix for all layers together. Its vocabulary is another file. What neither says is the same for all of them.
const (
	llama2cHeaderBytes = 7 * 4
	llama2cEpsilon     = 1e-5
	llama2cRopeBase    = 10000
	llama2cVocabFile   = "tokenizer.bin"
	llama2cLaterMagic  = "24ka" // begins the later formats

	maxVocabFile = 64 << 20
)

// llama2c is the header.
type llama2c struct {
	embedding, feedForward, layers, heads, kvHeads, vocabulary, context int
	tied                                                                bool
}

func (c llama2c) kv() int { return c.embedding / c.heads * c.kvHeads }

func openLlama2c(path string) (*input, error) {
	f, err := mapped.Open(path)
	if err != nil {
		return nil, err
	}
	m := &input{paths: []string{path}, close: f.Close}
	if err := m.readLlama2c(path, f.Data()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	return m, nil
}

func (m *input) readLlama2c(path string, data []byte) error {
	c, err := parseLlama2c(data)
	if err != nil {
		return err
	}
	if m.old, err = c.cut(data[llama2cHeaderBytes:]); err != nil {
		return err
	}
	m.llama2cMetadata(c, nameOf(path))
	m.llama2cTensors(c)
	m.llama2cTokenizer(filepath.Join(filepath.Dir(path), llama2cVocabFile), c.vocabulary)
	return m.finish()
}

// parseLlama2c reads the header.
func parseLlama2c(data []byte) (c llama2c, err error) {
	if len(data) < llama2cHeaderBytes {
		return c, fmt.Errorf("%d bytes are neither safetensors nor a checkpoint of llama2.c", len(data))
	}
	if strings.HasPrefix(string(data[:4]), llama2cLaterMagic) {
		return c, errors.New("the later formats of llama2.c are not supported, only the first (export.py --version 0)")
	}
	var numbers [7]int32
	for i := range numbers {
		numbers[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
	if c.tied = numbers[5] > 0; !c.tied && numbers[5] != math.MinInt32 {
		numbers[5] = -numbers[5] // an output matrix of its own is told by the sign
	}
	for i, p := range []*int{&c.embedding, &c.feedForward, &c.layers, &c.heads, &c.kvHeads, &c.vocabulary, &c.context} {
		*p = int(numbers[i])
		if *p < 1 || *p > maxSize {
			return c, fmt.Errorf("neither safetensors nor a checkpoint of llama2.c: number %d of its header is %d", i+1, *p)
		}
	}
	if c.embedding%(2*c.heads) != 0 || c.heads%c.kvHeads != 0 {
		return c, fmt.Errorf("an embedding of %d with %d heads and %d KV heads", c.embedding, c.heads, c.kvHeads)
	}
	return c, nil
}

// cut finds the weights.
func (c llama2c) cut(data []byte) (map[string]*safetensors.Tensor, error) {
	l, d, h, kv, pairs := c.layers, c.embedding, c.feedForward, c.kv(), c.embedding/c.heads/2
	list := []safetensors.Tensor{
		{Name: "token_embedding_table", Shape: []int{c.vocabulary, d}}, {Name: "rms_att_weight", Shape: []int{l, d}},
		{Name: "wq", Shape: []int{l, d, d}}, {Name: "wk", Shape: []int{l, kv, d}}, {Name: "wv", Shape: []int{l, kv, d}},
		{Name: "wo", Shape: []int{l, d, d}}, {Name: "rms_ffn_weight", Shape: []int{l, d}}, {Name: "w1", Shape: []int{l, h, d}},
		{Name: "w2", Shape: []int{l, d, h}}, {Name: "w3", Shape: []int{l, h, d}}, {Name: "rms_final_weight", Shape: []int{d}},
		{Name: "freq_cis_real", Shape: []int{c.context, pairs}}, {Name: "freq_cis_imag", Shape: []int{c.context, pairs}},
	}
	if !c.tied {
		list = append(list, safetensors.Tensor{Name: "wcls", Shape: []int{c.vocabulary, d}})
	}
	tensors := map[string]*safetensors.Tensor{}
	for i := range list {
		t := &list[i]
		size := uint64(4)
		for _, n := range t.Shape {
			hi, lo := bits.Mul64(size, uint64(n))
			if hi != 0 || lo > uint64(len(data)) {
				return nil, fmt.Errorf("truncated: %d bytes are left for %s of shape %v", len(data), t.Name, t.Shape)
			}
			size = lo
		}
		t.DType, t.Data, data = safetensors.F32, data[:size:size], data[size:]
		tensors[t.Name] = t
	}
	if len(data) > 0 {
		return nil, fmt.Errorf("%d bytes are left over after all weights: no checkpoint of llama2.c, or one in integers", len(data))
	}
	return tensors, nil
}

func (m *input) llama2cMetadata(c llama2c, name string) {
	m.set("general.architecture", "llama")
	m.set("general.name", name)
	m.set("llama.block_count", uint32(c.layers))
	m.set("llama.context_length", uint32(c.context))
	m.set("llama.embedding_length", uint32(c.embedding))
	m.set("llama.feed_forward_length", uint32(c.feedForward))
	m.set("llama.attention.head_count", uint32(c.heads))
	m.set("llama.attention.head_count_kv", uint32(c.kvHeads))
	m.set("llama.attention.layer_norm_rms_epsilon", float32(llama2cEpsilon))
	m.set("llama.rope.dimension_count", uint32(c.embedding/c.heads))
	m.set("llama.rope.freq_base", float32(llama2cRopeBase))
	m.set("llama.vocab_size", uint32(c.vocabulary))
}

// llama2cTensors takes the layers' matrices apart. Pairs are rotated as in GGUF's llama, so that no row changes its place.
func (m *input) llama2cTensors(c llama2c) {
	l, d, h, kv := c.layers, c.embedding, c.feedForward, c.kv()
	m.move("token_embd.weight", "token_embedding_table", c.vocabulary, d)
	for i := range l {
		layer := func(name, from string, shape ...int) {
			m.rows(fmt.Sprintf("blk.%d.%s.weight", i, name), from, i*shape[0], append([]int{l}, shape...), shape...)
		}
		layer("attn_norm", "rms_att_weight", d)
		layer("attn_q", "wq", d, d)
		layer("attn_k", "wk", kv, d)
		layer("attn_v", "wv", kv, d)
		layer("attn_output", "wo", d, d)
		layer("ffn_norm", "rms_ffn_weight", d)
		layer("ffn_gate", "w1", h, d)
		layer("ffn_down", "w2", d, h)
		layer("ffn_up", "w3", h, d)
	}
	m.move("output_norm.weight", "rms_final_weight", d)
	if !c.tied {
		m.move("output.weight", "wcls", c.vocabulary, d)
	}
	m.mark("freq_cis_real") // tables of angles, which follow from the header
	m.mark("freq_cis_imag")
}

// llama2cTokenizer writes the keys of the vocabulary beside the checkpoint, if there is one.
func (m *input) llama2cTokenizer(path string, size int) {
	data, err := readFile(path, maxVocabFile)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = m.llama2cVocabulary(data, size)
	}
	if err != nil {
		m.fail(fmt.Errorf("%s: %w", filepath.Base(path), err))
	}
}

// llama2cVocabulary reads a vocabulary of SentencePiece's: the length of the longest token, and of each its score, its
// length and its bytes. Spaces are spaces there, and tokens 0 to 2 have roles.
func (m *input) llama2cVocabulary(data []byte, size int) error {
	if len(data) < 4 || (len(data)-4)/8 < size {
		return fmt.Errorf("%d bytes are too few for a vocabulary of %d tokens", len(data), size)
	}
	data = data[4:]
	tokens, scores, kinds := make([]string, size), make([]float32, size), make([]int32, size)
	for i := range tokens {
		if len(data) < 8 {
			return fmt.Errorf("truncated within token %d of %d", i, size)
		}
		n := binary.LittleEndian.Uint32(data[4:])
		scores[i] = math.Float32frombits(binary.LittleEndian.Uint32(data))
		if data = data[8:]; uint64(n) > uint64(len(data)) {
			return fmt.Errorf("truncated within token %d of %d", i, size)
		}
		text := string(data[:n])
		data = data[n:]
		tokens[i], kinds[i] = strings.ReplaceAll(text, " ", "▁"), int32(tokenizer.KindNormal)
		switch {
		case i < len(llama2cRoles):
			tokens[i], kinds[i] = llama2cRoles[i].text, int32(llama2cRoles[i].kind)
		case text == "":
			kinds[i] = int32(tokenizer.KindControl)
		case isByteToken(text):
			kinds[i] = int32(tokenizer.KindByte)
		}
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes are left over after %d tokens: the vocabulary of another model", len(data), size)
	}
	m.set("tokenizer.ggml.model", "llama")
	m.set("tokenizer.ggml.tokens", tokens)
	m.set("tokenizer.ggml.scores", scores)
	m.set("tokenizer.ggml.token_type", kinds)
	m.set("tokenizer.ggml.unknown_token_id", uint32(0))
	m.set("tokenizer.ggml.bos_token_id", uint32(1))
	m.set("tokenizer.ggml.eos_token_id", uint32(2))
	m.set("tokenizer.ggml.add_bos_token", true)
	m.set("tokenizer.ggml.add_eos_token", false)
	if m.err != nil {
		return m.err
	}
	_, err := tokenizer.New(&m.md)
	return err
}

// llama2cRoles are the first tokens of every vocabulary.
var llama2cRoles = []struct {
	text string
	kind tokenizer.Kind
}{{"<unk>", tokenizer.KindUnknown}, {"<s>", tokenizer.KindControl}, {"</s>", tokenizer.KindControl}}
