package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/weights"
)

// Config is the shape of a model, as its file's metadata tells it.
type Config struct {
	Architecture  string
	Name          string
	Layers        int
	Embedding     int // width of the residual stream
	FeedForward   int // inner width of the feed-forward layers (of one expert, if there are experts)
	Heads         int // query heads
	KVHeads       int
	KeyDim        int // of a head
	ValueDim      int // of a head
	Vocabulary    int
	ContextLength int // the number of tokens that the model was trained for
	NormEpsilon   float32
	Experts       int
	ExpertsUsed   int
	Rope          Rope

	AttentionScale   float32
	AttentionSoftcap float32 // 0: none
	LogitSoftcap     float32 // 0: none
	SlidingWindow    int     // 0: none; which layers it applies to is the architecture's affair
	EmbeddingScale   float32

	AttentionKinds []AttentionKind // of each layer; nil where the architecture has but its own
	ChunkLength    int             // of layers with chunked attention; 0: none
	Landmark       Landmark
	Fifo           Fifo
	Neural         NeuralMemory
	Adapter        string // name of the one that added the memory; empty: the model came with it, or there is none
}

// The most that metadata may ask for: beyond any model there is, and small enough that products of two fit an int.
const maxSize = 1 << 28

// reader takes typed values from metadata and remembers the first complaint.
type reader struct {
	md   *weights.Metadata
	arch string
	err  error
}

func (r *reader) key(name string) string { return r.arch + "." + name }

func (r *reader) fail(key, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("model: metadata key %q: %s", key, fmt.Sprintf(format, args...))
	}
}

// size reads a whole number from lo to maxSize; a negative fallback makes the key required.
func (r *reader) size(name string, lo, fallback int) int {
	key := r.key(name)
	v, ok := r.md.Uint(key)
	switch {
	case !ok:
		if r.has(key) {
			r.fail(key, "want a whole number")
		} else if fallback < 0 {
			r.fail(key, "missing")
		}
		return fallback
	case v < uint64(lo) || v > maxSize:
		r.fail(key, "%d is not between %d and %d", v, lo, maxSize)
		return max(fallback, lo)
	}
	return int(v)
}

// heads reads a count that may be given once or per layer; all layers must agree.
func (r *reader) heads(name string, fallback int) int {
	key := r.key(name)
	if list, ok := r.md.Int32s(key); ok {
		if len(list) == 0 || slices.Min(list) != slices.Max(list) || list[0] < 1 || list[0] > maxSize {
			r.fail(key, "layers with different numbers of heads are not supported")
			return max(fallback, 1)
		}
		return int(list[0])
	}
	return r.size(name, 1, fallback)
}

// layers reads the numbers of some of n layers, one at the least, which ascend.
func (r *reader) layers(name string, n int) (layers []int) {
	key := r.key(name)
	list, ok := r.md.Int32s(key)
	if !ok || len(list) == 0 {
		r.fail(key, "want a list of layers")
	}
	for i, layer := range list {
		if layer < 0 || int(layer) >= n || i > 0 && layer <= list[i-1] {
			r.fail(key, "%d is no layer of %d, or not in ascending order", layer, n)
			return nil
		}
		layers = append(layers, int(layer))
	}
	return layers
}

// float reads a finite number; a NaN fallback makes the key required.
func (r *reader) float(name string, fallback float64) float64 {
	key := r.key(name)
	v, ok := r.md.Float(key)
	switch {
	case !ok:
		if r.has(key) {
			r.fail(key, "want a floating-point number")
		} else if math.IsNaN(fallback) {
			r.fail(key, "missing")
		}
		return fallback
	case math.IsNaN(v) || math.IsInf(v, 0):
		r.fail(key, "%v is not finite", v)
		return fallback
	}
	return v
}

func (r *reader) string(name, fallback string) string {
	key := r.key(name)
	v, ok := r.md.String(key)
	if !ok {
		if r.has(key) {
			r.fail(key, "want a string")
		}
		return fallback
	}
	return v
}

func (r *reader) bool(name string, fallback bool) bool {
	key := r.key(name)
	v, ok := r.md.Bool(key)
	if !ok {
		if r.has(key) {
			r.fail(key, "want true or false")
		}
		return fallback
	}
	return v
}

func (r *reader) has(key string) bool {
	_, ok := r.md.Get(key)
	return ok
}

// readConfig reads what all architectures have in common.
func readConfig(md *weights.Metadata, arch string) (Config, error) {
	r := &reader{md: md, arch: arch}
	c := Config{Architecture: arch}
	c.Name, _ = md.String("general.name")
	c.Layers = r.size("block_count", 1, -1)
	c.Embedding = r.size("embedding_length", 1, -1)
	c.FeedForward = r.size("feed_forward_length", 1, -1)
	c.ContextLength = r.size("context_length", 1, -1)
	c.Heads = r.heads("attention.head_count", -1)
	if r.err != nil {
		return c, r.err
	}
	c.KVHeads = r.heads("attention.head_count_kv", c.Heads)
	c.KeyDim = r.size("attention.key_length", 1, c.Embedding/c.Heads)
	c.ValueDim = r.size("attention.value_length", 1, c.Embedding/c.Heads)
	c.NormEpsilon = float32(r.float("attention.layer_norm_rms_epsilon", math.NaN()))
	c.Experts = r.size("expert_count", 0, 0)
	c.ExpertsUsed = r.size("expert_used_count", 0, 0)
	c.SlidingWindow = r.size("attention.sliding_window", 0, 0)
	c.AttentionSoftcap = float32(r.float("attn_logit_softcapping", 0))
	c.LogitSoftcap = float32(r.float("final_logit_softcapping", 0))
	c.Rope = r.rope(&c)
	c.AttentionScale = float32(1 / math.Sqrt(float64(max(c.KeyDim, 1))))
	c.EmbeddingScale = 1
	if r.err == nil {
		r.err = c.check()
	}
	return c, r.err
}

// check holds the numbers against each other.
func (c *Config) check() error {
	switch {
	case c.KeyDim < 1 || c.ValueDim < 1:
		return fmt.Errorf("model: %d heads do not fit an embedding of %d", c.Heads, c.Embedding)
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("model: %d query heads cannot share %d KV heads", c.Heads, c.KVHeads)
	case c.Rope.Dimensions > c.KeyDim:
		return fmt.Errorf("model: RoPE over %d dimensions of heads of %d", c.Rope.Dimensions, c.KeyDim)
	case c.Rope.Dimensions%2 != 0:
		return fmt.Errorf("model: RoPE over an odd number of dimensions, %d", c.Rope.Dimensions)
	case c.NormEpsilon < 0 || c.AttentionSoftcap < 0 || c.LogitSoftcap < 0:
		return fmt.Errorf("model: negative norm epsilon or soft cap")
	case c.ExpertsUsed > c.Experts || c.Experts > 0 && c.ExpertsUsed < 1:
		return fmt.Errorf("model: %d of %d experts used", c.ExpertsUsed, c.Experts)
	}
	return nil
}
