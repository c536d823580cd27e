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

// halved makes two caches with the same rows: one as they came, and one of whose older keys the channels are pruned that
// the given query asks for least, half of them. Rows are dropped from both before and after, so that pages are not full.
// It returns the channels that stay, too.
func halved(t *testing.T, rng *rand.Rand, typ quant.Type, rows, dim int, q []float32) (whole, pruned *kvcache.Cache, channels []int32) {
	t.Helper()
	e, err := kvcache.NewEviction("full+think:ratio=0.5,recent=40", nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := kvcache.Config{Layers: 1, Heads: 1, KeyDim: dim, ValueDim: 32, Type: typ}
	shape, err := e.Shape(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for c, cfg := range map[**kvcache.Cache]kvcache.Config{&whole: cfg, &pruned: shape} {
		if *c, err = kvcache.New(cfg); err != nil {
			t.Fatal(err)
		}
	}
	add := func(n int) {
		positions, from := make([]int32, n), whole.LastPosition()+1
		for i := range positions {
			positions[i] = from + int32(i)
		}
		first := 0
		for _, c := range []*kvcache.Cache{whole, pruned} {
			if first, err = c.Append(positions); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			key, value := row(t, typ, randoms(rng, dim)), row(t, typ, randoms(rng, 32))
			for _, c := range []*kvcache.Cache{whole, pruned} {
				if err := c.Put(0, 0, first+i, key, value); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	drop := func(every int) {
		var keep []int32
		for i := range whole.Len(0, 0) {
			if i%every != every-1 {
				keep = append(keep, int32(i))
			}
		}
		for _, c := range []*kvcache.Cache{whole, pruned} {
			if err := c.Keep(0, 0, keep); err != nil {
				t.Fatal(err)
			}
			c.Evicted()
		}
	}
	prune := func() {
		if err := e.Prune(pruned, 0); err != nil {
			t.Fatal(err)
		}
		e.Pruned(pruned)
	}
	add(rows / 2)
	drop(7)
	pruned.Note(0, 0, []int32{whole.LastPosition()}, q, dim, 1)
	prune()
	add(rows - rows/2)
	prune()
	drop(9)
	view := pruned.View(0, 0)
	channels = view.Channels()
	if len(channels) != dim/2 || whole.Len(0, 0) != pruned.Len(0, 0) {
		t.Fatalf("%d channels, %d rows, of %d", len(channels), pruned.Len(0, 0), whole.Len(0, 0))
	}
	return whole, pruned, channels
}

func row(t *testing.T, typ quant.Type, x []float32) []byte {
	t.Helper()
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

// Queries that are 0 in the channels that were pruned have the scores that they have with whole keys, bit for bit, and get
// the same outputs, alone and together, by segments too, and weights, up to the order of sums: pages end elsewhere.
func TestPrunedChannelsThatNobodyAsksFor(t *testing.T) {
	const dim, heads, at = 64, 3, 5
	for _, typ := range []quant.Type{quant.F32, quant.F16} {
		for _, rows := range []int{60, 700, 2 * SegmentSpans * kvcache.PageRows} {
			rng := rand.New(rand.NewPCG(3, uint64(rows)))
			q := randoms(rng, dim)
			for _, c := range rng.Perm(dim)[:dim/2] {
				q[c] = 0
			}
			whole, pruned, channels := halved(t, rng, typ, rows, dim, q)
			all := randoms(rng, at*heads*dim)
			for i := range all {
				if c := int32(i % dim); (q[c] == 0) == slices.Contains(channels, c) {
					t.Fatalf("channel %d stayed, whose queries are %v", c, q[c])
				} else if q[c] == 0 {
					all[i] = 0
				}
			}
			last := whole.LastPosition()
			var positions []int32
			for i := range at {
				positions = append(positions, last-int32(i*rows/9))
			}
			slices.Sort(positions)
			params := []Params{{Scale: 0.25}, {Scale: 1, Softcap: 5}, {Scale: 0.25, Window: 300}}
			if testing.Short() && rows > 700 {
				params = params[:1]
			}
			for _, impl := range kernels.Implementations() {
				for _, p := range params {
					what := fmt.Sprintf("%s, %s, %d rows, %+v", impl.Name, typ, rows, p)
					var scores [2][]float32
					var outs [2][][]float32
					for i, c := range []*kvcache.Cache{whole, pruned} {
						view := c.View(0, 0)
						scores[i] = scoresOf(impl, queries(all, nil, heads, dim, 32, positions...), &view)
						outs[i] = everyWay(impl, all, heads, positions, &view, &p)
					}
					if !slices.Equal(scores[1], scores[0]) {
						t.Fatalf("%s: other scores", what)
					}
					sameRows(t, what, outs[1], outs[0])
				}
			}
		}
	}
}

// scoresOf returns all inner products, [queries, rows].
func scoresOf(impl *kernels.Implementation, q *Queries, view *kvcache.View) (all []float32) {
	s, rows, width := NewScratch(new(kernels.Scratch)), view.Rows(), scoresWidth(view, view.Rows())
	s.pack(q, view)
	m := len(q.Positions) * q.Heads
	scores := make([]float32, m*width)
	s.score(impl, q, view, scores, width, rows)
	for i := range m {
		all = append(all, scores[i*width:i*width+rows]...)
	}
	return all
}

// everyWay returns what queries get together, the last ones alone, by segments, and their weights.
func everyWay(impl *kernels.Implementation, q []float32, heads int, positions []int32, view *kvcache.View, p *Params) (results [][]float32) {
	s, n := NewScratch(new(kernels.Scratch)), heads*view.ValueDim
	out := func() []float32 {
		results = append(results, make([]float32, len(positions)*n))
		return results[len(results)-1]
	}
	Full(impl, queries(q, out(), heads, view.KeyDim, view.ValueDim, positions...), view, p, s)
	last := len(positions) - 1
	alone := queries(q[last*heads*view.KeyDim:], out(), heads, view.KeyDim, view.ValueDim, positions[last])
	Full(impl, alone, view, p, s)
	merged := *alone
	merged.Out = out()
	var total Partial
	for segment := range Segments(view) {
		part := NewPartial(make([]float32, PartialFloats(heads, view.ValueDim)), heads, view.ValueDim)
		Segment(impl, &merged, view, segment, p, part, s)
		if segment == 0 {
			total = part
			continue
		}
		total.Merge(impl, &part)
	}
	total.Finish(&merged, view.ValueDim)
	for _, limit := range []int{-1, view.Rows() - 3, 17, 1} {
		Weights(impl, queries(q, nil, heads, view.KeyDim, view.ValueDim, positions...), view, limit, p, s, func(_, _ int, weights []float32) {
			results = append(results, slices.Clone(weights))
		})
	}
	return results
}

// sameRows compares results within what the sums of segments that were cut elsewhere may differ in.
func sameRows(t *testing.T, what string, got, want [][]float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d results, want %d", what, len(got), len(want))
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("%s: result %d has %d values, want %d", what, i, len(got[i]), len(want[i]))
		}
		for j, w := range want[i] {
			if !(math.Abs(float64(got[i][j]-w)) <= 2e-6) {
				t.Fatalf("%s: value %d of result %d is %v, want %v", what, j, i, got[i][j], w)
			}
		}
	}
}

// What pruned keys give is what attention is defined to give of keys that are 0 in the channels that are gone.
func TestPrunedKeysAreTwoPassSoftmax(t *testing.T) {
	const dim, rows = 32, 900
	rng := rand.New(rand.NewPCG(4, 1))
	_, pruned, _ := halved(t, rng, quant.F32, rows, dim, randoms(rng, dim))
	all, view := pruned.RowsOf(0, 0), pruned.View(0, 0)
	var keys, values [][]float32
	var positions []int32
	all.Keys(func(first int, group []float32) {
		for lane := range min(kernels.KeyGroup, all.Len()-first) {
			key, value := make([]float32, dim), make([]float32, 32)
			for i := range key {
				key[i] = group[i*kernels.KeyGroup+lane]
			}
			if err := all.Value(first+lane, value); err != nil {
				t.Fatal(err)
			}
			keys, values, positions = append(keys, key), append(values, value), append(positions, all.Position(first+lane))
		}
	})
	for _, impl := range kernels.Implementations() {
		for _, p := range []Params{{Scale: 0.25}, {Scale: 1, Softcap: 5}, {Scale: 0.25, Window: 500}} {
			for _, pos := range []int32{0, 300, 880} {
				q, out := randoms(rng, dim), make([]float32, 32)
				Full(impl, queries(q, out, 1, dim, 32, pos), &view, &p, NewScratch(new(kernels.Scratch)))
				for i, w := range twoPass(q, keys, values, positions, pos, &p) {
					if !(math.Abs(float64(out[i])-w) < 4e-6) {
						t.Fatalf("%s, %+v, position %d: %v, want %v", impl.Name, p, pos, out[i], w)
					}
				}
			}
		}
	}
}
