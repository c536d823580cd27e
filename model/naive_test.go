package model

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/weights"
	"github.com/mneme-lm/mneme/weights/quant"
)

// naive computes the logits after the last of some tokens in float64, from the tensors by name, without a cache, a
// batch or a kernel.
type naive struct {
	file *weights.File
	cfg  Config
	// from, if it is set, is the first token that layer l has token i see.
	from func(l, i int) int
	// adapter, if it is set, has the tensors of memories, and recall has that of layer l add to the residual stream.
	adapter *weights.File
	recall  func(l int, hidden [][]float64)
	// made, if it is set, has tensors that were asked for.
	made map[string][]float64
}

func (n naive) tensor(name string) []float64 {
	if made, ok := n.made[name]; ok {
		return made
	}
	t, ok := n.file.Tensor(name)
	if !ok && n.adapter != nil {
		t, ok = n.adapter.Tensor(name)
	}
	if !ok {
		return nil
	}
	size := 1
	for _, d := range t.Shape {
		size *= d
	}
	values := make([]float32, size)
	if err := quant.Decode(t.Type, values, t.Data); err != nil {
		panic(err)
	}
	out := make([]float64, size)
	for i, v := range values {
		out[i] = float64(v)
	}
	if n.made != nil {
		n.made[name] = out
	}
	return out
}

// times multiplies a matrix [rows, len(x)] by x and adds the bias, if there is one.
func times(w, x, bias []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for r := range out {
		row, even, odd := w[r*len(x):(r+1)*len(x)], 0., 0.
		for i := 1; i < len(x); i += 2 {
			even += row[i-1] * x[i-1]
			odd += row[i] * x[i]
		}
		if last := len(x) - 1; last%2 == 0 {
			even += row[last] * x[last]
		}
		out[r] = even + odd
		if bias != nil {
			out[r] += bias[r]
		}
	}
	return out
}

func (n naive) norm(x, w []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / math.Sqrt(sum/float64(len(x))+float64(n.cfg.NormEpsilon)) * w[i]
	}
	return out
}

func (n naive) rotate(x []float64, pos int) {
	d := n.cfg.Rope.Dimensions
	for i := range d / 2 {
		a, b := 2*i, 2*i+1
		if n.cfg.Rope.Halves {
			a, b = i, i+d/2
		}
		s, c := math.Sincos(float64(pos) * math.Pow(n.cfg.Rope.Base, -2*float64(i)/float64(d)))
		x[a], x[b] = x[a]*c-x[b]*s, x[a]*s+x[b]*c
	}
}

func (n naive) logits(tokens []int32) []float64 {
	c := n.cfg
	embedding := n.tensor("token_embd.weight")
	hidden := make([][]float64, len(tokens))
	for i, id := range tokens {
		hidden[i] = slices.Clone(embedding[int(id)*c.Embedding : (int(id)+1)*c.Embedding])
		for j := range hidden[i] {
			hidden[i][j] *= float64(c.EmbeddingScale)
		}
	}
	for l := range c.Layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s", l, s) }
		if n.recall != nil {
			n.recall(l, hidden)
		}
		n.attention(hidden, name, l)
		for i := range hidden {
			x := n.norm(hidden[i], n.tensor(name("ffn_norm.weight")))
			y := n.feedForward(x, name)
			if w := n.tensor(name("post_ffw_norm.weight")); w != nil {
				y = n.norm(y, w)
			}
			accumulate(hidden[i], y, 1)
		}
	}
	output := n.tensor("output.weight")
	if output == nil {
		output = embedding
	}
	logits := times(output, n.norm(hidden[len(hidden)-1], n.tensor("output_norm.weight")), nil)
	if limit := float64(c.LogitSoftcap); limit > 0 {
		for i := range logits {
			logits[i] = limit * math.Tanh(logits[i]/limit)
		}
	}
	return logits
}

func accumulate(to, x []float64, by float64) {
	for i, v := range x {
		to[i] += by * v
	}
}

func (n naive) qkv(x []float64, name func(string) string) (q, k, v []float64) {
	c := n.cfg
	if w := n.tensor(name("attn_qkv.weight")); w != nil {
		all := times(w, x, nil)
		a, b := c.Heads*c.KeyDim, (c.Heads+c.KVHeads)*c.KeyDim
		return all[:a], all[a:b], all[b:]
	}
	return times(n.tensor(name("attn_q.weight")), x, n.tensor(name("attn_q.bias"))),
		times(n.tensor(name("attn_k.weight")), x, n.tensor(name("attn_k.bias"))),
		times(n.tensor(name("attn_v.weight")), x, n.tensor(name("attn_v.bias")))
}

func (n naive) attention(hidden [][]float64, name func(string) string, l int) {
	c := n.cfg
	var keys, values [][]float64
	for i := range hidden {
		q, k, v := n.qkv(n.norm(hidden[i], n.tensor(name("attn_norm.weight"))), name)
		keys, values = append(keys, k), append(values, v)
		for h := range c.KVHeads {
			key := k[h*c.KeyDim : (h+1)*c.KeyDim]
			if w := n.tensor(name("attn_k_norm.weight")); w != nil {
				copy(key, n.norm(key, w))
			}
			n.rotate(key, i)
		}
		out := make([]float64, c.Heads*c.ValueDim)
		for h := range c.Heads {
			query := q[h*c.KeyDim : (h+1)*c.KeyDim]
			if w := n.tensor(name("attn_q_norm.weight")); w != nil {
				query = n.norm(query, w)
			}
			n.rotate(query, i)
			n.attend(out[h*c.ValueDim:(h+1)*c.ValueDim], query, keys, values, h/(c.Heads/c.KVHeads), i, n.first(l, i))
		}
		y := times(n.tensor(name("attn_output.weight")), out, n.tensor(name("attn_output.bias")))
		if w := n.tensor(name("post_attention_norm.weight")); w != nil {
			y = n.norm(y, w)
		}
		accumulate(hidden[i], y, 1) // the keys of later tokens do not depend on it: they are of their own hidden state
	}
}

func (n naive) first(l, i int) int {
	if n.from != nil {
		return n.from(l, i)
	}
	return max(0, i-n.window(l)+1)
}

func (n naive) window(l int) int {
	alternates := n.cfg.Architecture == "gemma2" || n.cfg.Architecture == "mneme"
	if n.cfg.Architecture == "phi3" || alternates && l%2 == 0 {
		return n.cfg.SlidingWindow
	}
	return math.MaxInt
}

func (n naive) attend(out, q []float64, keys, values [][]float64, h, i, first int) {
	c := n.cfg
	weights := make([]float64, i+1)
	var sum float64
	for j := first; j <= i; j++ {
		var s float64
		for d, v := range q {
			s += v * keys[j][h*c.KeyDim+d]
		}
		s *= float64(c.AttentionScale)
		if limit := float64(c.AttentionSoftcap); limit > 0 {
			s = limit * math.Tanh(s/limit)
		}
		weights[j] = math.Exp(s)
		sum += weights[j]
	}
	for j, w := range weights {
		accumulate(out, values[j][h*c.ValueDim:(h+1)*c.ValueDim], w/sum)
	}
}

func (n naive) feedForward(x []float64, name func(string) string) []float64 {
	c := n.cfg
	if router := n.tensor(name("ffn_gate_inp.weight")); router != nil {
		return n.experts(x, router, name)
	}
	up := times(n.tensor(name("ffn_up.weight")), x, nil)
	if w := n.tensor(name("ffn_gate.weight")); w != nil {
		return n.gated(times(w, x, nil), up, n.tensor(name("ffn_down.weight")))
	}
	return n.gated(up[:c.FeedForward], up[c.FeedForward:], n.tensor(name("ffn_down.weight")))
}

func (n naive) gated(gate, up, down []float64) []float64 {
	inner := make([]float64, len(gate))
	for i, g := range gate {
		if n.cfg.Architecture == "gemma2" {
			inner[i] = 0.5 * g * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(g+0.044715*g*g*g))) * up[i]
		} else {
			inner[i] = g / (1 + math.Exp(-g)) * up[i]
		}
	}
	return times(down, inner, nil)
}

func (n naive) experts(x, router []float64, name func(string) string) []float64 {
	c := n.cfg
	scores := times(router, x, nil)
	order := make([]int, c.Experts)
	for e := range order {
		order[e] = e
	}
	slices.SortStableFunc(order, func(a, b int) int { return -int(math.Copysign(1, scores[a]-scores[b])) })
	var sum float64
	for _, e := range order[:c.ExpertsUsed] {
		sum += math.Exp(scores[e])
	}
	expert := func(tensor string, e int) []float64 {
		all := n.tensor(name(tensor))
		return all[e*len(all)/c.Experts : (e+1)*len(all)/c.Experts]
	}
	out := make([]float64, c.Embedding)
	for _, e := range order[:c.ExpertsUsed] {
		y := n.gated(times(expert("ffn_gate_exps.weight", e), x, nil), times(expert("ffn_up_exps.weight", e), x, nil), expert("ffn_down_exps.weight", e))
		accumulate(out, y, math.Exp(scores[e])/sum)
	}
	return out
}

func TestForwardIsTheNaiveOne(t *testing.T) {
	for _, name := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := synthFile(t, name, quant.F32)
			m, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			tokens := text(70, 7) // beyond the windows of gemma2-tiny, 64, and mneme-tiny
			want := naive{file: file, cfg: m.Config}.logits(tokens)
			for _, impl := range kernels.Implementations() {
				r := NewRunner(m, impl, 1)
				got := forward(t, r, newSequence(t, m, quant.F32), tokens, 0)[len(tokens)-1]
				r.Close()
				var worst float64
				for i, w := range want {
					worst = max(worst, math.Abs(float64(got[i])-w))
				}
				if !(worst < 1e-3) {
					t.Errorf("%s: logits differ by up to %g", impl.Name, worst)
				}
				t.Logf("%s: largest difference %.2g", impl.Name, worst)
			}
		})
	}
}
