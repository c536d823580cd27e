package train

import (
	"math"

	"gorgonia.org/gorgonia"
)

// backboneQuestions are of the operations that only models of others ask for.
func backboneQuestions(some func(...int) input) []question {
	const rows, d = 70, 24
	everywhere := func(f *formula, n int, v float64) *gorgonia.Node {
		return f.matrix(rows, n, func(_, _ int) float64 { return v })
	}
	tanh := func(f *formula, x *gorgonia.Node) *gorgonia.Node { return f.must(gorgonia.Tanh(x)) }
	list := []question{
		{"GeGLU", []input{some(rows, 2*d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.GeGLU(in[0]) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				x, up := f.columns(in[0], 0, d), f.columns(in[0], d, d)
				cube := f.times(f.times(x, x), x)
				t := tanh(f, f.times(f.add(x, f.times(cube, everywhere(f, d, 0.044715))), everywhere(f, d, math.Sqrt(2/math.Pi))))
				gelu := f.times(f.times(x, everywhere(f, d, 0.5)), f.add(t, everywhere(f, d, 1)))
				return f.times(gelu, up)
			}},
		{"soft cap", []input{some(rows, d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Softcap(in[0], 1.5) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				return f.times(tanh(f, f.times(in[0], everywhere(f, d, 1/1.5))), everywhere(f, d, 1.5))
			}},
		{"multiple", []input{some(rows, d)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Scale(in[0], 3) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node { return f.times(in[0], everywhere(f, d, 3)) }},
	}
	return append(list, headNormsQuestion(some), rotationQuestion(some), sharedQuestion(some, Sight{}, 0), sharedQuestion(some, Sight{Window: 30}, 2))
}

func headNormsQuestion(some func(...int) input) question {
	h := Heads{Count: 4, Dim: 6, Length: 35, KV: 2}
	const rows, eps = 70, 0.1
	n, weights := h.row(), some(2, h.Dim).values
	q, k := weights[:h.Dim], weights[h.Dim:]
	return question{"norms of heads", []input{some(rows, n)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.HeadNorms(in[0], h, q, k, eps) },
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			normed := func(j int) bool { return j < h.width()+h.kvWidth() }
			mean := f.mul(f.times(in[0], in[0]), f.matrix(n, n, func(i, j int) float64 {
				return when(i/h.Dim == j/h.Dim && normed(j)) / float64(h.Dim)
			}))
			root := f.must(gorgonia.Sqrt(f.add(mean, f.matrix(rows, n, func(_, j int) float64 {
				if normed(j) {
					return eps
				}
				return 1
			}))))
			return f.times(f.div(in[0], root), f.matrix(rows, n, func(_, j int) float64 {
				switch {
				case j < h.width():
					return float64(q[j%h.Dim])
				case normed(j):
					return float64(k[j%h.Dim])
				}
				return 1
			}))
		}}
}

// rotationQuestion rotates four of six values of each head, and makes them longer.
func rotationQuestion(some func(...int) input) question {
	h := Heads{Count: 4, Dim: 6, Length: 35, KV: 2}
	const rows, pairs, longer = 70, 2, 1.25
	n := h.row()
	angle := func(i, pair int) float64 { return float64(i%h.Length) * []float64{1, 0.1}[pair] }
	var t Rotation
	for i := range h.Length * pairs {
		sin, cos := math.Sincos(angle(i/pairs, i%pairs))
		t.Cos, t.Sin = append(t.Cos, float32(longer*cos)), append(t.Sin, float32(longer*sin))
	}
	turned := func(j int) bool { return j < h.width()+h.kvWidth() && j%h.Dim < 2*pairs }
	return question{"rotation", []input{some(rows, n)},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Rotate(in[0], h, t) },
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			along := f.matrix(rows, n, func(i, j int) float64 {
				if !turned(j) {
					return 1
				}
				return longer * math.Cos(angle(i, j%h.Dim%pairs))
			})
			across := f.matrix(rows, n, func(i, j int) float64 {
				if !turned(j) {
					return 0
				}
				return longer * math.Sin(angle(i, j%h.Dim%pairs))
			})
			swapped := f.mul(in[0], f.matrix(n, n, func(i, j int) float64 {
				at := j % h.Dim
				return when(turned(j) && i == j-pairs && at >= pairs) - when(turned(j) && i == j+pairs && at < pairs)
			}))
			return f.add(f.times(in[0], along), f.times(swapped, across))
		}}
}

// sharedQuestion is attention of six heads that share two of keys and values, with scores of another scale, and a soft cap or none.
func sharedQuestion(some func(...int) input, s Sight, limit float32) question {
	h := Heads{Count: 6, Dim: 4, Length: 70, KV: 2}
	const texts, scale = 2, 0.7
	n, rows := h.width(), texts*h.Length
	return question{"attention with shared heads", []input{some(rows, h.row())},
		func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
			return c.ScoredAttention(in[0], h, s, Scores{Scale: scale, Softcap: limit})
		},
		func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
			everywhere := func(v float64) *gorgonia.Node {
				return f.matrix(rows, rows, func(_, _ int) float64 { return v })
			}
			sees := f.matrix(rows, rows, func(i, j int) float64 {
				from := i / h.Length * h.Length
				if s.Window > 0 {
					from = max(from, i-s.Window+1)
				}
				return when(from <= j && j <= i)
			})
			var sum *gorgonia.Node
			for head := range h.Count {
				shared := head / (h.Count / h.KV) * h.Dim
				q, k, v := f.columns(in[0], head*h.Dim, h.Dim), f.columns(in[0], n+shared, h.Dim), f.columns(in[0], n+h.kvWidth()+shared, h.Dim)
				scores := f.times(f.mul(q, f.must(gorgonia.Transpose(k, 1, 0))), everywhere(scale))
				if limit > 0 {
					scores = f.times(f.must(gorgonia.Tanh(f.times(scores, everywhere(1/float64(limit))))), everywhere(float64(limit)))
				}
				w := f.times(f.must(gorgonia.Exp(scores)), sees)
				out := f.mul(f.mul(f.div(w, f.sums(w)), v), f.matrix(h.Dim, n, func(i, j int) float64 { return when(j == head*h.Dim+i) }))
				if sum == nil {
					sum = out
				} else {
					sum = f.add(sum, out)
				}
			}
			return sum
		}}
}
