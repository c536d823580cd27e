package model

import (
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// matrices adds up what a file's tensors say: those with logits, and those without the output's.
func matrices(f *weights.File, experts, used int) (with, without Work) {
	_, untied := f.Tensor("output.weight")
	for _, t := range f.Tensors() {
		if len(t.Shape) < 2 || t.Name == "token_embd.weight" && untied {
			continue
		}
		part := Work{WeightBytes: int64(len(t.Data))}
		ops := 2 * int64(t.Elements())
		if strings.Contains(t.Name, "_exps") {
			part.WeightBytes = part.WeightBytes * int64(used) / int64(experts)
			ops = ops * int64(used) / int64(experts)
		}
		if t.Type.BlockLen() > 1 {
			part.Int8Ops = ops
		} else {
			part.FloatOps = ops
		}
		with = sum(with, part)
		if !strings.HasPrefix(t.Name, "output.") && !strings.HasPrefix(t.Name, "token_embd.") {
			without = sum(without, part)
		}
	}
	return with, without
}

func sum(a, b Work) Work {
	return Work{a.WeightBytes + b.WeightBytes, a.CacheBytes + b.CacheBytes, a.Int8Ops + b.Int8Ops, a.FloatOps + b.FloatOps}
}

func TestWorkIsTheFilesMatrices(t *testing.T) {
	for _, name := range tinyShapes {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			f := synthFile(t, name, typ)
			m, err := Load(f)
			if err != nil {
				t.Fatal(err)
			}
			with, without := matrices(f, m.Experts, m.ExpertsUsed)
			for _, context := range []int{0, 1, 40, 100, 5000} {
				row := int64(0)
				for _, dim := range []int{m.KeyDim, m.ValueDim} {
					bytes, err := quant.F16.RowBytes(dim)
					if err != nil {
						t.Fatal(err)
					}
					row += int64(m.KVHeads * bytes)
				}
				cache := int64(0)
				for i := range m.Layers {
					seen := int64(context)
					if w := m.layers[i].window; w > 0 {
						seen = min(seen, int64(w))
					}
					cache += row * seen
				}
				for logits, want := range map[bool]Work{true: with, false: without} {
					want.CacheBytes = cache
					got, err := m.Work(quant.F16, nil, context, logits)
					if err != nil {
						t.Fatal(err)
					}
					if got != want {
						t.Errorf("%s, %s, context %d, logits %v: %+v, want %+v", name, typ, context, logits, got, want)
					}
				}
			}
			if block := kernels.FormOf(typ)&kernels.FormQ8 != 0; with.Int8Ops > 0 != block {
				t.Errorf("%s, %s: %+v", name, typ, with)
			}
		}
	}
}

// What a token retrieves goes through five matrices that the token, or what attention makes of it, meets as well.
func TestWorkOfContext(t *testing.T) {
	for name, again := range map[string][]string{"mneme-mag-tiny": nil, "mneme-mac-tiny": {"attn_k", "attn_v", "mem_q", "mem_out_gate", "mem_output"}} {
		f := synthFile(t, name, quant.F32)
		m := load(t, f)
		var want Work
		for _, x := range f.Tensors() {
			name, inLayer := strings.CutPrefix(x.Name, "blk.")
			tensor := strings.TrimSuffix(name[strings.Index(name, ".")+1:], ".weight")
			if !inLayer || len(x.Shape) != 2 || tensor == "mem_conv" || tensor == "mem_persistent" {
				continue
			}
			want.WeightBytes += int64(len(x.Data))
			want.FloatOps += 2 * int64(x.Elements())
			if slices.Contains(again, tensor) {
				want.FloatOps += 2 * int64(x.Elements())
			}
		}
		got, err := m.Work(quant.F16, nil, 0, false)
		if err != nil || got != want {
			t.Errorf("%s: %+v, want %+v, %v", name, got, want, err)
		}
	}
}

func TestWorkRefuses(t *testing.T) {
	m := synthModel(t, "phi3-tiny", quant.F32) // heads of 16
	if _, err := m.Work(quant.F16, nil, -1, true); err == nil {
		t.Error("a negative context was accepted")
	}
	if _, err := m.Work(quant.Q8_0, nil, 1, true); err == nil {
		t.Error("rows of half a block were accepted")
	}
}

// Of the rows in the cache count those that a method has the token read.
func TestWorkByMethod(t *testing.T) {
	m := synthModel(t, "mneme-tiny", quant.F32) // a window of 24 in the first layer, none in the second
	row := int64(2 * 2 * m.KVHeads * m.KeyDim)
	for _, c := range []struct {
		method        string
		budget        int
		context       int
		first, second int64
	}{
		{"full", 0, 100, 24, 100},
		{"full", 0, 10, 10, 10},
		{"chunked:chunk=64", 0, 100, 24, 36},
		{"chunked:chunk=64", 0, 128, 24, 64},
		{"chunked:chunk=64", 0, 129, 1, 1},
		{"chunked:chunk=16,layers=gl", 0, 101, 24, 5},
		{"chunked:window=7", 0, 101, 7, 7},
		{"chunked:window=70,layers=lg", 0, 101, 24, 101},
		{"retrieval", 256, 100, 24, 100},
		{"retrieval", 256, 10000, 24, 256},
		{"retrieval", 256, 0, 0, 0},
	} {
		method, err := attention.NewMethod(c.method, c.budget)
		if err != nil {
			t.Fatal(err)
		}
		w, err := m.Work(quant.F16, method, c.context, true)
		if want := row * (c.first + c.second); err != nil || w.CacheBytes != want {
			t.Errorf("%s, context %d: %d bytes of rows, want %d, %v", c.method, c.context, w.CacheBytes, want, err)
		}
	}
	landmark, err := attention.NewMethod("landmark", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Work(quant.F16, landmark, 100, true); err == nil {
		t.Error("landmarks without landmarks were accepted")
	}
	marked, err := Load(edited(t, synthFile(t, "mneme-tiny", quant.F32), edit{set: landmarks()}))
	if err != nil {
		t.Fatal(err)
	}
	for context, rows := range map[int]int64{1: 1, 16: 17, 100: 106, 10000: 9 * 17} {
		if w, err := marked.Work(quant.F16, nil, context, true); err != nil || w.CacheBytes != 2*row*rows {
			t.Errorf("landmarks, context %d: %d bytes of rows, want %d, %v", context, w.CacheBytes, 2*row*rows, err)
		}
	}
}
