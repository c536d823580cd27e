package fifo

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

// naive is the memory in float64, written as the equations are: slots in a list, the oldest first.
type naive struct {
	*Layer
	slots [][]float64 // groups of PerChunk one after the other
	rows  [][]float64
	known map[*float64][2][]float64 // keys and values of slots, by where these lie
}

// projected returns the key and the value of a slot.
func (n *naive) projected(slot []float64) (key, value []float64) {
	x, ok := n.known[&slot[0]]
	if !ok {
		normed := rms(n.SlotNorm, slot, n.Epsilon)
		x = [2][]float64{times(n.Key, normed), times(n.Value, normed)}
		if n.known == nil {
			n.known = map[*float64][2][]float64{}
		}
		n.known[&slot[0]] = x
	}
	return x[0], x[1]
}

func wide(x []float32) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(v)
	}
	return out
}

// times returns W x (+ b).
func times(w []float32, x []float64) []float64 {
	if w == nil {
		return x
	}
	out := make([]float64, len(w)/len(x))
	for o := range out {
		for i, v := range x {
			out[o] += float64(w[o*len(x)+i]) * v
		}
	}
	return out
}

func rms(w []float32, x []float64, eps float32) []float64 {
	if w == nil {
		return x
	}
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(w[i]) * v / math.Sqrt(sum/float64(len(x))+float64(eps))
	}
	return out
}

func inner(a, b []float64) float64 {
	var sums [4]float64 // so that no addition waits for the one before
	for i, x := range a {
		sums[i&3] += x * b[i]
	}
	return sums[0] + sums[1] + sums[2] + sums[3]
}

// mix returns the softmax of the scores, and the sum of the rows under it.
func mix(scores []float64, rows [][]float64) (weights, sum []float64) {
	most := math.Inf(-1)
	for _, s := range scores {
		most = max(most, s)
	}
	total := 0.0
	for _, s := range scores {
		weights = append(weights, math.Exp(s-most))
		total += math.Exp(s - most)
	}
	sum = make([]float64, len(rows[0]))
	for i := range weights {
		weights[i] /= total
		for j, v := range rows[i] {
			sum[j] += weights[i] * v
		}
	}
	return weights, sum
}

func (n *naive) write(x []float64) {
	if len(n.rows) == n.Chunk {
		n.fold()
	}
	n.rows = append(n.rows, rms(n.PoolNorm, x, n.Epsilon))
}

func (n *naive) fold() {
	var fresh [][]float64
	for j := range n.PerChunk {
		fresh = append(fresh, n.gated(n.summary(j), n.before(j)))
	}
	n.slots = append(n.slots, fresh...)
	if len(n.slots) > n.Slots {
		n.slots = n.slots[n.PerChunk:]
	}
	n.rows = nil
}

func (n *naive) summary(j int) []float64 {
	if n.Pooling == PoolQuery {
		q := wide(n.PoolQueries[j*n.Dim : (j+1)*n.Dim])
		var scores []float64
		var values [][]float64
		for _, z := range n.rows {
			scores = append(scores, inner(q, times(n.PoolKey, z))/math.Sqrt(float64(n.Dim)))
			values = append(values, times(n.PoolValue, z))
		}
		_, h := mix(scores, values)
		return h
	}
	piece := n.Chunk / n.PerChunk
	_, h := mix(make([]float64, piece), n.rows[j*piece:(j+1)*piece])
	return times(n.PoolValue, h)
}

func (n *naive) before(j int) []float64 {
	p := make([]float64, n.Dim)
	groups := len(n.slots) / n.PerChunk
	switch {
	case groups == 0:
	case n.Previous == PreviousNewest:
		return n.slots[(groups-1)*n.PerChunk+j]
	case n.Previous == PreviousOldest:
		return n.slots[j]
	default:
		for g := range groups {
			for i, v := range n.slots[g*n.PerChunk+j] {
				p[i] += v / float64(groups)
			}
		}
	}
	return p
}

func (n *naive) gated(h, p []float64) []float64 {
	d := n.Dim
	part := func(k int, x []float64) []float64 {
		a, b := times(n.GateW[k*d*d:(k+1)*d*d], h), times(n.GateU[k*d*d:(k+1)*d*d], x)
		for i := range a {
			a[i] += b[i]
			if n.GateBias != nil {
				a[i] += float64(n.GateBias[k*d+i])
			}
		}
		return a
	}
	logistic := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	out := make([]float64, d)
	switch n.Gate {
	case GateNone:
		return h
	case GateSimple:
		for i, g := range part(0, p) {
			out[i] = logistic(g)*h[i] + (1-logistic(g))*p[i]
		}
	case GateGRU:
		rp := make([]float64, d)
		for i, r := range part(1, p) {
			rp[i] = logistic(r) * p[i]
		}
		c := part(2, rp)
		for i, z := range part(0, p) {
			out[i] = (1-logistic(z))*p[i] + logistic(z)*math.Tanh(c[i])
		}
	}
	return out
}

// read returns the weights and what a head reads.
func (n *naive) read(q []float64, head int) (weights, out []float64) {
	if len(n.slots) == 0 {
		return nil, make([]float64, n.HeadDim)
	}
	from, to := head*n.HeadDim, (head+1)*n.HeadDim
	var scores []float64
	var values [][]float64
	for _, slot := range n.slots {
		k, v := n.projected(slot)
		scores = append(scores, float64(n.Scale)*inner(q, k[from:to]))
		values = append(values, v[from:to])
	}
	return mix(scores, values)
}

func randoms(r *rand.Rand, n int, scale float64) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = float32(r.NormFloat64() * scale)
	}
	return out
}

// randomWeights gives everything that the configuration has use for.
func randomWeights(r *rand.Rand, c Config, norms, projected bool) (w Weights) {
	d := c.Dim
	s := 1 / math.Sqrt(float64(d))
	if norms {
		w.PoolNorm = randoms(r, d, 1)
	}
	if projected {
		w.Key, w.Value, w.PoolValue = randoms(r, c.Width()*d, s), randoms(r, c.Width()*d, s), randoms(r, d*d, s)
		if norms {
			w.SlotNorm = randoms(r, d, 1)
		}
	}
	if c.Pooling == PoolQuery {
		w.PoolQueries, w.PoolKey = randoms(r, c.PerChunk*d, 2), randoms(r, d*d, s)
	}
	if g := c.Gate.Matrices(); g > 0 {
		w.GateW, w.GateU, w.GateBias = randoms(r, g*d*d, s), randoms(r, g*d*d, s), randoms(r, g*d, 1)
	}
	return w
}

// shapes are configurations over all switches.
func shapes() (list []Config) {
	for gate := range Gate(len(gateNames)) {
		for pooling := range Pooling(len(poolingNames)) {
			for previous := range Previous(len(previousNames)) {
				c := Config{Dim: 24, Chunk: 12, Slots: 12, PerChunk: 3, Gate: gate, Pooling: pooling, Previous: previous, Heads: 3, HeadDim: 8, Scale: 0.35, Epsilon: 1e-6}
				list = append(list, c)
			}
		}
	}
	one := list[0]
	one.Slots, one.PerChunk, one.Heads, one.HeadDim = 17, 1, 1, 24
	wider := list[len(list)-1]
	wider.HeadDim = 20 // three heads are more than a slot is wide
	return append(list, one, wider)
}

func newScratch() *Scratch { return NewScratch(&kernels.Scratch{}) }

func newLayer(t testing.TB, c Config, w Weights) *Layer {
	t.Helper()
	l, err := NewLayer(c, w)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// feed writes rows as a text comes: for each piece of a chunk, the reads come first.
func feed(t testing.TB, impl *kernels.Implementation, b *Bank, x []float32, s *Scratch, read func(first, rows int)) {
	t.Helper()
	n := len(x) / b.Dim
	for at := 0; at < n; {
		b.Advance(impl, s)
		rows := min(b.Room(), n-at)
		if read != nil {
			read(at, rows)
		}
		if err := b.Write(impl, x[at*b.Dim:(at+rows)*b.Dim]); err != nil {
			t.Fatal(err)
		}
		at += rows
	}
}

func TestAgainstNaive(t *testing.T) {
	const tolerance = 2e-5
	for i, c := range shapes() {
		for _, switches := range [][2]bool{{false, false}, {false, true}, {true, true}, {true, false}} {
			r := rand.New(rand.NewPCG(uint64(i), 1))
			norms, projected := switches[0], switches[1] || c.Width() != c.Dim
			w := randomWeights(r, c, norms, projected)
			l := newLayer(t, c, w)
			for _, impl := range kernels.Implementations() {
				bank, slow, s := l.NewBank(), &naive{Layer: l}, newScratch()
				x := randoms(r, (c.Chunk*7+5)*c.Dim, 1)
				width := c.Width()
				q, out := randoms(r, len(x)/c.Dim*width, 1), make([]float32, len(x)/c.Dim*width)
				feed(t, impl, bank, x, s, func(first, rows int) {
					for h := range c.Heads {
						bank.Read(impl, out[first*width+h*c.HeadDim:], width, q[first*width+h*c.HeadDim:], width, rows, h, s)
					}
				})
				for row := range len(x) / c.Dim {
					if len(slow.rows) == c.Chunk {
						slow.fold()
					}
					for h := range c.Heads {
						at := row*width + h*c.HeadDim
						_, want := slow.read(wide(q[at:at+c.HeadDim]), h)
						for j, v := range want {
							if d := math.Abs(float64(out[at+j]) - v); !(d <= tolerance*(1+math.Abs(v))) {
								t.Fatalf("%s, %+v, norms %v, projected %v: row %d, head %d: %v, want %v", impl.Name, c, norms, projected, row, h, out[at+j], v)
							}
						}
					}
					slow.write(wide(x[row*c.Dim : (row+1)*c.Dim]))
				}
			}
		}
	}
}
