package neural

import (
	"fmt"
	"slices"

	"github.com/mneme-lm/mneme/memory"
)

// Weights are what was trained of a memory, beside the matrices that make its rows.
type Weights struct {
	Initial [][]float32 // of each layer of M, [heads, out, in]
	// Convolution is [3·heads·dim, width], for queries, keys and values; the last tap is for the token itself.
	Convolution []float32
	Norm        []float32 // [heads·dim], of what is read
	// Steps [depth−1, heads] are what sigmoids are taken of for the part of the step that M's hidden layers learn with; none
	// without LayerSteps.
	Steps []float32
}

// Memory is a memory as it was trained. It does not change, and may be used by many goroutines.
type Memory struct {
	Config
	layout
	initial [][]float32 // of each layer, [heads, in, out]
	taps    []float32   // [3, heads, width, dim]
	norm    []float32
	steps   []float32 // [depth, heads]: the part of the step that a layer learns with
}

// New makes a memory.
func New(c Config, w Weights) (*Memory, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	m := &Memory{Config: c, layout: c.layout(), norm: w.Norm}
	if len(w.Initial) != c.Depth {
		return nil, fmt.Errorf("neural: initial weights of %d layers, want %d", len(w.Initial), c.Depth)
	}
	for i, values := range w.Initial {
		if want := c.Heads * c.Width(i) * c.Width(i-1); len(values) != want {
			return nil, fmt.Errorf("neural: %d initial weights in layer %d, want %d", len(values), i, want)
		}
		m.initial = append(m.initial, transposed(values, c.Width(i), c.Width(i-1)))
	}
	if len(w.Norm) != c.Heads*c.Dim {
		return nil, fmt.Errorf("neural: %d weights of a norm, want %d", len(w.Norm), c.Heads*c.Dim)
	}
	if want := parts * c.Heads * c.Dim * c.Convolution; len(w.Convolution) != want {
		return nil, fmt.Errorf("neural: %d taps of convolutions, want %d", len(w.Convolution), want)
	}
	if want := c.Steps(); len(w.Steps) != want {
		return nil, fmt.Errorf("neural: steps of %d hidden layers of heads, want %d", len(w.Steps), want)
	}
	m.steps = make([]float32, c.Depth*c.Heads)
	for i := range m.steps {
		m.steps[i] = 1
		if i < len(w.Steps) {
			m.steps[i] = memory.Sigmoid(w.Steps[i])
		}
	}
	m.transposeTaps(w.Convolution)
	return m, nil
}

// transposed returns matrices of [rows, cols] as [cols, rows].
func transposed(x []float32, rows, cols int) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		matrix, at := i/(rows*cols), i%(rows*cols)
		out[matrix*rows*cols+at%cols*rows+at/cols] = v
	}
	return out
}

// transposeTaps puts the taps for neighbouring values beside one another.
func (m *Memory) transposeTaps(taps []float32) {
	m.taps = make([]float32, len(taps))
	for i, tap := range taps {
		channel, j := i/m.Convolution, i%m.Convolution
		head, at := channel/m.Dim, channel%m.Dim
		m.taps[(head*m.Convolution+j)*m.Dim+at] = tap
	}
}

// StateBytes is the size of a [State], whatever the text.
func (m *Memory) StateBytes() int64 { return 4 * 2 * int64(m.Heads) * int64(m.size) }

// State is what a memory learned from a text. It belongs to one goroutine at a time; different heads may be advanced at
// the same time.
type State struct {
	memory *Memory
	heads  []head
	held   bool
}

// head is the state of one head.
type head struct {
	index  int
	values []float32 // as the layout says
	fill   int       // tokens of the chunk

	before     []float32 // the values when the batch began: all of them, or without the weights and rows that it added to
	fillBefore int
	whole      bool // before has all of them
}

// NewState makes a state that has seen nothing.
func (m *Memory) NewState() *State {
	s := &State{memory: m, heads: make([]head, m.Heads)}
	for i := range s.heads {
		s.heads[i] = head{index: i, values: make([]float32, m.size), before: make([]float32, m.size)}
	}
	s.Reset()
	return s
}

// Bytes is the size of the state, the same whatever was read.
func (s *State) Bytes() int64 {
	var n int64
	for i := range s.heads {
		n += 4 * int64(len(s.heads[i].values)+len(s.heads[i].before))
	}
	return n
}

// Reset makes the state as if nothing had been read.
func (s *State) Reset() {
	m := s.memory
	for h := range s.heads {
		x := &s.heads[h]
		clear(x.values)
		for i := range m.Depth {
			copy(x.weights(m, i), x.initial(m, i))
		}
		x.beginChunk(m)
	}
	s.held = false
}

// beginChunk forgets the rows of the chunk.
func (x *head) beginChunk(m *Memory) {
	x.fill = 0
	clear(x.values[m.inputs[0] : m.carry+carryValues])
	c := x.carried(m)
	c[weightsInWeights], c[momentumInMomentum] = 1, 1
}

// Clone returns a state of its own with what s has learned.
func (s *State) Clone() memory.State {
	t := &State{memory: s.memory, heads: make([]head, len(s.heads))}
	for i := range t.heads {
		t.heads[i] = head{index: i, values: slices.Clone(s.heads[i].values), fill: s.heads[i].fill, before: make([]float32, s.memory.size)}
	}
	return t
}

// Hold keeps what the state is, so that Revert can bring it back, until Release.
func (s *State) Hold() {
	m := s.memory
	s.held = true
	for i := range s.heads {
		x := &s.heads[i]
		x.fillBefore, x.whole = x.fill, false
		copy(x.before[m.inWeights:], x.values[m.inWeights:])
	}
}

// Release keeps what was learned since Hold.
func (s *State) Release() { s.held = false }

// Reach is 0: what was learned from a row cannot be told from what was learned before.
func (s *State) Reach() int { return 0 }

// Back fails (memory.ErrLearned), but for no rows.
func (s *State) Back(rows int) error {
	if rows != 0 {
		return fmt.Errorf("neural: %d rows back: %w", rows, memory.ErrLearned)
	}
	return nil
}

// Revert takes back what was learned since Hold.
func (s *State) Revert() {
	if !s.held {
		return
	}
	m := s.memory
	s.held = false
	for i := range s.heads {
		x := &s.heads[i]
		from := m.inWeights
		if x.whole {
			from = 0
		}
		copy(x.values[from:], x.before[from:])
		x.fill = x.fillBefore
		for l := range m.Depth {
			clear(x.inputs(m, l)[x.fill*m.Width(l-1):])
			clear(x.errors(m, l)[x.fill*m.Width(l):])
		}
	}
}

// preserve keeps the weights, and the chunk's rows, before they change for the first time since Hold.
func (x *head) preserve(m *Memory) {
	if !x.whole {
		copy(x.before[:m.inWeights], x.values)
		x.whole = true
	}
}

func (x *head) weights(m *Memory, layer int) []float32 {
	return x.values[m.weights[layer]:][:m.Width(layer)*m.Width(layer-1)]
}

// initial are the weights of a layer that a text begins with.
func (x *head) initial(m *Memory, layer int) []float32 {
	n := m.Width(layer) * m.Width(layer-1)
	return m.initial[layer][x.index*n:][:n]
}

// step is the part of the step that a layer learns with.
func (x *head) step(m *Memory, layer int) float32 { return m.steps[layer*m.Heads+x.index] }

func (x *head) momentumOf(m *Memory, layer int) []float32 {
	return x.values[m.layout.momentum[layer]:][:m.Width(layer)*m.Width(layer-1)]
}

func (x *head) inputs(m *Memory, layer int) []float32 {
	return x.values[m.inputs[layer]:][:m.Chunk*m.Width(layer-1)]
}

func (x *head) errors(m *Memory, layer int) []float32 {
	return x.values[m.errors[layer]:][:m.Chunk*m.Width(layer)]
}
