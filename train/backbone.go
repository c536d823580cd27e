package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/internal/sysmem"
	"github.com/mneme-lm/mneme/model"
	"github.com/mneme-lm/mneme/tokenizer"
	"github.com/mneme-lm/mneme/weights"
)

// Backbone is a model of a GGUF file that a memory is trained on, or that is trained further: its weights as float32, of which a
// graph has constants, and what its text is made of. It does not change.
type Backbone struct {
	Fingerprint string // by which the engine tells models apart, and adapters what they are for

	config    model.Config
	params    []*Param
	heads     []headWeights // of the norms of queries and keys, for each layer; nil: there are none
	factors   ropeFactors
	metadata  *weights.Metadata
	tokenizer *tokenizer.Tokenizer // nil: it has none
	bytes     int64                // of the weights
}

// headWeights are those of the norms of a layer's queries and keys.
type headWeights struct{ q, k []float32 }

// OpenBackbone reads a model's file. It need not be there afterwards.
func OpenBackbone(path string) (b *Backbone, err error) {
	engine, err := mneme.Open(path, mneme.WithThreads(1))
	if err != nil {
		return nil, err
	}
	b = &Backbone{config: engine.Config(), metadata: engine.Metadata().Clone(), tokenizer: engine.Tokenizer()}
	b.Fingerprint, err = engine.Fingerprint()
	if err := errors.Join(err, engine.Close()); err != nil {
		return nil, err
	}
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, t := range f.Tensors() {
		b.bytes += 4 * int64(t.Elements())
	}
	if err := b.fits(1, 0); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	r := &tensorReader{file: f, b: b}
	if r.read(); r.err != nil {
		return nil, fmt.Errorf("%s: %w", path, r.err)
	}
	return b, nil
}

// available is how much memory there is to spare, if that is known.
var available = sysmem.Available

// fits returns an error if there is no memory for the weights as float32, so many times, and for what graphs of so many rows
// compute: about eight values of a layer's width, three of its hidden width and two of the vocabulary for each row, four times, in a
// graph with gradients and in two for examinations.
func (b *Backbone) fits(times int64, rows int) error {
	c := &b.config
	graphs := 4 * 4 * int64(rows) * int64(2*c.Vocabulary+c.Layers*(8*c.Embedding+3*c.FeedForward))
	if free, known := available(); known && (b.bytes > free/times || graphs > free-times*b.bytes) {
		return fmt.Errorf("train: the model's weights take %d MiB as float32, %d times, texts about %d MiB, and %d MiB are available: %w",
			b.bytes>>20, times, graphs>>20, free>>20, mneme.ErrMemory)
	}
	return nil
}

// fit is fits for a recipe.
func (b *Backbone) fit(times int64, stages []Stage) error {
	rows := 0
	for _, s := range stages {
		rows = max(rows, s.Texts*s.Length)
	}
	return b.fits(times, rows)
}

// Architecture is what the file calls it.
func (b *Backbone) Architecture() string { return b.config.Architecture }

// Tokenizer is that of the file, nil if it has none.
func (b *Backbone) Tokenizer() *tokenizer.Tokenizer { return b.tokenizer }

// Layers is their number.
func (b *Backbone) Layers() int { return b.config.Layers }

// backbones are the architectures that graphs can be built of.
var backbones = []string{"gemma2", "llama", "mneme", "phi3", "qwen2", "qwen3"}

// check says what is wrong with a backbone: graphs have no use for some of what the engine knows.
func (b *Backbone) check() error {
	c := &b.config
	switch {
	case !slices.Contains(backbones, c.Architecture):
		return fmt.Errorf("train: nothing is trained on models of architecture %q (but on %s)", c.Architecture, strings.Join(backbones, ", "))
	case c.Experts > 0:
		return fmt.Errorf("train: nothing is trained on models with experts, of which this one has %d in each layer", c.Experts)
	case c.KeyDim != c.ValueDim:
		return fmt.Errorf("train: nothing is trained on models whose keys, of %d values, are not as long as values, of %d", c.KeyDim, c.ValueDim)
	case c.KeyDim%2 != 0:
		return fmt.Errorf("train: nothing is trained on models with heads of an odd number of values, %d", c.KeyDim)
	case c.Memory() != model.MemoryNone:
		return fmt.Errorf("train: the model has a memory already, of kind %s", c.Memory())
	}
	for l, kind := range c.AttentionKinds {
		if kind != model.AttentionFull && kind != model.AttentionWindow {
			return fmt.Errorf("train: layer %d has %v attention: nothing is trained on models with other than full attention, or to windows", l, kind)
		}
	}
	return nil
}

// window is the number of rows that a layer attends to, 0 if it is all.
func (b *Backbone) window(layer int) int {
	c := &b.config
	switch {
	case c.Architecture == "phi3", c.Architecture == "gemma2" && layer%2 == 0,
		len(c.AttentionKinds) > 0 && c.AttentionKinds[min(layer, len(c.AttentionKinds)-1)] == model.AttentionWindow:
		return c.SlidingWindow
	}
	return 0
}

// layout is how a layer's queries, keys and values lie in texts of so many rows.
func (b *Backbone) layout(length int) Heads {
	return Heads{Count: b.config.Heads, Dim: b.config.KeyDim, KV: b.config.KVHeads, Length: length}
}

// has reports whether there is a parameter of a name.
func (b *Backbone) has(name string) bool {
	return slices.ContainsFunc(b.params, func(p *Param) bool { return p.Name == name })
}

// shape is that of graphs of the backbone alone.
func (b *Backbone) shape() Shape {
	c := &b.config
	return Shape{
		Vocabulary: c.Vocabulary, Dim: c.Embedding, Layers: c.Layers, Heads: c.Heads, Hidden: c.FeedForward,
		RoPEBase: c.Rope.Base, Epsilon: c.NormEpsilon, Backbone: b,
	}
}

// sight is what queries of a layer see where the shape has them see so much: windows of the layer's own stay if they are smaller.
// Beside landmarks there are none that are shorter than texts (see [Tuning.Recipe]).
func (b *Backbone) sight(layer int, s Sight) Sight {
	if w := b.window(layer); w > 0 && s.Landmark == 0 && (s.Window == 0 || w < s.Window) {
		s.Window = w
	}
	return s
}
