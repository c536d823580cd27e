package train

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// Gate returns x∘σ(gate) of matrices with the same shape, with σ the sigmoid.
func (c Compute) Gate(x, gate *gorgonia.Node) (*gorgonia.Node, error) {
	return apply(gated{c}, x, gate)
}

type gated struct{ c Compute }

func (gated) String() string { return "gate" }

func (gated) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 2); err != nil {
		return nil, err
	}
	if !in[0].Eq(in[1]) {
		return nil, fmt.Errorf("shapes %v and %v differ", in[0], in[1])
	}
	return in[0], nil
}

// sigmoids has the team call body for pieces of x with their sigmoids.
func (c Compute) sigmoids(x []float32, body func(sigmoid []float32, from, to int)) error {
	const grain = 1 << 12
	return c.each(len(x), grain, func(w *kernels.Worker, from, to int) {
		room := kernels.WholeGroups(min(grain, to-from))
		y := w.Scratch.Floats(2 * room)
		y, over := y[:room], y[room:]
		for ; from < to; from += grain {
			end := min(from+grain, to)
			n := kernels.WholeGroups(end - from)
			c.sigmoid(y[:n], over[:n], x[from:end])
			body(y[:end-from], from, end)
		}
	})
}

// sigmoid makes y 1/(1+exp(−x)), from exponentials that are at most 1: exp(min(x, 0))/(1 + exp(−|x|)). Both y and over have
// room for whole groups.
func (c Compute) sigmoid(y, over, x []float32) {
	clear(y[len(x):])
	clear(over[len(x):])
	for j, v := range x {
		y[j] = min(v, 0)
		over[j] = math.Float32frombits(math.Float32bits(v) | 1<<31)
	}
	c.Impl.Softmax(y, 1, 0)
	c.Impl.Softmax(over, 1, 0)
	for j := range x {
		y[j] /= 1 + over[j]
	}
}

func (g gated) run(out []float32, in []operand) error {
	return g.c.sigmoids(in[1].values, func(sigmoid []float32, from, to int) {
		x, y := in[0].values[from:to], out[from:to]
		for i, s := range sigmoid {
			y[i] = x[i] * s
		}
	})
}

func (gated) differentiable() []bool { return []bool{true, true} }

// gradients are grad∘σ(gate), which is a gate too, and grad∘x∘σ(gate)∘(1−σ(gate)).
func (g gated) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	return collect(in, lazy(g, grad, in[1]), lazy(gateToGate{c: g.c}, in[0], in[1], grad))
}

type gateToGate struct {
	terminal
	c Compute
}

func (gateToGate) String() string { return "gate to its gate" }

func (gateToGate) shape(in []tensor.Shape) (tensor.Shape, error) { return in[0], nil }

func (g gateToGate) run(out []float32, in []operand) error {
	return g.c.sigmoids(in[1].values, func(sigmoid []float32, from, to int) {
		x, grad, y := in[0].values[from:to], in[2].values[from:to], out[from:to]
		for i, s := range sigmoid {
			y[i] = grad[i] * x[i] * s * (1 - s)
		}
	})
}
