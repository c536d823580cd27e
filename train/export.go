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
	Type    quant.Type // of matrices: F32, F16, BF16 or Q8_0; what a memory begins with and all vectors are F32
	Context int        // tokens of the longest texts that it was trained with
	Source  Source     // whose words the model reads
}

// exportTypes are those that lose next to nothing.
var exportTypes = []quant.Type{quant.F32, quant.F16, quant.BF16, quant.Q8_0}

// ExportTypes lists the types that a model may be written in.
func ExportTypes() []quant.Type { return slices.Clone(exportTypes) }

// Write writes the model as a GGUF file of the architecture mneme, which appears under its name when it is complete.
func (m *Model) Write(path string, e Export) (err error) {
	if !slices.Contains(exportTypes, e.Type) {
		return fmt.Errorf("train: a model is not written in %v, but in one of %v", e.Type, exportTypes)
	}
	md, err := m.metadata(e)
	if err != nil {
		return err
	}
	var infos []weights.TensorInfo
	var values [][]float32
	for _, p := range m.Params {
		for _, t := range p.tensors(m.Shape) {
			infos = append(infos, weights.TensorInfo{Name: t.Name, Type: t.kind(e.Type), Shape: reversed(t.Shape)})
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
	for _, packed := range []struct {
		name  string
		parts []string
	}{{"attn_qkv.", []string{"attn_q.", "attn_k.", "attn_v."}}, {"ffn_gate_up.", []string{"ffn_gate.", "ffn_up."}}} {
		before, after, found := strings.Cut(p.Name, packed.name)
		if !found {
			continue
		}
		shape := slices.Clone(p.Shape)
		shape[0] /= len(packed.parts)
		n := len(p.Values) / len(packed.parts)
		var list []Param
		for i, part := range packed.parts {
			list = append(list, Param{Name: before + part + after, Shape: shape, Values: p.Values[i*n : (i+1)*n]})
		}
		return list
	}
	return []Param{*p}
}

// kind is the type that the tensor is written in.
func (p *Param) kind(matrices quant.Type) quant.Type {
	small := len(p.Shape) != 2 || slices.ContainsFunc([]string{"mem_fuse.", "mem_conv.", "mem_initial.", "mem_pool_q."}, func(part string) bool {
		return strings.Contains(p.Name, part)
	})
	if small || p.Shape[1]%matrices.BlockLen() != 0 {
		return quant.F32
	}
	return matrices
}

// reversed is a shape with the fastest dimension first.
func reversed(shape []int) []int {
	shape = slices.Clone(shape)
	slices.Reverse(shape)
	return shape
}

// metadata describes the model: see package model for what the keys mean.
func (m *Model) metadata(e Export) (*weights.Metadata, error) {
	s, md := m.Shape, new(weights.Metadata)
	set := func(key string, value any) error { return md.Set(key, value) }
	err := errors.Join(
		set("general.architecture", "mneme"),
		set("general.name", e.Name),
		set("mneme.block_count", uint32(s.Layers)),
		set("mneme.context_length", uint32(e.Context)),
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

// describe says what attention sees.
func (s Shape) describe(set func(key string, value any) error) error {
	switch {
	case s.Sight.Window > 0:
		return errors.Join(set("mneme.attention.kind", "window"), set("mneme.attention.sliding_window", uint32(s.Sight.Window)))
	case s.Sight.Chunk > 0:
		return errors.Join(set("mneme.attention.kind", "chunked"), set("mneme.attention.chunk_length", uint32(s.Sight.Chunk)))
	}
	return set("mneme.attention.kind", "full")
}
