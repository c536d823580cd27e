package synth

import (
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// tensor is one tensor of a shape, and how its values are drawn: normal, with the given mean and deviation.
type tensor struct {
	name      string
	shape     []int // fastest dimension first
	mean      float64
	deviation float64
	float     bool // F32 whatever the model's type
}

func (t tensor) elements() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// matrix maps in values to out values; several of them for experts.
func matrix(name string, in int, out ...int) tensor {
	return tensor{name: name, shape: append([]int{in}, out...), deviation: 1 / math.Sqrt(float64(in))}
}

// normDeviation spreads the scales of normalizations a little around 1, so that a forgotten one shows.
const normDeviation = 0.05

func norm(name string, n int) tensor {
	return tensor{name: name, shape: []int{n}, mean: 1, deviation: normDeviation, float: true}
}

// bias is added to a sum over in values.
func bias(name string, in, n int) tensor {
	return tensor{name: name, shape: []int{n}, deviation: 1 / math.Sqrt(float64(in)), float: true}
}

// tensors lists the tensors of the model in the order of the file.
func (s Shape) tensors() []tensor {
	list := []tensor{matrix("token_embd.weight", s.Embedding, s.Vocab)}
	for layer := range s.Layers {
		prefix := fmt.Sprintf("blk.%d.", layer)
		for _, t := range slices.Concat(s.attention(), s.fifoTensors(layer), s.neuralTensors(), s.feedForward()) {
			t.name = prefix + t.name
			list = append(list, t)
		}
	}
	list = append(list, norm("output_norm.weight", s.Embedding))
	if !s.Tied {
		list = append(list, matrix("output.weight", s.Embedding, s.Vocab))
	}
	return list
}

// attention lists the tensors of one layer's attention block.
func (s Shape) attention() []tensor {
	dim := s.headDim()
	q, kv := s.Heads*dim, s.KVHeads*dim
	list := []tensor{norm("attn_norm.weight", s.Embedding)}
	if s.Arch == "phi3" {
		list = append(list, matrix("attn_qkv.weight", s.Embedding, q+2*kv))
	} else {
		list = append(list, matrix("attn_q.weight", s.Embedding, q), matrix("attn_k.weight", s.Embedding, kv),
			matrix("attn_v.weight", s.Embedding, kv))
	}
	switch s.Arch {
	case "qwen2", "mneme":
		list = append(list, bias("attn_q.bias", s.Embedding, q),
			bias("attn_k.bias", s.Embedding, kv), bias("attn_v.bias", s.Embedding, kv))
	case "qwen3":
		list = append(list, norm("attn_q_norm.weight", dim), norm("attn_k_norm.weight", dim))
	}
	list = append(list, matrix("attn_output.weight", q, s.Embedding))
	if s.Arch == "gemma2" {
		list = append(list, norm("post_attention_norm.weight", s.Embedding))
	}
	return list
}

// feedForward lists the tensors of one layer's feed-forward block.
func (s Shape) feedForward() []tensor {
	list := []tensor{norm("ffn_norm.weight", s.Embedding)}
	switch {
	case s.Experts > 0:
		router := matrix("ffn_gate_inp.weight", s.Embedding, s.Experts)
		router.float = true
		list = append(list, router, matrix("ffn_gate_exps.weight", s.Embedding, s.FeedForward, s.Experts),
			matrix("ffn_up_exps.weight", s.Embedding, s.FeedForward, s.Experts),
			matrix("ffn_down_exps.weight", s.FeedForward, s.Embedding, s.Experts))
	case s.Arch == "phi3": // gate and up in one
		list = append(list, matrix("ffn_up.weight", s.Embedding, 2*s.FeedForward),
			matrix("ffn_down.weight", s.FeedForward, s.Embedding))
	default:
		list = append(list, matrix("ffn_gate.weight", s.Embedding, s.FeedForward),
			matrix("ffn_up.weight", s.Embedding, s.FeedForward),
			matrix("ffn_down.weight", s.FeedForward, s.Embedding))
	}
	if s.Arch == "gemma2" {
		list = append(list, norm("post_ffw_norm.weight", s.Embedding))
	}
	return list
}

// typeOf returns the type in which tensor t of a model in type want is written.
func (t tensor) typeOf(want quant.Type) quant.Type {
	if t.float {
		return quant.F32
	}
	return weights.TypeForRow(want, t.shape[0])
}
