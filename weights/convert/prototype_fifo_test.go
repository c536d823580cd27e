package convert

import (
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

const fifoConfig = `{"V": 11, "d": 8, "L": 2, "H": 2, "h": 6, "Tc": 12, "C": 4, "m": 6, "memlayers": [1], "ns": 2, "pool": "query", "read": "heads", "gate": "simple", "fuse": "head", "src": "in"}`

// fifoTensors are those of fifoConfig.
func fifoTensors() []made {
	list := []made{random("e.weight", 11, 8)}
	for _, b := range []string{"bl.0.", "bl.1."} {
		list = append(list, random(b+"n1.w", 8), random(b+"n2.w", 8), random(b+"qkv.weight", 24, 8), random(b+"qkv.bias", 24),
			random(b+"o.weight", 8, 8), random(b+"ff.w1.weight", 12, 8), random(b+"ff.w2.weight", 8, 6), random(b+"lam", 3, 2))
	}
	for _, name := range []string{"U", "W", "km", "qm", "vm", "pk", "pv"} {
		list = append(list, random("bl.1."+name+".weight", 8, 8))
	}
	list = append(list, random("bl.1.W.bias", 8), random("bl.1.nm.w", 8), random("bl.1.np.w", 8), random("bl.1.pq", 2, 8))
	return append(list, random("nf.w", 8), random("head.weight", 11, 8))
}

func TestPrototypeFifo(t *testing.T) {
	tensors := fifoTensors()
	values := map[string][]float32{}
	for _, x := range tensors {
		values[x.Name] = x.Values
	}
	f := converted(t, writePrototype(t, fifoConfig, tensors), quant.F32)
	checkMetadata(t, f, map[string]any{
		"mneme.attention.kind": "chunked", "mneme.attention.chunk_length": uint32(12), "mneme.memory.kind": "fifo", "mneme.memory.fifo.window": uint32(4),
		"mneme.memory.fifo.slots": uint32(6), "mneme.memory.fifo.chunk_slots": uint32(2), "mneme.memory.fifo.gate": "simple",
		"mneme.memory.fifo.pooling": "query", "mneme.memory.fifo.head_count": uint32(2),
	})
	if layers, ok := f.Metadata().Int32s("mneme.memory.fifo.layers"); !ok || len(layers) != 1 || layers[0] != 1 {
		t.Errorf("layers with a memory: %v", layers)
	}
	square := []int{8, 8}
	for name, c := range map[string]struct {
		shape []int
		from  string
	}{
		"blk.0.mem_fuse.weight": {[]int{2, 3}, "bl.0.lam"}, "blk.1.mem_fuse.weight": {[]int{2, 3}, "bl.1.lam"}, "blk.1.ffn_down.weight": {[]int{6, 8}, "bl.1.ff.w2.weight"},
		"blk.1.attn_output.weight": {square, "bl.1.o.weight"}, "blk.1.mem_q.weight": {square, "bl.1.qm.weight"}, "blk.1.mem_k.weight": {square, "bl.1.km.weight"},
		"blk.1.mem_v.weight": {square, "bl.1.vm.weight"}, "blk.1.mem_gate_w.weight": {square, "bl.1.W.weight"}, "blk.1.mem_gate_u.weight": {square, "bl.1.U.weight"},
		"blk.1.mem_gate_w.bias": {[]int{8}, "bl.1.W.bias"}, "blk.1.mem_norm.weight": {[]int{8}, "bl.1.nm.w"}, "blk.1.mem_pool_norm.weight": {[]int{8}, "bl.1.np.w"},
		"blk.1.mem_pool_q.weight": {[]int{8, 2}, "bl.1.pq"}, "blk.1.mem_pool_k.weight": {square, "bl.1.pk.weight"}, "blk.1.mem_pool_v.weight": {square, "bl.1.pv.weight"},
	} {
		checkTensor(t, f, name, quant.F32, c.shape, values[c.from])
	}
	if n := len(f.Tensors()); n != 3+2*13+11 {
		t.Errorf("%d tensors", n)
	}
}

func TestPrototypeFifoRefused(t *testing.T) {
	for _, c := range [][3]string{
		{`"Tc": 12`, `"Tc": 13`, "windows of 4"}, {`"m": 6`, `"m": 7`, "whole chunks"}, {`[1]`, `[2]`, "numbers of the 2 layers"}, {`[1]`, `[]`, "no layer"},
		{`[1]`, `1`, "memlayers"}, {`[1]`, `[0]`, "bl.0.np.w"}, {`"query"`, `"mean"`, `"mean" is not supported`}, {`"simple"`, `"gru"`, "gate"}, {`"heads"`, `"raw"`, "read"},
		{`"head"`, `"layer"`, "fuse"}, {`"in"`, `"out"`, "src"}, {`"C": 4`, `"C": 0`, "C: 0"}, {`"ns": 2`, `"nt": 2`, "ns: missing"}, {`"H": 2`, `"H": 3`, "3 heads"},
	} {
		refused(t, writePrototype(t, strings.Replace(fifoConfig, c[0], c[1], 1), fifoTensors()), c[2])
	}
}
