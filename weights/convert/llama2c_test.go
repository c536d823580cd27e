package convert

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// llama2cFile writes a checkpoint as llama2.c does: the header, then all layers of each kind of matrix. tensor returns
// values by GGUF's names.
func llama2cFile(c llama2c, tensor func(name string, shape ...int) []float32) []byte {
	vocabulary := c.vocabulary
	if !c.tied {
		vocabulary = -vocabulary
	}
	var out []byte
	for _, n := range []int{c.embedding, c.feedForward, c.layers, c.heads, c.kvHeads, vocabulary, c.context} {
		out = binary.LittleEndian.AppendUint32(out, uint32(n))
	}
	put := func(values []float32) {
		for _, v := range values {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	d, h, kv := c.embedding, c.feedForward, c.kv()
	put(tensor("token_embd.weight", c.vocabulary, d))
	for _, kind := range []struct {
		name  string
		shape []int
	}{
		{"attn_norm", []int{d}}, {"attn_q", []int{d, d}}, {"attn_k", []int{kv, d}}, {"attn_v", []int{kv, d}}, {"attn_output", []int{d, d}},
		{"ffn_norm", []int{d}}, {"ffn_gate", []int{h, d}}, {"ffn_down", []int{d, h}}, {"ffn_up", []int{h, d}},
	} {
		for i := range c.layers {
			put(tensor(fmt.Sprintf("blk.%d.%s.weight", i, kind.name), kind.shape...))
		}
	}
	put(tensor("output_norm.weight", d))
	put(make([]float32, c.context*d/c.heads))
	if !c.tied {
		put(tensor("output.weight", c.vocabulary, d))
	}
	return out
}

// llama2cVocab writes a vocabulary as llama2.c does.
func llama2cVocab(tokens []string, scores []float32) []byte {
	out := binary.LittleEndian.AppendUint32(nil, 27)
	for i, token := range tokens {
		switch i {
		case 1:
			token = "\n<s>\n"
		case 2:
			token = "\n</s>\n"
		}
		token = strings.ReplaceAll(token, "▁", " ")
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(scores[i]))
		out = binary.LittleEndian.AppendUint32(out, uint32(len(token)))
		out = append(out, token...)
	}
	return out
}

var tinyLlama2c = llama2c{embedding: 8, feedForward: 12, layers: 2, heads: 2, kvHeads: 1, vocabulary: 9, context: 32, tied: true}

// writeLlama2c writes both files, the vocabulary only if there is one.
func writeLlama2c(t testing.TB, model, vocab []byte) string {
	t.Helper()
	folder := t.TempDir()
	if vocab != nil {
		writeText(t, folder, llama2cVocabFile, string(vocab))
	}
	writeText(t, folder, "stories.bin", string(model))
	return filepath.Join(folder, "stories.bin")
}

func TestLlama2c(t *testing.T) {
	for _, tied := range []bool{true, false} {
		c := tinyLlama2c
		c.tied = tied
		made := map[string]made{}
		model := llama2cFile(c, func(name string, shape ...int) []float32 {
			made[name] = random(name, shape...)
			return made[name].Values
		})
		f := converted(t, writeLlama2c(t, model, nil), quant.F32)
		checkMetadata(t, f, map[string]any{
			"general.architecture": "llama", "general.name": "stories", "llama.block_count": uint32(2), "llama.context_length": uint32(32),
			"llama.embedding_length": uint32(8), "llama.feed_forward_length": uint32(12), "llama.attention.head_count": uint32(2),
			"llama.attention.head_count_kv": uint32(1), "llama.rope.dimension_count": uint32(4), "llama.rope.freq_base": float32(10000),
			"llama.attention.layer_norm_rms_epsilon": float32(1e-5), "llama.vocab_size": uint32(9), "tokenizer.ggml.model": nil,
		})
		for name, x := range made {
			shape := slices.Clone(x.Shape)
			slices.Reverse(shape)
			checkTensor(t, f, name, quant.F32, shape, x.Values)
		}
		if len(f.Tensors()) != len(made) {
			t.Errorf("%d tensors, want %d", len(f.Tensors()), len(made))
		}
	}
}

func TestLlama2cVocabulary(t *testing.T) {
	vocab := llama2cVocab([]string{"<unk>", "", "", "<0x0A>", "▁a", "", "▁", "a", "<0xZZ>"}, []float32{0, 0, 0, 0, -1, -2, -3, -4, -5})
	model := llama2cFile(tinyLlama2c, func(name string, shape ...int) []float32 { return random(name, shape...).Values })
	md := converted(t, writeLlama2c(t, model, vocab), quant.F16).Metadata()
	tokens, _ := md.Strings("tokenizer.ggml.tokens")
	kinds, _ := md.Int32s("tokenizer.ggml.token_type")
	if !slices.Equal(tokens, []string{"<unk>", "<s>", "</s>", "<0x0A>", "▁a", "", "▁", "a", "<0xZZ>"}) || !slices.Equal(kinds, []int32{2, 3, 3, 6, 1, 3, 1, 1, 1}) {
		t.Errorf("tokens %q of kinds %v", tokens, kinds)
	}
	tok, err := tokenizer.New(md)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("a\na", tokenizer.EncodeOptions{AddSpecial: true}); !slices.Equal(got, []int32{1, 4, 3, 7}) {
		t.Errorf("ids %v", got)
	}
	for want, broken := range map[string][]byte{
		"too few":          vocab[:50],
		"truncated":        vocab[:len(vocab)-1],
		"1 bytes are left": append(slices.Clone(vocab), 0),
		"both":             llama2cVocab([]string{"<unk>", "", "", "a", "a", "b", "c", "d", "e"}, make([]float32, 9)),
		"truncated within token 0": func() []byte {
			b := slices.Clone(vocab)
			binary.LittleEndian.PutUint32(b[8:], math.MaxUint32)
			return b
		}(),
	} {
		refused(t, writeLlama2c(t, model, broken), want)
	}
}

func TestLlama2cRefused(t *testing.T) {
	model := llama2cFile(tinyLlama2c, func(name string, shape ...int) []float32 { return random(name, shape...).Values })
	header := func(at int, n int32) []byte {
		b := slices.Clone(model)
		binary.LittleEndian.PutUint32(b[4*at:], uint32(n))
		return b
	}
	for want, data := range map[string][]byte{
		"0 bytes are neither":                   {},
		"27 bytes are neither":                  model[:27],
		"truncated":                             model[:len(model)-1],
		"4 bytes are left over":                 append(slices.Clone(model), 0, 0, 0, 0),
		"number 1 of its header is 0":           header(0, 0),
		"number 3 of its header is -1":          header(2, -1),
		"number 6 of its header is -2147483648": header(5, math.MinInt32),
		"with 3 heads":                          header(3, 3),
		"with 8 heads":                          header(3, 8),
		"and 3 KV heads":                        header(4, 3),
		"rms_att_weight of shape [268435456 8]": header(2, 1<<28),
		"the later formats":                     append([]byte("24ka"), model...),
		"GGUF file already":                     []byte("GGUF, so to say"),
	} {
		refused(t, writeLlama2c(t, data, nil), want)
	}
	if os.Getuid() >= 0 { // not on Windows
		refused(t, os.DevNull, "not a regular file")
	}
}

// TestStories writes a model that others converted from llama2.c back as llama2.c has it, and converts it anew.
func TestStories(t *testing.T) {
	want, err := weights.Open(testdata.Shared(t, "models/stories260K.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	number := func(key string) int {
		n, _ := want.Metadata().Uint("llama." + key)
		return int(n)
	}
	c := llama2c{
		embedding: number("embedding_length"), feedForward: number("feed_forward_length"), layers: number("block_count"),
		heads: number("attention.head_count"), kvHeads: number("attention.head_count_kv"), vocabulary: 512, context: number("context_length"),
	}
	model := llama2cFile(c, func(name string, _ ...int) []float32 {
		tensor, ok := want.Tensor(name)
		if !ok {
			t.Fatalf("no tensor %s", name)
		}
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		return values
	})
	tokens, _ := want.Metadata().Strings("tokenizer.ggml.tokens")
	scores, _ := want.Metadata().Float32s("tokenizer.ggml.scores")
	got := converted(t, writeLlama2c(t, model, llama2cVocab(tokens, scores)), quant.F32)
	for _, tensor := range want.Tensors() {
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		checkTensor(t, got, tensor.Name, quant.F32, tensor.Shape, values)
	}
	for key, value := range want.Metadata().All() {
		if v, ok := got.Metadata().Get(key); ok && key != "general.name" && v.String() != value.String() {
			t.Errorf("%s is %v, want %v", key, v, value)
		}
	}
	kinds, _ := want.Metadata().Int32s("tokenizer.ggml.token_type")
	gotKinds, _ := got.Metadata().Int32s("tokenizer.ggml.token_type")
	gotTokens, _ := got.Metadata().Strings("tokenizer.ggml.tokens")
	if !slices.Equal(gotTokens, tokens) || !slices.Equal(gotKinds, kinds) {
		t.Error("other tokens, or of other kinds")
	}
}

func FuzzLlama2c(f *testing.F) {
	model := llama2cFile(llama2c{embedding: 2, feedForward: 1, layers: 1, heads: 1, kvHeads: 1, vocabulary: 3, context: 1}, func(_ string, shape ...int) []float32 {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return make([]float32, n)
	})
	f.Add(model, llama2cVocab([]string{"", "", ""}, make([]float32, 3)))
	f.Add(model[:40], []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data, vocab []byte) {
		m := &input{}
		_ = m.llama2cVocabulary(vocab, 3)
		c, err := parseLlama2c(data)
		if err != nil {
			return
		}
		tensors, err := c.cut(data[llama2cHeaderBytes:])
		if err != nil {
			return
		}
		m = &input{old: tensors}
		m.llama2cTensors(c)
		if err := m.finish(); err != nil {
			t.Fatal(err)
		}
		for _, x := range m.tensors {
			if err := x.fill(make([]float32, x.shape[0]*x.rows()), 0); err != nil {
				t.Fatal(err)
			}
		}
	})
}
