package model

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// edit is a change to a file: metadata keys to set (nil: to delete), tensors to rename ("": to leave out), to reshape
// or to add.
type edit struct {
	set     map[string]any
	rename  map[string]string
	reshape map[string][]int
	add     []weights.Tensor
}

// edited writes a file anew with a change.
func edited(t *testing.T, f *weights.File, e edit) *weights.File {
	t.Helper()
	md := f.Metadata().Clone()
	for key, value := range e.set {
		if value == nil {
			md.Delete(key)
		} else if err := md.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	var tensors []weights.Tensor
	for _, tensor := range f.Tensors() {
		changed := *tensor
		if name, ok := e.rename[tensor.Name]; ok {
			changed.Name = name
		}
		if shape, ok := e.reshape[tensor.Name]; ok {
			changed.Shape = shape
			if slices.Contains(shape, 0) {
				changed.Data = nil
			}
		}
		if changed.Name != "" {
			tensors = append(tensors, changed)
		}
	}
	tensors = append(tensors, e.add...)
	var infos []weights.TensorInfo
	for _, tensor := range tensors {
		infos = append(infos, weights.TensorInfo{Name: tensor.Name, Type: tensor.Type, Shape: tensor.Shape})
	}
	var buf bytes.Buffer
	w, err := weights.NewWriter(&buf, md, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, tensor := range tensors {
		if err := w.WriteTensor(tensor.Name, tensor.Data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := weights.Parse(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func floats(name string, values ...float32) weights.Tensor {
	data := make([]byte, 4*len(values))
	if err := quant.Encode(quant.F32, data, values); err != nil {
		panic(err)
	}
	return weights.Tensor{Name: name, Type: quant.F32, Shape: []int{len(values)}, Data: data}
}

func TestLoadRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		shape string
		edit  edit
		want  string // in the error
	}{
		"no architecture":       {"llama-tiny", edit{set: map[string]any{"general.architecture": nil}}, "general.architecture"},
		"unknown architecture":  {"llama-tiny", edit{set: map[string]any{"general.architecture": "rwkv"}}, "gemma2, llama, mneme, phi3, qwen2, qwen3"},
		"no layers":             {"llama-tiny", edit{set: map[string]any{"llama.block_count": nil}}, "llama.block_count"},
		"zero layers":           {"llama-tiny", edit{set: map[string]any{"llama.block_count": uint32(0)}}, "llama.block_count"},
		"too many layers":       {"llama-tiny", edit{set: map[string]any{"llama.block_count": uint32(3)}}, "blk.2."},
		"too few layers":        {"llama-tiny", edit{set: map[string]any{"llama.block_count": uint32(1)}}, "blk.1."},
		"layers as text":        {"llama-tiny", edit{set: map[string]any{"llama.block_count": "two"}}, "llama.block_count"},
		"giant width":           {"llama-tiny", edit{set: map[string]any{"llama.embedding_length": uint64(1 << 60)}}, "llama.embedding_length"},
		"wrong width":           {"llama-tiny", edit{set: map[string]any{"llama.feed_forward_length": uint32(511)}}, "ffn"},
		"heads do not share":    {"llama-tiny", edit{set: map[string]any{"llama.attention.head_count_kv": uint32(3)}}, "share"},
		"heads by layer":        {"llama-tiny", edit{set: map[string]any{"llama.attention.head_count_kv": []int32{2, 4}}}, "head_count_kv"},
		"no epsilon":            {"llama-tiny", edit{set: map[string]any{"llama.attention.layer_norm_rms_epsilon": nil}}, "epsilon"},
		"unknown scaling":       {"llama-tiny", edit{set: map[string]any{"llama.rope.scaling.type": "spiral"}}, "spiral"},
		"odd rotation":          {"llama-tiny", edit{set: map[string]any{"llama.rope.dimension_count": uint32(31)}}, "odd"},
		"rotation too wide":     {"llama-tiny", edit{set: map[string]any{"llama.rope.dimension_count": uint32(64)}}, "RoPE"},
		"missing norm":          {"llama-tiny", edit{rename: map[string]string{"blk.1.ffn_norm.weight": ""}}, "blk.1.ffn_norm.weight"},
		"missing embedding":     {"llama-tiny", edit{rename: map[string]string{"token_embd.weight": ""}}, "token_embd.weight"},
		"empty vocabulary":      {"llama-tiny", edit{reshape: map[string][]int{"token_embd.weight": {256, 0}, "output.weight": {256, 0}}}, "token_embd.weight"},
		"empty and tied":        {"qwen2-tiny", edit{reshape: map[string][]int{"token_embd.weight": {256, 0}}}, "vocabulary is empty"},
		"no width":              {"llama-tiny", edit{reshape: map[string][]int{"token_embd.weight": {0, 512}}}, "token_embd.weight"},
		"unknown tensor":        {"llama-tiny", edit{add: []weights.Tensor{floats("blk.0.attn_q_norm.weight", 1, 2)}}, "blk.0.attn_q_norm.weight"},
		"wrong shape":           {"llama-tiny", edit{reshape: map[string][]int{"blk.0.attn_k.weight": {64, 256}}}, "blk.0.attn_k.weight"},
		"wrong RoPE factors":    {"llama-tiny", edit{add: []weights.Tensor{floats("rope_freqs.weight", 1, 2)}}, "rope_freqs.weight"},
		"zero RoPE factor":      {"llama-tiny", edit{add: []weights.Tensor{floats("rope_freqs.weight", make([]float32, 16)...)}}, "factor"},
		"too many experts used": {"moe-tiny", edit{set: map[string]any{"llama.expert_used_count": uint32(5)}}, "experts"},
		"no experts used":       {"moe-tiny", edit{set: map[string]any{"llama.expert_used_count": uint32(0)}}, "experts"},
		"experts in qwen2":      {"qwen2-tiny", edit{set: map[string]any{"qwen2.expert_count": uint32(2), "qwen2.expert_used_count": uint32(1)}}, "no experts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load(edited(t, synthFile(t, c.shape, quant.F32), c.edit))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one that names %s", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %v", err)
			}
		})
	}
}

func TestUnknownTensorIsTyped(t *testing.T) {
	f := edited(t, synthFile(t, "llama-tiny", quant.F32), edit{add: []weights.Tensor{floats("extra", 1)}})
	if _, err := Load(f); !errors.Is(err, ErrTensor) {
		t.Fatalf("error %v", err)
	}
}

func TestTypeWithoutKernel(t *testing.T) {
	f := synthFile(t, "llama-tiny", quant.F32)
	var big weights.Tensor
	for _, tensor := range f.Tensors() {
		if tensor.Name == "blk.0.attn_q.weight" {
			big = *tensor
		}
	}
	const iq2XXS = quant.Type(16) // 66 bytes for 256 values
	big.Type, big.Data = iq2XXS, make([]byte, 256*66)
	g := edited(t, f, edit{rename: map[string]string{big.Name: ""}, add: []weights.Tensor{big}})
	if _, err := Load(g); err == nil || !strings.Contains(err.Error(), "IQ2_XXS") || !strings.Contains(err.Error(), big.Name) {
		t.Fatalf("error %v", err)
	}
}

// TestBiases holds a model whose biases are set to what its weights give for a constant against one without.
func TestBiases(t *testing.T) {
	f := synthFile(t, "llama-tiny", quant.F32)
	bias := make([]float32, 256)
	for i := range bias {
		bias[i] = float32(i%7) / 7
	}
	var adds []weights.Tensor
	for _, name := range []string{"attn_q", "attn_output"} {
		adds = append(adds, floats("blk.1."+name+".bias", bias...))
	}
	g := edited(t, f, edit{add: adds})
	m, err := Load(g)
	if err != nil {
		t.Fatal(err)
	}
	tokens := text(12, 5)
	want := naive{file: g, cfg: m.Config}.logits(tokens)
	got := forward(t, newRunner(t, m, 1), newSequence(t, m, quant.F32), tokens, 0)[len(tokens)-1]
	for i, w := range want {
		if d := float64(got[i]) - w; d > 1e-3 || d < -1e-3 {
			t.Fatalf("logit %d is %v, want %v", i, got[i], w)
		}
	}
}

// TestSplitExperts loads experts that are stored one by one, as older files have them.
func TestSplitExperts(t *testing.T) {
	f := synthFile(t, "moe-tiny", quant.F32)
	e := edit{rename: map[string]string{}}
	for _, tensor := range f.Tensors() {
		prefix, ok := strings.CutSuffix(tensor.Name, "_exps.weight")
		if !ok {
			continue
		}
		e.rename[tensor.Name] = ""
		size := len(tensor.Data) / 4
		for i := range 4 {
			e.add = append(e.add, weights.Tensor{
				Name: prefix + "." + string(rune('0'+i)) + ".weight", Type: tensor.Type,
				Shape: tensor.Shape[:2], Data: tensor.Data[i*size : (i+1)*size],
			})
		}
	}
	a, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Load(edited(t, f, e))
	if err != nil {
		t.Fatal(err)
	}
	want := forward(t, newRunner(t, a, 1), newSequence(t, a, quant.F32), text(9, 1), 0)
	got := forward(t, newRunner(t, b, 1), newSequence(t, b, quant.F32), text(9, 1), 0)
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Fatalf("logits after token %d differ", i)
		}
	}
}

func TestRoute(t *testing.T) {
	chosen, weight := make([]int32, 2), make([]float32, 2)
	for _, c := range []struct {
		scores []float32
		chosen []int32
		first  float32 // its weight: e^a/(e^a+e^b)
	}{
		{[]float32{0, 2, 1, 2}, []int32{1, 3}, 0.5},
		{[]float32{5, 5, 5}, []int32{0, 1}, 0.5},
		{[]float32{-1, -3}, []int32{0, 1}, 0.88079708},
		{[]float32{0, 0, 0, 1}, []int32{3, 0}, 0.73105858},
	} {
		route(c.scores, chosen, weight)
		if !slices.Equal(chosen, c.chosen) || weight[0]-c.first > 1e-6 || c.first-weight[0] > 1e-6 {
			t.Errorf("scores %v: experts %v with weights %v, want %v, %v", c.scores, chosen, weight, c.chosen, c.first)
		}
		if sum := weight[0] + weight[1]; sum < 0.999999 || sum > 1.000001 {
			t.Errorf("scores %v: weights %v", c.scores, weight)
		}
	}
}
