package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/kvcache/cluster"
	"github.com/mneme-lm/mneme/weights/quant"
)

// cached makes a cache of one layer and head with the given rows at the positions from 0 on, and returns its view.
func cached(t rapid.TB, typ quant.Type, keys, values [][]float32) kvcache.View {
	t.Helper()
	keyDim, valueDim := len(keys[0]), len(values[0])
	c, err := kvcache.New(kvcache.Config{Layers: 1, Heads: 1, KeyDim: keyDim, ValueDim: valueDim, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	encode := func(x []float32) []byte {
		size, err := typ.RowBytes(len(x))
		if err != nil {
			t.Fatal(err)
		}
		row := make([]byte, size)
		if err := quant.Encode(typ, row, x); err != nil {
			t.Fatal(err)
		}
		return row
	}
	for i, key := range keys {
		if _, err := c.Append([]int32{int32(i)}); err != nil {
			t.Fatal(err)
		}
		if err := c.Put(0, 0, i, encode(key), encode(values[i])); err != nil {
			t.Fatal(err)
		}
	}
	return c.View(0, 0)
}

// clustered are rows and their clusters.
type clustered struct {
	keys, values     [][]float32
	of               []int32 // [rows]: the cluster of each
	centroids, means [][]float32
	sizes            []int32
}

// clusterRows clusters keys as a cache does, and sums the values up.
func clusterRows(t rapid.TB, impl *kernels.Implementation, keys, values [][]float32, clusters int) *clustered {
	t.Helper()
	view, n := cached(t, quant.F32, keys, values), len(keys)
	groups := make([]float32, 0, kernels.WholeGroups(n)*view.KeyDim)
	for i := range view.Spans {
		rows := kernels.WholeGroups(view.Spans[i].Rows())
		page := make([]float32, rows*view.KeyDim)
		impl.WidenKeys(page, view.Spans[i].Keys, view.Type, view.KeyDim, rows)
		groups = append(groups, page...)
	}
	found, err := cluster.NewScratch(new(kernels.Scratch)).KMeans(impl, groups, n, view.KeyDim, clusters)
	if err != nil {
		t.Fatal(err)
	}
	width := kernels.ValueWidth(view.ValueDim)
	sums := make([]float32, found.Len()*width)
	for i := range view.Spans {
		if err := found.SumValues(impl, sums, view.Spans[i].Values, view.Type, view.ValueDim, view.Spans[i].First, new(kernels.Scratch)); err != nil {
			t.Fatal(err)
		}
	}
	c := &clustered{keys: keys, values: values, of: found.Of}
	for j := range found.Len() {
		mean := sums[j*width:][:view.ValueDim]
		for i := range mean {
			mean[i] /= float32(found.Size(j))
		}
		c.centroids, c.means, c.sizes = append(c.centroids, found.Centroid(j)), append(c.means, mean), append(c.sizes, int32(found.Size(j)))
	}
	return c
}

// estimation is that of some of the clusters, stored as rows of the given type.
func (c *clustered) estimation(t rapid.TB, impl *kernels.Implementation, typ quant.Type, q *Queries, chosen []int32, s *Scratch) *Estimation {
	t.Helper()
	view := cached(t, typ, c.centroids, c.means)
	stride := scoresWidth(&view, view.Rows())
	scores := make([]float32, len(q.Positions)*q.Heads*stride)
	s.pack(q, &view)
	s.score(impl, q, &view, scores, stride, view.Rows())
	return &Estimation{Clusters: &view, Sizes: c.sizes, Scores: scores, Stride: stride, Chosen: chosen}
}

// formula is the paper's output for one query, in float64: rows of clusters that are not estimated are seen as they are, and
// those of the estimated ones by centroid and sum of values.
func (c *clustered) formula(q []float32, p *Params, exact func(cluster int32) bool, estimated []int32) []float64 {
	score := func(key []float32) float64 {
		var s float64
		for i, v := range q {
			s += float64(v) * float64(key[i])
		}
		s *= float64(p.Scale)
		if p.Softcap > 0 {
			s = float64(p.Softcap) * math.Tanh(s/float64(p.Softcap))
		}
		return s
	}
	out, sum := make([]float64, len(c.values[0])), 0.0
	add := func(e float64, n int32, mean []float32) {
		sum += e * float64(n)
		for i, v := range mean {
			out[i] += e * float64(n) * float64(v)
		}
	}
	for r, j := range c.of {
		if exact(j) {
			add(math.Exp(score(c.keys[r])), 1, c.values[r])
		}
	}
	for _, j := range estimated {
		add(math.Exp(score(c.centroids[j])), c.sizes[j], c.means[j])
	}
	for i := range out {
		if sum > 0 {
			out[i] /= sum
		}
	}
	return out
}

// rows are those of the clusters for which f holds.
func (c *clustered) rows(f func(cluster int32) bool) (keys, values [][]float32) {
	for r, j := range c.of {
		if f(j) {
			keys, values = append(keys, c.keys[r]), append(values, c.values[r])
		}
	}
	return keys, values
}

func many(rng *rand.Rand, n, dim int) [][]float32 {
	x := make([][]float32, n)
	for i := range x {
		x[i] = randoms(rng, dim)
	}
	return x
}

// numbers are those below n.
func numbers(n int) []int32 {
	x := make([]int32, n)
	for i := range x {
		x[i] = int32(i)
	}
	return x
}

func emptyPartial(queries, valueDim int) Partial {
	p := NewPartial(make([]float32, PartialFloats(queries, valueDim)), queries, valueDim)
	p.clear()
	return p
}

// Where all keys of each cluster are equal, estimating all clusters is full attention to all rows.
func TestEstimateOfEqualKeysIsExact(t *testing.T) {
	const keyDim, valueDim, heads, at = 32, 24, 3, 4
	for _, impl := range kernels.Implementations() {
		for _, clusters := range []int{1, 15, 16, 140} {
			rng := rand.New(rand.NewPCG(uint64(clusters), 21))
			distinct, c := many(rng, clusters, keyDim), &clustered{}
			c.centroids, c.sizes, c.means = distinct, make([]int32, clusters), make([][]float32, clusters)
			for j := range clusters {
				c.means[j] = make([]float32, valueDim)
				size := 1 + rng.IntN(30)
				if j == 0 {
					size = 300
				}
				for range size {
					value := randoms(rng, valueDim)
					c.keys, c.values = append(c.keys, distinct[j]), append(c.values, value)
					c.sizes[j]++
					for i, v := range value {
						c.means[j][i] += v
					}
				}
				for i := range c.means[j] {
					c.means[j][i] /= float32(c.sizes[j])
				}
			}
			view := cached(t, quant.F32, c.keys, c.values)
			for _, p := range []*Params{{Scale: .2}, {Scale: 1}, {Scale: .5, Softcap: 4}} {
				want, got := make([]float32, at*heads*valueDim), make([]float32, at*heads*valueDim)
				asks := []int32{1e6, 1e6 + 1, 1e6 + 2, 1e6 + 3}
				all := randoms(rng, at*heads*keyDim)
				s := NewScratch(new(kernels.Scratch))
				Full(impl, queries(all, want, heads, keyDim, valueDim, asks...), &view, p, s)
				q := queries(all, got, heads, keyDim, valueDim, asks...)
				total := emptyPartial(at*heads, valueDim)
				total.Estimate(impl, c.estimation(t, impl, quant.F32, q, numbers(clusters), s), p, s)
				total.Finish(q, valueDim)
				for i := range want {
					if !(math.Abs(float64(got[i]-want[i])) <= 4e-6) {
						t.Fatalf("%s, %d clusters, %+v: value %d is %v, with all rows %v", impl.Name, clusters, *p, i, got[i], want[i])
					}
				}
			}
		}
	}
}

// The weight of estimated clusters is at most that of their rows (Jensen), whatever the keys are and however they are
// clustered.
func TestEstimatedMassIsAtMostTheTrueOne(t *testing.T) {
	const valueDim = 8
	rapid.Check(t, func(t *rapid.T) {
		n, keyDim := rapid.IntRange(1, 200).Draw(t, "n"), rapid.IntRange(1, 40).Draw(t, "keyDim")
		clusters := rapid.IntRange(1, n).Draw(t, "clusters")
		p := &Params{Scale: rapid.Float32Range(.01, 2).Draw(t, "scale")}
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 22))
		for _, impl := range kernels.Implementations() {
			c := clusterRows(t, impl, many(rng, n, keyDim), many(rng, n, valueDim), clusters)
			view, s := cached(t, quant.F32, c.keys, c.values), NewScratch(new(kernels.Scratch))
			q := queries(randoms(rng, 2*keyDim), nil, 2, keyDim, valueDim, int32(n))
			exact, estimated := emptyPartial(2, valueDim), emptyPartial(2, valueDim)
			Segment(impl, q, &view, 0, p, exact, s)
			estimated.Estimate(impl, c.estimation(t, impl, quant.F32, q, numbers(len(c.sizes)), s), p, s)
			for h := range 2 {
				mass, most := logMass(&estimated, h), logMass(&exact, h)
				if !(mass <= most+2e-5*max(1, math.Abs(most))) {
					t.Fatalf("%s: query %d: the logarithm of the estimated mass is %v, of the true one %v", impl.Name, h, mass, most)
				}
			}
		}
	})
}

func logMass(p *Partial, h int) float64 { return float64(p.most[h]) + math.Log(float64(p.sum[h])) }

// Some clusters seen row by row, others estimated, others left out: the paper's formula, worked out in float64, in whichever
// order the parts are put together. With nothing estimated it is attention to the rows that are seen.
func TestExactAndEstimatedAreTheFormula(t *testing.T) {
	const valueDim = 24
	rapid.Check(t, func(t *rapid.T) {
		n, keyDim := rapid.IntRange(1, 500).Draw(t, "n"), 32
		clusters := rapid.IntRange(1, n).Draw(t, "clusters")
		p := &Params{
			Scale:   rapid.SampledFrom([]float32{.05, .18, .6}).Draw(t, "scale"),
			Softcap: rapid.SampledFrom([]float32{0, 0, 5}).Draw(t, "softcap"),
		}
		heads, at := rapid.IntRange(1, 4).Draw(t, "heads"), rapid.IntRange(1, 3).Draw(t, "queries")
		seed := rapid.Uint64().Draw(t, "seed")
		tenths := rapid.IntRange(0, 10).Draw(t, "tenths exact")
		rest := rapid.IntRange(0, 10-tenths).Draw(t, "tenths estimated")
		for _, impl := range kernels.Implementations() {
			rng := rand.New(rand.NewPCG(seed, 23))
			c := clusterRows(t, impl, many(rng, n, keyDim), many(rng, n, valueDim), clusters)
			zone := make([]int, len(c.sizes))
			var estimated []int32
			for j := range zone {
				if zone[j] = rng.IntN(10); zone[j] >= tenths && zone[j] < tenths+rest {
					estimated = append(estimated, int32(j))
				}
			}
			exact := func(j int32) bool { return zone[j] < tenths }
			asks := numbers(at)
			for i := range asks {
				asks[i] += int32(n)
			}
			out := make([]float32, at*heads*valueDim)
			q, s := queries(randoms(rng, at*heads*keyDim), out, heads, keyDim, valueDim, asks...), NewScratch(new(kernels.Scratch))
			e := c.estimation(t, impl, quant.F32, q, estimated, s)
			rows, merged := emptyPartial(at*heads, valueDim), emptyPartial(at*heads, valueDim)
			if keys, values := c.rows(exact); len(keys) > 0 {
				view := cached(t, quant.F32, keys, values)
				Segment(impl, q, &view, 0, p, rows, s)
			}
			merged.Estimate(impl, e, p, s)
			check := func(what string, got *Partial) {
				got.Finish(q, valueDim)
				for h := range at * heads {
					want := c.formula(q.Q[h*keyDim:(h+1)*keyDim], p, exact, estimated)
					for i, w := range want {
						if !(math.Abs(float64(out[h*valueDim+i])-w) <= 8e-6) {
							t.Fatalf("%s, %s: value %d of query %d is %v, want %v", impl.Name, what, i, h, out[h*valueDim+i], w)
						}
					}
				}
			}
			other := emptyPartial(at*heads, valueDim)
			other.Merge(impl, &Partial{most: rows.most, sum: rows.sum, out: rows.out, width: rows.width})
			other.Estimate(impl, e, p, s)
			check("estimated in addition", &other)
			merged.Merge(impl, &rows)
			check("merged", &merged)
		}
	})
}

// Estimating nothing adds nothing, to the bit.
func TestEstimateOfNothing(t *testing.T) {
	const dim, heads = 16, 2
	for _, impl := range kernels.Implementations() {
		rng := rand.New(rand.NewPCG(1, 24))
		c := clusterRows(t, impl, many(rng, 100, dim), many(rng, 100, dim), 8)
		view, s := cached(t, quant.F32, c.keys, c.values), NewScratch(new(kernels.Scratch))
		q := queries(randoms(rng, heads*dim), make([]float32, heads*dim), heads, dim, dim, 100)
		total, want := emptyPartial(heads, dim), emptyPartial(heads, dim)
		Segment(impl, q, &view, 0, &Params{Scale: .25}, total, s)
		Segment(impl, q, &view, 0, &Params{Scale: .25}, want, s)
		total.Estimate(impl, c.estimation(t, impl, quant.F32, q, nil, s), &Params{Scale: .25}, s)
		if !equal(&total, &want) {
			t.Errorf("%s: estimating no cluster changed %+v to %+v", impl.Name, want, total)
		}
		nothing := emptyPartial(heads, dim)
		nothing.Estimate(impl, c.estimation(t, impl, quant.F32, q, nil, s), &Params{Scale: .25}, s)
		if empty := emptyPartial(heads, dim); !equal(&nothing, &empty) {
			t.Errorf("%s: estimating no cluster made %+v of nothing", impl.Name, nothing)
		}
	}
}

func equal(a, b *Partial) bool {
	return slices.Equal(a.most, b.most) && slices.Equal(a.sum, b.sum) && slices.Equal(a.out, b.out)
}

// Queries that are estimated together get what each gets alone, bit for bit, with means of any type and clusters on several
// pages.
func TestEstimatedTogetherAsAlone(t *testing.T) {
	const dim, heads, at, rows, clusters = 64, 3, 5, 500, 170
	for _, impl := range kernels.Implementations() {
		rng := rand.New(rand.NewPCG(1, 25))
		c := clusterRows(t, impl, many(rng, rows, dim), many(rng, rows, dim), clusters)
		var chosen []int32
		for j := range int32(len(c.sizes)) {
			if j%7 != 0 {
				chosen = append(chosen, j)
			}
		}
		if len(chosen) <= kvcache.PageRows {
			t.Fatalf("only %d clusters", len(c.sizes))
		}
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			p, s := &Params{Scale: .3}, NewScratch(new(kernels.Scratch))
			q := queries(randoms(rng, at*heads*dim), nil, heads, dim, dim, rows, rows+1, rows+2, rows+3, rows+4)
			together := emptyPartial(at*heads, dim)
			together.Estimate(impl, c.estimation(t, impl, typ, q, chosen, s), p, s)
			for i := range at {
				one := queries(q.Q[i*heads*dim:(i+1)*heads*dim], nil, heads, dim, dim, q.Positions[i])
				alone := emptyPartial(heads, dim)
				alone.Estimate(impl, c.estimation(t, impl, typ, one, chosen, s), p, s)
				part := Partial{most: together.most[i*heads:][:heads], sum: together.sum[i*heads:][:heads], out: together.out[i*heads*together.width:][:heads*together.width]}
				if !equal(&alone, &part) {
					t.Fatalf("%s, %s: row %d alone: %v", impl.Name, typ, i, fmt.Sprint(alone.sum, part.sum))
				}
			}
		}
	}
}

// Clusters of very many rows have the logarithm of their size as smaller ones do.
func TestLogarithm(t *testing.T) {
	for _, size := range []int32{1, 2, 16, 255, 256, 257, 1 << 20, math.MaxInt32} {
		if got, want := logarithm(size), float32(math.Log(float64(size))); got != want {
			t.Errorf("ln %d is %v, want %v", size, got, want)
		}
	}
}
