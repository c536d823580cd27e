package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// Tuning says how a model is trained on: all of its weights, with a landmark after each block of its texts. What comes of it is of
// architecture mneme.
type Tuning struct {
	Block int // tokens of a block
}

// tunable are the architectures whose blocks architecture mneme has, too.
var tunable = []string{"llama", "mneme", "phi3", "qwen2"}

// tuneRate is what models are trained on with: a smaller one than those that begin with nothing.
const tuneRate = 5e-4

// tunedCopies is what training takes in place of a weight: the weight, its gradient, and two means of that.
const tunedCopies = 4

// Recipe is how a backbone is trained on.
func (t Tuning) Recipe(b *Backbone, c Course) (r Recipe, err error) {
	if err := b.checkTunable(); err != nil {
		return r, err
	}
	s := b.shape()
	s.Tuned, s.Landmark = true, Landmark{Block: t.Block, Token: b.landmark()}
	s.Vocabulary = max(s.Vocabulary, s.Landmark.Token+1)
	if err := s.check(); err != nil {
		return r, err
	}
	for l := range s.Layers {
		if w := b.window(l); w > 0 && w < s.Landmark.row(c.Length) {
			return r, fmt.Errorf("train: layer %d attends to %d rows: texts of %d tokens with landmarks are longer, and landmarks are for attention to all", l, w, c.Length)
		}
	}
	stages, err := c.stages()
	if err != nil {
		return r, err
	}
	if err := b.fit(tunedCopies, stages); err != nil {
		return r, err
	}
	r = recipe("landmark on a model", "attention to blocks that their landmarks find", func(int) Shape { return s }, stages)
	r.Rate = tuneRate
	return r, nil
}

func (b *Backbone) checkTunable() error {
	switch {
	case !slices.Contains(tunable, b.config.Architecture):
		return fmt.Errorf("train: a model of architecture %s cannot become one of architecture mneme, which has no place for all of its weights (those of %s can)", b.config.Architecture, strings.Join(tunable, ", "))
	case b.factors.long != nil:
		return errors.New("train: a model with RoPE factors for long texts, and others for short ones, cannot get landmarks")
	}
	return nil
}

// landmark is the id that landmarks get: the first one that no token has.
func (b *Backbone) landmark() int {
	if b.tokenizer != nil {
		return b.tokenizer.Size()
	}
	return b.config.Vocabulary
}

// tuned adds the backbone's parameters as they are. The rows of a landmark, in the embedding and before logits, begin as the mean of
// those of the words.
func (m *Model) tuned() {
	s := m.Shape
	for _, p := range s.Backbone.params {
		shape := slices.Clone(p.Shape)
		word := slices.Contains([]string{"token_embd.weight", "output.weight", "output.bias"}, p.Name)
		if word {
			shape[0] = s.Vocabulary
		}
		to := m.param(p.Name, shape...)
		if copy(to.Values, p.Values); word && s.Landmark.Block > 0 {
			to.middle(s.Landmark.Token)
		}
	}
}

// middle makes a row the mean of those before it.
func (p *Param) middle(row int) {
	width := len(p.Values) / p.Shape[0]
	for j := range width {
		var sum float64
		for i := range row {
			sum += float64(p.Values[i*width+j])
		}
		p.Values[row*width+j] = float32(sum / float64(max(1, row)))
	}
}

// WriteTuned writes a backbone that was trained on as a GGUF file of the architecture mneme, which appears under its name when it is
// complete. Of e, Source has no part in it: words are those of the backbone.
func (m *Model) WriteTuned(path string, e Export) error {
	if err := e.check(); err != nil {
		return err
	}
	s := m.Shape
	if s.Backbone == nil || !s.Tuned {
		return errors.New("train: the model is no backbone that was trained on")
	}
	md, err := s.Backbone.tunedMetadata(s, e)
	if err != nil {
		return err
	}
	written := *m
	if f := s.Backbone.factors.of(&s.Backbone.config.Rope, 0); f != nil {
		written.Params = append(slices.Clone(m.Params), &Param{Name: "rope_freqs.weight", Shape: []int{len(f)}, Values: f})
	}
	return written.write(path, md, e.Type)
}

func (b *Backbone) tunedMetadata(s Shape, e Export) (*weights.Metadata, error) {
	c, md := &b.config, new(weights.Metadata)
	set := func(key string, value any) error { return md.Set(key, value) }
	for key, value := range b.metadata.All() {
		if of, ok := strings.CutPrefix(key, c.Architecture+".rope."); ok {
			if err := set("mneme.rope."+of, value); err != nil {
				return nil, err
			}
		}
	}
	err := errors.Join(
		set("general.architecture", "mneme"),
		set("general.name", e.Name),
		set("mneme.block_count", uint32(c.Layers)),
		set("mneme.context_length", uint32(s.Landmark.row(e.Context))),
		set("mneme.embedding_length", uint32(c.Embedding)),
		set("mneme.feed_forward_length", uint32(c.FeedForward)),
		set("mneme.attention.head_count", uint32(c.Heads)),
		set("mneme.attention.head_count_kv", uint32(c.KVHeads)),
		set("mneme.attention.key_length", uint32(c.KeyDim)),
		set("mneme.attention.value_length", uint32(c.ValueDim)),
		set("mneme.attention.layer_norm_rms_epsilon", c.NormEpsilon),
		set("mneme.rope.dimension_count", uint32(c.Rope.Dimensions)),
		set("mneme.rope.freq_base", float32(c.Rope.Base)),
		set("mneme.rope.scaling.original_context_length", uint32(c.Rope.OriginalContext)),
		set("mneme.vocab_size", uint32(s.Vocabulary)),
		s.describeAttention(set),
		b.describeWords(md),
	)
	if err != nil || b.tokenizer == nil {
		return md, err
	}
	return md, addControl(md, "<|landmark|>")
}

// addControl adds a control token to a vocabulary. Its spelling is made longer if it is another token's.
func addControl(md *weights.Metadata, spelling string) error {
	tokens, _ := md.Strings(keyTokens)
	for slices.Contains(tokens, spelling) {
		spelling = "<" + spelling + ">"
	}
	kinds, ok := md.Int32s(keyKinds)
	if !ok {
		kinds = slices.Repeat([]int32{int32(tokenizer.KindNormal)}, len(tokens))
	}
	err := errors.Join(
		md.Set(keyTokens, append(slices.Clone(tokens), spelling)),
		md.Set(keyKinds, append(slices.Clone(kinds), int32(tokenizer.KindControl))),
	)
	if scores, ok := md.Float32s(keyScores); ok {
		err = errors.Join(err, md.Set(keyScores, append(slices.Clone(scores), 0)))
	}
	return err
}
