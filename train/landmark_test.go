package train

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	engine "github.com/mneme-lm/mneme/attention"
	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/train/tales"
)

// groupedQuestion is equations 3 and 4 of the paper, with a softmax over all ordinary rows of a block wherever the query is.
func groupedQuestion(some func(...int) input, block int) question {
	h := Heads{Count: 2, Dim: 8, Length: 81}
	const texts = 2
	n, rows, size := h.width(), texts*h.Length, block+1
	text := func(i int) int { return i / h.Length }
	blockOf := func(i int) int { return i % h.Length / size }
	landmark := func(i int) bool { return i%h.Length%size == block }
	earlier := func(i, j int) bool { return text(i) == text(j) && blockOf(j) < blockOf(i) }
	own := func(i, j int) bool { return text(i) == text(j) && blockOf(j) == blockOf(i) && j <= i && !landmark(j) }
	return question{"grouped softmax", []input{some(rows, 3*n)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return c.Attention(in[0], h, Sight{Landmark: block})
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			mask := func(yes func(i, j int) bool) *gorgonia.Node {
				return f.matrix(rows, rows, func(i, j int) float64 { return when(yes(i, j)) })
			}
			outerOf := mask(func(i, j int) bool { return own(i, j) || earlier(i, j) && landmark(j) })
			innerOf := mask(func(i, j int) bool { return earlier(i, j) && !landmark(j) })
			others := mask(func(i, j int) bool { return !earlier(i, j) || landmark(j) })
			same := mask(func(i, j int) bool {
				return text(i) == text(j) && blockOf(i) == blockOf(j) && !landmark(i) && !landmark(j)
			})
			share := mask(func(i, j int) bool {
				return text(i) == text(j) && blockOf(i) == blockOf(j) && landmark(i) && !landmark(j)
			})
			gates, owns := mask(func(_, j int) bool { return landmark(j) }), mask(own)
			var sum *gorgonia.Node
			for head := range h.Count {
				q := f.columns(in[0], head*h.Dim, h.Dim)
				k := f.columns(in[0], n+head*h.Dim, h.Dim)
				v := f.columns(in[0], 2*n+head*h.Dim, h.Dim)
				scores := f.times(f.mul(q, f.must(gorgonia.Transpose(k, 1, 0))), f.matrix(rows, rows, func(_, _ int) float64 { return 1 / math.Sqrt(float64(h.Dim)) }))
				e := f.must(gorgonia.Exp(scores))
				outer := f.times(e, outerOf)
				outer = f.div(outer, f.sums(outer))
				inner := f.times(e, innerOf)
				inner = f.div(inner, f.add(f.mul(inner, same), others)) // of the others 0 is divided by 1
				w := f.add(f.times(outer, owns), f.times(inner, f.mul(f.times(outer, gates), share)))
				out := f.mul(f.mul(w, v), f.matrix(h.Dim, n, func(i, j int) float64 { return when(j == head*h.Dim+i) }))
				if sum == nil {
					sum = out
				} else {
					sum = f.add(sum, out)
				}
			}
			return sum
		}}
}

// Attention and its gradients are those of the engine's training form, also where scores differ by hundreds.
func TestGroupedSoftmaxIsTheEngines(t *testing.T) {
	for _, c := range computes(t) {
		for _, shape := range []struct{ block, rows, heads, dim int }{{16, 272, 2, 32}, {16, 140, 1, 8}, {1, 21, 2, 6}, {200, 130, 1, 4}, {63, 129, 1, 16}} {
			for _, scale := range []float32{1, 6} {
				r := rand.New(rand.NewPCG(uint64(shape.rows), 2))
				h := Heads{Count: shape.heads, Dim: shape.dim, Length: shape.rows}
				n := h.width()
				const texts = 2
				x := operand{shape: []int{texts * shape.rows, 3 * n}, values: someValues(r, texts*shape.rows*3*n)}
				for i := range x.values {
					if i%(3*n) < 2*n {
						x.values[i] *= scale
					}
				}
				grad := operand{shape: []int{texts * shape.rows, n}, values: someValues(r, texts*shape.rows*n)}
				a := newAttention(c, h, Sight{Landmark: shape.block})
				got, toInput := runAlone(t, a, x), runAlone(t, &attentionToInputs{packed: packed{parts: []tensor.Shape{x.shape}}, of: a}, x, grad)
				landmark := make([]bool, shape.rows)
				for i := range landmark {
					landmark[i] = i%(shape.block+1) == shape.block
				}
				s := engine.NewGroupedScratch(new(kernels.Scratch))
				for text := range texts {
					size := shape.rows * n
					grouped := &engine.GroupedText{
						Groups: engine.NewGroups(landmark), Heads: h.Count, KVHeads: h.Count, KeyDim: h.Dim, ValueDim: h.Dim, Scale: float32(1 / math.Sqrt(float64(h.Dim))),
						Q: columnsOf(x, text*shape.rows, shape.rows, 0, n), K: columnsOf(x, text*shape.rows, shape.rows, n, n), V: columnsOf(x, text*shape.rows, shape.rows, 2*n, n),
					}
					want, d := make([]float32, size), &engine.GroupedGradients{Q: make([]float32, size), K: make([]float32, size), V: make([]float32, size)}
					for head := range h.Count {
						if err := grouped.Forward(c.Impl, want, head, s); err != nil {
							t.Fatal(err)
						}
						if err := grouped.Backward(c.Impl, d, grad.values[text*size:][:size], head, s); err != nil {
							t.Fatal(err)
						}
					}
					if d := away(widenedValues(got[text*size:][:size]), widenedValues(want)); !(d < 2e-6) {
						t.Errorf("%s, %+v, scale %v: away by %v", c.Impl.Name, shape, scale, d)
					}
					back := operand{shape: x.shape, values: toInput}
					for i, want := range [][]float32{d.Q, d.K, d.V} {
						got := columnsOf(back, text*shape.rows, shape.rows, i*n, n)
						if d := away(widenedValues(got), widenedValues(want)); !(d < 1e-5) {
							t.Errorf("%s, %+v, scale %v: gradient %d is away by %v", c.Impl.Name, shape, scale, i, d)
						}
					}
				}
			}
		}
	}
}

// Where no block is complete, the grouped softmax is the softmax.
func TestWithinABlockAttentionIsCausal(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	h := Heads{Count: 2, Dim: 8, Length: 70}
	x := operand{shape: []int{140, 48}, values: someValues(r, 140*48)}
	for _, c := range computes(t) {
		want, got := runAlone(t, newAttention(c, h, Sight{}), x), runAlone(t, newAttention(c, h, Sight{Landmark: 70}), x)
		if d := away(widenedValues(got), widenedValues(want)); !(d < 1e-6) {
			t.Errorf("%s: away by %v", c.Impl.Name, d)
		}
	}
}

// Documents without the landmarks that texts get are what they were; every token predicts the one after it, and
// landmarks have no part in the loss.
func TestLandmarksInTexts(t *testing.T) {
	c := computes(t)[0]
	for _, length := range []int{1, 15, 16, 17, 32, 40} {
		s := tiny()
		s.Landmark = Landmark{Block: 16, Token: tales.Landmark}
		m, err := NewModel(s, 1)
		if err != nil {
			t.Fatal(err)
		}
		g, err := m.build(c, 2, length)
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(uint64(length), 1))
		documents := make([]tales.Document, 2)
		for i := range documents {
			for range length {
				documents[i].Tokens = append(documents[i].Tokens, 10+r.IntN(100))
			}
			if length > 16 {
				documents[i].Answers = []tales.Span{{From: 15, To: 17}}
			}
		}
		for range 2 { // what was there before does not matter
			if err := g.take(documents, 2, length); err != nil {
				t.Fatal(err)
			}
		}
		if len(g.tokens) != 2*(length+length/16) {
			t.Fatalf("%d rows for two texts of %d tokens", len(g.tokens), length)
		}
		for i, d := range documents {
			var tokens, targets []int
			var weights []float32
			for j := i * g.rows; j < (i+1)*g.rows; j++ {
				if (j-i*g.rows)%17 == 16 {
					if g.tokens[j] != tales.Landmark || g.weights[j] != 0 {
						t.Errorf("row %d has token %d with weight %v", j, g.tokens[j], g.weights[j])
					}
					continue
				}
				tokens, targets, weights = append(tokens, g.tokens[j]), append(targets, g.targets[j]), append(weights, g.weights[j])
			}
			want := make([]float32, length)
			for j := range want[1:] {
				if want[j] = 1; length > 16 && (j == 14 || j == 15) {
					want[j] = answerWeight
				}
			}
			if !slices.Equal(tokens, d.Tokens) || !slices.Equal(targets[:length-1], d.Tokens[1:]) || !slices.Equal(weights, want) {
				t.Errorf("%d tokens: %v, %v, %v", length, tokens, targets, weights)
			}
		}
	}
}

// An examiner finds the rows before an answer's tokens, whether or not a landmark is between.
func TestExaminerBetweenLandmarks(t *testing.T) {
	c := computes(t)
	s := tiny()
	s.Landmark = Landmark{Block: 5, Token: tales.Landmark}
	m, err := NewModel(s, 7)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	const length = 33
	d := tales.Document{}
	for range length {
		d.Tokens = append(d.Tokens, 10+r.IntN(100))
	}
	// what the model would say becomes the answer; one token after the other, since it depends on those before
	for j := 1; j < length; j++ {
		rows := logitsOf(t, c[len(c)-1], m, d.Tokens)
		row := rows[(j-1)+(j-1)/5]
		d.Tokens[j] = largest(row)
		d.Answers = append(d.Answers, tales.Span{From: j, To: j + 1})
	}
	e, err := NewExaminer(c[len(c)-1], m, 2, length)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	other := tales.Document{Tokens: slices.Clone(d.Tokens), Answers: d.Answers}
	other.Tokens[length-1] = (other.Tokens[length-1] + 1) % s.Vocabulary
	marks, err := e.Examine([]tales.Document{d, other})
	if err != nil || marks.Asked != 2*(length-1) || marks.Right != marks.Asked-1 {
		t.Errorf("%+v (%v), want all but one", marks, err)
	}
}
