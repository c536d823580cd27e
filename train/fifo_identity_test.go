package train

import (
	"math"
	"math/rand/v2"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/memory/fifo"
)

// TestGateGradientsAreDifferences is I13 of the memory of chunks: the gradients of each of W, U and b, of each of z, r and c, are
// differences of the equations in float64, one value at a time. A mistake in a small one of them does not hide behind the others.
func TestGateGradientsAreDifferences(t *testing.T) {
	const d, step = 5, 1. / 64
	r := rand.New(rand.NewPCG(13, 13))
	some := func(shape ...int) input {
		return input{shape: shape, values: someValues(r, tensor.Shape(shape).TotalSize())}
	}
	factors := someValues(r, someSlots*d)
	for _, kind := range []fifo.Gate{fifo.GateGRU, fifo.GateSimple} {
		g, m := SlotGate{Kind: kind, Previous: fifo.PreviousNewest}, kind.Matrices()
		gate := gateQuestion(some, g)
		q := question{
			"gate", []input{some(someSlots, d), some(m*d, d), some(m * d), some(m*d, d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
				products, err := c.Linear(in[0], in[1], in[2])
				if err != nil {
					return nil, err
				}
				return c.FifoGate(in[0], products, in[3], g, someChunks)
			},
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				products := f.add(f.mul(in[0], f.transpose(in[1])), f.rows(in[2], someSlots))
				return gate.plain(f, gorgonia.Nodes{in[0], products, in[3]})
			},
		}
		// difference is the derivative by a value, of the third order's terms rid.
		difference := func(x *input, at int) float64 {
			from := x.values[at]
			defer func() { x.values[at] = from }()
			over := func(by float32) float64 {
				x.values[at] = from + by
				up, high := q.ask(t, nil, factors).sum, float64(x.values[at])
				x.values[at] = from - by
				return (up - q.ask(t, nil, factors).sum) / (high - float64(x.values[at]))
			}
			return (4*over(step) - over(2*step)) / 3
		}
		type piece struct {
			input, at int
			want      float64
		}
		var pieces []piece
		for i, name := range []string{"", "W", "b", "U"} {
			if i == 0 {
				continue // the summaries, which others have tried
			}
			size := len(q.inputs[i].values) / m
			for matrix := range m {
				most := 0.
				for range 3 {
					at := matrix*size + r.IntN(size)
					want := difference(&q.inputs[i], at)
					pieces, most = append(pieces, piece{i, at, want}), max(most, math.Abs(want))
				}
				if most < 1e-2 {
					t.Errorf("%v: %s of matrix %d makes too little of a difference, %v at most", kind, name, matrix, most)
				}
			}
		}
		for _, c := range computes(t) {
			grads := q.ask(t, &c, factors).grads
			for _, p := range pieces {
				if got := grads[p.input][p.at]; !(math.Abs(got-p.want) <= 1e-5*(1+math.Abs(p.want))) {
					t.Errorf("%v, %s: value %d of input %d: the gradient is %v, the difference %v", kind, c.Impl.Name, p.at, p.input, got, p.want)
				}
			}
		}
	}
}
