package synth

import (
	"fmt"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// pair is a metadata key with its value.
type pair struct {
	key   string
	value any
}

// metadata returns what a converter would have written of such a model.
func (s Shape) metadata(t quant.Type, seed uint64) (*weights.Metadata, error) {
	pairs := []pair{
		{"general.architecture", s.Arch},
		{"general.name", fmt.Sprintf("%s (random, seed %d)", s.Name, seed)},
	}
	for _, p := range s.hyperparameters() {
		pairs = append(pairs, pair{s.Arch + "." + p.key, p.value})
	}
	tokens, err := tokenizerKeys(s.Vocab)
	if err != nil {
		return nil, err
	}
	md := &weights.Metadata{}
	for _, p := range append(pairs, tokens...) {
		if err := md.Set(p.key, p.value); err != nil {
			return nil, err
		}
	}
	return md, weights.SetFileType(md, t)
}

// hyperparameters returns the keys that follow the architecture's name.
func (s Shape) hyperparameters() []pair {
	dim := uint32(s.headDim())
	pairs := []pair{
		{"block_count", uint32(s.Layers)},
		{"context_length", uint32(s.Context)},
		{"embedding_length", uint32(s.Embedding)},
		{"feed_forward_length", uint32(s.FeedForward)},
		{"attention.head_count", uint32(s.Heads)},
		{"attention.head_count_kv", uint32(s.KVHeads)},
		{"attention.layer_norm_rms_epsilon", float32(s.NormEps)},
		{"rope.freq_base", float32(s.RopeBase)},
		{"vocab_size", uint32(s.Vocab)},
	}
	switch s.Arch {
	case "llama", "phi3":
		pairs = append(pairs, pair{"rope.dimension_count", dim})
	}
	if s.HeadDim != 0 {
		pairs = append(pairs, pair{"attention.key_length", dim}, pair{"attention.value_length", dim})
	}
	if s.Arch == "gemma2" {
		pairs = append(pairs, pair{"attn_logit_softcapping", float32(50)}, pair{"final_logit_softcapping", float32(30)})
	}
	if s.SlidingWindow > 0 {
		pairs = append(pairs, pair{"attention.sliding_window", uint32(s.SlidingWindow)})
	}
	switch {
	case s.Fifo.Slots > 0:
		pairs = append(pairs, s.fifoParameters()...)
	case s.Neural.Variant != "":
		pairs = append(pairs, s.neuralParameters()...)
	case s.Arch == "mneme":
		pairs = append(pairs, pair{"attention.kind", s.attentionKinds()})
	}
	if s.Experts > 0 {
		pairs = append(pairs, pair{"expert_count", uint32(s.Experts)}, pair{"expert_used_count", uint32(s.ExpertsUsed)})
	}
	return pairs
}

// attentionKinds gives every other layer of a model with a window that window.
func (s Shape) attentionKinds() []string {
	kinds := make([]string, s.Layers)
	for i := range kinds {
		kinds[i] = "full"
		if s.SlidingWindow > 0 && i%2 == 0 {
			kinds[i] = "window"
		}
	}
	return kinds
}
