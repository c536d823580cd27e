package model

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/mneme-lm/mneme/internal/testdata"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/convert"
	"github.com/mneme-lm/mneme/weights/quant"
)

// TestConvertedRotation writes the same weights down as a llama and as a qwen2 of transformers, which are then the same
// function. Their files differ: llama's queries and keys are reordered for a rotation of other pairs.
func TestConvertedRotation(t *testing.T) {
	tensors := []testdata.Tensor{
		testdata.RandomTensor("model.embed_tokens.weight", 50, 64), testdata.RandomTensor("lm_head.weight", 50, 64),
		testdata.RandomTensor("model.norm.weight", 64),
	}
	for i := range 2 {
		b := fmt.Sprintf("model.layers.%d.", i)
		for name, shape := range map[string][]int{
			"input_layernorm.weight": {64}, "post_attention_layernorm.weight": {64}, "self_attn.q_proj.weight": {64, 64}, "self_attn.k_proj.weight": {32, 64},
			"self_attn.q_proj.bias": {64}, "self_attn.k_proj.bias": {32}, "self_attn.v_proj.bias": {32},
			"self_attn.v_proj.weight": {32, 64}, "self_attn.o_proj.weight": {64, 64}, "mlp.gate_proj.weight": {96, 64}, "mlp.up_proj.weight": {96, 64},
			"mlp.down_proj.weight": {64, 96},
		} {
			tensors = append(tensors, testdata.RandomTensor(b+name, shape...))
		}
	}
	var logits [][]float32
	for _, kind := range []string{"llama", "qwen2"} {
		folder := t.TempDir()
		config := fmt.Sprintf(`{"model_type": %q, "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
			"num_key_value_heads": 2, "vocab_size": 50, "max_position_embeddings": 512, "rms_norm_eps": 1e-5}`, kind)
		for name, content := range map[string][]byte{"config.json": []byte(config), "model.safetensors": testdata.Safetensors(t, nil, tensors)} {
			if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		path := filepath.Join(t.TempDir(), "converted.gguf")
		if _, err := convert.Convert(t.Context(), path, folder, convert.Options{}); err != nil {
			t.Fatal(err)
		}
		f, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, err := Load(f)
		if err != nil {
			t.Fatal(err)
		}
		if m.Rope.Halves == (kind == "llama") {
			t.Fatalf("%s: halves %v", kind, m.Rope.Halves)
		}
		tokens := make([]int32, 40)
		for i := range tokens {
			tokens[i] = int32(i * i % 50)
		}
		logits = append(logits, forward(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), tokens, 0)[len(tokens)-1])
	}
	for i, v := range logits[0] {
		if !(math.Abs(float64(v-logits[1][i])) < 1e-4) {
			t.Fatalf("logit %d is %v and %v", i, v, logits[1][i])
		}
	}
}
