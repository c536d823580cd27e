package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// input is one of an operation: values, to which there are gradients, or ids, or values that count as constants.
type input struct {
	shape    tensor.Shape
	values   []float32
	ids      []int
	constant bool
}

// question is an operation with the expression that it stands for, in Gorgonia's own operations on float64.
type question struct {
	name   string
	inputs []input
	fused  func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error)
	plain  func(f *formula, in gorgonia.Nodes) *gorgonia.Node // ids are nil
}

// formula builds an expression out of products, sums and functions of elements alone.
type formula struct {
	t *testing.T
	g *gorgonia.ExprGraph
	n int
}

func (f *formula) must(n *gorgonia.Node, err error) *gorgonia.Node {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// matrix is a constant. Gorgonia takes inputs of the same name for one.
func (f *formula) matrix(rows, cols int, at func(i, j int) float64) *gorgonia.Node {
	var x []float64
	for i := range rows {
		for j := range cols {
			x = append(x, at(i, j))
		}
	}
	f.n++
	return gorgonia.NewMatrix(f.g, tensor.Float64, gorgonia.WithName(fmt.Sprintf("constant %d", f.n)), gorgonia.WithShape(rows, cols), gorgonia.WithValue(tensor.New(tensor.WithShape(rows, cols), tensor.WithBacking(x))))
}

func one(_, _ int) float64 { return 1 }

func when(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func (f *formula) mul(a, b *gorgonia.Node) *gorgonia.Node { return f.must(gorgonia.Mul(a, b)) }
func (f *formula) times(a, b *gorgonia.Node) *gorgonia.Node {
	return f.must(gorgonia.HadamardProd(a, b))
}
func (f *formula) div(a, b *gorgonia.Node) *gorgonia.Node { return f.must(gorgonia.HadamardDiv(a, b)) }
func (f *formula) add(a, b *gorgonia.Node) *gorgonia.Node { return f.must(gorgonia.Add(a, b)) }

// row makes a vector a matrix of one row, times many rows.
func (f *formula) rows(x *gorgonia.Node, n int) *gorgonia.Node {
	return f.mul(f.matrix(n, 1, one), f.must(gorgonia.Reshape(x, tensor.Shape{1, x.Shape()[0]})))
}

// sums has, in each column of a row, the sum of the row.
func (f *formula) sums(x *gorgonia.Node) *gorgonia.Node {
	n := x.Shape()[1]
	return f.mul(x, f.matrix(n, n, one))
}

// columns cuts [from, from+n) out of each row.
func (f *formula) columns(x *gorgonia.Node, from, n int) *gorgonia.Node {
	return f.mul(x, f.matrix(x.Shape()[1], n, func(i, j int) float64 { return when(i == from+j) }))
}

func questions(r *rand.Rand) []question {
	some := func(shape ...int) input {
		return input{shape: shape, values: someValues(r, tensor.Shape(shape).TotalSize())}
	}
	const rows, d = 70, 24
	all := []question{
		{"linear", []input{some(rows, d), some(40, d), some(40)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Linear(in[0], in[1], in[2]) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				return f.add(f.mul(in[0], f.must(gorgonia.Transpose(in[1], 1, 0))), f.rows(in[2], rows))
			}},
		{"linear without bias", []input{some(rows, d), some(40, d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Linear(in[0], in[1], nil) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				return f.mul(in[0], f.must(gorgonia.Transpose(in[1], 1, 0)))
			}},
		{"x + norm(x)", []input{some(rows, d), some(d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
				y, err := c.RMSNorm(in[0], in[1], 0.1)
				if err != nil {
					return nil, err
				}
				return c.Add(in[0], y)
			},
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				squares := f.sums(f.times(in[0], in[0]))
				mean := f.times(squares, f.matrix(rows, d, func(_, _ int) float64 { return 1.0 / d }))
				root := f.must(gorgonia.Sqrt(f.add(mean, f.matrix(rows, d, func(_, _ int) float64 { return 0.1 }))))
				return f.add(in[0], f.times(f.div(in[0], root), f.rows(in[1], rows)))
			}},
		{"SwiGLU", []input{some(rows, 2*d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.SwiGLU(in[0]) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				gate, up := f.columns(in[0], 0, d), f.columns(in[0], d, d)
				return f.times(f.times(gate, f.must(gorgonia.Sigmoid(gate))), up)
			}},
	}
	all = append(all, ropeQuestion(some), lossQuestion(r, some), embeddingQuestion(r, some))
	for _, s := range []Sight{{}, {Window: 5}, {Window: 30}, {Chunk: 32}} {
		all = append(all, attentionQuestion(some, s))
	}
	all = append(all, besideQuestion(some, Sight{Window: 30}, 5, false), besideQuestion(some, Sight{Chunk: 32}, 0, true), besideQuestion(some, Sight{Chunk: 81}, 3, true))
	all = append(all, groupedQuestion(some, 16), groupedQuestion(some, 3))
	return slices.Concat(all, fifoQuestions(some), neuralQuestions(some), scanQuestions(some), backboneQuestions(some))
}

func ropeQuestion(some func(...int) input) question {
	h := Heads{Count: 2, Dim: 6, Length: 35}
	const rows, base = 70, 100
	angle := func(i, j int) float64 {
		return float64(i%h.Length) * math.Pow(base, -2*float64(j%(h.Dim/2))/float64(h.Dim))
	}
	n := h.width()
	return question{"RoPE", []input{some(rows, 3*n)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.RoPE(in[0], h, base) },
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			cos := f.matrix(rows, 3*n, func(i, j int) float64 {
				if j >= 2*n {
					return 1
				}
				return math.Cos(angle(i, j%h.Dim))
			})
			sin := f.matrix(rows, 3*n, func(i, j int) float64 {
				if j >= 2*n {
					return 0
				}
				return math.Sin(angle(i, j%h.Dim))
			})
			turned := f.mul(in[0], f.matrix(3*n, 3*n, func(i, j int) float64 {
				at := j % h.Dim
				return when(i == j-h.Dim/2 && at >= h.Dim/2) - when(i == j+h.Dim/2 && at < h.Dim/2)
			}))
			return f.add(f.times(in[0], cos), f.times(turned, sin))
		}}
}

func attentionQuestion(some func(...int) input, s Sight) question {
	h := Heads{Count: 2, Dim: 8, Length: 81}
	const texts = 2
	n, rows := h.width(), texts*h.Length
	return question{fmt.Sprintf("attention %+v", s), []input{some(rows, 3*n)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Attention(in[0], h, s) },
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			sees := f.matrix(rows, rows, seenBy(h, s))
			var sum *gorgonia.Node
			for head := range h.Count {
				q := f.columns(in[0], head*h.Dim, h.Dim)
				k := f.columns(in[0], n+head*h.Dim, h.Dim)
				v := f.columns(in[0], 2*n+head*h.Dim, h.Dim)
				scores := f.times(f.mul(q, f.must(gorgonia.Transpose(k, 1, 0))), f.matrix(rows, rows, func(_, _ int) float64 { return 1 / math.Sqrt(float64(h.Dim)) }))
				w := f.times(f.must(gorgonia.Exp(scores)), sees)
				out := f.mul(f.div(w, f.sums(w)), v)
				out = f.mul(out, f.matrix(h.Dim, n, func(i, j int) float64 { return when(j == head*h.Dim+i) }))
				if sum == nil {
					sum = out
				} else {
					sum = f.add(sum, out)
				}
			}
			return sum
		}}
}

// seenBy says whether query i sees row j.
func seenBy(h Heads, s Sight) func(i, j int) float64 {
	return func(i, j int) float64 {
		from := i / h.Length * h.Length
		switch {
		case s.Window > 0:
			from = max(from, i-s.Window+1)
		case s.Chunk > 0:
			from += (i - from) / s.Chunk * s.Chunk
		}
		return when(from <= j && j <= i)
	}
}

// besideQuestion is attention to rows beside those of the text, too: some that all queries see, which meet further queries, and some
// at the positions of the text.
func besideQuestion(some func(...int) input, s Sight, fixed int, retrieved bool) question {
	h := Heads{Count: 2, Dim: 8, Length: 81}
	n, rows := h.width(), 2*h.Length
	inputs := []input{some(rows, 3*n)}
	if fixed > 0 {
		inputs = append(inputs, some(rows, 3*n), some(fixed, 3*n))
	}
	if retrieved {
		inputs = append(inputs, some(rows, 3*n))
	}
	return question{fmt.Sprintf("attention %+v beside %d rows, retrieved %v", s, fixed, retrieved), inputs,
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			var b Beside
			if fixed > 0 {
				b.Plain, b.Fixed = in[1], in[2]
			}
			if retrieved {
				b.Retrieved = in[len(in)-1]
			}
			return c.AttentionBeside(in[0], h, s, b)
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			var sum *gorgonia.Node
			for head := range h.Count {
				part := func(x *gorgonia.Node, of int) *gorgonia.Node { return f.columns(x, of*n+head*h.Dim, h.Dim) }
				var total, out *gorgonia.Node
				see := func(queries, of *gorgonia.Node, sees func(i, j int) float64) {
					scores := f.scale(f.mul(part(queries, 0), f.transpose(part(of, 1))), 1/math.Sqrt(float64(h.Dim)))
					count := of.Shape()[0]
					w := f.times(f.must(gorgonia.Exp(scores)), f.matrix(rows, count, sees))
					weight, value := f.mul(w, f.matrix(count, h.Dim, one)), f.mul(w, part(of, 2))
					if out == nil {
						total, out = weight, value
						return
					}
					total, out = f.add(total, weight), f.add(out, value)
				}
				see(in[0], in[0], seenBy(h, s))
				if fixed > 0 {
					see(in[1], in[2], one)
				}
				if retrieved {
					see(in[0], in[len(in)-1], seenBy(h, s))
				}
				y := f.mul(f.div(out, total), f.matrix(h.Dim, n, func(i, j int) float64 { return when(j == head*h.Dim+i) }))
				if sum == nil {
					sum = y
				} else {
					sum = f.add(sum, y)
				}
			}
			return sum
		}}
}

func lossQuestion(r *rand.Rand, some func(...int) input) question {
	const rows, vocab = 70, 27
	targets := input{shape: tensor.Shape{rows}, constant: true}
	weights := some(rows)
	weights.constant = true
	var total float64
	for i := range rows {
		targets.ids = append(targets.ids, r.IntN(vocab))
		weights.values[i] = []float32{0, 1, 8}[r.IntN(3)]
		total += float64(weights.values[i])
	}
	return question{"cross-entropy", []input{some(rows, vocab), targets, weights},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.CrossEntropy(in[0], in[1], in[2]) },
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			all := f.must(gorgonia.Log(f.mul(f.must(gorgonia.Exp(in[0])), f.matrix(vocab, 1, one))))
			right := f.times(in[0], f.matrix(rows, vocab, func(i, j int) float64 { return when(j == targets.ids[i]) }))
			nll := f.must(gorgonia.Sub(all, f.mul(right, f.matrix(vocab, 1, one))))
			return f.must(gorgonia.Sum(f.times(nll, f.matrix(rows, 1, func(i, _ int) float64 { return float64(weights.values[i]) / total }))))
		}}
}

func embeddingQuestion(r *rand.Rand, some func(...int) input) question {
	const rows, vocab = 70, 30
	ids := input{shape: tensor.Shape{rows}, constant: true}
	for range rows {
		ids.ids = append(ids.ids, r.IntN(vocab))
	}
	return question{"embedding", []input{some(vocab, 24), ids},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Embedding(in[0], in[1]) },
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			return f.mul(f.matrix(rows, vocab, func(i, j int) float64 { return when(ids.ids[i] == j) }), in[0])
		}}
}

// answer is what a graph came to: a result, the sum of its products with factors, and the gradients of this sum.
type answer struct {
	result []float64
	sum    float64
	grads  [][]float64
}

func widened(v gorgonia.Value) []float64 {
	switch x := v.Data().(type) {
	case []float64:
		return append([]float64(nil), x...)
	case float64:
		return []float64{x}
	case float32:
		return []float64{float64(x)}
	default:
		var all []float64
		for _, v := range x.([]float32) {
			all = append(all, float64(v))
		}
		return all
	}
}

// ask runs the fused operation on c, or the plain expression if c is nil.
func (q *question) ask(t *testing.T, c *Compute, factors []float32) answer {
	t.Helper()
	f := &formula{t: t, g: gorgonia.NewGraph()}
	in := make(gorgonia.Nodes, len(q.inputs))
	var wrt gorgonia.Nodes
	for i, x := range q.inputs {
		var v *tensor.Dense
		switch {
		case x.ids != nil:
			v = tensor.New(tensor.WithShape(x.shape...), tensor.WithBacking(x.ids))
		case c != nil:
			v = tensor.New(tensor.WithShape(x.shape...), tensor.WithBacking(x.values))
		default:
			wide := make([]float64, len(x.values))
			for j, v := range x.values {
				wide[j] = float64(v)
			}
			v = tensor.New(tensor.WithShape(x.shape...), tensor.WithBacking(wide))
		}
		if c == nil && x.constant {
			continue
		}
		in[i] = gorgonia.NewTensor(f.g, v.Dtype(), v.Dims(), gorgonia.WithName(fmt.Sprintf("input %d", i)), gorgonia.WithShape(x.shape...), gorgonia.WithValue(v))
		if !x.constant {
			wrt = append(wrt, in[i])
		}
	}
	var y *gorgonia.Node
	if c != nil {
		y = f.must(q.fused(*c, in))
	} else {
		y = q.plain(f, in)
	}
	cost := y
	if !y.IsScalar() {
		var by *tensor.Dense
		if c != nil {
			by = tensor.New(tensor.WithShape(y.Shape()...), tensor.WithBacking(factors[:y.Shape().TotalSize()]))
		} else {
			wide := make([]float64, y.Shape().TotalSize())
			for j := range wide {
				wide[j] = float64(factors[j])
			}
			by = tensor.New(tensor.WithShape(y.Shape()...), tensor.WithBacking(wide))
		}
		cost = f.must(gorgonia.Sum(f.times(y, gorgonia.NewMatrix(f.g, by.Dtype(), gorgonia.WithName("factors"), gorgonia.WithShape(y.Shape()...), gorgonia.WithValue(by)))))
	}
	grads, err := gorgonia.Grad(cost, wrt...)
	if err != nil {
		t.Fatal(err)
	}
	var result gorgonia.Value
	gorgonia.Read(y, &result)
	values := make([]gorgonia.Value, len(grads))
	for i, g := range grads {
		gorgonia.Read(g, &values[i])
	}
	m := gorgonia.NewTapeMachine(f.g)
	defer m.Close()
	if err := m.RunAll(); err != nil {
		t.Fatal(err)
	}
	a := answer{result: widened(result)}
	for _, v := range values {
		a.grads = append(a.grads, widened(v))
	}
	if y.IsScalar() {
		a.sum = a.result[0]
	} else {
		for j, v := range a.result {
			a.sum += v * float64(factors[j])
		}
	}
	return a
}

// away returns how far two vectors are from each other, relative to the second's length.
func away(got, want []float64) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var far, long float64
	for i, v := range want {
		far += (got[i] - v) * (got[i] - v)
		long += v * v
	}
	return math.Sqrt(far / long)
}

// Results and gradients are those of the unfused expression, of which Gorgonia works out the gradients itself.
func TestGradientsOfGorgonia(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	factors := someValues(r, 1<<13)
	for _, q := range questions(r) {
		want := q.ask(t, nil, factors)
		for _, c := range computes(t) {
			got := q.ask(t, &c, factors)
			if d := away(got.result, want.result); !(d < 1e-6) {
				t.Errorf("%s, %s: result is away by %v", q.name, c.Impl.Name, d)
			}
			for i := range want.grads {
				if d := away(got.grads[i], want.grads[i]); !(d < 4e-6) {
					t.Errorf("%s, %s: gradient %d is away by %v", q.name, c.Impl.Name, i, d)
				}
			}
		}
	}
}

// A step of an input changes the result by the gradient's product with it.
func TestGradientsAreFiniteDifferences(t *testing.T) {
	const step = 1.0 / 256
	r := rand.New(rand.NewPCG(5, 6))
	factors := someValues(r, 1<<13)
	for _, q := range questions(r) {
		for _, c := range computes(t) {
			a, wrt := q.ask(t, &c, factors), 0
			noise := 0.0 // of the sum, whose terms are rounded
			for j, v := range a.result {
				noise += v * v * float64(factors[j]*factors[j])
			}
			noise = math.Sqrt(noise) * 2e-7 / step
			for i := range q.inputs {
				x := &q.inputs[i]
				if x.constant {
					continue
				}
				grad := a.grads[wrt]
				wrt++
				// along the gradient, so that what is to be seen is large beside the rounding, and some other way
				var along, length float64
				dir := someValues(r, len(x.values))
				for _, g := range grad {
					length += g * g
				}
				for j, g := range grad {
					dir[j] = 0.5*dir[j] + float32(g/math.Sqrt(length)*math.Sqrt(float64(len(grad))))
					along += g * float64(dir[j])
				}
				from := x.values
				moved := func(by float32) float64 {
					x.values = make([]float32, len(from))
					for j, v := range from {
						x.values[j] = v + by*dir[j]
					}
					return q.ask(t, &c, factors).sum
				}
				// differences over two steps, so that what is of the third order cancels
				near, far := (moved(step)-moved(-step))/(2*step), (moved(2*step)-moved(-2*step))/(4*step)
				got := (4*near - far) / 3
				x.values = from
				if math.Abs(got-along) > 2e-3*math.Abs(along)+noise {
					t.Errorf("%s, %s: input %d: the difference is %v, the gradient says %v", q.name, c.Impl.Name, i, got, along)
				}
			}
		}
	}
}
