package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/fifo"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// naiveFifo reads a text with a memory of chunks in float64, row by row as the equations are.
type naiveFifo struct {
	naive
	forgetful bool // what is read is zeros
}

// naiveBank is the memory of a layer: slots in a list, the oldest first, and the rows of the chunk.
type naiveBank struct {
	slots, rows [][]float64
}

// logits are those after each token.
func (n *naiveFifo) logits(tokens []int32) (all [][]float64) {
	c := n.cfg
	embedding, output := n.tensor("token_embd.weight"), n.tensor("output.weight")
	if output == nil {
		output = embedding
	}
	var hidden [][]float64
	for _, id := range tokens {
		hidden = append(hidden, slices.Clone(embedding[int(id)*c.Embedding:][:c.Embedding]))
	}
	for l := range c.Layers {
		made := map[string][]float64{}
		get := func(s string) []float64 {
			if _, ok := made[s]; !ok {
				made[s] = n.tensor(fmt.Sprintf("blk.%d.%s", l, s))
			}
			return made[s]
		}
		n.attention(hidden, l, get)
		for _, x := range hidden {
			in := n.norm(x, get("ffn_norm.weight"))
			accumulate(x, n.gated(times(get("ffn_gate.weight"), in, nil), times(get("ffn_up.weight"), in, nil), get("ffn_down.weight")), 1)
		}
	}
	for _, x := range hidden {
		all = append(all, times(output, n.norm(x, n.tensor("output_norm.weight")), nil))
	}
	return all
}

func (n *naiveFifo) attention(hidden [][]float64, l int, get func(string) []float64) {
	c, f := n.cfg, &n.cfg.Fifo
	var keys, values [][]float64 // of the chunk
	var bank *naiveBank
	if slices.Contains(f.Layers, l) {
		bank = &naiveBank{}
	}
	for t, x := range hidden {
		at := t % c.ChunkLength
		if at == 0 {
			keys, values = nil, nil
			if bank != nil && t > 0 {
				n.fold(bank, get)
			}
		}
		u := n.norm(x, get("attn_norm.weight"))
		q := times(get("attn_q.weight"), u, get("attn_q.bias"))
		k := times(get("attn_k.weight"), u, get("attn_k.bias"))
		for h := range c.Heads {
			n.rotate(q[h*c.KeyDim:(h+1)*c.KeyDim], at)
		}
		for h := range c.KVHeads {
			n.rotate(k[h*c.KeyDim:(h+1)*c.KeyDim], at)
		}
		keys, values = append(keys, k), append(values, times(get("attn_v.weight"), u, get("attn_v.bias")))
		width := c.Heads * c.ValueDim
		full, windowed, read := make([]float64, width), make([]float64, width), make([]float64, width)
		if bank != nil && !n.forgetful && len(bank.slots) > 0 {
			read = n.read(bank, times(get("mem_q.weight"), u, nil), get)
		}
		for h := range c.Heads {
			head := func(x []float64) []float64 { return x[h*c.ValueDim : (h+1)*c.ValueDim] }
			query, group := q[h*c.KeyDim:(h+1)*c.KeyDim], c.Heads/c.KVHeads
			n.attend(head(full), query, keys, values, h/group, at, 0)
			n.attend(head(windowed), query, keys, values, h/group, at, at/f.Window*f.Window)
			lambda := n.lambda(get("mem_fuse.weight"), h, f.Renormalize && (bank == nil || len(bank.slots) == 0))
			for i := range head(full) {
				head(full)[i] = lambda[0]*head(full)[i] + lambda[1]*head(windowed)[i] + lambda[2]*head(read)[i]
			}
		}
		if bank != nil {
			if w := get("mem_pool_norm.weight"); w != nil {
				u = n.norm(u, w)
			}
			bank.rows = append(bank.rows, u)
		}
		accumulate(x, times(get("attn_output.weight"), full, nil), 1)
	}
}

// lambda are the weights of a head's paths; of the first two alone, if the third has nothing.
func (n *naiveFifo) lambda(logits []float64, h int, two bool) (w [3]float64) {
	stride, sum := len(logits)/3, 0.
	for path := range w {
		if path < 2 || !two {
			w[path] = math.Exp(logits[path*stride+h%stride])
		}
		sum += w[path]
	}
	for path := range w {
		w[path] /= sum
	}
	return w
}

// softened is the sum of rows under the softmax of scores.
func softened(scores []float64, rows [][]float64) []float64 {
	out, sum := make([]float64, len(rows[0])), 0.
	for i, s := range scores {
		accumulate(out, rows[i], math.Exp(s))
		sum += math.Exp(s)
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func innerProduct(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// maybe multiplies by a matrix that need not be there.
func maybe(w, x []float64) []float64 {
	if w == nil {
		return x
	}
	return times(w, x, nil)
}

// read is what all heads read of the slots.
func (n *naiveFifo) read(b *naiveBank, q []float64, get func(string) []float64) (out []float64) {
	f := &n.cfg.Fifo
	for h := range f.Heads {
		from, to := h*f.HeadDim, (h+1)*f.HeadDim
		var scores []float64
		var values [][]float64
		for _, slot := range b.slots {
			if w := get("mem_norm.weight"); w != nil {
				slot = n.norm(slot, w)
			}
			scores = append(scores, float64(f.Scale)*innerProduct(q[from:to], maybe(get("mem_k.weight"), slot)[from:to]))
			values = append(values, maybe(get("mem_v.weight"), slot)[from:to])
		}
		out = append(out, softened(scores, values)...)
	}
	return out
}

// fold makes new slots of the chunk.
func (n *naiveFifo) fold(b *naiveBank, get func(string) []float64) {
	f, d := &n.cfg.Fifo, n.cfg.Embedding
	var fresh [][]float64
	for j := range f.PerChunk {
		var h []float64
		if f.Pooling == fifo.PoolQuery {
			query := get("mem_pool_q.weight")[j*d : (j+1)*d]
			var scores []float64
			for _, row := range b.rows {
				scores = append(scores, innerProduct(query, maybe(get("mem_pool_k.weight"), row))/math.Sqrt(float64(d)))
			}
			h = softened(scores, b.rows)
		} else {
			piece := f.Chunk / f.PerChunk
			h = softened(make([]float64, piece), b.rows[j*piece:(j+1)*piece])
		}
		fresh = append(fresh, n.gate(maybe(get("mem_pool_v.weight"), h), n.previous(b, j), get))
	}
	b.slots, b.rows = append(b.slots, fresh...), nil
	b.slots = b.slots[max(0, len(b.slots)-f.Slots):]
}

// previous is what the gate mixes summary j with.
func (n *naiveFifo) previous(b *naiveBank, j int) []float64 {
	f := &n.cfg.Fifo
	p, groups := make([]float64, n.cfg.Embedding), len(b.slots)/f.PerChunk
	switch {
	case groups == 0:
	case f.Previous == fifo.PreviousNewest:
		return b.slots[(groups-1)*f.PerChunk+j]
	case f.Previous == fifo.PreviousOldest:
		return b.slots[j]
	default:
		for g := range groups {
			accumulate(p, b.slots[g*f.PerChunk+j], 1/float64(groups))
		}
	}
	return p
}

func (n *naiveFifo) gate(h, p []float64, get func(string) []float64) []float64 {
	d := len(h)
	part := func(k int, x []float64) []float64 {
		sum := times(get("mem_gate_w.weight")[k*d*d:(k+1)*d*d], h, nil)
		accumulate(sum, times(get("mem_gate_u.weight")[k*d*d:(k+1)*d*d], x, nil), 1)
		if bias := get("mem_gate_w.bias"); bias != nil {
			accumulate(sum, bias[k*d:(k+1)*d], 1)
		}
		return sum
	}
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	out := make([]float64, d)
	switch n.cfg.Fifo.Gate {
	case fifo.GateNone:
		return h
	case fifo.GateSimple:
		for i, g := range part(0, p) {
			out[i] = logistic(g)*h[i] + (1-logistic(g))*p[i]
		}
	default:
		reset := slices.Clone(p)
		for i, r := range part(1, p) {
			reset[i] *= logistic(r)
		}
		candidate := part(2, reset)
		for i, z := range part(0, p) {
			out[i] = (1-logistic(z))*p[i] + logistic(z)*math.Tanh(candidate[i])
		}
	}
	return out
}

// fifoFiles are models over all gates, ways of pooling and ways of reading, with the other switches in turn.
func fifoFiles(t *testing.T) map[string]*weights.File {
	t.Helper()
	files := map[string]*weights.File{"mneme-fifo-tiny": synthFile(t, "mneme-fifo-tiny", quant.F32)}
	for g, gate := range []string{"gru", "simple", "none"} {
		for p, pooling := range []string{"mean", "means", "query"} {
			for r, reads := range []string{"projected", "raw"} {
				at := g*6 + p*2 + r
				change := map[string]any{
					"memory.fifo.gate": gate, "memory.fifo.previous": []string{"newest", "oldest", "mean"}[(g+p+r)%3], "memory.fifo.renormalize": at%2 == 1,
					"memory.fifo.head_count": []uint32{4, 2, 1}[at%3],
				}
				without := []string{"pool_q.weight", "pool_k.weight"}
				switch pooling {
				case "mean":
					change["memory.fifo.chunk_slots"] = uint32(1)
				case "query":
					change["memory.fifo.pooling"], without = "query", nil
					if gate == "simple" {
						without = []string{"pool_k.weight"} // rows are scored as they are
					}
				}
				if reads == "raw" {
					change["memory.fifo.scale"] = float32(.7)
					without = append(without, "k.weight", "v.weight", "norm.weight")
				}
				if gate == "none" {
					without = append(without, "gate_w.weight", "gate_u.weight", "gate_w.bias")
				}
				if at%4 == 3 {
					without = append(without, "pool_v.weight", "pool_norm.weight", "gate_w.bias")
				}
				files[gate+", "+pooling+", "+reads] = fifoFile(t, change, fifoTensors([]int{3, 1, 0}[g], without...))
			}
		}
	}
	return files
}

// TestFifoIsTheNaiveOne compares logits after every token of a text that fills the bank and drops of it, with the memory and
// without.
func TestFifoIsTheNaiveOne(t *testing.T) {
	for name, file := range fifoFiles(t) {
		t.Run(name, func(t *testing.T) {
			m, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			tokens := text(5*m.ChunkLength+m.ChunkLength/2, 7)
			for _, forgetful := range []bool{false, true} {
				slow := naiveFifo{naive: naive{file: file, cfg: m.Config}, forgetful: forgetful}
				want := slow.logits(tokens)
				for _, impl := range kernels.Implementations() {
					r := NewRunner(m, impl, 1)
					s, err := m.NewSequence(SequenceOptions{Rows: quant.F32, NoMemory: forgetful})
					if err != nil {
						t.Fatal(err)
					}
					worst := 0.
					for i, logits := range forward(t, r, s, tokens, 0) {
						for j, w := range want[i] {
							d := math.Abs(float64(logits[j]) - w)
							if worst = max(worst, d); !(d <= 1e-4) {
								t.Fatalf("%s, forgetful %v: logit %d after token %d is %v, want %v", impl.Name, forgetful, j, i, logits[j], w)
							}
						}
					}
					r.Close()
					t.Logf("%s, forgetful %v: largest difference %.2g", impl.Name, forgetful, worst)
				}
			}
		})
	}
}

// TestFifoWorkIsFlat is I12 by what a token takes: as much after 65,536 tokens as after 1,024, and never more than a chunk of
// rows.
func TestFifoWorkIsFlat(t *testing.T) {
	m := synthModel(t, "mneme-fifo-tiny", quant.F32)
	early, err := m.Work(quant.F16, nil, 1024, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{16384, 65536} {
		if late, err := m.Work(quant.F16, nil, n, true); err != nil || late != early {
			t.Errorf("%d tokens: %+v, and %+v at 1024; %v", n, late, early, err)
		}
	}
	key, err := quant.F16.RowBytes(m.KeyDim + m.ValueDim)
	if err != nil || early.CacheBytes != int64(m.Layers*m.KVHeads*key*m.ChunkLength) {
		t.Errorf("%+v, %v", early, err)
	}
}
