package neural

import (
	"math"

	"github.com/mneme-lm/mneme/kernels"
)

// What a head carries through a chunk: how much of the weights and of the momentum at its beginning is in those at its last
// token.
const (
	weightsInWeights = iota
	momentumInWeights
	momentumInMomentum
	carryValues
)

func (x *head) carried(m *Memory) []float32 { return x.values[m.carry:][:carryValues] }

// gate is what a token asks for.
type gate struct{ step, momentum, decay float32 }

// observe takes the gradients of n more keys and values of the chunk, at the weights that it begins with. If q is not nil, it reads
// at the same time, y = M(q) with these weights, which then come out of memory once for both. For a layer that makes a = W·h of
// its input h, the gradient is e·hᵀ, with e the loss's gradient by a: both are kept, not their product.
//
//	e_last = M(k) − v,  e_i = (W_{i+1}ᵀ·e_{i+1}) ⊙ SiLU′(a_i)
//
// Where hidden layers have length 1, h = p/|p| with p = SiLU(a), the gradient b by h is (b − h·(h·b))/|p| by p.
func (m *Memory) observe(s *Scratch, x *head, k, v, q, y []float32, n int) {
	last, all := m.Depth-1, (len(k)+len(q))/m.Dim
	rows := func(values []float32, width int) []float32 { return values[x.fill*width:][:n*width] }
	kernels.Grow(&s.both, len(k)+len(q))
	h := s.both
	copy(h[copy(h, k):], q)
	for i := range m.Depth {
		in, out := m.Width(i-1), m.Width(i)
		copy(rows(x.inputs(m, i), in), h)
		a := s.sums(i, all*out)
		s.apply(a, h, x.weights(m, i), all, in, out)
		if i < last {
			h = s.hidden(i, all*out)
			s.silu(h, a)
			if m.UnitHidden {
				s.unit(h, s.scales(i, all))
			}
		}
	}
	if q != nil {
		copy(y, s.sums(last, all*m.Dim)[n*m.Dim:])
	}
	e := rows(x.errors(m, last), m.Dim)
	for j, a := range s.sums(last, n*m.Dim) {
		e[j] = a - v[j]
		if m.FullLoss {
			e[j] *= 2
		}
	}
	for i := last - 1; i >= 0; i-- {
		width, next := m.Width(i), m.Width(i+1)
		e := rows(x.errors(m, i), width)
		s.gemm(kernels.Gemm{
			TransB: true, M: n, N: width, K: next, Alpha: 1, A: rows(x.errors(m, i+1), next), LDA: next, B: x.weights(m, i+1), LDB: next, C: e, LDC: width,
		})
		slopes := s.siluSlopes(s.sums(i, n*width))
		for r := range n {
			row := e[r*width : (r+1)*width]
			if m.UnitHidden {
				h, scale := x.inputs(m, i+1)[(x.fill+r)*width:][:width], s.scales(i, n)[r]
				s.impl.Axpy(-s.impl.Dot(h, row), h, row)
				for j := range row {
					row[j] *= scale
				}
			}
			s.impl.Scale(row, row, slopes[r*width:(r+1)*width], 1)
			if m.MostError > 0 {
				s.bound(row, m.MostError)
			}
		}
	}
}

// weigh brings the factors to the chunk's token number x.fill: equations 10 and 13 for a sum over the chunk's gradients g_i,
// without any of the sums:
//
//	S_t = ζ_t·S_0 − Σ d_{t,i}·g_i           ζ_t = η_t·ζ_{t−1},  d_{t,i} = η_t·d_{t−1,i},  d_{t,t} = θ_t
//	M_t = β_t·M_0 + γ_t·S_0 − Σ c_{t,i}·g_i  β_t = (1−α_t)·β_{t−1},  γ_t = (1−α_t)·γ_{t−1} + ζ_t,  c_{t,i} = (1−α_t)·c_{t−1,i} + d_{t,i}
func (m *Memory) weigh(x *head, g gate) {
	keep := 1 - g.decay
	if !m.Momentum {
		g.momentum = 0
	}
	carried := x.carried(m)
	inWeights, inMomentum := x.values[m.inWeights:][:x.fill+1], x.values[m.inMomentum:][:x.fill+1]
	inMomentum[x.fill], inWeights[x.fill] = g.step, 0
	for i := range inMomentum {
		if i < x.fill {
			inMomentum[i] *= g.momentum
		}
		inWeights[i] = float32(keep*inWeights[i]) + inMomentum[i]
	}
	carried[momentumInMomentum] *= g.momentum
	carried[weightsInWeights] *= keep
	carried[momentumInWeights] = float32(keep*carried[momentumInWeights]) + carried[momentumInMomentum]
	x.fill++
}

// learn ends a chunk: it works out weights and momentum.
func (m *Memory) learn(s *Scratch, x *head) {
	carried := x.carried(m)
	for i := range m.Depth {
		w := x.weights(m, i)
		s.addGradients(m, x, i, w, x.values[m.inWeights:], carried[weightsInWeights])
		if m.DecayToInitial {
			s.impl.Axpy(1-carried[weightsInWeights], x.initial(m, i), w)
		}
		if m.Momentum {
			momentum := x.momentumOf(m, i)
			s.impl.Axpy(carried[momentumInWeights], momentum, w)
			s.addGradients(m, x, i, momentum, x.values[m.inMomentum:], carried[momentumInMomentum])
		}
	}
	x.beginChunk(m)
}

// bound makes a vector at most so long.
func (s *Scratch) bound(x []float32, most float32) {
	length := float32(math.Sqrt(float64(s.impl.Dot(x, x))))
	if !(length > most) {
		return
	}
	for i := range x {
		x[i] *= most / length
	}
}

// addGradients sets to = keep·to − Σ factors[i]·g_i over the chunk's gradients of a layer, each by the layer's part of the step.
func (s *Scratch) addGradients(m *Memory, x *head, layer int, to, factors []float32, keep float32) {
	in, out := m.Width(layer-1), m.Width(layer)
	e := x.errors(m, layer)
	kernels.Grow(&s.scaled, x.fill*out)
	step := x.step(m, layer)
	for i := range x.fill {
		s.times(s.scaled[i*out:(i+1)*out], e[i*out:(i+1)*out], -step*factors[i])
	}
	s.gemm(kernels.Gemm{
		TransA: true, M: in, N: out, K: x.fill, Alpha: 1, A: x.inputs(m, layer), LDA: in, B: s.scaled, LDB: out, Beta: keep, C: to, LDC: out,
	})
}
