package train

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory/neural"
)

func TestThreadsChangeNoBit(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	factors := someValues(r, 1<<13)
	for _, q := range questions(r) {
		for _, impl := range kernels.Implementations() {
			var first answer
			for threads := 1; threads <= 4; threads++ {
				team := kernels.NewTeam(threads)
				a := q.ask(t, &Compute{impl, team}, factors)
				team.Close()
				if threads == 1 {
					first = a
				}
				if !slices.Equal(a.result, first.result) {
					t.Errorf("%s, %s: another result with %d threads", q.name, impl.Name, threads)
				}
				for i, g := range a.grads {
					if !slices.Equal(g, first.grads[i]) {
						t.Errorf("%s, %s: another gradient %d with %d threads", q.name, impl.Name, i, threads)
					}
				}
			}
		}
	}
}

// What does not fit is refused where the graph is built.
func TestShapesAreRefused(t *testing.T) {
	c := computes(t)[0]
	g := gorgonia.NewGraph()
	values := func(shape ...int) *gorgonia.Node {
		return gorgonia.NewTensor(g, tensor.Float32, len(shape), gorgonia.WithShape(shape...))
	}
	linear := neural.Config{Heads: 1, Dim: 4, Depth: 1, Chunk: 1, MostStep: 1}
	for _, refused := range []struct {
		want  string
		build func() (*gorgonia.Node, error)
	}{
		{"do not fit", func() (*gorgonia.Node, error) { return c.Linear(values(4, 3), values(5, 4), nil) }},
		{"do not fit", func() (*gorgonia.Node, error) { return c.Linear(values(4, 3), values(5, 3), values(4)) }},
		{"want 2 dimensions", func() (*gorgonia.Node, error) { return c.Linear(values(4), values(5, 3), nil) }},
		{"is missing", func() (*gorgonia.Node, error) { return c.Linear(nil, values(5, 3), nil) }},
		{"differ", func() (*gorgonia.Node, error) { return c.Add(values(4, 3), values(3, 4)) }},
		{"2 weights for rows of 3", func() (*gorgonia.Node, error) { return c.RMSNorm(values(4, 3), values(2), 1e-6) }},
		{"no halves", func() (*gorgonia.Node, error) { return c.SwiGLU(values(4, 3)) }},
		{"heads of 3 values", func() (*gorgonia.Node, error) { return c.RoPE(values(4, 9), Heads{Count: 1, Dim: 3, Length: 4}, 1e4) }},
		{"want queries", func() (*gorgonia.Node, error) { return c.RoPE(values(4, 9), Heads{Count: 1, Dim: 4, Length: 4}, 1e4) }},
		{"no whole texts", func() (*gorgonia.Node, error) {
			return c.Attention(values(4, 12), Heads{Count: 1, Dim: 4, Length: 3}, Sight{})
		}},
		{"at most one", func() (*gorgonia.Node, error) {
			return c.Attention(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{Window: 1, Chunk: 1})
		}},
		{"at most one", func() (*gorgonia.Node, error) {
			return c.Attention(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{Chunk: 2, Landmark: 3})
		}},
		{"sight", func() (*gorgonia.Node, error) {
			return c.Attention(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{Chunk: -1})
		}},
		{"no whole texts", func() (*gorgonia.Node, error) { return c.Convolution(values(4, 3), values(3, 2), 3) }},
		{"taps for 2 channels", func() (*gorgonia.Node, error) { return c.Convolution(values(4, 3), values(2, 2), 4) }},
		{"want queries", func() (*gorgonia.Node, error) { return c.UnitHeads(values(4, 9), Heads{Count: 1, Dim: 4, Length: 4}) }},
		{"heads of 0", func() (*gorgonia.Node, error) { return c.RMSNormHeads(values(4, 6), values(6), 0, 1e-6) }},
		{"no whole heads of 4", func() (*gorgonia.Node, error) { return c.RMSNormHeads(values(4, 6), values(6), 4, 1e-6) }},
		{"differ", func() (*gorgonia.Node, error) { return c.Gate(values(4, 3), values(3, 4)) }},
		{"depth 2", func() (*gorgonia.Node, error) {
			return c.Scan(neural.Config{Heads: 1, Dim: 4, Depth: 2, Chunk: 1, MostStep: 1}, 4, 0, values(4, 12), values(4, 3), values(1, 4, 4))
		}},
		{"read after", func() (*gorgonia.Node, error) {
			return c.Scan(neural.Config{Heads: 1, Dim: 4, Depth: 1, Chunk: 1, MostStep: 1, ReadAfter: true}, 4, 0, values(4, 12), values(4, 3), values(1, 4, 4))
		}},
		{"in chunks of 0", func() (*gorgonia.Node, error) {
			return c.Scan(neural.Config{Heads: 1, Dim: 4, Depth: 1, MostStep: 1}, 4, 0, values(4, 12), values(4, 3), values(1, 4, 4))
		}},
		{"steps up to", func() (*gorgonia.Node, error) {
			return c.Scan(neural.Config{Heads: 1, Dim: 4, Depth: 1, Chunk: 1}, 4, 0, values(4, 12), values(4, 3), values(1, 4, 4))
		}},
		{"no whole texts", func() (*gorgonia.Node, error) {
			return c.Scan(linear, 3, 0, values(4, 12), values(4, 3), values(1, 4, 4))
		}},
		{"through -1 chunks", func() (*gorgonia.Node, error) {
			return c.Scan(linear, 4, -1, values(4, 12), values(4, 3), values(1, 4, 4))
		}},
		{"gates are", func() (*gorgonia.Node, error) {
			return c.Scan(linear, 4, 0, values(4, 12), values(4, 2), values(1, 4, 4))
		}},
		{"initial weights of layer 0 are", func() (*gorgonia.Node, error) {
			return c.Scan(linear, 4, 0, values(4, 12), values(4, 3), values(2, 4, 4))
		}},
		{"rows [2, 5) of texts of 4", func() (*gorgonia.Node, error) { return c.Cut(values(4, 3), 4, 2, 5) }},
		{"of 2 texts", func() (*gorgonia.Node, error) { return c.Join(2, values(4, 3), values(3, 3)) }},
		{"initial weights of layer 0 are", func() (*gorgonia.Node, error) { return c.BeginState(linear, 1, values(2, 4, 4)) }},
		{"in chunks of 1", func() (*gorgonia.Node, error) { return c.Retrieve(linear, values(1, 32), values(2, 12)) }},
		{"states are", func() (*gorgonia.Node, error) {
			return c.Learn(linear, values(1, 16), values(1, 12), values(1, 3), values(1, 4, 4))
		}},
		{"rows beside those of texts", func() (*gorgonia.Node, error) {
			return c.AttentionBeside(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{}, Beside{Retrieved: values(3, 12)})
		}},
		{"that all queries see", func() (*gorgonia.Node, error) {
			return c.AttentionBeside(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{}, Beside{Fixed: values(3, 11), Plain: values(4, 12)})
		}},
		{"is missing", func() (*gorgonia.Node, error) {
			return c.AttentionBeside(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{}, Beside{Fixed: values(3, 12)})
		}},
		{"with landmarks after 2", func() (*gorgonia.Node, error) {
			return c.AttentionBeside(values(4, 12), Heads{Count: 1, Dim: 4, Length: 4}, Sight{Landmark: 2}, Beside{Retrieved: values(4, 12)})
		}},
		{"targets", func() (*gorgonia.Node, error) { return c.CrossEntropy(values(4, 12), values(3), values(4)) }},
	} {
		if _, err := refused.build(); err == nil || !strings.Contains(err.Error(), refused.want) {
			t.Errorf("got %v, want an error that says %q", err, refused.want)
		}
	}
}

// Ids that no table has are refused when they come.
func TestIdsAreRefused(t *testing.T) {
	c := computes(t)[0]
	r := rand.New(rand.NewPCG(9, 10))
	for _, bad := range []int{-1, 5} {
		for name, build := range map[string]func(g *gorgonia.ExprGraph, table, ids *gorgonia.Node) (*gorgonia.Node, error){
			"token": func(_ *gorgonia.ExprGraph, table, ids *gorgonia.Node) (*gorgonia.Node, error) {
				return c.Embedding(table, ids)
			},
			"target": func(g *gorgonia.ExprGraph, logits, ids *gorgonia.Node) (*gorgonia.Node, error) {
				weights := tensor.New(tensor.WithShape(5), tensor.WithBacking([]float32{1, 1, 1, 1, 1}))
				return c.CrossEntropy(logits, ids, gorgonia.NewVector(g, tensor.Float32, gorgonia.WithName("weights"), gorgonia.WithShape(5), gorgonia.WithValue(weights)))
			},
		} {
			g := gorgonia.NewGraph()
			table := gorgonia.NewMatrix(g, tensor.Float32, gorgonia.WithName("table"), gorgonia.WithShape(5, 5), gorgonia.WithValue(tensor.New(tensor.WithShape(5, 5), tensor.WithBacking(someValues(r, 25)))))
			ids := gorgonia.NewVector(g, tensor.Int, gorgonia.WithName("ids"), gorgonia.WithShape(5), gorgonia.WithValue(tensor.New(tensor.WithShape(5), tensor.WithBacking([]int{0, 4, bad, 1, 2}))))
			if _, err := build(g, table, ids); err != nil {
				t.Fatal(err)
			}
			m := gorgonia.NewTapeMachine(g)
			if err := m.RunAll(); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want an error about a %s", err, name)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// runAlone runs an operation outside of a graph.
func runAlone(t *testing.T, o operation, in ...operand) []float32 {
	t.Helper()
	var shapes []tensor.Shape
	for _, x := range in {
		shapes = append(shapes, x.shape)
	}
	shape, err := o.shape(shapes)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, shape.TotalSize())
	if err := o.run(out, in); err != nil {
		t.Fatal(err)
	}
	return out
}

// columnsOf cuts some columns of some rows out.
func columnsOf(x operand, row, rows, col, cols int) (all []float32) {
	for i := row; i < row+rows; i++ {
		all = append(all, x.values[i*x.shape[1]+col:][:cols]...)
	}
	return all
}

func widenedValues(x []float32) (all []float64) {
	for _, v := range x {
		all = append(all, float64(v))
	}
	return all
}
