package convert

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// hfConfig is what config.json says of a model.
type hfConfig struct {
	arch                    string // model_type, which is GGUF's name too
	layers, embedding       int
	feedForward             int
	heads, kvHeads, headDim int
	vocabulary, context     int
	epsilon                 float64
	tied                    bool
	rope                    hfRope
	bos, eos                []int32 // ids, as far as they are there
}

// hfRope is how positions are encoded.
type hfRope struct {
	kind      string // default, linear, yarn or llama3
	base      float64
	factor    float64
	original  int     // context before stretching
	low, high float64 // llama3: wavelengths as parts of the original context
}

// hfKinds are the values of model_type that are known.
var hfKinds = []string{"llama", "qwen2", "qwen3"}

func parseHF(text []byte) (*hfConfig, error) {
	c, err := parseConfig(text)
	if err != nil {
		return nil, err
	}
	h := &hfConfig{arch: c.text("model_type", "")}
	if !slices.Contains(hfKinds, h.arch) {
		return nil, fmt.Errorf("configuration: model_type %q is not supported (known: %s)", h.arch, strings.Join(hfKinds, ", "))
	}
	h.layers = c.size("num_hidden_layers", 1, -1)
	h.embedding = c.size("hidden_size", 1, -1)
	h.feedForward = c.size("intermediate_size", 1, -1)
	h.heads = c.size("num_attention_heads", 1, -1)
	h.vocabulary = c.size("vocab_size", 1, -1)
	h.context = c.size("max_position_embeddings", 1, -1)
	h.epsilon = c.float("rms_norm_eps", math.NaN())
	if c.err != nil {
		return nil, c.err
	}
	h.kvHeads = c.size("num_key_value_heads", 1, h.heads)
	headDim := h.embedding / h.heads
	if h.arch == "qwen3" {
		headDim = 128 // what transformers take it for
	}
	h.headDim = c.size("head_dim", 1, max(headDim, 1))
	h.tied = c.flag("tie_word_embeddings", false)
	h.rope = c.rope(h.context)
	h.bos, h.eos = c.ids("bos_token_id"), c.ids("eos_token_id")
	c.refuseOther(h)
	if c.err == nil && (h.headDim%2 != 0 || h.headDim > maxSize/h.heads || h.heads%h.kvHeads != 0) {
		c.err = fmt.Errorf("configuration: %d heads of %d values with %d KV heads", h.heads, h.headDim, h.kvHeads)
	}
	return h, c.err
}

// refuseOther finds what would make of the model another one.
func (c *config) refuseOther(h *hfConfig) {
	if act := c.text("hidden_act", "silu"); act != "silu" {
		c.fail("hidden_act", "%q is not supported (known: silu)", act)
	}
	if c.has("quantization_config") {
		c.fail("quantization_config", "quantized weights are not supported: convert the model that they were made of")
	}
	if part := c.float("partial_rotary_factor", 1); part != 1 {
		c.fail("partial_rotary_factor", "%v is not supported", part)
	}
	if c.flag("use_sliding_window", false) && c.size("max_window_layers", 0, 0) < h.layers {
		c.fail("use_sliding_window", "windows are not supported")
	}
	var kinds []string
	c.get("layer_types", &kinds, "a list of strings")
	for _, kind := range kinds {
		if kind != "full_attention" {
			c.fail("layer_types", "%q is not supported (known: full_attention)", kind)
		}
	}
}

func (c *config) flag(name string, fallback bool) bool {
	v := fallback
	c.get(name, &v, "true or false")
	return v
}

// ids reads a token id or a list of them.
func (c *config) ids(name string) []int32 {
	if strings.HasPrefix(strings.TrimSpace(string(c.members[name])), "[") {
		var list []int32
		c.get(name, &list, "a list of token ids")
		return list
	}
	var id int32
	if !c.get(name, &id, "a token id") {
		return nil
	}
	return []int32{id}
}

// rope reads how positions are encoded, from the one object or the other in which transformers have had it.
func (c *config) rope(context int) hfRope {
	r := hfRope{base: c.float("rope_theta", 10000)}
	name := "rope_scaling"
	if c.has("rope_parameters") {
		name = "rope_parameters"
	}
	if !c.has(name) {
		r.kind = "default"
		return r
	}
	s, err := parseConfig(c.members[name])
	if err != nil {
		c.fail(name, "%.50s is not an object", c.members[name])
		return r
	}
	r.base = s.float("rope_theta", r.base)
	r.kind = s.text("rope_type", s.text("type", "default"))
	s.text("type", "") // an older name, which may be there besides
	s.flag("truncate", true)
	switch r.kind {
	case "default":
	case "linear":
		r.factor = s.float("factor", math.NaN())
	case "yarn":
		r.factor = s.float("factor", math.NaN())
		r.original = s.size("original_max_position_embeddings", 1, context)
	case "llama3":
		r.factor = s.float("factor", math.NaN())
		r.low = s.float("low_freq_factor", math.NaN())
		r.high = s.float("high_freq_factor", math.NaN())
		r.original = s.size("original_max_position_embeddings", 1, -1)
		if s.err == nil && r.low >= r.high {
			s.fail("low_freq_factor", "%v is not below high_freq_factor, %v", r.low, r.high)
		}
	default:
		s.fail("rope_type", "%q is not supported (known: default, linear, llama3, yarn)", r.kind)
	}
	if err := s.finish(); err != nil {
		c.fail(name, "%s", strings.TrimPrefix(err.Error(), "configuration: "))
	}
	return r
}

// llama3Factors divide the frequencies of the pairs of dimensions: those of wavelengths above original/low by factor, those
// below original/high by 1, and those in between by a mixture (Llama Team 2024, section 3.4.2, and the code that came with
// the model).
func (r hfRope) llama3Factors(headDim int) []float32 {
	factors := make([]float32, headDim/2)
	for i := range factors {
		wavelength := 2 * math.Pi * math.Pow(r.base, 2*float64(i)/float64(headDim))
		turns := float64(r.original) / wavelength
		keep := min(1, max(0, (turns-r.low)/(r.high-r.low)))
		factors[i] = float32(1 / ((1-keep)/r.factor + keep))
	}
	return factors
}
