package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/memory/fifo"
)

// someChunks are two texts of four chunks that have slots, and one that has none.
var someChunks = Chunks{Length: 27, Chunk: 6, Slots: 3, Bank: 6}

const (
	someTexts = 2
	someSlots = someTexts * 4 * 3
)

// ofChunk says whether a slot is of the chunk, and of the text, that a row is in.
func ofChunk(ch Chunks, slot, row int) bool {
	text, chunk := slot/ch.slots(), slot%ch.slots()/ch.Slots
	return row/ch.Length == text && row%ch.Length/ch.Chunk == chunk
}

func fifoQuestions(some func(...int) input) []question {
	const d = 8
	ch := someChunks
	rows := someTexts * ch.Length
	all := []question{
		{"pool means", []input{some(rows, d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.PoolMeans(in[0], ch) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				return f.mul(f.matrix(someSlots, rows, func(i, j int) float64 {
					return when(ofChunk(ch, i, j) && j%ch.Length%ch.Chunk/2 == i%ch.Slots) / 2
				}), in[0])
			}},
		{"pool by queries", []input{some(rows, d), some(rows, d), some(ch.Slots, d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
				return c.PoolQueries(in[0], in[1], in[2], ch)
			},
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				scores := f.mul(f.mul(f.matrix(someSlots, ch.Slots, func(i, j int) float64 { return when(i%ch.Slots == j) / math.Sqrt(d) }), in[2]), f.must(gorgonia.Transpose(in[1], 1, 0)))
				w := f.times(f.must(gorgonia.Exp(scores)), f.matrix(someSlots, rows, func(i, j int) float64 { return when(ofChunk(ch, i, j)) }))
				return f.mul(f.div(w, f.sums(w)), in[0])
			}},
		readQuestion(some, 2), readQuestion(some, 1),
	}
	for _, previous := range []fifo.Previous{fifo.PreviousNewest, fifo.PreviousOldest, fifo.PreviousMean} {
		for _, kind := range []fifo.Gate{fifo.GateSimple, fifo.GateGRU} {
			all = append(all, gateQuestion(some, SlotGate{Kind: kind, Previous: previous}))
		}
	}
	for _, memory := range []bool{false, true} {
		for _, renormalize := range []bool{false, true} {
			all = append(all, fuseQuestion(some, memory, renormalize))
		}
	}
	return all
}

func readQuestion(some func(...int) input, heads int) question {
	ch := someChunks
	rows, n, scale := someTexts*ch.Length, heads*8, float32(0.4)
	return question{fmt.Sprintf("read by %d heads", heads), []input{some(rows, n), some(someSlots, n), some(someSlots, n)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return c.ReadBank(in[0], in[1], in[2], heads, scale, ch)
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			sees := f.matrix(rows, someSlots, func(i, j int) float64 {
				chunk, of := i%ch.Length/ch.Chunk, j%ch.slots()/ch.Slots
				return when(i/ch.Length == j/ch.slots() && of < chunk && of >= chunk-ch.Bank/ch.Slots)
			})
			first := f.matrix(rows, someSlots, func(i, _ int) float64 { return when(i%ch.Length < ch.Chunk) })
			var sum *gorgonia.Node
			for h := range heads {
				q, k, v := f.columns(in[0], h*8, 8), f.columns(in[1], h*8, 8), f.columns(in[2], h*8, 8)
				scores := f.times(f.mul(q, f.must(gorgonia.Transpose(k, 1, 0))), f.matrix(rows, someSlots, func(_, _ int) float64 { return float64(scale) }))
				w := f.times(f.must(gorgonia.Exp(scores)), sees)
				out := f.mul(f.mul(f.div(w, f.add(f.sums(w), first)), v), f.matrix(8, n, func(i, j int) float64 { return when(j == h*8+i) }))
				if sum == nil {
					sum = out
				} else {
					sum = f.add(sum, out)
				}
			}
			return sum
		}}
}

// gateQuestion goes through the chunks with the slots of both texts, which it picks out of all and puts back.
func gateQuestion(some func(...int) input, g SlotGate) question {
	const d = 5
	ch := someChunks
	m := g.Kind.Matrices()
	n := someTexts * ch.Slots
	h := some(someSlots, d)
	h.constant = g.Kind == fifo.GateGRU
	return question{fmt.Sprintf("gate %v with the %v", g.Kind, g.Previous), []input{h, some(someSlots, m*d), some(m*d, d)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return c.FifoGate(in[0], in[1], in[2], g, ch)
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			minus := func(a, b *gorgonia.Node) *gorgonia.Node { return f.must(gorgonia.Sub(a, b)) }
			ones := f.matrix(n, d, one)
			u := func(i int) *gorgonia.Node { // transposed
				return f.must(gorgonia.Transpose(f.mul(f.matrix(d, m*d, func(r, c int) float64 { return when(c == i*d+r) }), in[2]), 1, 0))
			}
			var slots []*gorgonia.Node
			var sum *gorgonia.Node
			for chunk := range ch.summarized() {
				at := func(row int) int { return row/ch.Slots*ch.slots() + chunk*ch.Slots + row%ch.Slots }
				pick := f.matrix(n, someSlots, func(i, j int) float64 { return when(j == at(i)) })
				back := f.matrix(someSlots, n, func(i, j int) float64 { return when(i == at(j)) })
				w := func(i int) *gorgonia.Node { return f.columns(f.mul(pick, in[1]), i*d, d) }
				from := max(0, chunk-ch.Bank/ch.Slots)
				p := f.matrix(n, d, func(_, _ int) float64 { return 0 })
				switch {
				case chunk == 0:
				case g.Previous == fifo.PreviousNewest:
					p = slots[chunk-1]
				case g.Previous == fifo.PreviousOldest:
					p = slots[from]
				default:
					for _, s := range slots[from:] {
						p = f.add(p, f.times(s, f.matrix(n, d, func(_, _ int) float64 { return 1 / float64(chunk-from) })))
					}
				}
				var fresh *gorgonia.Node
				if g.Kind == fifo.GateSimple {
					gate := f.must(gorgonia.Sigmoid(f.add(w(0), f.mul(p, u(0)))))
					fresh = f.add(f.times(gate, f.mul(pick, in[0])), f.times(minus(ones, gate), p))
				} else {
					z := f.must(gorgonia.Sigmoid(f.add(w(0), f.mul(p, u(0)))))
					r := f.must(gorgonia.Sigmoid(f.add(w(1), f.mul(p, u(1)))))
					c := f.must(gorgonia.Tanh(f.add(w(2), f.mul(f.times(r, p), u(2)))))
					fresh = f.add(f.times(minus(ones, z), p), f.times(z, c))
				}
				slots = append(slots, fresh)
				if put := f.mul(back, fresh); sum == nil {
					sum = put
				} else {
					sum = f.add(sum, put)
				}
			}
			return sum
		}}
}

func fuseQuestion(some func(...int) input, memory, renormalize bool) question {
	const heads, dim, rows, length, empty = 2, 4, 90, 45, 10
	const n = heads * dim
	x := Fusion{Heads: heads, Length: length, Empty: empty, Renormalize: renormalize}
	in := []input{some(3, heads), some(rows, n), some(rows, n)}
	if memory {
		in = append(in, some(rows, n))
	}
	return question{fmt.Sprintf("fusion %+v with a memory: %v", x, memory), in,
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			if !memory {
				return c.Fuse(in[0], in[1], in[2], nil, x)
			}
			return c.Fuse(in[0], in[1], in[2], in[3], x)
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			without := func(i int) bool { return !memory || i%length < empty }
			e := f.must(gorgonia.Exp(in[0]))
			// of each row and column of the result what the path's weight is divided by
			wide := func(path int) *gorgonia.Node {
				row := f.mul(f.matrix(1, 3, func(_, j int) float64 { return when(j == path) }), e)
				return f.mul(f.mul(f.matrix(rows, 1, one), row), f.matrix(heads, n, func(i, j int) float64 { return when(j/dim == i) }))
			}
			counts := f.matrix(rows, n, func(i, _ int) float64 { return when(!without(i) || !renormalize) })
			all := f.add(f.add(wide(0), wide(1)), f.times(wide(2), counts))
			sum := f.add(f.times(wide(0), in[1]), f.times(wide(1), in[2]))
			if memory {
				sum = f.add(sum, f.times(f.times(wide(2), in[3]), f.matrix(rows, n, func(i, _ int) float64 { return when(!without(i)) })))
			}
			return f.div(sum, all)
		}}
}

// With Detach the gradient of a slot is that of its own chunk alone.
func TestDetach(t *testing.T) {
	c := computes(t)[0]
	r := rand.New(rand.NewPCG(8, 8))
	some := func(shape ...int) input {
		return input{shape: shape, values: someValues(r, tensor.Shape(shape).TotalSize())}
	}
	ch := someChunks
	for _, kind := range []fifo.Gate{fifo.GateSimple, fifo.GateGRU} {
		q := gateQuestion(some, SlotGate{Kind: kind})
		// only slots of the second text's third chunk have a part in the sum
		wide := q.inputs[1].shape[1]
		d := wide / kind.Matrices()
		from, to := ch.slots()+2*ch.Slots, ch.slots()+3*ch.Slots
		factors := make([]float32, someSlots*d)
		copy(factors[from*d:to*d], someValues(r, (to-from)*d))
		last := len(q.inputs) - 2 // among the gradients, W h
		if kind == fifo.GateGRU {
			last--
		}
		through := q.ask(t, &c, factors).grads[last]
		q.fused = func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return c.FifoGate(in[0], in[1], in[2], SlotGate{Kind: kind, Detach: true}, ch)
		}
		detached := q.ask(t, &c, factors).grads[last]
		if !slices.Equal(detached[from*wide:to*wide], through[from*wide:to*wide]) {
			t.Errorf("%v: gradients of the slot's own chunk differ", kind)
		}
		for i := range someSlots {
			some := func(grads []float64) bool {
				return slices.ContainsFunc(grads[i*wide:(i+1)*wide], func(x float64) bool { return x != 0 })
			}
			if some(through) != (i >= ch.slots() && i < to) || some(detached) != (i >= from && i < to) {
				t.Errorf("%v: slot %d has gradients: %v; detached: %v", kind, i, some(through), some(detached))
			}
		}
	}
}

func TestChunksAreRefused(t *testing.T) {
	c := computes(t)[0]
	g := gorgonia.NewGraph()
	values := func(shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...))
	}
	ch := someChunks
	rows := ch.Length
	short, odd := Chunks{Length: 6, Chunk: 6, Slots: 3, Bank: 6}, Chunks{Length: 27, Chunk: 6, Slots: 4, Bank: 8}
	for _, refused := range []struct {
		want  string
		build func() (*gorgonia.Node, error)
	}{
		{"no more than a chunk", func() (*gorgonia.Node, error) { return c.PoolMeans(values(6, 2), short) }},
		{"equal pieces", func() (*gorgonia.Node, error) { return c.PoolMeans(values(27, 2), odd) }},
		{"in chunks of", func() (*gorgonia.Node, error) {
			return c.PoolMeans(values(27, 2), Chunks{Length: 27, Chunk: 6, Slots: 3, Bank: 7})
		}},
		{"no whole texts", func() (*gorgonia.Node, error) { return c.PoolMeans(values(28, 2), ch) }},
		{"do not fit", func() (*gorgonia.Node, error) {
			return c.PoolQueries(values(rows, 4), values(rows, 4), values(2, 4), ch)
		}},
		{"not those of whole texts", func() (*gorgonia.Node, error) {
			return c.FifoGate(values(13, 4), values(13, 4), values(4, 4), SlotGate{Kind: fifo.GateSimple}, ch)
		}},
		{"gate of kind none", func() (*gorgonia.Node, error) {
			return c.FifoGate(values(12, 4), values(12, 4), values(4, 4), SlotGate{Kind: fifo.GateNone}, ch)
		}},
		{"gate of kind gru", func() (*gorgonia.Node, error) {
			return c.FifoGate(values(12, 4), values(12, 4), values(4, 4), SlotGate{Kind: fifo.GateGRU}, ch)
		}},
		{"want (12, 4)", func() (*gorgonia.Node, error) {
			return c.ReadBank(values(rows, 4), values(12, 4), values(11, 4), 2, 1, ch)
		}},
		{"3 heads of rows", func() (*gorgonia.Node, error) {
			return c.ReadBank(values(rows, 4), values(12, 4), values(12, 4), 3, 1, ch)
		}},
		{"for 2 heads", func() (*gorgonia.Node, error) {
			return c.Fuse(values(3, 1), values(rows, 4), values(rows, 4), nil, Fusion{Heads: 2, Length: rows})
		}},
		{"have no memory", func() (*gorgonia.Node, error) {
			return c.Fuse(values(3, 2), values(rows, 4), values(rows, 4), nil, Fusion{Heads: 2, Length: 10})
		}},
		{"paths of shapes", func() (*gorgonia.Node, error) {
			return c.Fuse(values(3, 2), values(rows, 4), values(rows, 6), nil, Fusion{Heads: 2, Length: rows})
		}},
	} {
		if _, err := refused.build(); err == nil || !strings.Contains(err.Error(), refused.want) {
			t.Errorf("got %v, want an error that says %q", err, refused.want)
		}
	}
}
