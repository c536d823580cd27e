package train

import (
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/weights"
)

// tensorReader makes a file's tensors parameters as graphs have them: matrices that are multiplied by the same are one, and RoPE's
// pairs are a head's first half and its second one. The engine has opened the file, so that all tensors have the shapes that the
// metadata say.
type tensorReader struct {
	file *weights.File
	b    *Backbone
	err  error
}

func (r *tensorReader) read() {
	c := &r.b.config
	r.keep("token_embd.weight")
	r.keep("output_norm.weight")
	r.optional("output.weight")
	r.optional("output.bias")
	r.b.factors = ropeFactors{
		short: r.values("rope_factors_short.weight"), long: r.values("rope_factors_long.weight"), all: r.values("rope_freqs.weight"),
	}
	for l := 0; l < c.Layers && r.err == nil; l++ {
		r.layer(l)
	}
}

func (r *tensorReader) layer(l int) {
	c, name := &r.b.config, func(of string) string { return block(l, of) }
	r.keep(name("attn_norm.weight"))
	q, kv := c.Heads*c.KeyDim, c.KVHeads*c.KeyDim
	qkv, gateUp := []string{"attn_q", "attn_k", "attn_v"}, []string{"ffn_gate", "ffn_up"}
	if c.Architecture == "phi3" {
		qkv, gateUp = []string{"attn_qkv"}, []string{"ffn_up"}
	}
	r.join(l, "attn_qkv", qkv, q+2*kv)
	r.keep(name("attn_output.weight"))
	r.optional(name("attn_output.bias"))
	r.keep(name("ffn_norm.weight"))
	r.join(l, "ffn_gate_up", gateUp, 2*c.FeedForward)
	r.keep(name("ffn_down.weight"))
	r.optional(name("ffn_down.bias"))
	r.optional(name("post_attention_norm.weight"))
	r.optional(name("post_ffw_norm.weight"))
	norms := headWeights{r.values(name("attn_q_norm.weight")), r.values(name("attn_k_norm.weight"))}
	if !c.Rope.Halves {
		for _, of := range []string{"attn_qkv.weight", "attn_qkv.bias"} {
			r.halve(name(of), q+kv)
		}
		norms.q, norms.k = halved(norms.q, 1, c.Rope.Dimensions), halved(norms.k, 1, c.Rope.Dimensions)
	}
	r.b.heads = append(r.b.heads, norms)
}

// values returns those of a tensor, nil if there is none of that name.
func (r *tensorReader) values(name string) []float32 {
	t, ok := r.file.Tensor(name)
	if !ok || r.err != nil {
		return nil
	}
	values := make([]float32, t.Elements())
	if err := t.DecodeRows(values, 0); err != nil {
		r.err = err
	}
	return values
}

// optional makes a tensor a parameter, if it is there.
func (r *tensorReader) optional(name string) {
	t, ok := r.file.Tensor(name)
	if !ok || r.err != nil {
		return
	}
	shape := slices.Clone(t.Shape)
	for len(shape) > 1 && shape[len(shape)-1] == 1 {
		shape = shape[:len(shape)-1]
	}
	slices.Reverse(shape)
	r.b.params = append(r.b.params, &Param{Name: name, Shape: shape, Values: r.values(name)})
}

func (r *tensorReader) keep(name string) {
	if r.optional(name); r.err == nil && !r.b.has(name) {
		r.err = fmt.Errorf("train: tensor %q: missing", name)
	}
}

// join makes the matrices of parts, and their biases if one of them has any, one of so many rows.
func (r *tensorReader) join(l int, name string, parts []string, rows int) {
	in := r.b.config.Embedding
	all, biases, biased := make([]float32, 0, rows*in), make([]float32, rows), false
	for _, part := range parts {
		from := len(all) / max(in, 1)
		values := r.values(block(l, part+".weight"))
		if values == nil {
			if r.err == nil {
				r.err = fmt.Errorf("train: tensor %q: missing", block(l, part+".weight"))
			}
			return
		}
		all = append(all, values...)
		if bias := r.values(block(l, part+".bias")); bias != nil && from < rows {
			copy(biases[from:], bias)
			biased = true
		}
	}
	if len(all) != rows*in {
		r.err = fmt.Errorf("train: layer %d: %v have %d values, want %d rows of %d", l, parts, len(all), rows, in)
		return
	}
	r.b.params = append(r.b.params, &Param{Name: block(l, name+".weight"), Shape: []int{rows, in}, Values: all})
	if biased {
		r.b.params = append(r.b.params, &Param{Name: block(l, name+".bias"), Shape: []int{rows}, Values: biases})
	}
}

// halve brings the first rows of a parameter, so many, which are heads, into the order of halves.
func (r *tensorReader) halve(name string, rows int) {
	c := &r.b.config
	i := slices.IndexFunc(r.b.params, func(p *Param) bool { return p.Name == name })
	if i < 0 || r.err != nil {
		return
	}
	p := r.b.params[i]
	width := len(p.Values) / p.Shape[0]
	for at := 0; at < rows; at += c.KeyDim {
		head := p.Values[at*width : (at+c.KeyDim)*width]
		copy(head, halved(head, width, c.Rope.Dimensions))
	}
}

// halved returns a head's rows of so many values in the order of halves: of the first ones, n, which are pairs of neighbours, the
// first of each pair, then the second of each.
func halved(head []float32, width, n int) []float32 {
	to := slices.Clone(head)
	if len(head) == 0 {
		return to
	}
	for i := range n {
		at := i/2 + i%2*(n/2)
		copy(to[at*width:(at+1)*width], head[i*width:(i+1)*width])
	}
	return to
}
