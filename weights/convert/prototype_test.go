package convert

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

const (
	fullConfig     = `{"V": 11, "d": 8, "L": 2, "H": 2, "h": 6, "mode": "full", "B": 0, "window": 0}`
	landmarkConfig = `{"V": 11, "d": 8, "L": 2, "H": 2, "h": 6, "mode": "landmark", "B": 17, "window": 0}`
)

// prototypeTensors are those of fullConfig.
func prototypeTensors() []made {
	list := []made{random("e.weight", 11, 8)}
	for _, b := range []string{"bl.0.", "bl.1."} {
		list = append(list, random(b+"n1.w", 8), random(b+"n2.w", 8), random(b+"a.qkv.weight", 24, 8), random(b+"a.qkv.bias", 24),
			random(b+"a.o.weight", 8, 8), random(b+"m.w1.weight", 12, 8), random(b+"m.w2.weight", 8, 6))
	}
	return append(list, random("nf.w", 8), random("head.weight", 11, 8))
}

func writePrototype(t testing.TB, config string, tensors []made) string {
	t.Helper()
	return writeSafetensors(t, filepath.Join(t.TempDir(), "tiny.safetensors"), map[string]string{"config": config}, tensors)
}

func TestPrototype(t *testing.T) {
	tensors := prototypeTensors()
	values := map[string][]float32{}
	for _, x := range tensors {
		values[x.Name] = x.Values
	}
	for _, typ := range Types() {
		f := converted(t, writePrototype(t, fullConfig, tensors), typ)
		checkMetadata(t, f, map[string]any{
			"general.architecture": "mneme", "general.name": "tiny", "mneme.block_count": uint32(2), "mneme.context_length": uint32(256),
			"mneme.embedding_length": uint32(8), "mneme.feed_forward_length": uint32(6), "mneme.attention.head_count": uint32(2),
			"mneme.attention.head_count_kv": uint32(2), "mneme.attention.layer_norm_rms_epsilon": float32(1e-6),
			"mneme.rope.dimension_count": uint32(4), "mneme.rope.freq_base": float32(10000), "mneme.vocab_size": uint32(11),
			"mneme.attention.kind": "full", "mneme.attention.landmark.block_length": nil,
		})
		qkv, bias, gateUp := values["bl.1.a.qkv.weight"], values["bl.1.a.qkv.bias"], values["bl.1.m.w1.weight"]
		for name, c := range map[string]struct {
			shape  []int
			values []float32
		}{
			"token_embd.weight":        {[]int{8, 11}, values["e.weight"]},
			"blk.1.attn_norm.weight":   {[]int{8}, values["bl.1.n1.w"]},
			"blk.1.attn_q.weight":      {[]int{8, 8}, qkv[:64]},
			"blk.1.attn_k.weight":      {[]int{8, 8}, qkv[64:128]},
			"blk.1.attn_v.weight":      {[]int{8, 8}, qkv[128:]},
			"blk.1.attn_q.bias":        {[]int{8}, bias[:8]},
			"blk.1.attn_k.bias":        {[]int{8}, bias[8:16]},
			"blk.1.attn_v.bias":        {[]int{8}, bias[16:]},
			"blk.1.attn_output.weight": {[]int{8, 8}, values["bl.1.a.o.weight"]},
			"blk.0.ffn_norm.weight":    {[]int{8}, values["bl.0.n2.w"]},
			"blk.1.ffn_gate.weight":    {[]int{8, 6}, gateUp[:48]},
			"blk.1.ffn_up.weight":      {[]int{8, 6}, gateUp[48:]},
			"blk.0.ffn_down.weight":    {[]int{6, 8}, values["bl.0.m.w2.weight"]},
			"output_norm.weight":       {[]int{8}, values["nf.w"]},
			"output.weight":            {[]int{8, 11}, values["head.weight"]},
		} {
			want := quant.F32
			if len(c.shape) > 1 {
				want = typ
			}
			checkTensor(t, f, name, want, c.shape, c.values)
		}
		if n := len(f.Tensors()); n != 3+2*12 {
			t.Errorf("%d tensors", n)
		}
	}
}

func TestPrototypeLandmark(t *testing.T) {
	f := converted(t, writePrototype(t, landmarkConfig, prototypeTensors()), quant.F32)
	checkMetadata(t, f, map[string]any{
		"mneme.context_length": uint32(272), "mneme.attention.kind": "landmark", "mneme.attention.landmark.block_length": uint32(16),
		"mneme.attention.landmark.token_id": uint32(2), "mneme.attention.landmark.local": uint32(64), "mneme.attention.landmark.blocks": uint32(8),
	})
}

func TestPrototypeRefused(t *testing.T) {
	config := func(from, to string) string { return strings.Replace(fullConfig, from, to, 1) }
	for config, want := range map[string]string{
		"":                                            "configuration",
		"[]":                                          "configuration",
		config(`"V": 11, `, ``):                       "V: missing",
		config(`11`, `12`):                            "e.weight",
		config(`"L": 2`, `"L": 3`):                    "bl.2.n1.w",
		config(`"L": 2`, `"L": 1`):                    "unknown tensors",
		config(`"L": 2`, `"L": 268435456`):            "bl.2.n1.w",
		config(`"L": 2`, `"L": 268435457`):            "L: 268435457",
		config(`"L": 2`, `"L": 2.5`):                  "whole number",
		config(`"L": 2`, `"L": -2`):                   "L: -2",
		config(`"H": 2`, `"H": 3`):                    "3 heads",
		config(`"H": 2`, `"H": 8`):                    "8 heads",
		config(`"H": 2`, `"H": 0`):                    "H: 0",
		config(`"full"`, `"sparse"`):                  "sparse",
		config(`"full"`, `1`):                         "mode",
		config(`"window": 0`, `"window": 64`):         "window",
		config(`"B": 0`, `"B": 17`):                   "blocks of 17",
		config(`"window": 0`, `"rotary": 1`):          "rotary",
		strings.Replace(landmarkConfig, "17", "1", 1): "blocks of 1",
		config(`"mode"`, `"Tc": 64, "mode"`):          "C: missing",
	} {
		refused(t, writePrototype(t, config, prototypeTensors()), want)
	}
	for name, change := range map[string]func([]made) []made{
		"missing": func(list []made) []made { return list[:len(list)-1] },
		"unknown": func(list []made) []made {
			return append(list, random("extra", 1), random("extra2", 1), random("extra3", 1), random("extra4", 1))
		},
		"wrong shape": func(list []made) []made { return append(list[:len(list)-1], random("head.weight", 8, 11)) },
		"integers": func(list []made) []made {
			list[len(list)-1].DType = "I32"
			return list
		},
	} {
		want := map[string]string{"missing": `"head.weight": missing`, "unknown": `and 1 more`, "wrong shape": "[8 11], want [11 8]", "integers": "type I32"}
		refused(t, writePrototype(t, fullConfig, change(prototypeTensors())), want[name])
	}
	plain := writeSafetensors(t, filepath.Join(t.TempDir(), "model.safetensors"), map[string]string{"format": "pt"}, prototypeTensors())
	refused(t, plain, "name the folder")
	refused(t, filepath.Join(t.TempDir(), "none.safetensors"), "none.safetensors")
}

func TestConvertFails(t *testing.T) {
	src := writePrototype(t, fullConfig, prototypeTensors())
	before, err := os.ReadFile(src)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Convert(t.Context(), src, src, Options{}); err == nil || !strings.Contains(err.Error(), "name another file") {
		t.Errorf("onto itself: %v", err)
	}
	if after, err := os.ReadFile(src); err != nil || !slices.Equal(before, after) {
		t.Errorf("the source has changed: %v", err)
	}
	folder := t.TempDir()
	dst := filepath.Join(folder, "out.gguf")
	if _, err := Convert(t.Context(), dst, src, Options{Type: quant.Q8_0}); err == nil || !strings.Contains(err.Error(), "Q8_0") {
		t.Errorf("in blocks: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Convert(ctx, dst, src, Options{Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := Convert(t.Context(), folder, src, Options{}); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("onto a folder: %v", err)
	}
	large := prototypeTensors()
	large[0].Values[5] = 1e6
	_, err = Convert(t.Context(), dst, writePrototype(t, fullConfig, large), Options{Type: quant.F16})
	if err == nil || !strings.Contains(err.Error(), "token_embd.weight") || !strings.Contains(err.Error(), "65504") {
		t.Errorf("beyond F16: %v", err)
	}
}

func TestProgress(t *testing.T) {
	var last, all int64
	dst := filepath.Join(t.TempDir(), "out.gguf")
	_, err := Convert(t.Context(), dst, writePrototype(t, fullConfig, prototypeTensors()), Options{Progress: func(done, total int64) {
		if done < last {
			t.Errorf("%d bytes after %d", done, last)
		}
		last, all = done, total
	}})
	if err != nil || last != all || all == 0 {
		t.Errorf("%d of %d bytes, %v", last, all, err)
	}
	f, err := weights.Open(dst)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}

func FuzzPrototype(f *testing.F) {
	f.Add(fullConfig)
	f.Add(landmarkConfig)
	f.Add(titansConfig)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePrototype(text)
		if err != nil {
			return
		}
		if p.vocabulary < 1 || p.layers < 1 || p.feedForward < 1 || p.heads < 1 || p.embedding < 2*p.heads || p.block == 1 || p.block < 0 ||
			p.titans != nil && (p.titans.window < 1 || p.titans.heads < 1 || p.titans.dim < 1 || p.titans.chunk < 1 || len(p.titans.layers) == 0) {
			t.Fatalf("%+v", p)
		}
	})
}
