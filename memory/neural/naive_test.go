package neural

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// naive is the memory in float64, token by token, with the weights and the momentum of every token worked out: equations 10 to 15,
// and 18, where the gradients are those at the weights that the chunk began with.
type naive struct {
	Config
	w       Weights
	heads   []naiveHead
	history [parts + 1][][]float64 // rows before their convolution; last those of further queries
	read    int
}

type naiveHead struct{ weights, momentum, first, initial [][]float64 }

func newNaive(c Config, w Weights) *naive {
	m := &naive{Config: c, w: w}
	for h := range c.Heads {
		var x naiveHead
		for i, initial := range w.Initial {
			n := c.Width(i) * c.Width(i-1)
			x.weights = append(x.weights, wide(initial[h*n:(h+1)*n]))
			x.initial = append(x.initial, wide(initial[h*n:(h+1)*n]))
			x.momentum = append(x.momentum, make([]float64, n))
		}
		m.heads = append(m.heads, x)
	}
	return m
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// forward returns what each layer makes before its activation, and what goes into each.
func (c *Config) forward(w [][]float64, x []float64) (sums, inputs [][]float64) {
	for i := range c.Depth {
		inputs = append(inputs, x)
		a := make([]float64, c.Width(i))
		for r := range a {
			for j, v := range x {
				a[r] += w[i][r*len(x)+j] * v
			}
		}
		sums = append(sums, a)
		x = make([]float64, len(a))
		for r, v := range a {
			x[r] = v * logistic(v)
		}
		if c.UnitHidden {
			by := max(length(x), smallest)
			for r := range x {
				x[r] /= by
			}
		}
	}
	return sums, inputs
}

func length(x []float64) float64 {
	var square float64
	for _, v := range x {
		square += v * v
	}
	return math.Sqrt(square)
}

func (c *Config) naiveRead(w [][]float64, q []float64) []float64 {
	sums, _ := c.forward(w, q)
	return sums[c.Depth-1]
}

func (c *Config) loss(w [][]float64, k, v []float64) float64 {
	var sum float64
	for i, y := range c.naiveRead(w, k) {
		sum += (y - v[i]) * (y - v[i])
	}
	if c.FullLoss {
		return sum
	}
	return sum / 2
}

func (c *Config) gradients(w [][]float64, k, v []float64) [][]float64 {
	sums, inputs := c.forward(w, k)
	e := make([]float64, c.Dim)
	for i, y := range sums[c.Depth-1] {
		e[i] = y - v[i]
		if c.FullLoss {
			e[i] *= 2
		}
	}
	out := make([][]float64, c.Depth)
	for i := c.Depth - 1; i >= 0; i-- {
		in := c.Width(i - 1)
		out[i] = make([]float64, c.Width(i)*in)
		for r := range e {
			for j, h := range inputs[i] {
				out[i][r*in+j] = e[r] * h
			}
		}
		if i == 0 {
			break
		}
		before, activated := make([]float64, in), make([]float64, in)
		for j, a := range sums[i-1] {
			for r := range e {
				before[j] += w[i][r*in+j] * e[r]
			}
			activated[j] = a * logistic(a)
		}
		if c.UnitHidden { // of p/|p|: ∂h_j/∂p_l is (1 where j = l) − h_j·h_l, over |p|
			by, b := length(activated), append([]float64(nil), before...)
			for l := range before {
				before[l] = 0
				for j := range b {
					d := -inputs[i][j] * inputs[i][l]
					if j == l {
						d++
					}
					before[l] += b[j] * d / by
				}
				if by < smallest {
					before[l] = 0
				}
			}
		}
		for j, a := range sums[i-1] {
			s := logistic(a)
			before[j] *= s * (1 + a*(1-s))
		}
		if most, long := float64(c.MostError), length(before); most > 0 && long > most {
			for j := range before {
				before[j] *= most / long
			}
		}
		e = before
	}
	return out
}

// learn is a token's update of a head.
func (m *naive) learn(x *naiveHead, h int, k, v []float64, step, momentum, decay float64) {
	if m.read%m.Chunk == 0 {
		x.first = nil
		for _, w := range x.weights {
			x.first = append(x.first, append([]float64(nil), w...))
		}
	}
	for i, g := range m.gradients(x.first, k, v) {
		part := 1.0
		if m.LayerSteps && i < m.Depth-1 {
			part = logistic(float64(m.w.Steps[i*m.Heads+h]))
		}
		for j := range g {
			x.momentum[i][j] = momentum*x.momentum[i][j] - part*step*g[j]
			x.weights[i][j] = (1-decay)*x.weights[i][j] + x.momentum[i][j]
			if m.DecayToInitial {
				x.weights[i][j] += decay * x.initial[i][j]
			}
		}
	}
}

// step reads a row.
func (m *naive) step(rows Rows, r int) []float64 {
	width := m.Heads * m.Dim
	for part, from := range [parts][]float32{rows.Q, rows.K, rows.V} {
		m.history[part] = append(m.history[part], wide(from[r*width:(r+1)*width]))
	}
	var out []float64
	for h := range m.Heads {
		x := &m.heads[h]
		var part [parts][]float64
		for i := range part {
			part[i] = m.convolved(m.history[i], i, h)
		}
		gates := rows.Gates[r*3*m.Heads:]
		step := float64(m.MostStep) * logistic(float64(gates[h]))
		momentum := min(logistic(float64(gates[m.Heads+h])), float64(m.MostMomentum))
		if !m.Momentum {
			momentum = 0
		}
		m.learn(x, h, part[keys], part[values], step, momentum, logistic(float64(gates[2*m.Heads+h])))
		w := x.first
		if m.ReadAfter {
			w = x.weights
		}
		out = append(out, m.finish(m.naiveRead(w, part[queries]), rows.Out[r*width:], h)...)
	}
	m.read++
	return out
}

// finish norms what a head read and gates it.
func (m *naive) finish(y []float64, gates []float32, h int) (out []float64) {
	var square float64
	for _, v := range y {
		square += v * v
	}
	scale := 1 / math.Sqrt(square/float64(m.Dim)+float64(m.NormEpsilon))
	for i, v := range y {
		at := h*m.Dim + i
		out = append(out, v*scale*float64(m.w.Norm[at])*logistic(float64(gates[at])))
	}
	return out
}

// retrieve reads with the query of a row, before the row that is learned from next (equation 21).
func (m *naive) retrieve(rows Rows, r int) (out []float64) {
	width := m.Heads * m.Dim
	m.history[parts] = append(m.history[parts], wide(rows.Q[r*width:(r+1)*width]))
	for h := range m.Heads {
		w := m.heads[h].first
		if m.read%m.Chunk == 0 {
			w = m.heads[h].weights
		}
		out = append(out, m.finish(m.naiveRead(w, m.convolved(m.history[parts], queries, h)), rows.Out[r*width:], h)...)
	}
	return out
}

// convolved is a head's part of the last row.
func (m *naive) convolved(history [][]float64, part, h int) []float64 {
	out := make([]float64, m.Dim)
	var square float64
	for i := range out {
		at := h*m.Dim + i
		out[i] = history[len(history)-1][at]
		if m.Convolution > 0 {
			out[i] = 0
			for j := range min(m.Convolution, len(history)) {
				tap := m.w.Convolution[(part*m.Heads*m.Dim+at)*m.Convolution+m.Convolution-1-j]
				out[i] += float64(tap) * history[len(history)-1-j][at]
			}
		}
		if m.SiLU {
			out[i] *= logistic(out[i])
		}
		square += out[i] * out[i]
	}
	if part != values {
		for i := range out {
			out[i] /= max(math.Sqrt(square), smallest)
		}
	}
	return out
}

// shapes are memories to try things on.
var shapes = map[string]Config{
	"linear, token by token": {Depth: 1, Chunk: 1, Momentum: true, ReadAfter: true},
	"linear, in chunks":      {Depth: 1, Chunk: 16, Momentum: true, Convolution: 4},
	"linear, read after":     {Depth: 1, Chunk: 5, Momentum: true, ReadAfter: true, FullLoss: true, Convolution: 1},
	"no momentum":            {Depth: 1, Chunk: 4, Convolution: 3, SiLU: true},
	"no momentum, MLP":       {Depth: 2, Expansion: 2, Chunk: 4, ReadAfter: true},
	"MLP, token by token":    {Depth: 2, Expansion: 2, Chunk: 1, Momentum: true, ReadAfter: true, Convolution: 4},
	"MLP, in chunks":         {Depth: 2, Expansion: 4, Chunk: 8, Momentum: true, Convolution: 4, SiLU: true},
	"MLP, read after":        {Depth: 2, Expansion: 1, Chunk: 7, Momentum: true, ReadAfter: true, FullLoss: true},
	"linear, to initial":     {Depth: 1, Chunk: 4, Momentum: true, DecayToInitial: true},
	"MLP, steadied":          {Depth: 2, Expansion: 4, Chunk: 16, Momentum: true, Convolution: 4, UnitHidden: true, LayerSteps: true, MostError: 0.1, DecayToInitial: true},
	"MLP, steadied after":    {Depth: 2, Expansion: 2, Chunk: 5, Momentum: true, ReadAfter: true, UnitHidden: true, LayerSteps: true, MostError: 0.5, DecayToInitial: true},
	"steadied, deep":         {Depth: 3, Expansion: 2, Chunk: 4, Momentum: true, FullLoss: true, UnitHidden: true, LayerSteps: true, DecayToInitial: true},
	"three layers":           {Depth: 3, Expansion: 2, Chunk: 6, Momentum: true, ReadAfter: true},
	"retrieving":             {Depth: 2, Expansion: 2, Chunk: 6, Momentum: true, Convolution: 3, Retrieving: true},
	"four layers":            {Depth: 4, Expansion: 2, Chunk: 3, Momentum: true},
}

// random makes a memory of a shape, and rows for it. Keys have length 1, so that steps of a tenth do not diverge.
func random(t testing.TB, c Config, n int) (*Memory, Weights, Rows) {
	t.Helper()
	c.Heads, c.Dim, c.MostStep, c.MostMomentum, c.NormEpsilon = 2, 20, 0.3, 0.9, 1e-5
	rng := rand.New(rand.NewPCG(uint64(c.Depth), uint64(c.Chunk)))
	normal := func(n int, scale float64) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(rng.NormFloat64() * scale)
		}
		return out
	}
	w := Weights{Norm: normal(c.Heads*c.Dim, 1), Convolution: normal(parts*c.Heads*c.Dim*c.Convolution, 0.5)}
	for i := range c.Depth {
		w.Initial = append(w.Initial, normal(c.Heads*c.Width(i)*c.Width(i-1), 1/math.Sqrt(float64(c.Width(i-1)))))
	}
	w.Steps = normal(c.Steps(), 1)
	width := c.Heads * c.Dim
	rows := Rows{Q: normal(n*width, 1), K: normal(n*width, 1), V: normal(n*width, 0.3), Gates: normal(n*3*c.Heads, 2), Out: normal(n*width, 1)}
	m, err := New(c, w)
	if err != nil {
		t.Fatal(err)
	}
	return m, w, rows
}

// onEach runs a test with each implementation of the kernels on each shape.
func onEach(t *testing.T, test func(t *testing.T, s *Scratch, c Config)) {
	for name, c := range shapes {
		for _, impl := range kernels.Implementations() {
			t.Run(name+"/"+impl.Name, func(t *testing.T) { test(t, NewScratch(impl, new(kernels.Scratch)), c) })
		}
	}
}

// advance has all heads read rows [from, to).
func advance(m *Memory, s *Scratch, st *State, rows Rows, from, to int, out []float32) {
	var pick []int32
	for r := from; r < to; r++ {
		pick = append(pick, int32(r))
	}
	for h := range m.Heads {
		if err := m.Advance(s, st, h, rows, pick, out); err != nil {
			panic(err)
		}
	}
}
