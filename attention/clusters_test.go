package attention

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// wave is a cache of one layer and head whose rows are in clusters, and a copy of it without these. Rows are at the positions
// that are their numbers in the text.
type wave struct {
	r           *Retrieval
	clustered   *kvcache.Cache
	plain       kvcache.View
	keys, value [][]float32
}

// newWave puts rows into clusters but for the newest ones, as before a batch of so many fresh ones.
func newWave(t rapid.TB, r *Retrieval, typ quant.Type, keys, values [][]float32, fresh int) *wave {
	t.Helper()
	impl := kernels.Implementations()[len(kernels.Implementations())-1]
	c, err := kvcache.New(kvcache.Config{Layers: 1, Heads: 1, KeyDim: len(keys[0]), ValueDim: len(values[0]), Type: typ, Index: r.Index})
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
	for i := range keys {
		if i == len(keys)-fresh {
			if err := c.Seal(impl, 0, 0, r.Local); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Append([]int32{int32(i)}); err != nil {
			t.Fatal(err)
		}
		if err := c.Put(0, 0, i, encode(keys[i]), encode(values[i])); err != nil {
			t.Fatal(err)
		}
	}
	return &wave{r, c, cached(t, typ, keys, values), keys, values}
}

// open has queries open rows.
func (w *wave) open(impl *kernels.Implementation, q *Queries, fresh int, p *Params, s *Scratch, to *Opened) {
	view := w.clustered.View(0, 0)
	w.r.Open(impl, q, &view, w.clustered.Index(0, 0), fresh, p, s, to)
}

// clusters are the text's rows of each cluster, and their centroids and mean values as they are stored.
func (w *wave) clusters(t rapid.TB) *clustered {
	t.Helper()
	view, index := w.clustered.View(0, 0), w.clustered.Index(0, 0)
	var positions []int32
	for i := range view.Spans {
		positions = append(positions, view.Spans[i].Positions...)
	}
	c := &clustered{keys: w.keys, values: w.value, of: make([]int32, len(w.keys))}
	for i := range c.of {
		c.of[i] = -1
	}
	for b := range index.Blocks.Rows() {
		from, to := index.Rows(b)
		key, value := make([]float32, index.Blocks.KeyDim), make([]float32, index.Blocks.ValueDim)
		span, at := &index.Blocks.Spans[b/kvcache.PageRows], b%kvcache.PageRows
		row := make([]byte, index.Blocks.KeyBytes)
		kernels.TakeKey(row, index.Blocks.Type, index.Blocks.KeyDim, at, span.Keys)
		if err := quant.Decode(index.Blocks.Type, key, row); err != nil {
			t.Fatal(err)
		}
		if err := quant.Decode(index.Blocks.Type, value, span.Values[at*index.Blocks.ValueBytes:][:index.Blocks.ValueBytes]); err != nil {
			t.Fatal(err)
		}
		for _, at := range positions[from:to] {
			c.of[at] = int32(b)
		}
		c.centroids, c.means, c.sizes = append(c.centroids, key), append(c.means, value), append(c.sizes, int32(to-from))
	}
	return c
}

// choose is the choice of clusters by its definition, in float64: those to open, and those to estimate. Queries are side by
// side.
func (w *wave) choose(c *clustered, q []float32, scale float64, room int) (opened, estimated []int32) {
	dim, n := len(c.keys[0]), len(c.sizes)
	worth := make([]float64, n)
	for h := 0; h*dim < len(q); h++ {
		scores, sum := make([]float64, n), 0.
		for j := range scores {
			for i, v := range q[h*dim : (h+1)*dim] {
				scores[j] += float64(v) * float64(c.centroids[j][i]) * scale
			}
			sum += math.Exp(scores[j])
		}
		for j := range scores {
			worth[j] += math.Exp(scores[j]) / sum
		}
	}
	order := numbers(n)
	slices.SortFunc(order, func(a, b int32) int { return cmp.Or(cmp.Compare(worth[b], worth[a]), cmp.Compare(b, a)) })
	wanted := int(math.Round(w.r.Estimate * float64(n)))
	for _, j := range order {
		if size := int(c.sizes[j]); room >= w.r.Index.Block && size <= room {
			opened = append(opened, j)
			room -= size
		}
	}
	for _, j := range order {
		if !slices.Contains(opened, j) && len(estimated) < wanted {
			estimated = append(estimated, j)
		}
	}
	return opened, estimated
}

// openRows are the numbers in the text of the rows of a view.
func openRows(view *kvcache.View) []int32 {
	var rows []int32
	for i := range view.Spans {
		rows = append(rows, view.Spans[i].Positions[view.Spans[i].Skip:]...)
	}
	slices.Sort(rows)
	return rows
}

// tripartite is what a query gets by the paper's formula of rows that it sees one by one and of clusters, in float64.
func tripartite(q []float32, c *clustered, rows, estimated []int32, pos int32, p *Params) []float64 {
	see := &clustered{keys: make([][]float32, 0), values: nil, centroids: c.centroids, means: c.means, sizes: c.sizes}
	for _, r := range rows {
		if r <= pos {
			see.keys, see.values, see.of = append(see.keys, c.keys[r]), append(see.values, c.values[r]), append(see.of, 0)
		}
	}
	return see.formula(q, p, func(int32) bool { return true }, estimated)
}

func newRetrieval(rows, segment, local int, estimate float64) *Retrieval {
	return &Retrieval{
		Index: kvcache.Index{Summary: kvcache.Centroid, Block: 16, Sinks: 16, Segment: segment}, Rows: rows, Local: local, Estimate: estimate,
	}
}

// What queries open are the first rows, the newest ones and the best clusters, no more than the budget; what they get of these
// and of the clusters that are estimated is the paper's formula. Without an estimate it is attention to the best rows.
func TestClustersAreTheTripartiteFormula(t *testing.T) {
	const keyDim, valueDim = 32, 24
	for _, impl := range kernels.Implementations() {
		for _, x := range []struct {
			rows, segment, local, text, fresh, heads int
			estimate                                 float64
			p                                        Params
		}{
			{200, 64, 10, 900, 1, 1, 0, Params{Scale: .18}},
			{200, 64, 10, 900, 1, 1, .25, Params{Scale: .18}},
			{301, 128, 1, 1337, 1, 3, 0, Params{Scale: .18}},
			{301, 128, 1, 1337, 1, 3, .5, Params{Scale: .3, Softcap: 8}},
			{400, 16, 64, 2600, 1, 2, 1, Params{Scale: .18}},
			{700, 512, 30, 2600, 9, 2, .232, Params{Scale: .18}},
			{640, 256, 64, 700, 40, 3, .1, Params{Scale: .1}},
		} {
			rng := rand.New(rand.NewPCG(uint64(x.rows), 41))
			keys, about := topics(rng, x.text, keyDim, 40, 7)
			w := newWave(t, newRetrieval(x.rows, x.segment, x.local, x.estimate), quant.F32, keys, many(rng, x.text, valueDim), x.fresh)
			c := w.clusters(t)
			at := make([]int32, x.fresh)
			for i := range at {
				at[i] = int32(x.text - x.fresh + i)
			}
			all := randoms(rng, x.fresh*x.heads*keyDim)
			for i, v := range about[x.text/2] {
				for h := 0; h < len(all); h += keyDim {
					all[h+i] += v
				}
			}
			out := make([]float32, x.fresh*x.heads*valueDim)
			q, s := queries(all, out, x.heads, keyDim, valueDim, at...), NewScratch(new(kernels.Scratch))
			var opened Opened
			w.open(impl, q, x.fresh, &x.p, s, &opened)
			opened.Attend(impl, q, &x.p, s)

			sealed := w.clustered.Index(0, 0).Sealed
			best, estimated := w.choose(c, all, float64(x.p.Scale), x.rows-16-(x.text-x.fresh+1-sealed))
			var want []int32
			for r := range int32(x.text) {
				if r < 16 || int(r) >= sealed || slices.Contains(best, c.of[r]) {
					want = append(want, r)
				}
			}
			rows := openRows(&opened.View)
			if !slices.Equal(rows, want) {
				t.Fatalf("%s, %+v: opened rows %v, want %v", impl.Name, x, rows, want)
			}
			if n := len(rows) - x.fresh + 1; n > x.rows || n <= x.rows-max(16, int(slices.Max(c.sizes))) {
				t.Fatalf("%s, %+v: %d rows are open", impl.Name, x, n)
			}
			for i, pos := range at {
				for h := range x.heads {
					from := i*x.heads + h
					want := tripartite(all[from*keyDim:(from+1)*keyDim], c, rows, estimated, pos, &x.p)
					for d, v := range want {
						if got := out[from*valueDim+d]; !(math.Abs(float64(got)-v) <= 1e-5) {
							t.Fatalf("%s, %+v: value %d of query %d, head %d is %v, want %v", impl.Name, x, d, i, h, got, v)
						}
					}
				}
			}
		}
	}
}

// A budget for the whole text opens all of it, and the result is that of full attention but for the order of rows.
func TestClustersWithinTheBudgetAreFullAttention(t *testing.T) {
	const dim, n = 32, 700
	for _, impl := range kernels.Implementations() {
		for _, typ := range []quant.Type{quant.F32, quant.F16, quant.Q8_0} {
			rng := rand.New(rand.NewPCG(1, 42))
			keys, values := many(rng, n, dim), many(rng, n, dim)
			for _, fresh := range []int{1, 5} {
				w := newWave(t, newRetrieval(n-fresh+1, 128, 10, .3), typ, keys, values, fresh)
				var at []int32
				for i := range fresh {
					at = append(at, int32(n-fresh+i))
				}
				all, p, s := randoms(rng, 2*fresh*dim), &Params{Scale: .3}, NewScratch(new(kernels.Scratch))
				got, want := make([]float32, 2*fresh*dim), make([]float32, 2*fresh*dim)
				Full(impl, queries(all, want, 2, dim, dim, at...), &w.plain, p, s)
				q := queries(all, got, 2, dim, dim, at...)
				var opened Opened
				w.open(impl, q, fresh, p, s, &opened)
				opened.Attend(impl, q, p, s)
				for i := range want {
					if !(math.Abs(float64(got[i]-want[i])) <= 1e-5) {
						t.Fatalf("%s, %s: value %d is %v, in full attention %v", impl.Name, typ, i, got[i], want[i])
					}
				}
				w.r.Rows-- // and with one less, something is not open
				w.open(impl, q, fresh, p, s, &opened)
				if rows := len(openRows(&opened.View)); rows >= n {
					t.Fatalf("%s, %s: %d of %d rows are open", impl.Name, typ, rows, n)
				}
			}
		}
	}
}

// Where all keys of each cluster are equal, and all clusters that are not opened are estimated, nothing is lost.
func TestEqualKeysLoseNothing(t *testing.T) {
	const dim, segment = 16, 64
	for _, impl := range kernels.Implementations() {
		rng := rand.New(rand.NewPCG(1, 43))
		n := 16 + 20*segment + 30
		values, keys := many(rng, n, dim), many(rng, n, dim)
		for s := range 20 {
			for i := range segment {
				keys[16+s*segment+i] = keys[16+s*segment]
			}
		}
		w := newWave(t, newRetrieval(16+8+segment+300, segment, 8, 1), quant.F32, keys, values, 1)
		if clusters := w.clustered.Index(0, 0).Blocks.Rows(); clusters != 20 {
			t.Fatalf("%d clusters", clusters)
		}
		got, want := make([]float32, 3*dim), make([]float32, 3*dim)
		all, p, s := randoms(rng, 3*dim), &Params{Scale: .3}, NewScratch(new(kernels.Scratch))
		Full(impl, queries(all, want, 3, dim, dim, int32(n-1)), &w.plain, p, s)
		q := queries(all, got, 3, dim, dim, int32(n-1))
		var opened Opened
		w.open(impl, q, 1, p, s, &opened)
		opened.Attend(impl, q, p, s)
		if rows := len(openRows(&opened.View)); rows > w.r.Rows {
			t.Fatalf("%d rows are open", rows)
		}
		for i := range want {
			if !(math.Abs(float64(got[i]-want[i])) <= 1e-5) {
				t.Fatalf("%s: value %d is %v, in full attention %v", impl.Name, i, got[i], want[i])
			}
		}
	}
}

// Whatever text and queries: the estimated mass is no more than that of the rows that are estimated, what is open keeps to the
// budget, no row counts twice, and segments merged one by one are what Attend gives, bit for bit, in no more of them than were
// announced.
func TestOpenedClustersHoldTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dim, valueDim := rapid.IntRange(1, 24).Draw(t, "keyDim"), rapid.IntRange(1, 24).Draw(t, "valueDim")
		segment, local := 16*rapid.IntRange(1, 12).Draw(t, "segment"), rapid.IntRange(1, 70).Draw(t, "local")
		n, fresh := rapid.IntRange(1, 1500).Draw(t, "text"), 1
		if n > 60 {
			fresh = rapid.IntRange(1, 60).Draw(t, "fresh")
		}
		r := newRetrieval(0, segment, local, rapid.SampledFrom([]float64{0, .1, 1}).Draw(t, "estimate"))
		r.Rows = r.always() + r.Index.Block + rapid.IntRange(0, 600).Draw(t, "rows")
		heads, rows := rapid.IntRange(1, 4).Draw(t, "heads"), rapid.IntRange(1, fresh).Draw(t, "queries")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 44))
		keys := many(rng, n, dim)
		for i := range keys { // some are equal, so that clusters are large
			if i > 0 && rng.IntN(3) == 0 {
				keys[i] = keys[rng.IntN(i)]
			}
		}
		w := newWave(t, r, quant.F32, keys, many(rng, n, valueDim), fresh)
		at := make([]int32, rows)
		for i := range at {
			at[i] = int32(n - rows + i)
		}
		p := &Params{Scale: rapid.Float32Range(.01, 2).Draw(t, "scale")}
		all, out := randoms(rng, rows*heads*dim), make([]float32, rows*heads*valueDim)
		var opened Opened
		for _, impl := range kernels.Implementations() {
			s := NewScratch(new(kernels.Scratch))
			q := queries(all, out, heads, dim, valueDim, at...)
			w.open(impl, q, fresh, p, s, &opened)
			open := openRows(&opened.View)
			if len(slices.Compact(slices.Clone(open))) != len(open) || len(open)-fresh+1 > max(r.Rows, 1) && len(open) != n || len(open) > r.Rows+fresh-1 {
				t.Fatalf("%d rows are open, of %d", len(open), r.Rows)
			}
			c := w.clusters(t)
			if most := (r.MostSpans(w.clustered.Unsealed()) + SegmentSpans - 1) / SegmentSpans; Segments(&opened.View) > most {
				t.Fatalf("%d segments, at most %d were announced", Segments(&opened.View), most)
			}
			opened.Attend(impl, q, p, s)
			merged := emptyPartial(rows*heads, valueDim)
			Segment(impl, q, &opened.View, 0, p, merged, s)
			for i := 1; i < Segments(&opened.View); i++ {
				next := emptyPartial(rows*heads, valueDim)
				Segment(impl, q, &opened.View, i, p, next, s)
				merged.Merge(impl, &next)
			}
			opened.AddEstimated(impl, &merged)
			again := *q
			again.Out = make([]float32, len(out))
			merged.Finish(&again, valueDim)
			if !slices.Equal(out, again.Out) {
				t.Fatalf("%s: %v in one go, %v in segments", impl.Name, out, again.Out)
			}
			if len(opened.estimated.sum) == 0 {
				continue
			}
			var rest [2][][]float32 // rows that are not open
			for i := range keys {
				if _, ok := slices.BinarySearch(open, int32(i)); !ok {
					rest[0], rest[1] = append(rest[0], keys[i]), append(rest[1], w.value[i])
				}
			}
			if len(rest[0]) == 0 {
				continue
			}
			view, exact := cached(t, quant.F32, rest[0], rest[1]), emptyPartial(rows*heads, valueDim)
			Segment(impl, q, &view, 0, p, exact, s)
			for i := 1; i < Segments(&view); i++ {
				next := emptyPartial(rows*heads, valueDim)
				Segment(impl, q, &view, i, p, next, s)
				exact.Merge(impl, &next)
			}
			for h := range exact.sum {
				mass, most := logMass(&opened.estimated, h), logMass(&exact, h)
				if !(mass <= most+3e-5*max(1, math.Abs(most))) {
					t.Fatalf("%s: query %d: the logarithm of the estimated mass is %v, of the true one %v; %d clusters", impl.Name, h, mass, most, len(c.sizes))
				}
			}
		}
	})
}

// The mass of attention counts opened rows, and not what is estimated.
func TestMassOfClusters(t *testing.T) {
	const dim, n = 32, 1200
	for _, impl := range kernels.Implementations() {
		rng := rand.New(rand.NewPCG(1, 45))
		keys := many(rng, n, dim)
		var of [2]float64
		for i, estimate := range []float64{0, .5} {
			w := newWave(t, newRetrieval(400, 128, 20, estimate), quant.F32, keys, keys, 1)
			q, p := queries(keys[50], nil, 1, dim, dim, n-1), &Params{Scale: .1}
			var opened Opened
			s, mass := NewScratch(new(kernels.Scratch)), make([]float64, 1)
			w.open(impl, q, 1, p, s, &opened)
			view := w.clustered.View(0, 0)
			Mass(impl, q, &view, &opened, p, s, mass, func(int) {})
			weights, want := softmaxOf(keys[50], keys, p), 0.
			for _, r := range openRows(&opened.View) {
				want += weights[r]
			}
			if of[i] = mass[0]; !(math.Abs(mass[0]-want) <= 1e-5) || want > .9 {
				t.Errorf("%s, estimate %v: a mass of %v, want %v", impl.Name, estimate, mass[0], want)
			}
		}
		if of[0] != of[1] {
			t.Errorf("%s: an estimate changes the mass from %v to %v", impl.Name, of[0], of[1])
		}
	}
}

// Scores that are no numbers, or beyond all of them, choose some clusters all the same, and none twice.
func TestClustersOfExtremeScores(t *testing.T) {
	const dim, n = 16, 600
	rng := rand.New(rand.NewPCG(1, 46))
	w := newWave(t, newRetrieval(200, 64, 10, 1), quant.F32, many(rng, n, dim), many(rng, n, dim), 1)
	for _, impl := range kernels.Implementations() {
		for _, v := range []float32{0, 1e-45, 1e38, float32(math.Inf(1)), float32(math.NaN())} {
			for _, heads := range []int{1, 2} {
				all, s := randoms(rng, heads*dim), NewScratch(new(kernels.Scratch))
				for i := range all {
					all[i] *= v
				}
				q, p := queries(all, make([]float32, heads*dim), heads, dim, dim, n-1), &Params{Scale: .2}
				var opened Opened
				w.open(impl, q, 1, p, s, &opened)
				opened.Attend(impl, q, p, s)
				if rows := len(openRows(&opened.View)); rows > 200 || rows < 100 {
					t.Errorf("%s, queries of %v: %d rows are open", impl.Name, v, rows)
				}
				chosen := s.chosen.estimation.Chosen
				for _, j := range chosen {
					if slices.Contains(s.chosen.opened, j) {
						t.Errorf("%s, queries of %v: cluster %d is opened and estimated", impl.Name, v, j)
					}
				}
				if len(chosen)+len(s.chosen.opened) > len(s.chosen.blocks) {
					t.Errorf("%s, queries of %v: %d clusters estimated, %d opened of %d", impl.Name, v, len(chosen), len(s.chosen.opened), len(s.chosen.blocks))
				}
			}
		}
	}
}

// A query opens and estimates in memory that is there already.
func TestOpeningClustersAllocatesNothing(t *testing.T) {
	const dim, n = 32, 3000
	rng := rand.New(rand.NewPCG(1, 47))
	w := newWave(t, newRetrieval(500, 256, 30, .25), quant.F16, many(rng, n, dim), many(rng, n, dim), 1)
	for _, impl := range kernels.Implementations() {
		for _, heads := range []int{1, 4} {
			q, p := queries(randoms(rng, heads*dim), make([]float32, heads*dim), heads, dim, dim, n-1), &Params{Scale: .2}
			var opened Opened
			s := NewScratch(new(kernels.Scratch))
			view := w.clustered.View(0, 0)
			if got := testing.AllocsPerRun(5, func() {
				w.r.Open(impl, q, &view, w.clustered.Index(0, 0), 1, p, s, &opened)
				opened.Attend(impl, q, p, s)
			}); got > 0 {
				t.Errorf("%s, %d queries: %v allocations", impl.Name, heads, got)
			}
		}
	}
}
