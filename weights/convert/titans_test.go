package convert

import (
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

const titansConfig = `{"V": 11, "d": 8, "L": 2, "H": 2, "h": 6, "W": 5, "memlayers": [1], "variant": "seq", "mem": {"H": 2, "dm": 3, "C": 4, "kind": "linear"}}`

// titansTensors are those of titansConfig.
func titansTensors() []made {
	list := prototypeTensors()
	b := "bl.1."
	return append(list, random(b+"n3.w", 8), random(b+"lm.qkv.weight", 18, 8), random(b+"lm.cw", 18, 1, 4), random(b+"lm.gt.weight", 6, 8),
		random(b+"lm.gt.bias", 6), random(b+"lm.M0", 2, 3, 3), random(b+"lm.on", 6), random(b+"lm.og.weight", 6, 8), random(b+"lm.o.weight", 8, 6))
}

func TestPrototypeTitans(t *testing.T) {
	tensors := titansTensors()
	values := map[string][]float32{}
	for _, x := range tensors {
		values[x.Name] = x.Values
	}
	qkv := values["bl.1.lm.qkv.weight"]
	for _, typ := range Types() {
		f := converted(t, writePrototype(t, titansConfig, tensors), typ)
		const prefix = "mneme.memory.neural."
		checkMetadata(t, f, map[string]any{
			"general.architecture": "mneme", "mneme.context_length": uint32(512), "mneme.attention.kind": "window", "mneme.attention.sliding_window": uint32(5),
			"mneme.memory.kind": "neural", prefix + "variant": "lmm", prefix + "head_count": uint32(2), prefix + "head_length": uint32(3),
			prefix + "depth": uint32(1), prefix + "chunk": uint32(4), prefix + "momentum": true, prefix + "momentum_max": float32(.999),
			prefix + "convolution": uint32(4), prefix + "layer_norm_rms_epsilon": float32(1e-5),
		})
		if layers, ok := f.Metadata().Int32s(prefix + "layers"); !ok || !slices.Equal(layers, []int32{1}) {
			t.Errorf("layers %v", layers)
		}
		for name, c := range map[string]struct {
			shape  []int
			values []float32
		}{
			"blk.1.mem_norm.weight":      {[]int{8}, values["bl.1.n3.w"]},
			"blk.1.mem_q.weight":         {[]int{8, 6}, qkv[:48]},
			"blk.1.mem_k.weight":         {[]int{8, 6}, qkv[48:96]},
			"blk.1.mem_v.weight":         {[]int{8, 6}, qkv[96:]},
			"blk.1.mem_conv.weight":      {[]int{4, 18}, values["bl.1.lm.cw"]},
			"blk.1.mem_gates.weight":     {[]int{8, 6}, values["bl.1.lm.gt.weight"]},
			"blk.1.mem_gates.bias":       {[]int{6}, values["bl.1.lm.gt.bias"]},
			"blk.1.mem_initial.0.weight": {[]int{3, 3, 2}, values["bl.1.lm.M0"]},
			"blk.1.mem_read_norm.weight": {[]int{6}, values["bl.1.lm.on"]},
			"blk.1.mem_out_gate.weight":  {[]int{8, 6}, values["bl.1.lm.og.weight"]},
			"blk.1.mem_output.weight":    {[]int{6, 8}, values["bl.1.lm.o.weight"]},
		} {
			checkTensor(t, f, name, quant.F32, c.shape, c.values)
		}
		checkTensor(t, f, "blk.1.ffn_down.weight", typ, []int{6, 8}, values["bl.1.m.w2.weight"])
		if n := len(f.Tensors()); n != 3+2*12+11 {
			t.Errorf("%d tensors", n)
		}
	}
}

func TestPrototypeTitansRefused(t *testing.T) {
	for change, want := range map[[2]string]string{
		{`"W": 5, `, ``}:                   "W: missing",
		{`"seq"`, `"mac"`}:                 `"mac" is not supported`,
		{`[1]`, `[]`}:                      "memlayers",
		{`[1]`, `[2]`}:                     "memlayers: [2] of 2 layers",
		{`[1]`, `[-1]`}:                    "memlayers",
		{`[1]`, `1`}:                       "memlayers",
		{`[1]`, `[0, 1]`}:                  "bl.0.n3.w",
		{`"linear"`, `"mlp"`}:              `"mlp" is not supported`,
		{`"kind"`, `"rank": 2, "kind"`}:    "rank",
		{`"dm": 3`, `"dm": 4`}:             "bl.1.lm.qkv.weight",
		{`"C": 4, `, ``}:                   "C: missing",
		{`{"H": 2, "dm"`, `{"H": 0, "dm"`}: "H: 0",
		{`, "mem": {"H": 2, "dm": 3, "C": 4, "kind": "linear"}`, ``}: "mem: missing",
		{`{"H": 2, "dm": 3, "C": 4, "kind": "linear"}`, `[1]`}:       "mem: ",
		{`"W"`, `"mode": "full", "W"`}:                               "mode",
	} {
		refused(t, writePrototype(t, strings.Replace(titansConfig, change[0], change[1], 1), titansTensors()), want)
	}
	refused(t, writePrototype(t, titansConfig, prototypeTensors()), "bl.1.n3.w")
}
