package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/kvcache"
	"github.com/mneme-lm/mneme/weights/quant"
)

// filled makes a cache of one layer and head with rows at the given positions, and returns the values of its rows.
func filled(t *testing.T, rng *rand.Rand, positions []int32, keyDim, valueDim int) (c *kvcache.Cache, keys, values [][]float32) {
	t.Helper()
	c, err := kvcache.New(kvcache.Config{Layers: 1, Heads: 1, KeyDim: keyDim, ValueDim: valueDim, Type: quant.F32})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(positions); err != nil {
		t.Fatal(err)
	}
	for i := range positions {
		key, value := randoms(rng, keyDim), randoms(rng, valueDim)
		if err := c.Put(0, 0, i, stored(t, key), stored(t, value)); err != nil {
			t.Fatal(err)
		}
		keys, values = append(keys, key), append(values, value)
	}
	return c, keys, values
}

func stored(t testing.TB, x []float32) []byte {
	t.Helper()
	row := make([]byte, 4*len(x))
	if err := quant.Encode(quant.F32, row, x); err != nil {
		t.Fatal(err)
	}
	return row
}

// queries are some rows of queries side by side.
func queries(q, out []float32, heads, keyDim, valueDim int, positions ...int32) *Queries {
	return &Queries{Q: q, Out: out, QStride: heads * keyDim, OutStride: heads * valueDim, Heads: heads, Positions: positions}
}

func randoms(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// twoPass is attention as it is defined: all scores, then their softmax, then the sum.
func twoPass(q []float32, keys, values [][]float32, positions []int32, pos int32, p *Params) []float64 {
	out := make([]float64, len(values[0]))
	scores, most := map[int]float64{}, math.Inf(-1)
	for j, at := range positions {
		if at > pos || p.Window > 0 && at <= pos-p.Window {
			continue
		}
		var s float64
		for i, v := range q {
			s += float64(v) * float64(keys[j][i])
		}
		s *= float64(p.Scale)
		if p.Softcap > 0 {
			s = float64(p.Softcap) * math.Tanh(s/float64(p.Softcap))
		}
		scores[j], most = s, max(most, s)
	}
	var sum float64
	for _, s := range scores {
		sum += math.Exp(s - most)
	}
	for j, s := range scores {
		for i, v := range values[j] {
			out[i] += math.Exp(s-most) / sum * float64(v)
		}
	}
	return out
}

func TestFullIsTwoPassSoftmax(t *testing.T) {
	const keyDim, valueDim = 16, 24
	rng := rand.New(rand.NewPCG(1, 2))
	var positions []int32
	for i := range 3*kvcache.PageRows + 17 {
		positions = append(positions, int32(2*i+i%2)) // with gaps
	}
	c, keys, values := filled(t, rng, positions, keyDim, valueDim)
	view := c.View(0, 0)
	for _, impl := range kernels.Implementations() {
		for _, p := range []Params{{Scale: 0.25}, {Scale: 2}, {Scale: 1, Softcap: 5}, {Scale: 0.25, Window: 40}, {Scale: 0.25, Window: 1}} {
			for _, pos := range []int32{0, 1, 5, 255, 256, 300, 5000} {
				for _, heads := range []int{1, 3} {
					q, out := randoms(rng, heads*keyDim), make([]float32, heads*valueDim)
					Full(impl, queries(q, out, heads, keyDim, valueDim, pos), &view, &p, NewScratch(new(kernels.Scratch)))
					for h := range heads {
						want := twoPass(q[h*keyDim:(h+1)*keyDim], keys, values, positions, pos, &p)
						for i, w := range want {
							if got := out[h*valueDim+i]; !(math.Abs(float64(got)-w) < 4e-6) {
								t.Fatalf("%s, %+v, position %d, head %d: %v, want %v", impl.Name, p, pos, h, got, w)
							}
						}
					}
				}
			}
		}
	}
}

func TestFullSeesNothing(t *testing.T) {
	c, _, _ := filled(t, rand.New(rand.NewPCG(1, 3)), []int32{5, 6}, 8, 8)
	view := c.View(0, 0)
	out := []float32{1, 1, 1, 1, 1, 1, 1, 1}
	Full(kernels.Implementations()[0], queries(make([]float32, 8), out, 1, 8, 8, 4), &view, &Params{Scale: 1}, NewScratch(new(kernels.Scratch)))
	for _, v := range out {
		if v != 0 {
			t.Fatalf("a query that sees nothing got %v", out)
		}
	}
}

func TestFullIsExactForOneRow(t *testing.T) {
	c, _, values := filled(t, rand.New(rand.NewPCG(1, 4)), []int32{3}, 8, 8)
	view := c.View(0, 0)
	out := make([]float32, 8)
	Full(kernels.Implementations()[0], queries(randoms(rand.New(rand.NewPCG(1, 5)), 8), out, 1, 8, 8, 3), &view, &Params{Scale: 1}, NewScratch(new(kernels.Scratch)))
	if fmt.Sprint(out) != fmt.Sprint(values[0]) {
		t.Fatalf("%v, want the only value %v", out, values[0])
	}
}

// TestRowsTogetherAreRowsAlone: rows that attend together, over several segments, get what each gets alone, bit for bit,
// and so does a row whose segments are attended to one by one and merged.
func TestRowsTogetherAreRowsAlone(t *testing.T) {
	const keyDim, valueDim, heads, rows = 16, 24, 3, 11
	rng := rand.New(rand.NewPCG(1, 6))
	var positions []int32
	for i := range 2*SegmentSpans*kvcache.PageRows + 300 {
		positions = append(positions, int32(3*i))
	}
	c, keys, values := filled(t, rng, positions, keyDim, valueDim)
	view := c.View(0, 0)
	var at []int32
	for i := range rows {
		at = append(at, int32(200+i*1200))
	}
	for _, impl := range kernels.Implementations() {
		for _, p := range []Params{{Scale: 0.25}, {Scale: 1, Softcap: 5}, {Scale: 0.25, Window: 777}, {Scale: 0.25, Window: 9000}} {
			q, together := randoms(rng, rows*heads*keyDim), make([]float32, rows*heads*valueDim)
			s := NewScratch(new(kernels.Scratch))
			Full(impl, queries(q, together, heads, keyDim, valueDim, at...), &view, &p, s)
			for i, pos := range at {
				alone, merged := make([]float32, heads*valueDim), make([]float32, heads*valueDim)
				mine := q[i*heads*keyDim : (i+1)*heads*keyDim]
				Full(impl, queries(mine, alone, heads, keyDim, valueDim, pos), &view, &p, s)
				row := queries(mine, merged, heads, keyDim, valueDim, pos)
				var parts []Partial
				for segment := range Segments(&view) {
					parts = append(parts, NewPartial(make([]float32, PartialFloats(heads, valueDim)), heads, valueDim))
					Segment(impl, row, &view, segment, &p, parts[segment], s)
				}
				for j := range parts[1:] {
					parts[0].Merge(impl, &parts[1+j])
				}
				parts[0].Finish(row, valueDim)
				for j, v := range alone {
					if got := together[i*heads*valueDim+j]; got != v || merged[j] != v {
						t.Fatalf("%s, %+v, row %d: %v together, %v alone, %v merged", impl.Name, p, i, got, v, merged[j])
					}
				}
				want := twoPass(mine[:keyDim], keys, values, positions, pos, &p)
				for j, w := range want {
					if !(math.Abs(float64(alone[j])-w) < 1e-5) {
						t.Fatalf("%s, %+v, row %d: %v, want %v", impl.Name, p, i, alone[j], w)
					}
				}
			}
		}
	}
}
