package model

import (
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/weights"
)

// naiveTitans computes the logits of all tokens of a text in float64, token by token in each layer, from the tensors by name: equations
// 10 to 31 as Variant has them, with all the weights of a memory after every token.
type naiveTitans struct {
	naive
	// What identities take away.
	noMemory bool // what is read is zeros, and nothing is retrieved
}

// naiveLayer is a memory of a layer.
type naiveLayer struct {
	n                        *naiveTitans
	name                     func(string) string
	weights, momentum, first [][][]float64  // [heads][layers of the memory]
	streams                  [4][][]float64 // queries, keys, values and further queries before their convolution
	keys, values             [2][][]float64 // of tokens, and of what was retrieved for them
	seen                     int            // by the memory
	tensors                  map[string][]float64
}

func newNaiveTitans(file *weights.File, c Config) *naiveTitans {
	return &naiveTitans{naive: naive{file: file, cfg: c}}
}

func (n *naiveTitans) layer(l int) *naiveLayer {
	x := &naiveLayer{n: n, name: func(s string) string { return fmt.Sprintf("blk.%d.%s", l, s) }, tensors: map[string][]float64{}}
	c := n.cfg.Neural
	for h := range c.Heads {
		var w, s [][]float64
		for i := range c.Depth {
			size := c.Width(i) * c.Width(i-1)
			w = append(w, slices.Clone(x.tensor(fmt.Sprintf("mem_initial.%d.weight", i))[h*size:(h+1)*size]))
			s = append(s, make([]float64, size))
		}
		x.weights, x.momentum, x.first = append(x.weights, w), append(x.momentum, s), append(x.first, nil)
	}
	return x
}

func (x *naiveLayer) tensor(name string) []float64 {
	if _, ok := x.tensors[name]; !ok {
		x.tensors[name] = x.n.naive.tensor(x.name(name))
	}
	return x.tensors[name]
}

func (x *naiveLayer) times(name string, v []float64) []float64 {
	return times(x.tensor(name+".weight"), v, x.tensor(name+".bias"))
}

func (x *naiveLayer) norm(name string, v []float64) []float64 {
	return x.n.norm(v, x.tensor(name+".weight"))
}

func naiveSigmoid(v float64) float64 { return 1 / (1 + math.Exp(-v)) }

// convolved is what a stream's last rows come to for the channels of a head: part 0 for queries, 1 for keys, 2 for values.
func (x *naiveLayer) convolved(stream, part, h int) []float64 {
	c, rows, taps := x.n.cfg.Neural, x.streams[stream], x.tensor("mem_conv.weight")
	out, length := make([]float64, c.Dim), 0.
	for d := range out {
		at := h*c.Dim + d
		out[d] = rows[len(rows)-1][at]
		if c.Convolution > 0 {
			out[d] = 0
			for j := range min(c.Convolution, len(rows)) {
				out[d] += taps[(part*c.Heads*c.Dim+at)*c.Convolution+c.Convolution-1-j] * rows[len(rows)-1-j][at]
			}
		}
		if c.SiLU {
			out[d] *= naiveSigmoid(out[d])
		}
		length += out[d] * out[d]
	}
	if part < 2 {
		for d := range out {
			out[d] /= math.Sqrt(length)
		}
	}
	return out
}

// network is M: what goes into each of its layers, and what comes out of each before its SiLU.
func network(w [][]float64, v []float64) (in, out [][]float64) {
	for i := range w {
		a := times(w[i], v, nil)
		in, out = append(in, v), append(out, a)
		v = make([]float64, len(a))
		for j := range a {
			v[j] = a[j] * naiveSigmoid(a[j])
		}
	}
	return in, out
}

// finish is a head's part of W_o's input.
func (x *naiveLayer) finish(w [][]float64, q, gates []float64, h int) []float64 {
	c := x.n.cfg.Neural
	_, sums := network(w, q)
	y := sums[len(sums)-1]
	var square float64
	for _, v := range y {
		square += v * v
	}
	for d := range y {
		y[d] *= x.tensor("mem_read_norm.weight")[h*c.Dim+d] * naiveSigmoid(gates[h*c.Dim+d]) / math.Sqrt(square/float64(c.Dim)+float64(c.NormEpsilon))
	}
	return y
}

// retrieve is equation 21.
func (x *naiveLayer) retrieve(v []float64) []float64 {
	c := x.n.cfg.Neural
	x.streams[3] = append(x.streams[3], x.times("mem_q", v))
	gates := x.times("mem_out_gate", v)
	var read []float64
	for h := range c.Heads {
		w := x.first[h]
		if x.seen%c.Chunk == 0 {
			w = x.weights[h]
		}
		read = append(read, x.finish(w, x.convolved(3, 0, h), gates, h)...)
	}
	return x.times("mem_output", read)
}

// memory learns from a row and reads: equations 10 to 15.
func (x *naiveLayer) memory(v []float64) []float64 {
	c := x.n.cfg.Neural
	if x.n.noMemory {
		return make([]float64, x.n.cfg.Embedding)
	}
	for i, name := range []string{"mem_q", "mem_k", "mem_v"} {
		x.streams[i] = append(x.streams[i], x.times(name, v))
	}
	gates, outGates := x.times("mem_gates", v), x.times("mem_out_gate", v)
	var read []float64
	for h := range c.Heads {
		if x.seen%c.Chunk == 0 {
			x.first[h] = nil
			for _, w := range x.weights[h] {
				x.first[h] = append(x.first[h], slices.Clone(w))
			}
		}
		x.learn(h, x.convolved(1, 1, h), x.convolved(2, 2, h), float64(c.MostStep)*naiveSigmoid(gates[h]),
			min(naiveSigmoid(gates[c.Heads+h]), float64(c.MostMomentum)), naiveSigmoid(gates[2*c.Heads+h]))
		w := x.first[h]
		if c.ReadAfter {
			w = x.weights[h]
		}
		read = append(read, x.finish(w, x.convolved(0, 0, h), outGates, h)...)
	}
	x.seen++
	return x.times("mem_output", read)
}

func (x *naiveLayer) learn(h int, k, v []float64, step, momentum, decay float64) {
	in, out := network(x.first[h], k)
	last := len(out) - 1
	e := slices.Clone(out[last])
	accumulate(e, v, -1)
	for i := last; i >= 0; i-- {
		w, s := x.weights[h][i], x.momentum[h][i]
		for r := range e {
			for j, y := range in[i] {
				at := r*len(in[i]) + j
				s[at] = momentum*s[at] - step*e[r]*y
				w[at] = (1-decay)*w[at] + s[at]
			}
		}
		before := make([]float64, len(in[i]))
		for r := range e {
			accumulate(before, x.first[h][i][r*len(before):(r+1)*len(before)], e[r])
		}
		if i > 0 {
			for j, a := range out[i-1] {
				s := naiveSigmoid(a)
				before[j] *= s * (1 + a*(1-s))
			}
		}
		e = before
	}
}

// attend is attention of token i, which reads v: of persistent tokens, what was retrieved, and the text from token first on.
func (x *naiveLayer) attend(v, retrieved []float64, i, first int) []float64 {
	n := x.n
	c := n.cfg
	q, k, value := n.qkv(v, x.name)
	add := func(where int, k, value []float64) {
		for h := range c.KVHeads {
			n.rotate(k[h*c.KeyDim:(h+1)*c.KeyDim], i)
		}
		x.keys[where], x.values[where] = append(x.keys[where], k), append(x.values[where], value)
	}
	add(0, k, value)
	if retrieved != nil {
		_, k, value := n.qkv(retrieved, x.name)
		add(1, k, value)
	}
	var fixedKeys, fixedValues [][]float64
	for r := range c.Neural.Persistent {
		_, k, value := n.qkv(x.tensor("mem_persistent.weight")[r*c.Embedding:(r+1)*c.Embedding], x.name)
		fixedKeys, fixedValues = append(fixedKeys, k), append(fixedValues, value)
	}
	out := make([]float64, c.Heads*c.ValueDim)
	for h := range c.Heads {
		plain := q[h*c.KeyDim : (h+1)*c.KeyDim]
		turned := slices.Clone(plain)
		n.rotate(turned, i)
		kv := h / (c.Heads / c.KVHeads)
		var weights []float64
		var values [][]float64
		see := func(q []float64, keys, of [][]float64, from int) {
			for j := from; j < len(keys); j++ {
				var s float64
				for d, v := range q {
					s += v * keys[j][kv*c.KeyDim+d]
				}
				weights, values = append(weights, math.Exp(s*float64(c.AttentionScale))), append(values, of[j])
			}
		}
		see(plain, fixedKeys, fixedValues, 0)
		see(turned, x.keys[0], x.values[0], first)
		see(turned, x.keys[1], x.values[1], first)
		var sum float64
		for _, w := range weights {
			sum += w
		}
		for j, w := range weights {
			accumulate(out[h*c.ValueDim:(h+1)*c.ValueDim], values[j][kv*c.ValueDim:(kv+1)*c.ValueDim], w/sum)
		}
	}
	return x.times("attn_output", out)
}

// gated is y ⊗ m.
func (x *naiveLayer) gated(y, m []float64) []float64 {
	y, m = x.norm("mem_branch_norm", y), x.norm("mem_gate_norm", m)
	for i := range y {
		y[i] *= naiveSigmoid(m[i])
	}
	return y
}

// row is what a layer with a memory makes of token i, whose hidden state is h, up to its feed-forward layer.
func (x *naiveLayer) row(h []float64, i, first int) {
	switch c := x.n.cfg.Neural; c.Variant {
	case VariantLMM:
		accumulate(h, x.attend(x.norm("attn_norm", h), nil, i, first), 1)
		accumulate(h, x.memory(x.norm("mem_norm", h)), 1)
	case VariantMAG: // 26 to 28
		v := x.norm("attn_norm", h)
		accumulate(h, x.gated(x.attend(v, nil, i, first), x.memory(v)), 1)
	case VariantMAL: // 29 to 31
		accumulate(h, x.memory(x.norm("mem_norm", h)), 1)
		accumulate(h, x.attend(x.norm("attn_norm", h), nil, i, first), 1)
	case VariantMAC: // 21 to 25
		v := x.norm("attn_norm", h)
		var retrieved []float64
		if !x.n.noMemory {
			retrieved = x.retrieve(v)
		}
		y := x.attend(v, retrieved, i, first)
		accumulate(h, x.gated(y, x.memory(x.norm("mem_norm", y))), 1)
	}
}

func (n *naiveTitans) all(tokens []int32) [][]float64 {
	c := n.cfg
	embedding := n.tensor("token_embd.weight")
	hidden := make([][]float64, len(tokens))
	for i, id := range tokens {
		hidden[i] = slices.Clone(embedding[int(id)*c.Embedding : (int(id)+1)*c.Embedding])
	}
	for l := range c.Layers {
		x := n.layer(l)
		up, gate, down := x.tensor("ffn_up.weight"), x.tensor("ffn_gate.weight"), x.tensor("ffn_down.weight")
		for i, h := range hidden {
			first := max(0, i-c.SlidingWindow+1)
			if c.AttentionKinds[l] == AttentionChunked {
				first = i - i%c.ChunkLength
			}
			x.row(h, i, first)
			v := x.norm("ffn_norm", h)
			accumulate(h, n.gated(times(gate, v, nil), times(up, v, nil), down), 1)
		}
	}
	output, norm := n.tensor("output.weight"), n.tensor("output_norm.weight")
	logits := make([][]float64, len(tokens))
	for i, h := range hidden {
		logits[i] = times(output, n.norm(h, norm), nil)
	}
	return logits
}
