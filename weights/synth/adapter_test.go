package synth

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

func tinyAdapters(t testing.TB) map[string]Adapter {
	backbone := lookup(t, "qwen3-tiny")
	return map[string]Adapter{
		"fifo":   {Backbone: backbone, Fingerprint: "of the model", Fifo: TinyFifo, Layers: []int{1}, Window: 8, Context: 64},
		"neural": {Backbone: backbone, Fingerprint: "of the model", Neural: TinyNeural},
	}
}

// TestAdapters holds adapters' files against what they are said to have.
func TestAdapters(t *testing.T) {
	for name, a := range tinyAdapters(t) {
		for _, kind := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			var out, again bytes.Buffer
			if err := a.WriteTo(t.Context(), &out, kind, 3); err != nil {
				t.Fatal(err)
			}
			if err := a.WriteTo(t.Context(), &again, kind, 3); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
				t.Fatalf("%s, %v: two files of one seed; %v", name, kind, err)
			}
			f := parse(t, out.Bytes())
			md := f.Metadata()
			for key, want := range map[string]string{
				"general.type": "adapter", "adapter.type": "memory", "general.architecture": "qwen3", "adapter.backbone.fingerprint": "of the model",
				"mneme.memory.kind": name,
			} {
				if got, _ := md.String(key); got != want {
					t.Errorf("%s: %s is %q, want %q", name, key, got, want)
				}
			}
			window, _ := md.Uint("mneme.attention.sliding_window")
			layers, _ := md.Int32s("mneme.memory." + name + ".layers")
			if int(window) != a.Window || name == "fifo" && len(layers) != 1 || name == "neural" && len(layers) != a.Backbone.Layers {
				t.Errorf("%s: window %d, layers %v", name, window, layers)
			}
			for _, tensor := range f.Tensors() {
				if !strings.Contains(tensor.Name, ".mem_") || name == "fifo" && !strings.HasPrefix(tensor.Name, "blk.1.") {
					t.Errorf("%s: tensor %s", name, tensor.Name)
				}
			}
			if output, ok := f.Tensor("blk.1.mem_output.weight"); !ok || output.Type != kind || output.Shape[1] != a.Backbone.Embedding {
				t.Errorf("%s: %+v", name, output)
			}
		}
	}
}

func TestZeroAdapter(t *testing.T) {
	for name, a := range tinyAdapters(t) {
		a.Zero = true
		var out bytes.Buffer
		if err := a.WriteTo(t.Context(), &out, quant.F16, 3); err != nil {
			t.Fatal(err)
		}
		output, ok := parse(t, out.Bytes()).Tensor("blk.1.mem_output.weight")
		if !ok {
			t.Fatal(name)
		}
		values := make([]float32, output.Elements())
		if err := quant.Decode(output.Type, values, output.Data); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if v != 0 {
				t.Fatalf("%s: %v", name, v)
			}
		}
	}
}

func TestRefusesAdapters(t *testing.T) {
	for name, spoil := range map[string]func(*Adapter){
		"no memory":        func(a *Adapter) { a.Neural = Neural{} },
		"two memories":     func(a *Adapter) { a.Fifo = TinyFifo },
		"another variant":  func(a *Adapter) { a.Neural.Variant = "mac" },
		"persistent":       func(a *Adapter) { a.Neural.Persistent = 1 },
		"no heads":         func(a *Adapter) { a.Neural.Heads = 0 },
		"layer beyond":     func(a *Adapter) { a.Layers = []int{2} },
		"layer twice":      func(a *Adapter) { a.Layers = []int{1, 1} },
		"negative window":  func(a *Adapter) { a.Window = -1 },
		"second path":      func(a *Adapter) { a.Fifo, a.Neural = Fifo{Chunk: 8, Window: 2, Slots: 2, PerChunk: 1}, Neural{} },
		"half a chunk":     func(a *Adapter) { a.Fifo, a.Neural = Fifo{Chunk: 8, Slots: 3, PerChunk: 2}, Neural{} },
		"bad backbone":     func(a *Adapter) { a.Backbone.Layers = 0 },
		"backbone's own":   func(a *Adapter) { a.Backbone = lookup(t, "mneme-lmm-tiny") },
		"negative context": func(a *Adapter) { a.Context = -1 },
	} {
		a := tinyAdapters(t)["neural"]
		spoil(&a)
		if err := a.WriteTo(t.Context(), new(bytes.Buffer), quant.F32, 1); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
