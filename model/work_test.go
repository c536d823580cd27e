package model

import (
	"strings"
	"testing"

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
					got, err := m.Work(quant.F16, context, logits)
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

func TestWorkRefuses(t *testing.T) {
	m := synthModel(t, "phi3-tiny", quant.F32) // heads of 16
	if _, err := m.Work(quant.F16, -1, true); err == nil {
		t.Error("a negative context was accepted")
	}
	if _, err := m.Work(quant.Q8_0, 1, true); err == nil {
		t.Error("rows of half a block were accepted")
	}
}
