package train

import (
	"math"
	"testing"

	"gorgonia.org/gorgonia"
)

// columnRows makes column j of a matrix rows.
func (f *formula) columnRows(x *gorgonia.Node, j, n int) *gorgonia.Node {
	return f.mul(f.matrix(n, 1, one), f.must(gorgonia.Transpose(f.columns(x, j, 1), 1, 0)))
}

func neuralQuestions(some func(...int) input) []question {
	const rows, length, width, dim = 70, 35, 4, 6
	return []question{
		{"convolution", []input{some(rows, 24), some(24, width)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Convolution(in[0], in[1], length) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				var sum *gorgonia.Node
				for back := range width {
					moved := f.mul(f.matrix(rows, rows, func(i, j int) float64 { return when(j == i-back && i/length == j/length) }), in[0])
					x := f.times(moved, f.columnRows(in[1], width-1-back, rows))
					if sum == nil {
						sum = x
					} else {
						sum = f.add(sum, x)
					}
				}
				return sum
			}},
		{"heads of length 1", []input{some(rows, 36)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
				return c.UnitHeads(in[0], Heads{Count: 2, Dim: dim, Length: length})
			},
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				squares := f.mul(f.times(in[0], in[0]), f.matrix(36, 36, func(i, j int) float64 { return when(i/dim == j/dim && j < 24) }))
				return f.div(in[0], f.must(gorgonia.Sqrt(f.add(squares, f.matrix(rows, 36, func(_, j int) float64 { return when(j >= 24) })))))
			}},
		{"RMS norm of heads", []input{some(rows, 24), some(24)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) {
				return c.RMSNormHeads(in[0], in[1], dim, 0.1)
			},
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				mean := f.mul(f.times(in[0], in[0]), f.matrix(24, 24, func(i, j int) float64 { return when(i/dim == j/dim) / dim }))
				root := f.must(gorgonia.Sqrt(f.add(mean, f.matrix(rows, 24, func(_, _ int) float64 { return 0.1 }))))
				return f.times(f.div(in[0], root), f.rows(in[1], rows))
			}},
		{"gate", []input{some(rows, 24), some(rows, 24)},
			func(c Compute, in gorgonia.Nodes) (*gorgonia.Node, error) { return c.Gate(in[0], in[1]) },
			func(f *formula, in gorgonia.Nodes) *gorgonia.Node {
				return f.times(in[0], f.must(gorgonia.Sigmoid(in[1])))
			}},
	}
}

// Vectors next to zero divide nothing by zero, there and back.
func TestShortHeads(t *testing.T) {
	for _, c := range computes(t) {
		u := unitHeads{c, Heads{Count: 1, Dim: 4, Length: 2}}
		x := []float32{0, 0, 0, 0, 3, 0, 4, 0, 7, 7, 7, 7, 1e-30, 0, 0, 0, 0, 5e-13, 0, 0, 0, 0, 0, 0}
		want := []float32{0, 0, 0, 0, 0.6, 0, 0.8, 0, 7, 7, 7, 7, 1e-18, 0, 0, 0, 0, 0.5, 0, 0, 0, 0, 0, 0}
		grad, out := make([]float32, len(x)), make([]float32, len(x))
		for i := range grad {
			grad[i] = 1
		}
		shape := []int{2, 12}
		if err := u.run(out, []operand{{shape: shape, values: x}}); err != nil {
			t.Fatal(err)
		}
		for i, v := range out {
			if math.Abs(float64(v-want[i])) > 1e-6 {
				t.Errorf("%s: value %d is %v, want %v", c.Impl.Name, i, v, want[i])
			}
		}
		if err := (unitHeadsToInput{of: u}).run(out, []operand{{shape: shape, values: x}, {shape: shape, values: grad}}); err != nil {
			t.Fatal(err)
		}
		// (1 − y·Σy)/5 for the one that is long enough, 1 for values, 0 for others
		want = []float32{0, 0, 0, 0, (1 - 0.6*1.4) / 5, 0.2, (1 - 0.8*1.4) / 5, 0.2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1}
		for i, v := range out {
			if math.Abs(float64(v-want[i])) > 1e-6 {
				t.Errorf("%s: gradient %d is %v, want %v", c.Impl.Name, i, v, want[i])
			}
		}
	}
}
