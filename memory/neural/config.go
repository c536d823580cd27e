// Package neural is the memory of Titans (Behrouz, Zhong and Mirrokni 2024): a small network M that is trained while a text is
// read. Each token's key and value are an example, the gradient of the loss ½‖M(k) − v‖² is how surprising it is, and M's weights
// are what is remembered. With g_t that gradient, and θ, η and α the step, the momentum and the decay that the token asks for
// (section 3.1, equations 10 to 15):
//
//	S_t = η_t·S_{t−1} − θ_t·g_t
//	M_t = (1 − α_t)·M_{t−1} + S_t
//	y_t = M(q_t)
//
// A text is cut into chunks (section 3.2): the gradients of a chunk's tokens are taken at the weights that the chunk begins with,
// so that they are matrix products, and the weights are worked out once, at its end. Chunks of one token are the equations as
// they stand. A [Memory] is what was trained, and does not change; a [State] is what it learned from one text.
package neural

import (
	"errors"
	"fmt"
	"math"
)

// Config is the shape of a memory.
type Config struct {
	Heads     int // memories beside one another, each with its own part of a row
	Dim       int // of a head's queries, keys and values
	Depth     int // matrices in M: 1 is a linear memory; between two of them stands a SiLU
	Expansion int // width of M's hidden layers, in Dims, from Depth 2 on
	Chunk     int // tokens whose gradients are taken at the same weights
	// Momentum keeps surprise for the tokens that follow. Without it η is 0, and no S is kept.
	Momentum bool
	// ReadAfter has a token's query meet the weights with its own update; without it, those that its chunk begins with.
	ReadAfter bool
	// FullLoss leaves out the ½ of the loss, as equation 12 has it: gradients are twice as large.
	FullLoss bool
	// UnitHidden brings what M's hidden layers make, after the SiLU, to length 1, as keys are.
	UnitHidden bool
	// LayerSteps has each hidden layer of M learn with a part of the step, see [Weights].
	LayerSteps bool
	// MostError bounds the length of the loss's gradient at what a hidden layer makes before its activation, of each token; 0:
	// there is no bound.
	MostError float32
	// DecayToInitial has weights decay to the initial ones rather than to zero: M_t = (1 − α_t)·M_{t−1} + α_t·M_initial + S_t.
	DecayToInitial bool
	// Convolution is the width of the causal convolutions of queries, keys and values; 0: there are none.
	Convolution int
	// Retrieving has further queries read before a chunk's rows are learned from (Memory.Retrieve), which come of another text than
	// those rows and are convolved among themselves.
	Retrieving bool
	// SiLU activates queries, keys and values after the convolutions.
	SiLU bool
	// MostStep and MostMomentum bound θ and η: θ is MostStep times a sigmoid, η at most MostMomentum.
	MostStep, MostMomentum float32
	NormEpsilon            float32 // of the norm of what is read
}

// The largest sizes. They keep the number of values in a state within an int of 32 bits.
const (
	maxSize   = 1 << 16
	maxValues = 1 << 28
)

func (c *Config) check() error {
	for _, size := range []struct {
		name      string
		value, lo int
	}{
		{"heads", c.Heads, 1}, {"a head's width", c.Dim, 1}, {"depth", c.Depth, 1}, {"expansion", c.Expansion, min(1, c.Depth-1)},
		{"tokens in a chunk", c.Chunk, 1}, {"a convolution's width", c.Convolution, 0},
	} {
		if size.value < size.lo || size.value > maxSize {
			return fmt.Errorf("neural: %s: %d is not between %d and %d", size.name, size.value, size.lo, maxSize)
		}
	}
	// Sums over a chunk's steps are to be finite as well.
	if !(c.MostStep > 0) || infinite(c.MostStep*float32(c.Chunk)) || !(c.MostMomentum >= 0 && c.MostMomentum <= 1) || !(c.NormEpsilon >= 0) || infinite(c.NormEpsilon) {
		return fmt.Errorf("neural: steps up to %g, momentum up to %g, epsilon %g", c.MostStep, c.MostMomentum, c.NormEpsilon)
	}
	if !(c.MostError >= 0) || infinite(c.MostError) {
		return fmt.Errorf("neural: errors up to a length of %g", c.MostError)
	}
	if c.values() > maxValues/float64(c.Heads) {
		return errors.New("neural: a state of more than 1 GiB")
	}
	return nil
}

func infinite(x float32) bool { return math.IsInf(float64(x), 0) }

// Width is the number of values that come out of M's layer number i, or go into it where i is −1.
func (c *Config) Width(i int) int {
	if i >= 0 && i < c.Depth-1 {
		return c.Expansion * c.Dim
	}
	return c.Dim
}

// Steps is the number of hidden layers of heads with steps of their own.
func (c *Config) Steps() int {
	if !c.LayerSteps {
		return 0
	}
	return (c.Depth - 1) * c.Heads
}

// values bounds the number of values in a head's state, also where it would be more than an int holds.
func (c *Config) values() float64 {
	hidden := float64(c.Dim) * float64(max(1, c.Expansion))
	depth := float64(c.Depth)
	return depth*2*hidden*hidden + depth*2*float64(c.Chunk)*hidden + 2*float64(c.Chunk) + float64(c.streams())*float64(c.Convolution)*float64(c.Dim) + 3
}

// layout says where in a head's state what is.
type layout struct {
	weights  []int // of each layer of M, [in, out], as products with rows read them: as they are when the chunk begins
	momentum []int // likewise S; all the same where there is none
	inputs   []int // of each layer, [chunk, in]: what the chunk's keys make of it
	errors   []int // of each layer, [chunk, out]: the loss's gradient there
	// The weights and the momentum at the chunk's last token are sums over its gradients: of these the factors, [chunk] each.
	inWeights, inMomentum int
	carry                 int // and of the weights and momentum that the chunk begins with: see carried
	tails                 int // [3 or 4, convolution−1, dim]: the last queries, keys, values and further queries before their convolution
	size                  int
}

// streams is the number of texts that are convolved.
func (c *Config) streams() int {
	if c.Retrieving {
		return parts + 1
	}
	return parts
}

func (c *Config) layout() layout {
	var l layout
	take := func(n int) int {
		l.size += n
		return l.size - n
	}
	for i := range c.Depth {
		l.weights = append(l.weights, take(c.Width(i)*c.Width(i-1)))
	}
	for i := range c.Depth {
		n := 0
		if c.Momentum {
			n = c.Width(i) * c.Width(i-1)
		}
		l.momentum = append(l.momentum, take(n))
	}
	for i := range c.Depth {
		l.inputs = append(l.inputs, take(c.Chunk*c.Width(i-1)))
		l.errors = append(l.errors, take(c.Chunk*c.Width(i)))
	}
	l.inWeights, l.inMomentum, l.carry = take(c.Chunk), take(c.Chunk), take(carryValues)
	l.tails = take(c.streams() * max(0, c.Convolution-1) * c.Dim)
	return l
}
