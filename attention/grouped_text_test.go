package attention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

func someText(rng *rand.Rand, landmark []bool, heads, kvHeads, keyDim, valueDim int) *GroupedText {
	n := len(landmark)
	return &GroupedText{
		Groups: NewGroups(landmark), Heads: heads, KVHeads: kvHeads, KeyDim: keyDim, ValueDim: valueDim, Scale: 0.4,
		Q: randoms(rng, n*heads*keyDim), K: randoms(rng, n*kvHeads*keyDim), V: randoms(rng, n*kvHeads*valueDim),
	}
}

// operand is [rows, heads, dim].
type operand struct {
	x          []float64
	heads, dim int
}

func wideOperand(x []float32, heads, dim int) operand {
	return operand{slices.Concat(wide(x, heads*dim)...), heads, dim}
}

func (o operand) at(row, head int) []float64 { return o.x[(row*o.heads+head)*o.dim:][:o.dim] }

// outputOf is what a query gets by the equations.
func (t *GroupedText) outputOf(landmark []bool, q, k, v operand, row, head int) []float64 {
	kvHead := head / (t.Heads / t.KVHeads)
	scores, out := make([]float64, len(landmark)), make([]float64, t.ValueDim)
	for j := range row + 1 {
		for c, x := range q.at(row, head) {
			scores[j] += float64(t.Scale) * x * k.at(j, kvHead)[c]
		}
	}
	for j, w := range equationsOf(scores, landmark, row) {
		for c, x := range v.at(j, kvHead) {
			out[c] += w * x
		}
	}
	return out
}

var textShapes = []struct {
	landmark                         []bool
	heads, kvHeads, keyDim, valueDim int
}{
	{inBlocks(23, 5), 4, 2, 5, 3},
	{inBlocks(2*groupedRows+17, 19), 2, 2, 8, 16},
	{inBlocks(groupedRows+1, groupedRows), 1, 1, 16, 8}, // one row beyond a piece, and a block that ends with it
	{marked(groupedRows, 0, 1, 30, groupedRows-1), 3, 1, 7, 9},
	{marked(1), 2, 1, 4, 4},
	{nil, 2, 2, 4, 4},
}

func TestGroupedTextIsTheEquations(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, c := range textShapes {
			rng := rand.New(rand.NewPCG(uint64(len(c.landmark)), 13))
			text := someText(rng, c.landmark, c.heads, c.kvHeads, c.keyDim, c.valueDim)
			out, s := make([]float32, len(c.landmark)*c.heads*c.valueDim), NewGroupedScratch(new(kernels.Scratch))
			fill(out, nan)
			for kvHead := c.kvHeads - 1; kvHead >= 0; kvHead-- {
				if err := text.Forward(impl, out, kvHead, s); err != nil {
					t.Fatal(err)
				}
			}
			q, k, v := wideOperand(text.Q, c.heads, c.keyDim), wideOperand(text.K, c.kvHeads, c.keyDim), wideOperand(text.V, c.kvHeads, c.valueDim)
			got := wideOperand(out, c.heads, c.valueDim)
			for row := range c.landmark {
				for head := range c.heads {
					want := text.outputOf(c.landmark, q, k, v, row, head)
					for i, x := range got.at(row, head) {
						if !near(x, want[i], 2e-6) {
							t.Fatalf("%s, %d rows, row %d, head %d: %v, want %v", impl.Name, len(c.landmark), row, head, x, want[i])
						}
					}
				}
			}
		}
	}
}

// Gradients are what differences of the equations say.
func TestGroupedTextBackward(t *testing.T) {
	const h = 1e-5
	samples := 40
	if testing.Short() {
		samples = 10
	}
	for _, c := range textShapes {
		rng := rand.New(rand.NewPCG(uint64(len(c.landmark)), 14))
		text := someText(rng, c.landmark, c.heads, c.kvHeads, c.keyDim, c.valueDim)
		dOut := randoms(rng, len(c.landmark)*c.heads*c.valueDim)
		q, k, v := wideOperand(text.Q, c.heads, c.keyDim), wideOperand(text.K, c.kvHeads, c.keyDim), wideOperand(text.V, c.kvHeads, c.valueDim)
		loss := func(from, to int) (sum float64) {
			for row := from; row < to; row++ {
				for head := range c.heads {
					for i, x := range text.outputOf(c.landmark, q, k, v, row, head) {
						sum += x * float64(dOut[(row*c.heads+head)*c.valueDim+i])
					}
				}
			}
			return sum
		}
		// of some coordinates, the same for all implementations
		type coordinate struct {
			operand, at int
			want        float64
		}
		var coordinates []coordinate
		for o, x := range []operand{q, k, v} {
			for i := range min(len(x.x), samples) {
				at := i
				if len(x.x) > samples {
					at = rng.IntN(len(x.x))
				}
				// What is before a row does not see it; its query is its own.
				from, to := at/(x.heads*x.dim), len(c.landmark)
				if o == 0 {
					to = from + 1
				}
				was := x.x[at]
				x.x[at] = was + h
				more := loss(from, to)
				x.x[at] = was - h
				less := loss(from, to)
				x.x[at] = was
				coordinates = append(coordinates, coordinate{o, at, (more - less) / (2 * h)})
			}
		}
		for _, impl := range kernels.Implementations() {
			d := &GroupedGradients{Q: make([]float32, len(text.Q)), K: make([]float32, len(text.K)), V: make([]float32, len(text.V))}
			s := NewGroupedScratch(new(kernels.Scratch))
			for _, x := range [][]float32{d.Q, d.K, d.V} {
				fill(x, nan)
			}
			for kvHead := range c.kvHeads {
				if err := text.Backward(impl, d, dOut, kvHead, s); err != nil {
					t.Fatal(err)
				}
			}
			for _, c := range coordinates {
				got := [][]float32{d.Q, d.K, d.V}[c.operand][c.at]
				if !near(float64(got), c.want, 1e-5) {
					t.Fatalf("%s, %d rows, coordinate %d of %s: %v, want %v", impl.Name, len(text.Groups.landmark), c.at, []string{"q", "k", "v"}[c.operand], got, c.want)
				}
			}
		}
	}
}

// A KV head's piece of work leaves what belongs to others as it is.
func TestGroupedTextWritesItsHeadsAlone(t *testing.T) {
	const heads, kvHeads, dim = 4, 2, 6
	landmark := inBlocks(groupedRows+9, 7)
	text := someText(rand.New(rand.NewPCG(2, 14)), landmark, heads, kvHeads, dim, dim)
	s := NewGroupedScratch(new(kernels.Scratch))
	for _, impl := range kernels.Implementations() {
		for kvHead := range kvHeads {
			out := make([]float32, len(landmark)*heads*dim)
			d := &GroupedGradients{Q: slices.Clone(out), K: make([]float32, len(text.K)), V: make([]float32, len(text.V))}
			dOut := slices.Repeat([]float32{1, -2, 3}, len(out)/3)
			fill(out, nan)
			if err := text.Forward(impl, out, kvHead, s); err != nil {
				t.Fatal(err)
			}
			for _, x := range [][]float32{d.Q, d.K, d.V} {
				fill(x, nan)
			}
			if err := text.Backward(impl, d, dOut, kvHead, s); err != nil {
				t.Fatal(err)
			}
			for what, x := range map[string]struct {
				x     []float32
				heads int
			}{"outputs": {out, heads}, "gradients of queries": {d.Q, heads}, "gradients of keys": {d.K, kvHeads}, "gradients of values": {d.V, kvHeads}} {
				for i, v := range x.x {
					own := i/dim%x.heads/(x.heads/kvHeads) == kvHead
					if own != (v == v) {
						t.Fatalf("%s, KV head %d: %s: value %d is %v", impl.Name, kvHead, what, i, v)
					}
				}
			}
		}
	}
}

// Weights do not depend on values: outputs are linear in them.
func TestGroupedTextIsLinearInValues(t *testing.T) {
	landmark := inBlocks(100, 9)
	rng := rand.New(rand.NewPCG(3, 15))
	text := someText(rng, landmark, 2, 1, 8, 4)
	one, other := text.V, randoms(rng, len(text.V))
	both := make([]float32, len(one))
	for i := range both {
		both[i] = 2*one[i] - other[i]/4
	}
	for _, impl := range kernels.Implementations() {
		var outs [3][]float32
		for i, v := range [][]float32{one, other, both} {
			outs[i], text.V = make([]float32, len(landmark)*2*4), v
			if err := text.Forward(impl, outs[i], 0, NewGroupedScratch(new(kernels.Scratch))); err != nil {
				t.Fatal(err)
			}
		}
		for i, got := range outs[2] {
			if want := 2*outs[0][i] - outs[1][i]/4; !near(float64(got), float64(want), 3e-6) {
				t.Fatalf("%s: output %d of a sum of values is %v, the sum of outputs %v", impl.Name, i, got, want)
			}
		}
	}
}

// Rotating queries and keys by the positions of their rows, wherever the first one is, gives the same.
func TestGroupedTextAtOtherPositions(t *testing.T) {
	const heads, dim = 2, 8
	landmark := inBlocks(40, 6)
	plain := someText(rand.New(rand.NewPCG(3, 16)), landmark, heads, 1, dim, 4)
	for _, impl := range kernels.Implementations() {
		var first []float32
		for _, shift := range []int{0, 1, 50, 1000} {
			text := *plain
			text.Q, text.K = slices.Clone(plain.Q), slices.Clone(plain.K)
			for row := range landmark {
				cos, sin := angles(row+shift, dim)
				for head := range heads {
					impl.RopeHalves(text.Q[(row*heads+head)*dim:][:dim], cos, sin)
				}
				impl.RopeHalves(text.K[row*dim:][:dim], cos, sin)
			}
			out := make([]float32, len(landmark)*heads*4)
			if err := text.Forward(impl, out, 0, NewGroupedScratch(new(kernels.Scratch))); err != nil {
				t.Fatal(err)
			}
			if shift == 0 {
				first = out
			}
			for i, v := range out {
				if !near(float64(v), float64(first[i]), 2e-5) {
					t.Fatalf("%s, %d positions on: output %d is %v, was %v", impl.Name, shift, i, v, first[i])
				}
			}
		}
	}
}

func TestGroupedTextRefuses(t *testing.T) {
	impl, s := kernels.Implementations()[0], NewGroupedScratch(new(kernels.Scratch))
	for what, change := range map[string]func(text *GroupedText, out *[]float32, kvHead *int){
		"no KV heads":       func(text *GroupedText, _ *[]float32, _ *int) { text.KVHeads = 0 },
		"no heads":          func(text *GroupedText, _ *[]float32, _ *int) { text.Heads = 0 },
		"3 heads for 2":     func(text *GroupedText, _ *[]float32, _ *int) { text.Heads = 3 },
		"no dimension":      func(text *GroupedText, _ *[]float32, _ *int) { text.KeyDim = 0 },
		"no values":         func(text *GroupedText, _ *[]float32, _ *int) { text.ValueDim = -1 },
		"another KV head":   func(_ *GroupedText, _ *[]float32, kvHead *int) { *kvHead = 2 },
		"a negative head":   func(_ *GroupedText, _ *[]float32, kvHead *int) { *kvHead = -1 },
		"too few queries":   func(text *GroupedText, _ *[]float32, _ *int) { text.Q = text.Q[1:] },
		"too few keys":      func(text *GroupedText, _ *[]float32, _ *int) { text.K = text.K[1:] },
		"too few values":    func(text *GroupedText, _ *[]float32, _ *int) { text.V = text.V[1:] },
		"too few outputs":   func(_ *GroupedText, out *[]float32, _ *int) { *out = (*out)[1:] },
		"groups of another": func(text *GroupedText, _ *[]float32, _ *int) { text.Groups = NewGroups(inBlocks(8, 3)) },
	} {
		text := someText(rand.New(rand.NewPCG(1, 1)), inBlocks(9, 3), 4, 2, 4, 4)
		d := &GroupedGradients{Q: slices.Clone(text.Q), K: slices.Clone(text.K), V: slices.Clone(text.V)}
		out, kvHead := make([]float32, 9*4*4), 1
		change(text, &out, &kvHead)
		if text.Forward(impl, out, kvHead, s) == nil || text.Backward(impl, d, out, kvHead, s) == nil {
			t.Errorf("%s: no error", what)
		}
	}
	text := someText(rand.New(rand.NewPCG(1, 1)), inBlocks(9, 3), 4, 2, 4, 4)
	for _, short := range []func(d *GroupedGradients){
		func(d *GroupedGradients) { d.Q = d.Q[1:] }, func(d *GroupedGradients) { d.K = d.K[1:] }, func(d *GroupedGradients) { d.V = d.V[1:] },
	} {
		d := &GroupedGradients{Q: slices.Clone(text.Q), K: slices.Clone(text.K), V: slices.Clone(text.V)}
		short(d)
		if text.Backward(impl, d, make([]float32, 9*4*4), 0, s) == nil {
			t.Error("gradients of another size: no error")
		}
	}
}

func BenchmarkGroupedText(b *testing.B) {
	const rows, heads, dim = 512, 1, 128
	text := someText(rand.New(rand.NewPCG(1, 1)), inBlocks(rows, 51), heads, heads, dim, dim)
	out, s := make([]float32, rows*heads*dim), NewGroupedScratch(new(kernels.Scratch))
	d := &GroupedGradients{Q: make([]float32, len(text.Q)), K: make([]float32, len(text.K)), V: make([]float32, len(text.V))}
	for _, impl := range kernels.Implementations() {
		for what, work := range map[string]func() error{
			"forward":  func() error { return text.Forward(impl, out, 0, s) },
			"backward": func() error { return text.Backward(impl, d, out, 0, s) },
		} {
			b.Run(fmt.Sprintf("%s/%s/rows=%d/dim=%d", impl.Name, what, rows, dim), func(b *testing.B) {
				for b.Loop() {
					if err := work(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
