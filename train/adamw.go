package train

import (
	"fmt"
	"math"

	"github.com/mneme-lm/mneme/kernels"
)

// AdamW is the optimizer of that name (Loshchilov and Hutter 2019), with the gradient's length over all parameters limited
// to Clip. Weights decay; biases and the weights of norms do not.
type AdamW struct {
	Beta1, Beta2, Epsilon, Decay, Clip float64

	moments map[*Param]*moments
}

// moments are what is known of a parameter's gradients.
type moments struct {
	steps       int
	mean, mean2 []float32 // running means of gradients and of their squares
}

// NewAdamW returns the optimizer with what the small models are trained with.
func NewAdamW() *AdamW {
	return &AdamW{Beta1: 0.9, Beta2: 0.95, Epsilon: 1e-8, Decay: 0.01, Clip: 1}
}

// Step moves the parameters at a learning rate, and returns the length of the gradients before it was limited. Gradients that
// are not numbers change nothing and are an error; a parameter without a gradient, nil, stays as it is.
func (o *AdamW) Step(c Compute, params []*Param, grads [][]float32, rate float64) (norm float64, err error) {
	if len(grads) != len(params) {
		return 0, fmt.Errorf("train: %d gradients of %d parameters", len(grads), len(params))
	}
	var squares float64
	for i, g := range grads {
		if g == nil {
			continue
		}
		if len(g) != len(params[i].Values) {
			return 0, fmt.Errorf("train: %d gradients of the %d values of %s", len(g), len(params[i].Values), params[i].Name)
		}
		squares += float64(c.Impl.Dot(g, g))
	}
	norm = math.Sqrt(squares)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, fmt.Errorf("train: the gradients' length is %v", norm)
	}
	by := 1.0
	if o.Clip > 0 && norm > o.Clip {
		by = o.Clip / norm
	}
	for i, p := range params {
		if grads[i] == nil {
			continue
		}
		m, keep := o.of(p), 1.0
		m.steps++
		right1, right2 := 1-math.Pow(o.Beta1, float64(m.steps)), 1-math.Pow(o.Beta2, float64(m.steps))
		if len(p.Shape) > 1 {
			keep -= rate * o.Decay
		}
		if err := o.move(c, p.Values, grads[i], m.mean, m.mean2, float32(by), float32(keep), float32(rate/right1), float32(1/right2)); err != nil {
			return norm, err
		}
	}
	return norm, nil
}

// of is what is known of a parameter's gradients: zeros if there were none.
func (o *AdamW) of(p *Param) *moments {
	m, ok := o.moments[p]
	if !ok {
		if o.moments == nil {
			o.moments = map[*Param]*moments{}
		}
		m = &moments{mean: make([]float32, len(p.Values)), mean2: make([]float32, len(p.Values))}
		o.moments[p] = m
	}
	return m
}

func (o *AdamW) move(c Compute, x, grad, mean, mean2 []float32, by, keep, rate, right2 float32) error {
	b1, b2, epsilon := float32(o.Beta1), float32(o.Beta2), float32(o.Epsilon)
	return c.each(len(x), 1<<12, func(_ *kernels.Worker, from, to int) {
		x, grad, mean, mean2 := x[from:to], grad[from:to], mean[from:to], mean2[from:to]
		for i := range x {
			g := by * grad[i]
			m, v := b1*mean[i]+(1-b1)*g, b2*mean2[i]+(1-b2)*g*g
			mean[i], mean2[i] = m, v
			x[i] = keep*x[i] - rate*m/(float32(math.Sqrt(float64(v*right2)))+epsilon)
		}
	})
}
