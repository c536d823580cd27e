package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme"
	"github.com/mneme-lm/mneme/weights"
)

type moduleJSON struct {
	Kind       string  `json:"kind"`
	Layers     []int32 `json:"layers"`
	Tensors    int     `json:"tensors"`
	Parameters int64   `json:"parameters"`
	Bytes      int64   `json:"bytes"`
	StateBytes int64   `json:"state_bytes"`
	StateError string  `json:"state_error"`
}

// fifoTiny is a random model with a memory of chunks.
func fifoTiny(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo.gguf")
	succeed(t, "synth", "mneme-fifo-tiny", path, "--type", "F32")
	return path
}

func TestInspectNamesMemories(t *testing.T) {
	path := fifoTiny(t)
	plan, err := openModel(t, path).Plan(1<<20, mneme.WithMemory("fifo"))
	if err != nil {
		t.Fatal(err)
	}
	const d = 64
	parameters := int64(2*3*4 + 10*d*d + 5*d) // paths of both layers; matrices, norms and the gate's bias
	r := decode[inspectJSON](t, succeed(t, "inspect", path, "--json"))
	if len(r.Memory) != 1 {
		t.Fatalf("%+v", r)
	}
	if x := r.Memory[0]; x.Kind != "fifo" || !slices.Equal(x.Layers, []int32{1}) || x.Tensors != 11 || x.Parameters != parameters || x.Bytes != 4*parameters || x.StateBytes != plan.StateBytes || x.StateError != "" {
		t.Errorf("%+v, want %d parameters and %d bytes of state", x, parameters, plan.StateBytes)
	}
	if out := succeed(t, "inspect", path); !strings.Contains(out, "Memory: fifo in layers 1, 11 tensors, 41304 parameters") || !strings.Contains(out, "state is") {
		t.Errorf("printed %q", out)
	}
	if plain := decode[inspectJSON](t, succeed(t, "inspect", tinyModel(t), "--json")); plain.Memory == nil || len(plain.Memory) != 0 {
		t.Errorf("%+v", plain)
	}
	if out := succeed(t, "inspect", tinyModel(t)); strings.Contains(out, "Memory") {
		t.Errorf("printed %q", out)
	}
	odd := variant(t, "odd.gguf", func(md *weights.Metadata) {
		md.Set("general.architecture", "made-up")
		md.Set("made-up.memory.kind", "elephant\x1b[31m")
		layers := make([]int32, 300)
		for i := range layers {
			layers[i] = int32(i)
		}
		md.Set("made-up.memory.elephant\x1b[31m.layers", layers)
	})
	x := decode[inspectJSON](t, succeed(t, "inspect", odd, "--json")).Memory
	if len(x) != 1 || x[0].StateBytes != 0 || !strings.Contains(x[0].StateError, "made-up") || len(x[0].Layers) != 300 {
		t.Errorf("a model that cannot be run: %+v", x)
	}
	if out := succeed(t, "inspect", odd); !strings.Contains(out, "Memory: elephant") || strings.Contains(out, "\x1b") ||
		!strings.Contains(out, "cannot be told: ") || !strings.Contains(out, "0, 1, 2, ") || !strings.Contains(out, "…, 0 tensors") {
		t.Errorf("printed %q", out)
	}
	if out := succeed(t, "inspect", odd, "--full"); !strings.Contains(out, "298, 299, 0 tensors") {
		t.Errorf("printed %q", out)
	}
}

// A plan of a model with a memory of chunks does not grow with the text.
func TestPlanOfBoundedMemory(t *testing.T) {
	path := fifoTiny(t)
	short := decode[planJSON](t, succeed(t, "plan", "-m", path, "--ctx", "4096", "--json"))
	long := decode[planJSON](t, succeed(t, "plan", "-m", path, "--ctx", "1000000", "--json"))
	if *short.KV != *long.KV || *short.State != *long.State || *short.Scratch != *long.Scratch || *short.KV == 0 || *short.State == 0 {
		t.Errorf("%d, %d and %d bytes for 4096 tokens, %d, %d and %d for a million", *short.KV, *short.State, *short.Scratch, *long.KV, *long.State, *long.Scratch)
	}
}

func TestBenchWithMemory(t *testing.T) {
	r := decode[benchJSON](t, succeed(t, "bench", "-m", fifoTiny(t), "--prompt", "20", "--gen", "3", "--depth", "0,1024,65536", "--repeat", "1", "--read-mib", "1", "--json"))
	if len(r.Rows) != 6 || r.Rows[5].Test != "tg3@d65536" || !(r.Rows[5].TokensPerSecond > 0) {
		t.Errorf("%+v", r)
	}
}
