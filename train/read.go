package train

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
)

// ReadBank returns what heads read of the slots of the chunks before, for queries q [rows, heads·dim] and the slots' keys and
// values [slots, heads·dim]: sums of values under the softmax of scale·q·k, zeros in the first chunk. Slots have no positions.
func (c Compute) ReadBank(q, keys, values *gorgonia.Node, heads int, scale float32, ch Chunks) (*gorgonia.Node, error) {
	return apply(newReadBank(c, ch, heads, scale), q, keys, values)
}

type readBank struct {
	c     Compute
	ch    Chunks
	heads int
	scale float32
	tiles []tile // of each thread, [Chunk, slots that are read] in whole groups
}

func newReadBank(c Compute, ch Chunks, heads int, scale float32) *readBank {
	return &readBank{c, ch, heads, scale, make([]tile, c.Team.Threads())}
}

func (*readBank) String() string { return "read of the bank" }

func (r *readBank) shape(in []tensor.Shape) (tensor.Shape, error) {
	if err := wantDims(in, 2, 2, 2); err != nil {
		return nil, err
	}
	if r.heads < 1 || in[0][1]%r.heads != 0 {
		return nil, fmt.Errorf("%d heads of rows of %d values", r.heads, in[0][1])
	}
	slots, err := r.ch.slotsOf(in[0])
	if err != nil {
		return nil, err
	}
	if !slots.Eq(in[1]) || !slots.Eq(in[2]) {
		return nil, fmt.Errorf("keys %v and values %v, want %v of the slots", in[1], in[2], slots)
	}
	return in[0], nil
}

// reads is what a head of a chunk reads: the rows [row, row+rows) read the slots [slot, slot+slots). All begin at the head's
// values, which are dim of width.
type reads struct {
	row, rows, slot, slots int
	head, dim, width       int
	stride                 int // of weights
}

// at is where row i's values of the head begin.
func (x *reads) at(i int) int { return i*x.width + x.head*x.dim }

// chunks has the team call body for each chunk of each text and head that reads something: in the order of the chunks,
// since the gradients with respect to slots add up.
func (r *readBank) chunks(q tensor.Shape, body func(w *kernels.Worker, t *tile, x *reads)) error {
	ch := r.ch
	return r.c.each(q[0]/ch.Length*r.heads, 1, func(w *kernels.Worker, from, to int) {
		t := &r.tiles[w.ID]
		if t.w == nil {
			size := ch.Chunk * kernels.WholeGroups(min(ch.Bank, ch.slots()))
			t.w, t.d = make([]float32, size), make([]float32, size)
		}
		for i := from; i < to; i++ {
			text := i / r.heads
			for chunk := 1; chunk <= ch.summarized(); chunk++ {
				first, last := ch.rowsOf(chunk)
				old, fresh := ch.before(chunk)
				x := reads{
					row: text*ch.Length + first, rows: last - first, slot: text*ch.slots() + old*ch.Slots, slots: (fresh - old) * ch.Slots,
					head: i % r.heads, dim: q[1] / r.heads, width: q[1],
				}
				x.stride = kernels.WholeGroups(x.slots)
				body(w, t, &x)
			}
		}
	})
}

func (r *readBank) weigh(w *kernels.Worker, weights, q, keys []float32, x *reads) {
	r.c.Impl.Gemm(&kernels.Gemm{
		TransB: true, M: x.rows, N: x.slots, K: x.dim, Alpha: r.scale,
		A: q[x.at(x.row):], LDA: x.width, B: keys[x.at(x.slot):], LDB: x.width, C: weights, LDC: x.stride,
	}, &w.Scratch)
	softmaxRows(r.c, weights, x.rows, x.slots)
}

func (r *readBank) run(out []float32, in []operand) error {
	clear(out)
	return r.chunks(in[0].shape, func(w *kernels.Worker, t *tile, x *reads) {
		r.weigh(w, t.w, in[0].values, in[1].values, x)
		r.c.Impl.Gemm(&kernels.Gemm{
			M: x.rows, N: x.dim, K: x.slots, Alpha: 1, A: t.w, LDA: x.stride, B: in[2].values[x.at(x.slot):], LDB: x.width,
			C: out[x.at(x.row):], LDC: x.width,
		}, &w.Scratch)
	})
}

func (*readBank) differentiable() []bool { return []bool{true, true, true} }

func (r *readBank) gradients(in gorgonia.Nodes, grad *gorgonia.Node) (gorgonia.Nodes, error) {
	parts := shapesOf(in...)
	return parts.apart(&readBankToInputs{parts, newReadBank(r.c, r.ch, r.heads, r.scale)}, in[0], in[1], in[2], grad)
}

// readBankToInputs are the gradients with respect to queries, keys and values, from these and grad.
type readBankToInputs struct {
	packed
	of *readBank
}

func (*readBankToInputs) String() string { return "read of the bank to its inputs" }

func (b *readBankToInputs) run(out []float32, in []operand) error {
	impl := b.of.c.Impl
	clear(out)
	parts := b.cut(out)
	return b.of.chunks(in[0].shape, func(w *kernels.Worker, t *tile, x *reads) {
		q, keys, values, grad := in[0].values[x.at(x.row):], in[1].values[x.at(x.slot):], in[2].values[x.at(x.slot):], in[3].values[x.at(x.row):]
		toQ, toK, toV := parts[0][x.at(x.row):], parts[1][x.at(x.slot):], parts[2][x.at(x.slot):]
		b.of.weigh(w, t.w, in[0].values, in[1].values, x)
		impl.Gemm(&kernels.Gemm{TransA: true, M: x.slots, N: x.dim, K: x.rows, Alpha: 1, A: t.w, LDA: x.stride, B: grad, LDB: x.width, Beta: 1, C: toV, LDC: x.width}, &w.Scratch)
		impl.Gemm(&kernels.Gemm{TransB: true, M: x.rows, N: x.slots, K: x.dim, Alpha: 1, A: grad, LDA: x.width, B: values, LDB: x.width, C: t.d, LDC: x.stride}, &w.Scratch)
		for i := range x.rows {
			p, d := t.w[i*x.stride:][:x.slots], t.d[i*x.stride:][:x.slots]
			toScores(p, d, impl.Dot(p, d), b.of.scale)
		}
		impl.Gemm(&kernels.Gemm{M: x.rows, N: x.dim, K: x.slots, Alpha: 1, A: t.d, LDA: x.stride, B: keys, LDB: x.width, C: toQ, LDC: x.width}, &w.Scratch)
		impl.Gemm(&kernels.Gemm{TransA: true, M: x.slots, N: x.dim, K: x.rows, Alpha: 1, A: t.d, LDA: x.stride, B: q, LDB: x.width, Beta: 1, C: toK, LDC: x.width}, &w.Scratch)
	})
}
