package model

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
	"github.com/mneme-lm/mneme/weights/synth"
)

// tinyShapes has one random model for each architecture, and one with experts.
var tinyShapes = []string{"llama-tiny", "moe-tiny", "qwen2-tiny", "qwen3-tiny", "gemma2-tiny", "phi3-tiny", "mneme-tiny"}

// shapes returns tinyShapes, or two of them for a short run.
func shapes() []string {
	if testing.Short() {
		return tinyShapes[:2]
	}
	return tinyShapes
}

// allShapes are those and some with memories, which methods and policies are not for.
func allShapes() []string {
	return append(slices.Clone(shapes()), "mneme-fifo-tiny", "mneme-lmm-tiny", "mneme-mag-tiny", "mneme-mal-tiny", "mneme-mac-tiny")
}

// synthFile makes a random model in memory.
func synthShape(t testing.TB, name string) synth.Shape {
	t.Helper()
	shape, err := synth.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	return shape
}

func fileOf(t testing.TB, shape synth.Shape, typ quant.Type) *weights.File {
	t.Helper()
	var buf bytes.Buffer
	if err := synth.WriteTo(context.Background(), &buf, shape, typ, 1); err != nil {
		t.Fatal(err)
	}
	f, err := weights.Parse(buf.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func synthFile(t testing.TB, name string, typ quant.Type) *weights.File {
	t.Helper()
	return fileOf(t, synthShape(t, name), typ)
}

func modelOf(t testing.TB, f *weights.File) *Model {
	t.Helper()
	m, err := Load(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func synthModel(t testing.TB, name string, typ quant.Type) *Model {
	t.Helper()
	return modelOf(t, synthFile(t, name, typ))
}

func newRunner(t testing.TB, m *Model, threads int) *Runner {
	t.Helper()
	impl, err := kernels.Choose("")
	if err != nil {
		t.Fatal(err)
	}
	r := NewRunner(m, impl, threads)
	t.Cleanup(r.Close)
	return r
}

// text makes n tokens.
func text(n, seed int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		seed = (seed*1103515245 + 12345) & (1<<31 - 1)
		ids[i] = int32(3 + seed>>8%500)
	}
	return ids
}
