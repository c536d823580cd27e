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

// localText is rows of a text for attention that is local: the positions ascend with gaps, all of them are asked.
type localText struct {
	heads, dim   int
	positions    []int32
	keys, values [][]float32
	q            []float32 // [rows, heads, dim]
}

func newLocalText(rng *rand.Rand, rows, heads, dim, gap int) *localText {
	x := &localText{heads: heads, dim: dim, q: randoms(rng, rows*heads*dim)}
	pos := int32(rng.IntN(gap))
	for range rows {
		x.positions = append(x.positions, pos)
		x.keys, x.values = append(x.keys, randoms(rng, dim)), append(x.values, randoms(rng, dim))
		pos += 1 + int32(rng.IntN(gap))
	}
	return x
}

// shifted is the text at other positions.
func (x *localText) shifted(by int32) *localText {
	y := *x
	y.positions = slices.Clone(x.positions)
	for i := range y.positions {
		y.positions[i] += by
	}
	return &y
}

// view stores the text.
func (x *localText) view(t *testing.T, typ quant.Type) kvcache.View {
	t.Helper()
	c, err := kvcache.New(kvcache.Config{Layers: 1, Heads: 1, KeyDim: x.dim, ValueDim: x.dim, Type: typ})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(x.positions); err != nil {
		t.Fatal(err)
	}
	for i := range x.positions {
		if err := c.Put(0, 0, i, row(t, typ, x.keys[i]), row(t, typ, x.values[i])); err != nil {
			t.Fatal(err)
		}
	}
	return c.View(0, 0)
}

// outputs attends from rows [from, to), step of them together.
func (x *localText) outputs(impl *kernels.Implementation, view *kvcache.View, p *Params, step int) []float32 {
	width := x.heads * x.dim
	out := make([]float32, len(x.positions)*width)
	s := NewScratch(new(kernels.Scratch))
	for at := 0; at < len(x.positions); at += step {
		Full(impl, queries(x.q[at*width:], out[at*width:], x.heads, x.dim, x.dim, x.positions[at:min(at+step, len(x.positions))]...), view, p, s)
	}
	return out
}

// local is attention where a row sees another by a rule, as it is defined.
func (x *localText) local(p *Params, sees func(pos, at int32) bool) []float64 {
	var out []float64
	for i, pos := range x.positions {
		var positions []int32
		var keys, values [][]float32
		for j, at := range x.positions {
			if at <= pos && sees(pos, at) {
				positions, keys, values = append(positions, at), append(keys, x.keys[j]), append(values, x.values[j])
			}
		}
		for h := range x.heads {
			out = append(out, twoPass(x.q[(i*x.heads+h)*x.dim:][:x.dim], keys, values, positions, pos, &Params{Scale: p.Scale, Softcap: p.Softcap})...)
		}
	}
	return out
}

func nearby(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= tolerance) {
			t.Fatalf("%s: output %d is %v, want %v", what, i, got[i], w)
		}
	}
}

func identical(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, w := range want {
		if math.Float32bits(got[i]) != math.Float32bits(w) {
			t.Fatalf("%s: output %d is %v, want %v", what, i, got[i], w)
		}
	}
}

// Pieces as long as the text and windows as long change no bit of causal attention, of which pieces of one position leave each
// row its own value.
func TestChunksOfAllAndOfOne(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 1))
	for _, rows := range []int{1, 7, kvcache.PageRows + 5} {
		x := newLocalText(rng, rows, 3, 16, 3)
		view, end := x.view(t, quant.F32), x.positions[rows-1]+1
		for _, impl := range kernels.Implementations() {
			causal := x.outputs(impl, &view, &Params{Scale: 0.3}, 5)
			nearby(t, impl.Name, causal, x.local(&Params{Scale: 0.3}, func(_, _ int32) bool { return true }), 1e-5)
			for _, p := range []Params{
				{Chunks: [2]int32{end, 0}}, {Chunks: [2]int32{0, end}}, {Chunks: [2]int32{end, math.MaxInt32}}, {Window: end}, {Window: math.MaxInt32, Chunks: [2]int32{0, end}},
			} {
				p.Scale = 0.3
				identical(t, fmt.Sprintf("%s, %d rows, %+v", impl.Name, rows, p), x.outputs(impl, &view, &p, 5), causal)
			}
			for _, p := range []Params{{Chunks: [2]int32{1, 0}}, {Chunks: [2]int32{0, 1}}, {Chunks: [2]int32{7, 1}}, {Window: 1}} {
				p.Scale = 0.3
				out := x.outputs(impl, &view, &p, 5)
				for i := range rows * x.heads {
					identical(t, fmt.Sprintf("%s, %d rows, %+v", impl.Name, rows, p), out[i*x.dim:(i+1)*x.dim], x.values[i/x.heads])
				}
			}
		}
	}
}

// Random pieces and windows, with positions that have gaps, are what their definition says, whatever rows attend together.
func TestChunksAreTheirDefinition(t *testing.T) {
	texts := uint64(25)
	if testing.Short() {
		texts = 6
	}
	for seed := range texts {
		rng := rand.New(rand.NewPCG(seed, 2))
		x := newLocalText(rng, 1+rng.IntN(400), 1+rng.IntN(4), 16, 1+rng.IntN(4))
		end := int(x.positions[len(x.positions)-1]) + 1
		p := Params{Scale: 0.3, Softcap: float32(rng.IntN(2) * 5)}
		for i := range p.Chunks {
			if rng.IntN(3) > 0 {
				p.Chunks[i] = int32(1 + rng.IntN(end))
			}
		}
		if rng.IntN(3) == 0 {
			p.Window = int32(1 + rng.IntN(end))
		}
		want := x.local(&p, func(pos, at int32) bool {
			for _, n := range p.Chunks {
				if n > 0 && pos/n != at/n {
					return false
				}
			}
			return p.Window == 0 || at > pos-p.Window
		})
		for _, typ := range []quant.Type{quant.F32, quant.F16} {
			view := x.view(t, typ)
			tolerance := 1e-5
			if typ == quant.F16 {
				tolerance = 3e-3
			}
			for _, impl := range kernels.Implementations() {
				one := x.outputs(impl, &view, &p, 1)
				what := fmt.Sprintf("%s, %s, text %d, %+v", impl.Name, typ, seed, p)
				nearby(t, what, one, want, tolerance)
				for _, step := range []int{3, 16, len(x.positions)} {
					identical(t, fmt.Sprintf("%s, %d rows together", what, step), x.outputs(impl, &view, &p, step), one)
				}
			}
		}
		// What a row sees is as many positions as Sees says.
		for _, pos := range x.positions {
			n := 0
			for at := range pos + 1 {
				if at >= p.first(pos) {
					n++
				}
			}
			if n != p.Sees(pos) {
				t.Fatalf("%+v: position %d sees %d, not %d", p, pos, n, p.Sees(pos))
			}
		}
	}
}

// A text moved by whole pieces attends as before, bit for bit: attention itself knows no positions but for whom a row sees.
// Windows may be moved by any number.
func TestChunksMoveWithTheText(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 3))
	x := newLocalText(rng, 300, 2, 16, 2)
	view := x.view(t, quant.F32)
	for _, impl := range kernels.Implementations() {
		for _, c := range []struct {
			p  Params
			by int32
		}{
			{Params{}, 1}, {Params{Window: 40}, 7}, {Params{Chunks: [2]int32{64, 0}}, 64}, {Params{Chunks: [2]int32{12, 40}}, 120},
			{Params{Window: 20, Chunks: [2]int32{0, 50}}, 50 * 20_000_000},
		} {
			c.p.Scale = 0.3
			moved := x.shifted(c.by)
			there := moved.view(t, quant.F32)
			identical(t, fmt.Sprintf("%s, %+v moved by %d", impl.Name, c.p, c.by), moved.outputs(impl, &there, &c.p, 11), x.outputs(impl, &view, &c.p, 11))
		}
	}
}

// What a row does not see, because it comes later or is in another piece, changes no bit.
func TestChunksAreCausal(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 4))
	x := newLocalText(rng, 300, 2, 16, 2)
	p := Params{Scale: 0.3, Chunks: [2]int32{100, 64}, Window: 30}
	impl := kernels.Implementations()[0]
	view := x.view(t, quant.F32)
	before := x.outputs(impl, &view, &p, 13)
	width := x.heads * x.dim
	for _, j := range []int{0, 50, 127, 128, 299} {
		y := *x
		y.keys, y.values = slices.Clone(x.keys), slices.Clone(x.values)
		y.keys[j], y.values[j] = randoms(rng, x.dim), randoms(rng, x.dim)
		view := y.view(t, quant.F32)
		after := y.outputs(impl, &view, &p, 13)
		at := x.positions[j]
		for i, pos := range x.positions {
			same := slices.Equal(after[i*width:(i+1)*width], before[i*width:(i+1)*width])
			sees := at <= pos && pos-at < 30 && pos/64 == at/64 && pos/100 == at/100
			if same == sees {
				t.Fatalf("row %d at %d changed: the output at %d is the same: %v", j, at, pos, same)
			}
		}
	}
}

// The figures of the specification of attention in fixed windows: identity projections, two dimensions, pieces of two.
func TestChunksOfThree(t *testing.T) {
	rows := [][]float32{{1, 0}, {0, 1}, {1, 1}}
	x := &localText{heads: 1, dim: 2, positions: []int32{0, 1, 2}, keys: rows, values: rows, q: slices.Concat(rows...)}
	view := x.view(t, quant.F32)
	for _, impl := range kernels.Implementations() {
		for chunk, want := range map[int32][]float64{2: {1, 0, .330238, .669762, 1, 1}, 3: {1, 0, .330238, .669762, .751745, .751745}} {
			p := Params{Scale: float32(math.Sqrt2 / 2), Chunks: [2]int32{chunk, 0}}
			nearby(t, impl.Name, x.outputs(impl, &view, &p, 3), want, 1e-6)
		}
	}
}

func TestNarrow(t *testing.T) {
	method := func(text string) *Method {
		m, err := NewMethod(text, 0)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	models := Params{Scale: 2, Softcap: 3, Window: 40, Chunks: [2]int32{100, 0}}
	for text, want := range map[string][]Params{ // of one layer after the other, as window and chunk of the method
		"full":                               {{Window: 40}, {Window: 40}},
		"chunked":                            {{Window: 40, Chunks: [2]int32{0, DefaultChunk}}, {Window: 40, Chunks: [2]int32{0, DefaultChunk}}},
		"chunked:chunk=7,layers=Lg":          {{Window: 40, Chunks: [2]int32{0, 7}}, {Window: 40}, {Window: 40, Chunks: [2]int32{0, 7}}},
		"chunked:window=30":                  {{Window: 30}},
		"chunked:window=50":                  {{Window: 40}},
		"chunked:window=8,chunk=9,layers=gl": {{Window: 40}, {Window: 8, Chunks: [2]int32{0, 9}}, {Window: 40}},
	} {
		for l, w := range want {
			p := models
			method(text).Narrow(l, &p)
			w.Scale, w.Softcap, w.Chunks[0] = 2, 3, 100
			if p != w {
				t.Errorf("%s, layer %d: %+v, want %+v", text, l, p, w)
			}
		}
	}
	p := models
	if (*Method)(nil).Narrow(0, &p); p != models {
		t.Errorf("no method: %+v", p)
	}
	p = Params{}
	if method("chunked:window=30").Narrow(0, &p); p.Window != 30 || p.Chunks[1] != 0 {
		t.Errorf("a window where there is none: %+v", p)
	}
}
