package neural

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory"
)

// ErrDiverged is wrapped when values of a memory are not finite any more, or what comes in is not.
var ErrDiverged = errors.New("the memory diverged: not all of its values are finite")

// The parts that rows have for a head.
const (
	queries = iota
	keys
	values
	parts
)

// Rows are what a layer makes of a batch's tokens. Q, K and V are [rows, heads·dim], as they are before their convolution.
type Rows struct {
	Q, K, V []float32
	// Gates is [rows, 3, heads]: what the sigmoids of a step θ, a momentum η and a decay α are taken of.
	Gates []float32
	// Out is [rows, heads·dim]: what is read is normed and multiplied by the sigmoid of it.
	Out []float32
}

// Advance has a head read the rows that pick names, in their order, learn from them, and set their part of out, which is
// [rows, heads·dim]. Rows that are read at once and one by one give the same bits. Nothing of a row depends on what comes
// behind it.
//
// It fails with ErrDiverged, and the state is then good for nothing but Revert and Reset.
func (m *Memory) Advance(s *Scratch, st *State, h int, rows Rows, pick []int32, out []float32) error {
	x, width := &st.heads[h], m.Heads*m.Dim
	for len(pick) > 0 {
		n := min(len(pick), m.Chunk-x.fill)
		piece := pick[:n]
		for part, from := range [parts][]float32{rows.Q, rows.K, rows.V} {
			m.gather(s, x, h, part, part, from, piece)
		}
		kernels.Grow(&s.gates, n)
		for i, r := range piece {
			s.gates[i] = m.gateOf(rows.Gates[int(r)*3*m.Heads:], h)
		}
		kernels.Grow(&s.read, n*m.Dim)
		if !m.advance(s, st.held, x, s.parts[queries], s.parts[keys], s.parts[values], s.gates, s.read) {
			return diverged(h)
		}
		for i, r := range piece {
			at := int(r)*width + h*m.Dim
			m.finish(s, h, out[at:at+m.Dim], s.read[i*m.Dim:(i+1)*m.Dim], rows.Out[at:at+m.Dim])
		}
		pick = pick[n:]
	}
	return nil
}

func diverged(h int) error { return fmt.Errorf("neural: head %d: %w", h, ErrDiverged) }

// gateOf reads a head's gates of a row.
func (m *Memory) gateOf(row []float32, h int) gate {
	return gate{
		step:     m.MostStep * memory.Sigmoid(row[h]),
		momentum: min(memory.Sigmoid(row[m.Heads+h]), m.MostMomentum),
		decay:    memory.Sigmoid(row[2*m.Heads+h]),
	}
}

// advance reads and learns from tokens that fit into what is left of the chunk. It reports whether all values are finite.
func (m *Memory) advance(s *Scratch, held bool, x *head, q, k, v []float32, gates []gate, y []float32) bool {
	n := len(gates)
	if m.ReadAfter {
		m.observe(s, x, k, v, nil, nil, n)
	} else {
		m.observe(s, x, k, v, q, y, n)
	}
	if m.ReadAfter {
		kernels.Grow(&s.mixes, n)
		kernels.Grow(&s.factors, n*m.Chunk)
	}
	for i, g := range gates {
		m.weigh(x, g)
		if !m.ReadAfter {
			continue
		}
		carried := x.carried(m)
		s.mixes[i] = mix{carried[weightsInWeights], carried[momentumInWeights], s.factors[i*m.Chunk:][:x.fill]}
		copy(s.mixes[i].gradients, x.values[m.inWeights:])
	}
	if m.ReadAfter {
		m.readAfter(s, x, y, q, s.mixes)
	}
	if !s.finite(y) || !m.finiteRows(s, x, n) {
		return false
	}
	if x.fill < m.Chunk {
		return true
	}
	if held {
		x.preserve(m)
	}
	m.learn(s, x)
	return s.finite(x.values[:m.inputs[0]])
}

// finiteRows reports whether the chunk's last n rows left finite values. What goes into a layer need not be looked at: the errors of
// the last layer are not finite where it is not.
func (m *Memory) finiteRows(s *Scratch, x *head, n int) bool {
	for i := range m.Depth {
		width := m.Width(i)
		if !s.finite(x.errors(m, i)[(x.fill-n)*width : x.fill*width]) {
			return false
		}
	}
	return s.finite(x.values[m.inWeights : m.carry+carryValues])
}

// finite reports whether all values are. Their sum of squares is not finite where one of them is not; where they are merely large, they
// are looked at one by one.
func (s *Scratch) finite(x []float32) bool {
	sum := s.impl.Dot(x, x)
	return sum-sum == 0 || !slices.ContainsFunc(x, func(v float32) bool { return v-v != 0 })
}

// finish norms what was read and gates it.
func (m *Memory) finish(s *Scratch, h int, out, read, gates []float32) {
	s.impl.RMSNorm(out, read, m.norm[h*m.Dim:(h+1)*m.Dim], m.NormEpsilon)
	s.impl.Scale(out, out, s.sigmoids(gates), 1)
}

// gather brings a head's part of the rows together: convolved, each stream with its own past, activated, and queries and keys of
// length 1.
func (m *Memory) gather(s *Scratch, x *head, h, part, stream int, from []float32, pick []int32) {
	n, d := len(pick), m.Dim
	kernels.Grow(&s.parts[part], n*d)
	to := s.parts[part]
	raw, behind := to, 0
	if m.Convolution > 0 {
		behind = m.Convolution - 1
		kernels.Grow(&s.raw, (behind+n)*d)
		raw = s.raw
		copy(raw, m.tail(x, stream))
	}
	for i, r := range pick {
		at := (int(r)*m.Heads + h) * d
		copy(raw[(behind+i)*d:(behind+i+1)*d], from[at:at+d])
	}
	if m.Convolution > 0 {
		copy(m.tail(x, stream), raw[n*d:])
		m.convolve(s, to, raw, m.taps[(part*m.Heads+h)*m.Convolution*d:], n)
	}
	if m.SiLU {
		s.silu(to, to)
	}
	if part != values {
		for i := range n {
			normalize(s, to[i*d:(i+1)*d])
		}
	}
}

// tail is the last rows of a stream before their convolution.
func (m *Memory) tail(x *head, stream int) []float32 {
	n := (m.Convolution - 1) * m.Dim
	return x.values[m.tails+stream*n:][:n]
}

// convolve sets to[i] = Σ_j taps[j]·raw[i+j].
func (m *Memory) convolve(s *Scratch, to, raw, taps []float32, n int) {
	d := m.Dim
	kernels.Grow(&s.tapped, d)
	for i := range n {
		out := to[i*d : (i+1)*d]
		s.impl.Scale(out, raw[i*d:(i+1)*d], taps, 1)
		for j := 1; j < m.Convolution; j++ {
			s.impl.Scale(s.tapped, raw[(i+j)*d:(i+j+1)*d], taps[j*d:], 1)
			s.impl.Axpy(1, s.tapped, out)
		}
	}
}

// smallest is the length below which a vector is not brought to length 1: zero stays zero.
const smallest = 1e-12

// normalize brings a vector to length 1, and returns by what it was multiplied for this; 0 if it was too short.
func normalize(s *Scratch, x []float32) (scale float32) {
	length := float32(math.Sqrt(float64(s.impl.Dot(x, x))))
	scale = 1 / max(length, smallest)
	s.times(x, x, scale)
	if length < smallest {
		return 0
	}
	return scale
}
