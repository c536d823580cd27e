package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// tinyAdapter writes a random adapter for the small model.
func tinyAdapter(t testing.TB, kind string, window int) string {
	t.Helper()
	shape, err := tinyShape()
	if err != nil {
		t.Fatal(err)
	}
	print, err := openModel(t, tinyModel(t)).Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	a := synth.Adapter{Backbone: shape, Fingerprint: print, Window: window, Layers: []int{1}, Context: trained}
	if kind == "fifo" {
		a.Fifo = synth.TinyFifo
	} else {
		a.Neural = synth.TinyNeural
	}
	path := filepath.Join(t.TempDir(), kind+".gguf")
	if err := a.Write(t.Context(), path, quant.F32, 1); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAdapters has commands run a model with an adapter, and sessions belong to it.
func TestAdapters(t *testing.T) {
	model := tinyModel(t)
	fails := func(say string, args ...string) {
		t.Helper()
		refused(t, infer(args...), exitFailure, say, args)
	}
	for _, kind := range []string{"fifo", "neural"} {
		adapter := tinyAdapter(t, kind, 16)
		generate := func(more ...string) string {
			args := append([]string{"run", "-m", model, "-p", "once upon a time in a town by the sea", "-n", "20", "--temp", "0", "--ignore-eos", "--json"}, more...)
			return decode[runJSON](t, succeed(t, args...)).Text
		}
		plain, with, without := generate(), generate("--adapter", adapter), generate("--adapter", adapter, "--memory", "none")
		if plain == with || with == without || plain == without {
			t.Errorf("%s: %q, with the adapter %q, without its memory %q", kind, plain, with, without)
		}
		session := filepath.Join(t.TempDir(), "session")
		if again := generate("--adapter", adapter, "--session", session); again != with {
			t.Errorf("%s: %q, to be saved %q", kind, with, again)
		}
		fails("with adapter memory for llama-tiny", "run", "-m", model, "-p", "once", "-n", "1", "--session", session)
		for _, command := range [][]string{
			{"logits", "-p", "once upon"}, {"perplexity", "-f", writeFile(t, "text.txt", strings.Repeat("once upon a time in a town by the sea ", 20))}, {"bench", "--prompt", "20", "--gen", "2", "--depth", "0,300", "--repeat", "1", "--read-mib", "1"}, {"plan"},
		} {
			succeed(t, append(command, "-m", model, "--adapter", adapter, "--json")...)
		}
		short := decode[planJSON](t, succeed(t, "plan", "-m", model, "--adapter", adapter, "--ctx", "4096", "--json"))
		long := decode[planJSON](t, succeed(t, "plan", "-m", model, "--adapter", adapter, "--ctx", "1000000", "--json"))
		if *short.KV != *long.KV || *short.State != *long.State || *short.Scratch != *long.Scratch || *short.KV == 0 || *short.State == 0 {
			t.Errorf("%s: %d, %d and %d bytes for 4096 tokens, %d, %d and %d for a million", kind, *short.KV, *short.State, *short.Scratch, *long.KV, *long.State, *long.Scratch)
		}

		if r := decode[askJSON](t, askTiny(t, askArgs(t, writeFile(t, "history.jsonl", said(24)), "-p", "the boat?", "--adapter", adapter, "--json")...)); !r.complete() || *r.Memory.StateBytes < *short.State {
			t.Errorf("%s: %+v", kind, r)
		}

		r := decode[inspectJSON](t, succeed(t, "inspect", adapter, "--json"))
		if len(r.Memory) != 1 || r.Memory[0].Kind != kind || !slices.Equal(r.Memory[0].Layers, []int32{1}) || r.Memory[0].StateBytes != *short.State || r.Memory[0].StateError != "" {
			t.Errorf("%s: %+v", kind, r.Memory)
		}
		if out := succeed(t, "inspect", adapter); !strings.Contains(out, "Memory: "+kind+" in layers 1") || !strings.Contains(out, "adapter.backbone.fingerprint") {
			t.Errorf("printed %q", out)
		}
		broken := rewrite(t, adapter, "broken.gguf", func(md *weights.Metadata) { md.Set("mneme.memory."+kind+".layers", "all") }, nil)
		if x := decode[inspectJSON](t, succeed(t, "inspect", broken, "--json")).Memory; len(x) != 1 || !strings.Contains(x[0].StateError, "layers") {
			t.Errorf("%+v", x)
		}
		fails("a model and its adapter are two files", "run", "-m", adapter, "-p", "once", "-n", "1")
		fails("a model and its adapter are two files", "run", "-m", model, "--adapter", model, "-p", "once", "-n", "1")
		fails("the adapter is for another model", "plan", "-m", fifoTiny(t), "--adapter", adapter)
		fails("no memory of kind", "run", "-m", model, "--adapter", adapter, "--memory", map[string]string{"fifo": "neural", "neural": "fifo"}[kind], "-p", "once", "-n", "1")
	}
}
