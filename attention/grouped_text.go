package attention

import (
	"fmt"

	"github.com/mneme-lm/mneme/kernels"
)

// groupedRows is how many queries GroupedText works on at a time: enough for products to read their operands from a
// cache, while weights of no more rows have to be held, and few of them are of rows after the query.
const groupedRows = 64

// GroupedText is landmark attention over a whole text in its training form, with gradients. Queries and keys have been
// rotated. The heads that share a KV head are a piece of work, which reads and writes nothing that another one writes.
type GroupedText struct {
	Groups           *Groups
	Heads, KVHeads   int
	KeyDim, ValueDim int
	Scale            float32   // of the inner products
	Q                []float32 // [rows, Heads, KeyDim]
	K                []float32 // [rows, KVHeads, KeyDim]
	V                []float32 // [rows, KVHeads, ValueDim]
}

// GroupedGradients are those of a loss with respect to the operands of a GroupedText, in their shapes.
type GroupedGradients struct{ Q, K, V []float32 }

// Forward writes what the queries of the heads that share a KV head get into out, [rows, Heads, ValueDim].
func (t *GroupedText) Forward(impl *kernels.Implementation, out []float32, kvHead int, s *GroupedScratch) error {
	if err := t.check(kvHead, out); err != nil {
		return err
	}
	t.pieces(kvHead, func(p *groupedPiece) {
		p.weights(impl, s)
		impl.Gemm(&kernels.Gemm{ // W·V
			M: p.rows(), N: t.ValueDim, K: p.to, Alpha: 1, A: s.w, LDA: p.to, B: p.v, LDB: t.KVHeads * t.ValueDim,
			C: out[p.out():], LDC: t.Heads * t.ValueDim,
		}, s.kernels)
	})
	return nil
}

// Backward writes, for the heads that share a KV head, the gradients into d: from dOut, that of the loss with respect to
// what Forward wrote. Weights are worked out anew.
func (t *GroupedText) Backward(impl *kernels.Implementation, d *GroupedGradients, dOut []float32, kvHead int, s *GroupedScratch) error {
	if err := t.check(kvHead, dOut); err != nil {
		return err
	}
	if len(d.Q) != len(t.Q) || len(d.K) != len(t.K) || len(d.V) != len(t.V) {
		return fmt.Errorf("attention: gradients of %d, %d and %d values for operands of %d, %d and %d", len(d.Q), len(d.K), len(d.V), len(t.Q), len(t.K), len(t.V))
	}
	qStride, kStride, vStride, outStride := t.Heads*t.KeyDim, t.KVHeads*t.KeyDim, t.KVHeads*t.ValueDim, t.Heads*t.ValueDim
	for i := range t.Groups.Rows() {
		clear(d.K[i*kStride+kvHead*t.KeyDim:][:t.KeyDim])
		clear(d.V[i*vStride+kvHead*t.ValueDim:][:t.ValueDim])
	}
	t.pieces(kvHead, func(p *groupedPiece) {
		p.weights(impl, s)
		out := dOut[p.out():]
		s.d = kernels.Grow(&s.d, p.rows()*p.to)
		impl.Gemm(&kernels.Gemm{ // dW = dOut·Vᵀ
			TransB: true, M: p.rows(), N: p.to, K: t.ValueDim, Alpha: 1, A: out, LDA: outStride, B: p.v, LDB: vStride, C: s.d, LDC: p.to,
		}, s.kernels)
		impl.Gemm(&kernels.Gemm{ // dV += Wᵀ·dOut
			TransA: true, M: p.to, N: t.ValueDim, K: p.rows(), Alpha: 1, A: s.w, LDA: p.to, B: out, LDB: outStride,
			Beta: 1, C: d.V[kvHead*t.ValueDim:], LDC: vStride,
		}, s.kernels)
		for i := p.from; i < p.to; i++ {
			at := (i - p.from) * p.to
			s.backward(impl, s.d[at:at+p.to], s.w[at:at+p.to], i, t.Groups)
		}
		impl.Gemm(&kernels.Gemm{ // dQ = dScores·K
			M: p.rows(), N: t.KeyDim, K: p.to, Alpha: t.Scale, A: s.d, LDA: p.to, B: p.k, LDB: kStride,
			C: d.Q[p.query():], LDC: qStride,
		}, s.kernels)
		impl.Gemm(&kernels.Gemm{ // dK += dScoresᵀ·Q
			TransA: true, M: p.to, N: t.KeyDim, K: p.rows(), Alpha: t.Scale, A: s.d, LDA: p.to, B: t.Q[p.query():], LDB: qStride,
			Beta: 1, C: d.K[kvHead*t.KeyDim:], LDC: kStride,
		}, s.kernels)
	})
	return nil
}

func (t *GroupedText) check(kvHead int, out []float32) error {
	if t.KVHeads < 1 || t.Heads < 1 || t.Heads%t.KVHeads != 0 {
		return fmt.Errorf("attention: %d heads with %d KV heads", t.Heads, t.KVHeads)
	}
	if kvHead < 0 || kvHead >= t.KVHeads {
		return fmt.Errorf("attention: KV head %d of %d", kvHead, t.KVHeads)
	}
	if t.KeyDim < 1 || t.ValueDim < 1 {
		return fmt.Errorf("attention: keys of %d dimensions, values of %d", t.KeyDim, t.ValueDim)
	}
	n := t.Groups.Rows()
	for _, x := range []struct {
		name string
		has  int
		want int
	}{
		{"queries", len(t.Q), n * t.Heads * t.KeyDim}, {"keys", len(t.K), n * t.KVHeads * t.KeyDim},
		{"values", len(t.V), n * t.KVHeads * t.ValueDim}, {"outputs", len(out), n * t.Heads * t.ValueDim},
	} {
		if x.has != x.want {
			return fmt.Errorf("attention: %s of a text of %d rows have %d values, want %d", x.name, n, x.has, x.want)
		}
	}
	return nil
}

// groupedPiece is the rows [from, to) of one head. They see no rows from to on.
type groupedPiece struct {
	*GroupedText
	head, from, to int
	k, v           []float32 // of the KV head, from its first row on
}

// pieces goes through the heads that share a KV head.
func (t *GroupedText) pieces(kvHead int, each func(p *groupedPiece)) {
	shared, n := t.Heads/t.KVHeads, t.Groups.Rows()
	for head := kvHead * shared; head < (kvHead+1)*shared; head++ {
		for from := 0; from < n; from += groupedRows {
			each(&groupedPiece{t, head, from, min(from+groupedRows, n), t.K[kvHead*t.KeyDim:], t.V[kvHead*t.ValueDim:]})
		}
	}
}

func (p *groupedPiece) rows() int { return p.to - p.from }

// query is where the piece's first query begins.
func (p *groupedPiece) query() int { return (p.from*p.Heads + p.head) * p.KeyDim }

// out is where its output begins.
func (p *groupedPiece) out() int { return (p.from*p.Heads + p.head) * p.ValueDim }

// weights makes s.w the piece's weights, [rows, to].
func (p *groupedPiece) weights(impl *kernels.Implementation, s *GroupedScratch) {
	s.w = kernels.Grow(&s.w, p.rows()*p.to)
	impl.Gemm(&kernels.Gemm{
		TransB: true, M: p.rows(), N: p.to, K: p.KeyDim, Alpha: p.Scale, A: p.Q[p.query():], LDA: p.Heads * p.KeyDim,
		B: p.k, LDB: p.KVHeads * p.KeyDim, C: s.w, LDC: p.to,
	}, s.kernels)
	for i := p.from; i < p.to; i++ {
		row := s.w[(i-p.from)*p.to:][:p.to]
		s.weigh(impl, row, row, i, p.Groups)
	}
}
