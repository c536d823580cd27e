package convert

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// hfShape is the configuration of a tiny model; keys of change replace its members, nil takes them away.
func hfShape(kind string, change map[string]any) map[string]any {
	c := map[string]any{
		"model_type": kind, "num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 4,
		"num_key_value_heads": 2, "head_dim": 6, "vocab_size": 10, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
		"rope_theta": 50000.0, "hidden_act": "silu", "architectures": []string{"ForCausalLM"}, "rope_scaling": nil,
	}
	for key, value := range change {
		if value == nil {
			delete(c, key)
		} else {
			c[key] = value
		}
	}
	return c
}

// hfMade are the tensors of hfShape.
func hfMade(kind string) []made {
	list := []made{random("model.embed_tokens.weight", 10, 16), random("lm_head.weight", 10, 16), random("model.norm.weight", 16)}
	for i := range 2 {
		b := fmt.Sprintf("model.layers.%d.", i)
		list = append(list, random(b+"input_layernorm.weight", 16), random(b+"post_attention_layernorm.weight", 16),
			random(b+"self_attn.q_proj.weight", 24, 16), random(b+"self_attn.k_proj.weight", 12, 16), random(b+"self_attn.v_proj.weight", 12, 16),
			random(b+"self_attn.o_proj.weight", 16, 24), random(b+"mlp.gate_proj.weight", 24, 16), random(b+"mlp.up_proj.weight", 24, 16),
			random(b+"mlp.down_proj.weight", 16, 24))
		switch kind {
		case "qwen2", "llama": // llama's as in models with attention_bias
			list = append(list, random(b+"self_attn.q_proj.bias", 24), random(b+"self_attn.k_proj.bias", 12), random(b+"self_attn.v_proj.bias", 12))
		case "qwen3":
			list = append(list, random(b+"self_attn.q_norm.weight", 6), random(b+"self_attn.k_norm.weight", 6))
		}
	}
	return list
}

// hfFolder writes a folder, with its tensors in so many files.
func hfFolder(t testing.TB, config any, tensors []made, files int) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "tiny")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, folder, hfConfigFile, string(text))
	if files == 1 {
		writeSafetensors(t, filepath.Join(folder, hfWeightsFile), nil, tensors)
		return folder
	}
	index := map[string]string{}
	for i := range files {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, files)
		var part []made
		for j := i; j < len(tensors); j += files {
			part = append(part, tensors[j])
			index[tensors[j].Name] = name
		}
		writeSafetensors(t, filepath.Join(folder, name), nil, part)
	}
	text, err = json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": index})
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, folder, hfIndexFile, string(text))
	return folder
}

func writeText(t testing.TB, folder, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// interleaved reorders rows of n values as GGUF's llama has them: within each head the d/2 rows of the first half and those
// of the second take turns.
func interleaved(values []float32, d, n int) []float32 {
	var out []float32
	for head := 0; head < len(values); head += d * n {
		for j := range d / 2 {
			for half := range 2 {
				at := head + (half*d/2+j)*n
				out = append(out, values[at:at+n]...)
			}
		}
	}
	return out
}

func TestHuggingFace(t *testing.T) {
	for _, kind := range []string{"llama", "qwen2", "qwen3"} {
		for _, files := range []int{1, 3} {
			tensors := hfMade(kind)
			values := map[string]made{}
			for _, x := range tensors {
				values[x.Name] = x
			}
			f := converted(t, hfFolder(t, hfShape(kind, nil), tensors, files), quant.F32)
			want := map[string]any{"general.architecture": kind, "general.name": "tiny"}
			for key, value := range map[string]any{
				"block_count": uint32(2), "context_length": uint32(512), "embedding_length": uint32(16), "feed_forward_length": uint32(24),
				"attention.head_count": uint32(4), "attention.head_count_kv": uint32(2), "attention.key_length": uint32(6),
				"attention.value_length": uint32(6), "rope.dimension_count": uint32(6), "rope.freq_base": float32(50000),
				"attention.layer_norm_rms_epsilon": float32(1e-5), "vocab_size": uint32(10), "rope.scaling.type": nil,
			} {
				want[kind+"."+key] = value
			}
			checkMetadata(t, f, want)
			for name, from := range map[string]string{
				"token_embd.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight", "output_norm.weight": "model.norm.weight",
				"blk.1.attn_norm.weight": "model.layers.1.input_layernorm.weight", "blk.1.ffn_norm.weight": "model.layers.1.post_attention_layernorm.weight",
				"blk.1.attn_q.weight": "model.layers.1.self_attn.q_proj.weight", "blk.1.attn_k.weight": "model.layers.1.self_attn.k_proj.weight",
				"blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight", "blk.0.attn_output.weight": "model.layers.0.self_attn.o_proj.weight",
				"blk.0.ffn_gate.weight": "model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_up.weight": "model.layers.0.mlp.up_proj.weight",
				"blk.0.ffn_down.weight": "model.layers.0.mlp.down_proj.weight", "blk.1.attn_q.bias": "model.layers.1.self_attn.q_proj.bias",
				"blk.1.attn_k.bias": "model.layers.1.self_attn.k_proj.bias", "blk.1.attn_v.bias": "model.layers.1.self_attn.v_proj.bias",
				"blk.1.attn_q_norm.weight": "model.layers.1.self_attn.q_norm.weight", "blk.0.attn_k_norm.weight": "model.layers.0.self_attn.k_norm.weight",
			} {
				x, ok := values[from]
				if !ok {
					if _, ok := f.Tensor(name); ok {
						t.Errorf("%s: %s, which the model does not have", kind, name)
					}
					continue
				}
				expected := x.Values
				if kind == "llama" && (strings.Contains(name, "attn_q.") || strings.Contains(name, "attn_k.")) {
					expected = interleaved(expected, 6, len(expected)/x.Shape[0])
				}
				shape := slices.Clone(x.Shape)
				slices.Reverse(shape)
				checkTensor(t, f, name, quant.F32, shape, expected)
			}
			if len(f.Tensors()) != len(tensors) {
				t.Errorf("%s: %d tensors, want %d", kind, len(f.Tensors()), len(tensors))
			}
		}
	}
}

func TestHuggingFaceTied(t *testing.T) {
	tensors := hfMade("qwen2")
	for _, list := range [][]made{tensors, slices.Delete(slices.Clone(tensors), 1, 2)} { // with a copy of the embeddings, and without
		f := converted(t, hfFolder(t, hfShape("qwen2", map[string]any{"tie_word_embeddings": true, "head_dim": nil, "hidden_size": 16}), withHeadsOf4(list), 1), quant.F16)
		if _, ok := f.Tensor("output.weight"); ok {
			t.Error("an output matrix of its own")
		}
	}
}

// withHeadsOf4 makes the matrices fit heads of the size that follows from the embedding.
func withHeadsOf4(list []made) []made {
	list = slices.Clone(list)
	for i, x := range list {
		shape := slices.Clone(x.Shape)
		switch {
		case strings.Contains(x.Name, "q_proj"):
			shape[0] = 16
		case strings.Contains(x.Name, "k_proj"), strings.Contains(x.Name, "v_proj"):
			shape[0] = 8
		case strings.Contains(x.Name, "o_proj"):
			shape[1] = 16
		default:
			continue
		}
		list[i] = random(x.Name, shape...)
	}
	return list
}

func TestHuggingFaceRope(t *testing.T) {
	for name, c := range map[string]struct {
		change map[string]any
		want   map[string]any
	}{
		"inside":  {map[string]any{"rope_theta": nil, "rope_parameters": map[string]any{"rope_type": "default", "rope_theta": 7.0}}, map[string]any{"rope.freq_base": float32(7)}},
		"default": {map[string]any{"rope_theta": nil}, map[string]any{"rope.freq_base": float32(10000), "rope.scaling.type": nil}},
		"linear": {
			map[string]any{"rope_scaling": map[string]any{"type": "linear", "factor": 2}},
			map[string]any{"rope.scaling.type": "linear", "rope.scaling.factor": float32(2)},
		},
		"yarn": {
			map[string]any{"rope_scaling": map[string]any{"rope_type": "yarn", "type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}},
			map[string]any{"rope.scaling.type": "yarn", "rope.scaling.factor": float32(4), "rope.scaling.original_context_length": uint32(128)},
		},
	} {
		f := converted(t, hfFolder(t, hfShape("qwen3", c.change), hfMade("qwen3"), 1), quant.F32)
		want := map[string]any{}
		for key, value := range c.want {
			want["qwen3."+key] = value
		}
		checkMetadata(t, f, want)
		if _, ok := f.Tensor("rope_freqs.weight"); ok {
			t.Errorf("%s: factors", name)
		}
	}
	scaling := map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
	f := converted(t, hfFolder(t, hfShape("llama", map[string]any{"rope_scaling": scaling, "rope_theta": 500.0}), hfMade("llama"), 1), quant.F16)
	// Pairs turn once in 2π, 2π·500^(1/3) = 49.87 and 2π·500^(2/3) = 395.8 tokens, the limits are 16 and 64.
	between := (64/(2*math.Pi*math.Cbrt(500)) - 1) / 3
	checkTensor(t, f, "rope_freqs.weight", quant.F32, []int{3}, []float32{1, float32(1 / ((1-between)/8 + between)), 8})
}

func TestHuggingFaceRefused(t *testing.T) {
	scaled := func(members map[string]any) map[string]any { return map[string]any{"rope_scaling": members} }
	for want, change := range map[string]map[string]any{
		`model_type "mistral"`:               {"model_type": "mistral"},
		`model_type ""`:                      {"model_type": nil},
		"num_hidden_layers: missing":         {"num_hidden_layers": nil},
		"hidden_size: 0":                     {"hidden_size": 0},
		"rms_norm_eps: missing":              {"rms_norm_eps": nil},
		"rms_norm_eps: -1":                   {"rms_norm_eps": -1},
		"vocab_size: 268435457":              {"vocab_size": 1<<28 + 1},
		"3 KV heads":                         {"num_key_value_heads": 3},
		"4 heads of 5":                       {"head_dim": 5},
		"4 heads of 268435456":               {"head_dim": 1 << 28},
		"head_dim":                           {"head_dim": "six"},
		`"gelu"`:                             {"hidden_act": "gelu"},
		"quantization_config":                {"quantization_config": map[string]int{"bits": 4}},
		"partial_rotary_factor":              {"partial_rotary_factor": 0.5},
		"windows":                            {"use_sliding_window": true, "max_window_layers": 1},
		`"sliding_attention"`:                {"layer_types": []string{"full_attention", "sliding_attention"}},
		`rope_scaling: rope_type: "dynamic"`: scaled(map[string]any{"type": "dynamic", "factor": 2}),
		"rope_scaling: factor: missing":      scaled(map[string]any{"type": "linear"}),
		"rope_scaling: beta_fast":            scaled(map[string]any{"type": "yarn", "factor": 2, "beta_fast": 16}),
		"low_freq_factor: 4":                 scaled(map[string]any{"type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 64}),
		"rope_scaling: 5 is not an object":   {"rope_scaling": 5},
		"bos_token_id":                       {"bos_token_id": "one"},
		"shape [10 16], want [11 16]":        {"vocab_size": 11},
		"model.layers.2.":                    {"num_hidden_layers": 3},
		"unknown tensors":                    {"num_hidden_layers": 1},
	} {
		refused(t, hfFolder(t, hfShape("llama", change), hfMade("llama"), 1), want)
	}
	refused(t, hfFolder(t, "not an object", hfMade("llama"), 1), "configuration")
	refused(t, hfFolder(t, hfShape("llama", nil), hfMade("llama")[1:], 1), "model.embed_tokens.weight")
	refused(t, hfFolder(t, hfShape("qwen2", nil), hfMade("qwen3"), 1), "q_norm")
	refused(t, hfFolder(t, hfShape("qwen3", nil), slices.Delete(hfMade("qwen3"), 1, 2), 2), `"lm_head.weight": missing`)
	folder := t.TempDir()
	refused(t, folder, hfConfigFile)
	writeText(t, folder, hfConfigFile, `{"model_type":"llama"}`+strings.Repeat(" ", maxConfig))
	refused(t, folder, "more than")
	text, _ := json.Marshal(hfShape("llama", nil))
	writeText(t, folder, hfConfigFile, string(text))
	refused(t, folder, "neither "+hfWeightsFile+" nor "+hfIndexFile)
	writeText(t, folder, hfIndexFile, `{"weight_map":{"a":"missing.safetensors"}}`)
	refused(t, folder, "missing.safetensors")
	writeText(t, folder, hfWeightsFile, "noise")
	refused(t, folder, hfWeightsFile)
}

func FuzzHFConfig(f *testing.F) {
	for _, change := range []map[string]any{
		nil, {"rope_scaling": map[string]any{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}},
		{"rope_parameters": map[string]any{"rope_type": "yarn", "factor": 4.0}, "eos_token_id": []int{1, 2}, "layer_types": []string{"full_attention"}},
	} {
		for _, kind := range hfKinds {
			text, err := json.Marshal(hfShape(kind, change))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseHF(text)
		if err != nil {
			return
		}
		for name, v := range map[string]int{
			"layers": c.layers, "embedding": c.embedding, "feed forward": c.feedForward, "heads": c.heads, "KV heads": c.kvHeads,
			"head": c.headDim, "vocabulary": c.vocabulary, "context": c.context, "all heads": c.heads * c.headDim,
		} {
			if v < 1 || v > maxSize {
				t.Fatalf("%s: %d", name, v)
			}
		}
		if c.rope.kind == "llama3" && c.headDim < 1<<10 {
			for _, v := range c.rope.llama3Factors(c.headDim) {
				if v != v {
					t.Fatalf("%+v gives a factor that is no number", c.rope)
				}
			}
		}
	})
}
