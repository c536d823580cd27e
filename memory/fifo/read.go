package fifo

import "github.com/mneme-lm/mneme/kernels"

// Read sets what a head reads for queries of some rows: out = Σ_i softmax_i(Scale·q·k_i)·v_i over the slots that hold something,
// zeros if there are none. q and out are rows of HeadDim values, the given strides apart. Slots have no positions, so that their
// order does not matter. Threads may read at the same time, each with its own scratch.
func (b *Bank) Read(impl *kernels.Implementation, out []float32, outStride int, q []float32, qStride, rows, head int, s *Scratch) {
	n, dim, width := b.Filled(), b.HeadDim, b.Width()
	if rows == 0 {
		return
	}
	if n == 0 {
		for i := range rows {
			clear(out[i*outStride:][:dim])
		}
		return
	}
	keys, values := b.keys, b.values
	if keys == nil {
		keys, values = b.slots, b.slots
	}
	stride := kernels.WholeGroups(n)
	scores := kernels.Grow(&s.scores, rows*stride)
	s.gemm(impl, kernels.Gemm{
		TransB: true, M: rows, N: n, K: dim, Alpha: 1, A: q, LDA: qStride, B: keys[head*dim:], LDB: width, C: scores, LDC: stride,
	})
	weigh(impl, scores, rows, n, b.Scale)
	s.gemm(impl, kernels.Gemm{
		M: rows, N: dim, K: n, Alpha: 1, A: scores, LDA: stride, B: values[head*dim:], LDB: width, C: out, LDC: outStride,
	})
}
