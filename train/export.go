package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Export says how a model is written.
type Export struct {
	Name    string     // the model's
	Type    quant.Type // of matrices: F32, F16, BF16 or Q8_0; what is small, or has rows of no whole blocks, is F32
	Context int        // tokens of the longest texts that it was trained with
	Source  Source     // whose words the model reads
}

// exportTypes are those that lose next to nothing.
var exportTypes = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0}

// ExportTypes lists the types that a model may be written in.
func ExportTypes() []quant.Type { return slices.Clone(exportTypes) }

func (e *Export) check() error {
	if !slices.Contains(exportTypes, e.Type) {
		return fmt.Errorf("train: a model is not written in %v, but in one of %v", e.Type, exportTypes)
	}
	return nil
}

// Write writes the model as a GGUF file of the architecture mneme, which appears under its name when it is complete.
func (m *Model) Write(path string, e Export) error {
	if err := e.check(); err != nil {
		return err
	}
	md, err := m.metadata(e)
	if err != nil {
		return err
	}
	return m.write(path, md, e.Type)
}

// write writes metadata and parameters, matrices in a type.
func (m *Model) write(path string, md *weights.Metadata, matrices quant.Type) (err error) {
	var infos []weights.TensorInfo
	var values [][]float32
	for _, p := range m.Params {
		for _, t := range p.tensors(m.Shape) {
			infos = append(infos, weights.TensorInfo{Name: t.Name, Type: t.kind(matrices), Shape: reversed(t.Shape)})
			values = append(values, t.Values)
		}
	}
	w, err := weights.Create(path, md, infos)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Abort())
		}
	}()
	for i, info := range infos {
		n, err := info.Bytes()
		if err != nil {
			return err
		}
		data := make([]byte, n)
		if err := quant.Encode(info.Type, data, values[i]); err != nil {
			return fmt.Errorf("train: tensor %s: %w", info.Name, err)
		}
		if err := w.WriteTensor(info.Name, data); err != nil {
			return err
		}
	}
	return w.Close()
}

// tensors are the parameter's in the file: those that hold several for a product of all at once are taken apart.
func (p *Param) tensors(s Shape) []Param {
	shared := 1 // heads of queries for one of keys
	if s.Backbone != nil {
		shared = s.Backbone.config.Heads / s.Backbone.config.KVHeads
	}
	for _, packed := range []struct {
		name   string
		parts  []string
		shares []int // of the rows
	}{
		{"attn_qkv.", []string{"attn_q.", "attn_k.", "attn_v."}, []int{shared, 1, 1}},
		{"ffn_gate_up.", []string{"ffn_gate.", "ffn_up."}, []int{1, 1}},
		{"mem_qkv.", []string{"mem_q.", "mem_k.", "mem_v."}, []int{1, 1, 1}},
	} {
		before, after, found := strings.Cut(p.Name, packed.name)
		if !found {
			continue
		}
		all := 0
		for _, n := range packed.shares {
			all += n
		}
		var list []Param
		for values, i := p.Values, 0; i < len(packed.parts); i++ {
			n := packed.shares[i]
			shape := slices.Clone(p.Shape)
			shape[0] = shape[0] / all * n
			list = append(list, Param{Name: before + packed.parts[i] + after, Shape: shape, Values: values[:len(p.Values)/all*n]})
			values = values[len(p.Values)/all*n:]
		}
		return list
	}
	return []Param{*p}
}

// kind is the type that the tensor is written in.
func (p *Param) kind(matrices quant.Type) quant.Type {
	small := len(p.Shape) != 2 || slices.ContainsFunc([]string{"mem_fuse.", "mem_conv.", "mem_initial.", "mem_pool_q.", "mem_steps.", "mem_persistent."}, func(part string) bool {
		return strings.Contains(p.Name, part)
	})
	if small || p.Shape[1]%matrices.BlockLen() != 0 {
		return quant.F32
	}
	return matrices
}

// reversed is a shape with the fastest dimension first, and without slowest ones of 1.
func reversed(shape []int) []int {
	shape = slices.Clone(shape)
	slices.Reverse(shape)
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	return shape
}

// metadata describes the model: see package model for what the keys mean.
func (m *Model) metadata(e Export) (*weights.Metadata, error) {
	s, md, context := m.Shape, new(weights.Metadata), e.Context
	if s.Landmark.Block > 0 {
		context += context / s.Landmark.Block // positions count landmarks
	}
	set := func(key string, value any) error { return md.Set(key, value) }
	err := errors.Join(
		set("general.architecture", "mneme"),
		set("general.name", e.Name),
		set("mneme.block_count", uint32(s.Layers)),
		set("mneme.context_length", uint32(context)),
		set("mneme.embedding_length", uint32(s.Dim)),
		set("mneme.feed_forward_length", uint32(s.Hidden)),
		set("mneme.attention.head_count", uint32(s.Heads)),
		set("mneme.attention.head_count_kv", uint32(s.Heads)),
		set("mneme.attention.layer_norm_rms_epsilon", s.Epsilon),
		set("mneme.rope.dimension_count", uint32(s.Dim/s.Heads)),
		set("mneme.rope.freq_base", float32(s.RoPEBase)),
		set("mneme.vocab_size", uint32(s.Vocabulary)),
		s.describe(set),
		e.Source.Describe(md),
	)
	return md, err
}

// describe says what attention sees and what is remembered.
func (s Shape) describe(set func(key string, value any) error) error {
	return errors.Join(s.describeAttention(set), s.describeFifo(set), s.describeNeural(set))
}

func (s Shape) describeAttention(set func(key string, value any) error) error {
	if b := s.Landmark.Block; b > 0 {
		return errors.Join(
			set("mneme.attention.kind", "landmark"), set("mneme.attention.landmark.block_length", uint32(b)),
			set("mneme.attention.landmark.token_id", uint32(s.Landmark.Token)),
			set("mneme.attention.landmark.local", uint32(landmarkLocal)), set("mneme.attention.landmark.blocks", uint32(landmarkBlocks)),
		)
	}
	kinds, window, chunk := make([]string, s.Layers), 0, 0
	for l := range kinds {
		sight := s.sight(l)
		if s.Fifo != nil {
			sight = Sight{Chunk: s.Fifo.Chunk}
		}
		kinds[l] = "full"
		for _, local := range []struct {
			kind string
			of   *int
			n    int
		}{{"window", &window, sight.Window}, {"chunked", &chunk, sight.Chunk}} {
			if local.n == 0 {
				continue
			}
			if *local.of > 0 && *local.of != local.n {
				return fmt.Errorf("train: layer %d sees %+v, one before it another length: a file says one for all", l, sight)
			}
			kinds[l], *local.of = local.kind, local.n
		}
	}
	var err error
	if window > 0 {
		err = set("mneme.attention.sliding_window", uint32(window))
	}
	if chunk > 0 {
		err = errors.Join(err, set("mneme.attention.chunk_length", uint32(chunk)))
	}
	return errors.Join(err, set("mneme.attention.kind", kinds))
}

// How a landmark model reads beyond the texts that it was trained with: so many tokens at a time, and blocks that a query opens.
const (
	landmarkLocal  = 64
	landmarkBlocks = 8
)

func (s Shape) describeFifo(set func(key string, value any) error) error {
	if s.Fifo == nil {
		return nil
	}
	f, c := s.Fifo, s.fifoConfig()
	const prefix = "mneme.memory.fifo."
	err := errors.Join(set("mneme.memory.kind", "fifo"), set(prefix+"layers", numbers(f.Layers)))
	if s.Backbone == nil {
		err = errors.Join(err, set(prefix+"window", uint32(f.Window)))
	}
	err = errors.Join(err,
		set(prefix+"slots", uint32(c.Slots)), set(prefix+"chunk_slots", uint32(c.PerChunk)), set(prefix+"head_count", uint32(c.Heads)),
		set(prefix+"scale", c.Scale), set(prefix+"gate", c.Gate.String()), set(prefix+"pooling", c.Pooling.String()),
		set(prefix+"previous", c.Previous.String()),
	)
	if s.Backbone != nil {
		return errors.Join(err, set(prefix+"chunk", uint32(c.Chunk)), set(prefix+"head_length", uint32(c.HeadDim)))
	}
	return errors.Join(err, set(prefix+"renormalize", f.Renormalize))
}

func (s Shape) describeNeural(set func(key string, value any) error) error {
	if s.Neural == nil {
		return nil
	}
	n := s.Neural
	const prefix = "mneme.memory.neural."
	var err error
	if n.Persistent > 0 {
		err = set(prefix+"persistent", uint32(n.Persistent))
	}
	return errors.Join(err,
		set("mneme.memory.kind", "neural"), set(prefix+"variant", n.Variant.String()), set(prefix+"layers", numbers(n.Layers)),
		set(prefix+"head_count", uint32(n.Heads)), set(prefix+"head_length", uint32(n.Dim)), set(prefix+"depth", uint32(n.Depth)),
		set(prefix+"expansion", uint32(max(n.Expansion, 1))), set(prefix+"chunk", uint32(n.Chunk)), set(prefix+"momentum", n.Momentum),
		set(prefix+"full_loss", n.FullLoss), set(prefix+"convolution", uint32(n.Convolution)),
		set(prefix+"step_max", n.MostStep), set(prefix+"momentum_max", n.MostMomentum), set(prefix+"layer_norm_rms_epsilon", n.NormEpsilon),
		set(prefix+"unit_hidden", n.UnitHidden), set(prefix+"layer_steps", n.LayerSteps), set(prefix+"error_max", n.MostError),
		set(prefix+"decay_to_initial", n.DecayToInitial),
	)
}

func numbers(layers []int) []int32 {
	list := make([]int32, len(layers))
	for i, l := range layers {
		list[i] = int32(l)
	}
	return list
}
