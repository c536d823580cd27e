package synth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Adapter is memories that are trained for a model of some shape, and stand before the blocks of some of its layers: one kind
// of memory.
type Adapter struct {
	Backbone    Shape
	Fingerprint string // of the model's file, as mneme.Model.Fingerprint tells it
	Fifo        Fifo   // without a second path, which a Window would be for
	Neural      Neural // of variant lmm, without persistent tokens
	Layers      []int  // that have a memory; nil: all
	Window      int    // that all layers' attention is narrowed to; 0: none
	Context     int    // tokens that the metadata promise
	Zero        bool   // what is read of the memories is multiplied by zeros, as where training begins
}

// TinyFifo and TinyNeural are memories for backbones of tests.
var (
	TinyFifo   = Fifo{Chunk: 8, Slots: 6, PerChunk: 2}
	TinyNeural = Neural{Variant: "lmm", Heads: 2, HeadDim: 32, Depth: 2, Expansion: 2, Chunk: 8, Convolution: 4}
)

// Write writes a random adapter to a file that appears under its name when it is complete. See [Write] for types and seeds.
func (a Adapter) Write(ctx context.Context, path string, t quant.Type, seed uint64) error {
	f, err := a.declare(t, seed)
	if err != nil {
		return err
	}
	return f.write(ctx, path, nil)
}

// WriteTo writes to out what Write writes to a file.
func (a Adapter) WriteTo(ctx context.Context, out io.Writer, t quant.Type, seed uint64) error {
	f, err := a.declare(t, seed)
	if err != nil {
		return err
	}
	return f.writeTo(ctx, out)
}

func (a Adapter) declare(t quant.Type, seed uint64) (*random, error) {
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("synth: adapter: %w", err)
	}
	md, err := a.metadata(t, seed)
	if err != nil {
		return nil, fmt.Errorf("synth: adapter: %w", err)
	}
	return &random{metadata: md, tensors: a.tensors(), kind: t, seed: seed}, nil
}

func (a Adapter) validate() error {
	if err := a.Backbone.validate(); err != nil {
		return err
	}
	for i, layer := range a.Layers {
		if layer < 0 || layer >= a.Backbone.Layers || i > 0 && layer <= a.Layers[i-1] {
			return fmt.Errorf("layers %v of %d", a.Layers, a.Backbone.Layers)
		}
	}
	switch {
	case a.Backbone.Fifo != (Fifo{}) || a.Backbone.Neural != (Neural{}):
		return fmt.Errorf("shape %q has a memory of its own", a.Backbone.Name)
	case (a.Fifo == (Fifo{})) == (a.Neural == (Neural{})):
		return errors.New("want one kind of memory")
	case a.Window < 0 || a.Window > largest || a.Context < 0 || a.Context > largest:
		return fmt.Errorf("a window of %d, a context of %d", a.Window, a.Context)
	case a.Fifo != (Fifo{}) && a.Fifo.Window != 0:
		return fmt.Errorf("memory %+v: a second path", a.Fifo)
	case a.Fifo != (Fifo{}):
		return a.Fifo.validate()
	case a.Neural.Variant != "lmm" || a.Neural.Persistent != 0:
		return fmt.Errorf("memory %+v: want variant lmm without persistent tokens", a.Neural)
	}
	return a.Neural.validate()
}

func (a Adapter) layers() []int32 {
	if a.Layers == nil {
		return a.Backbone.allLayers()
	}
	var list []int32
	for _, layer := range a.Layers {
		list = append(list, int32(layer))
	}
	return list
}

// shape is the backbone's with the memory, whose parameters and tensors are then those of a layer of architecture mneme.
func (a Adapter) shape() Shape {
	s := a.Backbone
	s.Fifo, s.Neural = a.Fifo, a.Neural
	return s
}

func (a Adapter) metadata(t quant.Type, seed uint64) (*weights.Metadata, error) {
	pairs := []pair{{"context_length", uint32(max(a.Context, 1))}}
	if a.Window > 0 {
		pairs = append(pairs, pair{"attention.sliding_window", uint32(a.Window)})
	}
	if a.Fifo != (Fifo{}) {
		pairs = append(pairs, pair{"memory.fifo.chunk", uint32(a.Fifo.Chunk)})
		pairs = append(pairs, a.shape().bankParameters(a.layers())...)
	} else {
		pairs = append(pairs, a.Neural.parameters(a.layers())...)
		pairs = append(pairs, pair{"memory.neural.step_max", float32(adapterStep)})
	}
	md := new(weights.Metadata)
	for _, p := range []pair{
		{"general.architecture", a.Backbone.Arch}, {"general.type", "adapter"},
		{"general.name", fmt.Sprintf("memory for %s (random, seed %d)", a.Backbone.Name, seed)},
		{"adapter.type", "memory"}, {"adapter.backbone.fingerprint", a.Fingerprint},
	} {
		if err := md.Set(p.key, p.value); err != nil {
			return nil, err
		}
	}
	for _, p := range pairs {
		if err := md.Set("mneme."+p.key, p.value); err != nil {
			return nil, err
		}
	}
	return md, weights.SetFileType(md, t)
}

// The sigmoids of gates of memories that learn are taken of numbers around adapterGate: with a decay of a half, what was drawn would be
// forgotten after a few dozen tokens, and deep networks of zeros learn nothing more. adapterStep is the most that a step may then be.
const (
	adapterGate = -5
	adapterStep = .2
)

func (a Adapter) tensors() (list []tensor) {
	s := a.shape()
	for _, layer := range a.layers() {
		module := s.neuralTensors()
		if a.Fifo != (Fifo{}) {
			module = slices.Concat([]tensor{norm("mem_input_norm.weight", s.Embedding)}, s.bankTensors(),
				[]tensor{matrix("mem_output.weight", s.Heads*s.headDim(), s.Embedding)})
		}
		for _, x := range module {
			switch {
			case a.Zero && x.name == "mem_output.weight":
				x.deviation = 0
			case x.name == "mem_gates.bias":
				x.mean = adapterGate
			}
			x.name = fmt.Sprintf("blk.%d.%s", layer, x.name)
			list = append(list, x)
		}
	}
	return list
}
