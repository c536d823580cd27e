package neural

import "github.com/mneme-lm/mneme/kernels"

// read sets y = M(q) for n queries, with the weights that the chunk begins with.
func (m *Memory) read(s *Scratch, x *head, y, q []float32, n int) {
	for i := range m.Depth {
		in, out := m.Width(i-1), m.Width(i)
		to := y
		if i < m.Depth-1 {
			to = s.hidden(i, n*out)
		}
		s.apply(to, q, x.weights(m, i), n, in, out)
		if i < m.Depth-1 {
			s.activate(m, to, n)
		}
		q = to
	}
}

// Retrieve reads with the queries of rows that pick names, with the weights that the chunk begins with, and learns nothing: h in
// equation 21. Of rows only Q and Out are looked at, and out is set as by Advance. The rows of a chunk are to be retrieved for before
// Advance goes beyond it. It is for memories that are Retrieving. It fails with ErrDiverged.
func (m *Memory) Retrieve(s *Scratch, st *State, h int, rows Rows, pick []int32, out []float32) error {
	x, width := &st.heads[h], m.Heads*m.Dim
	for len(pick) > 0 {
		piece := pick[:min(len(pick), m.Chunk)]
		m.gather(s, x, h, queries, parts, rows.Q, piece)
		kernels.Grow(&s.read, len(piece)*m.Dim)
		m.read(s, x, s.read, s.parts[queries], len(piece))
		if !s.finite(s.read) {
			return diverged(h)
		}
		for i, r := range piece {
			at := int(r)*width + h*m.Dim
			m.finish(s, h, out[at:at+m.Dim], s.read[i*m.Dim:(i+1)*m.Dim], rows.Out[at:at+m.Dim])
		}
		pick = pick[len(piece):]
	}
	return nil
}

// activate makes of what a hidden layer makes of n queries what goes into the next.
func (s *Scratch) activate(m *Memory, to []float32, n int) {
	s.silu(to, to)
	if m.UnitHidden {
		s.unit(to, s.scales(0, n))
	}
}

// mix is what of the weights and momentum that a chunk begins with, and of its gradients, is in the weights at a token.
type mix struct {
	weights, momentum float32
	gradients         []float32
}

// mixValues is what a mix takes, in values.
const mixValues = 8

// readAfter sets y = M_t(q_t) for n queries, each with the weights at its own token: of a layer,
//
//	M_t·h = β_t·M_0·h + γ_t·S_0·h − Σ c_{t,i}·(h_i·h)·e_i
//
// and (1 − β_t)·M_initial·h where weights decay to the initial ones.
func (m *Memory) readAfter(s *Scratch, x *head, y, q []float32, mixes []mix) {
	n := len(mixes)
	for i := range m.Depth {
		in, out := m.Width(i-1), m.Width(i)
		to := y
		if i < m.Depth-1 {
			to = s.hidden(i, n*out)
		}
		s.apply(to, q, x.weights(m, i), n, in, out)
		if m.Momentum {
			kernels.Grow(&s.scaled, n*out)
			s.apply(s.scaled, q, x.momentumOf(m, i), n, in, out)
		}
		if m.DecayToInitial {
			kernels.Grow(&s.first, n*out)
			s.apply(s.first, q, x.initial(m, i), n, in, out)
		}
		kernels.Grow(&s.similar, m.Chunk)
		for r, mx := range mixes {
			row := to[r*out : (r+1)*out]
			for j := range row {
				row[j] *= mx.weights
			}
			if m.Momentum {
				s.impl.Axpy(mx.momentum, s.scaled[r*out:(r+1)*out], row)
			}
			if m.DecayToInitial {
				s.impl.Axpy(1-mx.weights, s.first[r*out:(r+1)*out], row)
			}
			m.subtractGradients(s, x, i, row, q[r*in:(r+1)*in], mx.gradients)
		}
		if i < m.Depth-1 {
			s.activate(m, to, n)
		}
		q = to
	}
}

// subtractGradients subtracts Σ factors[i]·g_i·h, where g_i are the chunk's gradients of a layer.
func (m *Memory) subtractGradients(s *Scratch, x *head, layer int, from, h, factors []float32) {
	in, out := m.Width(layer-1), m.Width(layer)
	n := len(factors)
	similar := s.similar[:n]
	s.gemm(kernels.Gemm{TransB: true, M: 1, N: n, K: in, Alpha: 1, A: h, LDA: in, B: x.inputs(m, layer), LDB: in, C: similar, LDC: n})
	step := x.step(m, layer)
	for i, f := range factors {
		similar[i] *= step * f
	}
	s.gemm(kernels.Gemm{M: 1, N: out, K: n, Alpha: -1, A: similar, LDA: n, B: x.errors(m, layer), LDB: out, Beta: 1, C: from, LDC: out})
}
