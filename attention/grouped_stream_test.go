package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// Finished is a block that has got its landmark, as queries of later blocks see it.
type Finished struct {
	View   *kvcache.View // its ordinary rows, without the landmark
	Scores []float32     // of the landmark with each query, scaled; −Inf for a query that the block is not open to
}

// Grouped attends from each query to finished blocks, behind their landmarks, and to the ordinary rows of its own block: the
// grouped softmax (Mohtashami and Jaggi 2023, equations 1 to 4) over these alone, in one pass. What a softmax over a block's
// rows comes to is a row of the running softmax, with the landmark's score (Partial.Fold). A query sees rows at positions up
// to its own. Blocks that are not given get nothing, and the others share what they would have had.
func Grouped(impl *kernels.Implementation, q *Queries, blocks []Finished, own *kvcache.View, p *Params, s *Scratch) {
	m := len(q.Positions) * q.Heads
	total := s.partial(&s.total, m, own)
	for i := range blocks {
		inner := s.partial(&s.next, m, own)
		s.block(impl, q, blocks[i].View, p, inner)
		for h, score := range blocks[i].Scores[:m] {
			total.Fold(impl, h, score, &inner, h)
		}
	}
	s.block(impl, q, own, p, total)
	total.Finish(q, own.ValueDim)
}

// block adds the rows of a block, which are too few for more than one segment.
func (s *Scratch) block(impl *kernels.Implementation, q *Queries, view *kvcache.View, p *Params, to Partial) {
	s.pack(q, view)
	for i := range view.Spans {
		s.span(impl, q, view, &view.Spans[i], p, to)
	}
}

// streamed is a text whose ordinary rows lie in caches, one for each block, and the keys of its landmarks beside them.
type streamed struct {
	*GroupedText
	blocks []kvcache.View
}

func stream(t testing.TB, text *GroupedText) *streamed {
	t.Helper()
	s := &streamed{GroupedText: text}
	for b, end := range text.Groups.ends {
		c, err := kvcache.New(kvcache.Config{Layers: 1, Heads: 1, KeyDim: text.KeyDim, ValueDim: text.ValueDim, Type: quant.F32})
		if err != nil {
			t.Fatal(err)
		}
		from, to := text.Groups.tokens(b, end-1)
		for j := from; j < to; j++ {
			first, err := c.Append([]int32{int32(j)})
			if err != nil {
				t.Fatal(err)
			}
			key, value := text.K[j*text.KeyDim:][:text.KeyDim], text.V[j*text.ValueDim:][:text.ValueDim]
			if err := c.Put(0, 0, first, stored(t, key), stored(t, value)); err != nil {
				t.Fatal(err)
			}
		}
		s.blocks = append(s.blocks, c.View(0, 0))
	}
	return s
}

// attend streams the rows [from, to), which are of one block, over the blocks that open says are open to a query.
func (s *streamed) attend(impl *kernels.Implementation, out []float32, from, to int, open func(row, head, block int) bool, scratch *Scratch) {
	own := s.Groups.block[from]
	q := &Queries{Q: s.Q[from*s.Heads*s.KeyDim:], Out: out[from*s.Heads*s.ValueDim:], QStride: s.Heads * s.KeyDim, OutStride: s.Heads * s.ValueDim, Heads: s.Heads}
	for i := from; i < to; i++ {
		q.Positions = append(q.Positions, int32(i))
	}
	var blocks []Finished
	for b := range own {
		block := Finished{View: &s.blocks[b]}
		key := s.K[(s.Groups.ends[b]-1)*s.KeyDim:][:s.KeyDim]
		for i := from; i < to; i++ {
			for h := range s.Heads {
				score := hidden
				if open(i, h, b) {
					score = s.Scale * impl.Dot(s.Q[(i*s.Heads+h)*s.KeyDim:][:s.KeyDim], key)
				}
				block.Scores = append(block.Scores, score)
			}
		}
		blocks = append(blocks, block)
	}
	Grouped(impl, q, blocks, &s.blocks[own], &Params{Scale: s.Scale}, scratch)
}

// all streams the text block by block.
func (s *streamed) all(impl *kernels.Implementation, open func(row, head, block int) bool) []float32 {
	out, scratch := make([]float32, s.Groups.Rows()*s.Heads*s.ValueDim), NewScratch(new(kernels.Scratch))
	fill(out, nan)
	for b, end := range s.Groups.ends {
		s.attend(impl, out, s.Groups.start(b), end, open, scratch)
	}
	return out
}

func everything(_, _, _ int) bool { return true }

// In one pass over blocks, a text gets what the equations over all of it say.
func TestStreamedIsDense(t *testing.T) {
	const heads, keyDim, valueDim = 3, 16, 24
	for _, impl := range kernels.Implementations() {
		for name, landmark := range layouts {
			n := len(landmark)
			for _, scale := range []float32{0.25, 2} {
				text := someText(rand.New(rand.NewPCG(uint64(n), 17)), landmark, heads, 1, keyDim, valueDim)
				text.Scale = scale
				got := stream(t, text).all(impl, everything)
				q, k, v := wideOperand(text.Q, heads, keyDim), wideOperand(text.K, 1, keyDim), wideOperand(text.V, 1, valueDim)
				dense := make([]float32, len(got))
				if err := text.Forward(impl, dense, 0, NewGroupedScratch(new(kernels.Scratch))); err != nil {
					t.Fatal(err)
				}
				for row := range n {
					for head := range heads {
						want := text.outputOf(landmark, q, k, v, row, head)
						for i, x := range want {
							at := (row*heads+head)*valueDim + i
							if !near(float64(got[at]), x, 5e-6) || !near(float64(dense[at]), x, 5e-6) {
								t.Fatalf("%s, %s, scale %v, row %d, head %d: %v streamed, %v dense, want %v", impl.Name, name, scale, row, head, got[at], dense[at], x)
							}
						}
					}
				}
			}
		}
	}
}

// Blocks that are closed to a query are as though the text had not had them: those that are open share what they would
// have got. What is open to one query does nothing to another.
func TestStreamedWithClosedBlocks(t *testing.T) {
	const heads, keyDim, valueDim, block = 2, 8, 8, 6
	landmark := inBlocks(50, block)
	for _, impl := range kernels.Implementations() {
		text := someText(rand.New(rand.NewPCG(5, 18)), landmark, heads, 1, keyDim, valueDim)
		open := func(row, head, b int) bool { return (row*7+head*5+b*3)%4 < 2 }
		got := stream(t, text).all(impl, open)
		q, k, v := wideOperand(text.Q, heads, keyDim), wideOperand(text.K, 1, keyDim), wideOperand(text.V, 1, valueDim)
		for row := range landmark {
			for head := range heads {
				var keep []int // rows of the text without what is closed
				for j := range row + 1 {
					if j/block == row/block || open(row, head, j/block) {
						keep = append(keep, j)
					}
				}
				left := operand{nil, 1, keyDim}
				leftValues := operand{nil, 1, valueDim}
				var leftLandmark []bool
				for _, j := range keep {
					left.x, leftValues.x, leftLandmark = append(left.x, k.at(j, 0)...), append(leftValues.x, v.at(j, 0)...), append(leftLandmark, landmark[j])
				}
				last := len(keep) - 1
				asks := operand{make([]float64, len(keep)*heads*keyDim), heads, keyDim}
				copy(asks.at(last, head), q.at(row, head))
				for i, x := range text.outputOf(leftLandmark, asks, left, leftValues, last, head) {
					if at := (row*heads+head)*valueDim + i; !near(float64(got[at]), x, 5e-6) {
						t.Fatalf("%s, row %d, head %d: %v, want %v", impl.Name, row, head, got[at], x)
					}
				}
			}
		}
	}
}

// A row streamed alone gets the bits that it gets beside others.
func TestStreamedTogetherIsAlone(t *testing.T) {
	const heads = 3
	landmark := inBlocks(60, 19)
	for _, impl := range kernels.Implementations() {
		s := stream(t, someText(rand.New(rand.NewPCG(6, 18)), landmark, heads, 1, 16, 24))
		together, alone := s.all(impl, everything), make([]float32, len(landmark)*heads*24)
		scratch := NewScratch(new(kernels.Scratch))
		for i := range landmark {
			s.attend(impl, alone, i, i+1, everything, scratch)
		}
		for i, v := range together {
			if alone[i] != v {
				t.Fatalf("%s, row %d: %v together, %v alone", impl.Name, i/(heads*24), v, alone[i])
			}
		}
	}
}

// A folded block is to the running softmax what a row with the block's value is, wherever it comes among rows.
func TestFoldIsARow(t *testing.T) {
	const dim, rows = 24, 9
	for _, impl := range kernels.Implementations() {
		for _, spread := range []float64{1, 30} {
			rng := rand.New(rand.NewPCG(uint64(spread), 19))
			scores, values := make([]float32, rows), make([][]float32, rows)
			for j := range rows {
				scores[j], values[j] = float32(spread*rng.NormFloat64()), randoms(rng, dim)
			}
			to := NewPartial(make([]float32, PartialFloats(3, dim)), 3, dim)
			to.clear()
			closed := NewPartial(slices.Repeat([]float32{1}, PartialFloats(1, dim)), 1, dim)
			to.Fold(impl, 2, hidden, &closed, 0)
			for j := range rows {
				// Two rows of equal score and half the weight each, to either side of the value, under a maximum of their own.
				inner := NewPartial(make([]float32, PartialFloats(2, dim)), 2, dim)
				inner.clear()
				inner.most[1], inner.sum[1] = 50, 2
				for i, v := range values[j] {
					inner.row(1)[i] = (v - 3) + (v + 3)
				}
				to.Fold(impl, 1, scores[j], &inner, 1)
				to.Fold(impl, 1, hidden, &inner, 1)   // closed
				to.Fold(impl, 1, infinity, &inner, 0) // saw nothing
			}
			var sum float64
			want := make([]float64, dim)
			for j, s := range scores {
				w := math.Exp(float64(s) - float64(slices.Max(scores)))
				sum += w
				for i, v := range values[j] {
					want[i] += w * float64(v)
				}
			}
			out := make([]float32, 3*dim)
			to.Finish(&Queries{Out: out, Heads: 3, Positions: []int32{0}}, dim)
			for i, v := range out {
				var x float64
				if i/dim == 1 {
					x = want[i%dim] / sum
				}
				if !near(float64(v), x, 2e-6) {
					t.Fatalf("%s, scores ±%v, query %d: %v, want %v", impl.Name, spread, i/dim, v, x)
				}
			}
		}
	}
}

// A landmark with everything leaves nothing to the own block, before which or after which it is folded; two share.
func TestStreamedInfiniteScores(t *testing.T) {
	const dim, block = 8, 4
	for _, impl := range kernels.Implementations() {
		for _, infinite := range [][]int{{0}, {1}, {2}, {0, 2}, {0, 1, 2}} {
			s := stream(t, someText(rand.New(rand.NewPCG(7, 20)), inBlocks(15, block), 1, 1, dim, dim))
			row := 14
			q := &Queries{Q: s.Q[row*dim:], Out: make([]float32, dim), QStride: dim, OutStride: dim, Heads: 1, Positions: []int32{int32(row)}}
			scratch, want := NewScratch(new(kernels.Scratch)), make([]float64, dim)
			var blocks []Finished
			for b := range 3 {
				blocks = append(blocks, Finished{View: &s.blocks[b], Scores: []float32{float32(b)}})
			}
			for _, b := range infinite {
				blocks[b].Scores[0] = infinity
				alone := *q
				alone.Out = make([]float32, dim)
				Full(impl, &alone, &s.blocks[b], &Params{Scale: s.Scale}, scratch)
				for i, v := range alone.Out {
					want[i] += float64(v) / float64(len(infinite))
				}
			}
			Grouped(impl, q, blocks, &s.blocks[3], &Params{Scale: s.Scale}, scratch)
			for i, v := range q.Out {
				if !near(float64(v), want[i], 1e-6) {
					t.Fatalf("%s, landmarks %v infinite: %v, want %v", impl.Name, infinite, q.Out, want)
				}
			}
		}
	}
}

func BenchmarkGrouped(b *testing.B) {
	const rows, dim = 51 * 6, 128
	for _, impl := range kernels.Implementations() {
		for _, queries := range []int{1, 48} {
			b.Run(fmt.Sprintf("%s/queries=%d/blocks=5", impl.Name, queries), func(b *testing.B) {
				text := someText(rand.New(rand.NewPCG(1, 21)), inBlocks(rows, 51), 1, 1, dim, dim)
				s := stream(b, text)
				out, scratch := make([]float32, rows*dim), NewScratch(new(kernels.Scratch))
				for b.Loop() {
					s.attend(impl, out, rows-1-queries, rows-1, everything, scratch)
				}
			})
		}
	}
}
