package fifo

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
	"github.com/mneme-lm/mneme/memory"
)

// plain is a memory that keeps the means of chunks of two rows as they are, read by one head.
func plain(slots int) Config {
	return Config{Dim: 4, Chunk: 2, Slots: slots, PerChunk: 1, Gate: GateNone, Heads: 1, HeadDim: 4, Scale: 1}
}

func readOne(b *Bank, impl *kernels.Implementation, q []float32) []float32 {
	out := make([]float32, b.HeadDim)
	b.project(impl, newScratch())
	b.Read(impl, out, b.HeadDim, q, b.HeadDim, 1, 0, newScratch())
	return out
}

// TestEmptyBank is I3.
func TestEmptyBank(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		b := newLayer(t, plain(3), Weights{}).NewBank()
		if got := readOne(b, impl, []float32{1, 2, 3, 4}); !slices.Equal(got, make([]float32, 4)) {
			t.Errorf("%s: an empty bank is read as %v", impl.Name, got)
		}
	}
	logits := []float32{1, 2, 3, -1, 0.5, 0}
	full, windowed, memory := []float32{1, 2}, []float32{5, -2}, []float32{100, 100}
	for _, renormalize := range []bool{false, true} {
		f, err := NewFusion(logits, 2, renormalize)
		if err != nil {
			t.Fatal(err)
		}
		for h := range 2 {
			a, b := math.Exp(float64(logits[h])), math.Exp(float64(logits[2+h]))
			sum := a + b
			if !renormalize {
				sum += math.Exp(float64(logits[4+h]))
			}
			got := make([]float32, 2)
			f.Mix(got, full, windowed, memory, h, true)
			closeTo(t, "two paths", wide(got), []float64{(a*1 + b*5) / sum, (a*2 - b*2) / sum})
			f.Mix(got, full, windowed, nil, h, false) // reads that are zeroed are zeros
			sum = a + b + math.Exp(float64(logits[4+h]))
			closeTo(t, "reads zeroed", wide(got), []float64{(a*1 + b*5) / sum, (a*2 - b*2) / sum})
		}
	}
}

// TestEqualSlots is I4 and the first half of I5.
func TestEqualSlots(t *testing.T) {
	for _, impl := range kernels.Implementations() {
		for _, slots := range []int{1, 5, 40} {
			b, s := newLayer(t, plain(slots), Weights{}).NewBank(), newScratch()
			row := []float32{1, -2, 0.5, 3}
			feed(t, impl, b, slices.Repeat(row, 2*slots+1), s, nil)
			if b.Filled() != slots {
				t.Fatalf("%d slots filled of %d", b.Filled(), slots)
			}
			for _, q := range [][]float32{{0, 0, 0, 0}, {9, 1, -7, 2}, {-1, 0, 0, 30}} {
				closeTo(t, impl.Name+": equal slots", wide(readOne(b, impl, q)), wide(row))
			}
		}
	}
}

// TestOrderDoesNotMatterToReads is the second half of I5.
func TestOrderDoesNotMatterToReads(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	impl, s := kernels.Implementations()[0], newScratch()
	b := newLayer(t, plain(6), Weights{}).NewBank()
	feed(t, impl, b, randoms(r, 13*4, 1), s, nil)
	q := randoms(r, 4, 1)
	want := wide(readOne(b, impl, q))
	for range 10 {
		i, j := r.IntN(6), r.IntN(6)
		for k := range 4 {
			b.slots[i*4+k], b.slots[j*4+k] = b.slots[j*4+k], b.slots[i*4+k]
		}
		closeTo(t, "slots exchanged", wide(readOne(b, impl, q)), want)
	}
}

// TestGateAtItsEnds is I6: open, the bank is a queue of candidates; closed, it stays what it was.
func TestGateAtItsEnds(t *testing.T) {
	c := plain(3)
	c.Gate = GateGRU
	r := rand.New(rand.NewPCG(6, 6))
	for _, impl := range kernels.Implementations() {
		for _, bias := range []float32{40, -40} {
			w := randomWeights(r, c, false, false)
			copy(w.GateBias, slices.Repeat([]float32{bias}, 4))
			b, s := newLayer(t, c, w).NewBank(), newScratch()
			first := randoms(r, 4, 1)
			copy(b.slots, first)
			b.filled, b.next = 1, 1
			slow := &naive{Layer: b.Layer, slots: [][]float64{wide(first)}}
			x := randoms(r, 7*4, 1)
			feed(t, impl, b, x, s, nil)
			if bias < 0 {
				for g := range 3 {
					closeTo(t, "closed", wide(b.group(g)), wide(first))
				}
				continue
			}
			for i := range 7 {
				slow.write(wide(x[i*4 : i*4+4]))
			}
			for i, slot := range slow.slots {
				closeTo(t, "open", wide(b.group((b.next+i)%3)), slot)
				if slices.ContainsFunc(slot, func(v float64) bool { return math.Abs(v) > 1 }) {
					t.Errorf("a candidate beyond tanh: %v", slot)
				}
			}
		}
	}
}

// TestFirstInFirstOut is I7.
func TestFirstInFirstOut(t *testing.T) {
	impl, s := kernels.Implementations()[0], newScratch()
	b := newLayer(t, plain(3), Weights{}).NewBank()
	bytes := b.Bytes()
	for chunk := range 12 {
		for want := range min(chunk, 3) { // the oldest first
			group := want
			if chunk > 3 {
				group = (b.next + want) % 3
			}
			value := float64(max(0, chunk-3) + want)
			closeTo(t, "order", wide(b.group(group)), []float64{value, value, value, value})
		}
		if b.Filled() != min(chunk, 3) || b.Bytes() != bytes {
			t.Fatalf("chunk %d: %d slots, %d bytes", chunk, b.Filled(), b.Bytes())
		}
		feed(t, impl, b, slices.Repeat([]float32{float32(chunk)}, 8), s, nil)
		b.Advance(impl, s)
	}
}

// TestPiecesGiveTheSame is I8 for the bank: by whatever pieces a text comes, reads and state have the same bits.
func TestPiecesGiveTheSame(t *testing.T) {
	for i, c := range shapes() {
		r := rand.New(rand.NewPCG(uint64(i), 8))
		l := newLayer(t, c, randomWeights(r, c, true, true))
		for _, impl := range kernels.Implementations() {
			rows, width := c.Chunk*6+7, c.Width()
			x, q := randoms(r, rows*c.Dim, 1), randoms(r, rows*width, 1)
			run := func(most func() int) ([]float32, []byte) {
				b, s, out := l.NewBank(), newScratch(), make([]float32, rows*width)
				for at := 0; at < rows; {
					n := min(most(), rows-at)
					feed(t, impl, b, x[at*c.Dim:(at+n)*c.Dim], s, func(first, n int) {
						for h := range c.Heads {
							from := (at+first)*width + h*c.HeadDim
							b.Read(impl, out[from:], width, q[from:], width, n, h, s)
						}
					})
					at += n
				}
				return out, b.Save(nil)
			}
			all, state := run(func() int { return rows })
			for _, most := range []func() int{func() int { return 1 }, func() int { return 1 + r.IntN(2*c.Chunk) }} {
				out, got := run(most)
				if !slices.Equal(out, all) || !bytes.Equal(got, state) {
					t.Fatalf("%s, %+v: pieces give something else", impl.Name, c)
				}
			}
		}
	}
}

// TestReadsComeBeforeWrites is I9 for the bank: what a chunk's rows are changes no read of them or before.
func TestReadsComeBeforeWrites(t *testing.T) {
	c := shapes()[0]
	r := rand.New(rand.NewPCG(9, 9))
	l := newLayer(t, c, randomWeights(r, c, true, true))
	impl, width := kernels.Implementations()[0], c.Width()
	rows := 4 * c.Chunk
	x, q := randoms(r, rows*c.Dim, 1), randoms(r, rows*width, 1)
	run := func() []float32 {
		b, s, out := l.NewBank(), newScratch(), make([]float32, rows*width)
		feed(t, impl, b, x, s, func(first, n int) { b.Read(impl, out[first*width:], width, q[first*width:], width, n, 0, s) })
		return out
	}
	before := run()
	x[2*c.Chunk*c.Dim+3]++ // in the third chunk
	after := run()
	if end := 3 * c.Chunk * width; !slices.Equal(before[:end], after[:end]) || slices.Equal(before[end:], after[end:]) {
		t.Error("a changed row shows where it should not, or nowhere")
	}
}

// TestFusionWeights is I10.
func TestFusionWeights(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 10))
	for range 50 {
		logits := randoms(r, 12, 3)
		shifted := slices.Clone(logits)
		for i := range shifted {
			shifted[i] += 7
		}
		a, err := NewFusion(logits, 4, false)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := NewFusion(shifted, 4, false)
		for h := range 4 {
			x, y := a.Lambda(h), b.Lambda(h)
			closeTo(t, "shifted", wide(x[:]), wide(y[:]))
			closeTo(t, "sum", []float64{float64(x[0]) + float64(x[1]) + float64(x[2])}, []float64{1})
		}
	}
	inf := float32(math.Inf(-1))
	f, err := NewFusion([]float32{0, inf, inf}, 3, true)
	if err != nil || f.Lambda(2) != [3]float32{1, 0, 0} {
		t.Errorf("one path: %v", err)
	}
	nan := float32(math.NaN())
	for _, logits := range [][]float32{nil, {1, 2}, {inf, inf, inf}, {nan, 0, 0}, {-inf, 0, 0}, make([]float32, 6)} {
		if _, err := NewFusion(logits, 4, false); err == nil {
			t.Errorf("weights %v are taken", logits)
		}
	}
}

// TestHoldAndBack takes texts back, within a chunk by Back, over several by Revert.
func TestHoldAndBack(t *testing.T) {
	for i, c := range shapes() {
		r := rand.New(rand.NewPCG(uint64(i), 11))
		l := newLayer(t, c, randomWeights(r, c, true, true))
		for _, impl := range kernels.Implementations() {
			b, s := l.NewBank(), newScratch()
			for _, rows := range []int{0, 5, 3*c.Chunk + 2, 2 * c.Chunk} {
				feed(t, impl, b, randoms(r, rows*c.Dim, 1), s, nil)
				q := randoms(r, c.HeadDim, 1)
				state, read := b.Save(nil), readOne(b, impl, q)
				for _, more := range []int{0, 3, 5*c.Chunk + 1} {
					b.Hold()
					feed(t, impl, b, randoms(r, more*c.Dim, 1), s, nil)
					b.Revert()
					b.Revert() // goes back no further
					if !bytes.Equal(b.Save(nil), state) || !slices.Equal(readOne(b, impl, q), read) {
						t.Fatalf("%s, %+v: after %d rows and %d more, going back leads elsewhere", impl.Name, c, rows, more)
					}
				}
				n := min(2, b.Room())
				if err := b.Write(impl, randoms(r, n*c.Dim, 1)); err != nil {
					t.Fatal(err)
				}
				if err := b.Back(n); err != nil || !bytes.Equal(b.Save(nil), state) {
					t.Fatalf("%d rows back: %v", n, err)
				}
				if err := b.Back(b.Reach() + 1); !errors.Is(err, memory.ErrLearned) {
					t.Errorf("behind the chunk: %v", err)
				}
				clone := b.Clone().(*Bank)
				feed(t, impl, b, randoms(r, 3*c.Chunk*c.Dim, 1), s, nil)
				if !bytes.Equal(clone.Save(nil), state) || !slices.Equal(readOne(clone, impl, q), read) {
					t.Error("a clone changes with its bank")
				}
			}
			b.Reset()
			if b.Filled() != 0 || b.Reach() != 0 || !bytes.Equal(b.Save(nil), l.NewBank().Save(nil)) {
				t.Error("a bank that was reset is not empty")
			}
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	impl := kernels.Implementations()[0]
	b := newLayer(t, plain(3), Weights{}).NewBank()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, x := range [][]float32{make([]float32, 3), make([]float32, 12), {0, nan, 0, 0}, {0, 0, 0, 0, inf, 0, 0, 0}} {
		if err := b.Write(impl, x); err == nil || b.Reach() != 0 {
			t.Errorf("%v: %v, %d rows", x, err, b.Reach())
		}
	}
}

func TestNewLayerRefuses(t *testing.T) {
	c := shapes()[0]
	good := randomWeights(rand.New(rand.NewPCG(1, 2)), c, true, true)
	for want, change := range map[string]func(c *Config, w *Weights){
		"width: 0":                   func(c *Config, _ *Weights) { c.Dim = 0 },
		"rows of a chunk: -1":        func(c *Config, _ *Weights) { c.Chunk = -1 },
		"slots: 1073741824":          func(c *Config, _ *Weights) { c.Slots = 1 << 30 },
		"too large":                  func(c *Config, _ *Weights) { c.Slots = 3 << 22; c.Chunk = 3 << 22; c.Dim = 1 << 20 },
		"does not hold whole":        func(c *Config, _ *Weights) { c.Slots = 13 },
		"equal pieces":               func(c *Config, _ *Weights) { c.Chunk = 13 },
		"unknown gate":               func(c *Config, _ *Weights) { c.Gate = 9 },
		"scale NaN":                  func(c *Config, _ *Weights) { c.Scale = float32(math.NaN()) },
		"scale 0":                    func(c *Config, _ *Weights) { c.Scale = 0 },
		"epsilon":                    func(c *Config, _ *Weights) { c.Epsilon = -1 },
		"gate's W: 0 values":         func(_ *Config, w *Weights) { w.GateW = nil },
		"gate's bias: 3 values":      func(_ *Config, w *Weights) { w.GateBias = w.GateBias[:3] },
		"pooling queries: 0 values":  func(c *Config, _ *Weights) { c.Pooling = PoolQuery },
		"come together":              func(_ *Config, w *Weights) { w.Value = nil },
		"without projections":        func(c *Config, w *Weights) { w.Key, w.Value = nil, nil; c.HeadDim = 3 },
		"read as they are have no":   func(_ *Config, w *Weights) { w.Key, w.Value = nil, nil },
		"pooling key: 576 values":    func(_ *Config, w *Weights) { w.PoolKey = make([]float32, 24*24) },
		"gate's U: 1 values, want 1": func(_ *Config, w *Weights) { w.GateU = []float32{1} },
	} {
		c, w := c, good
		change(&c, &w)
		if _, err := NewLayer(c, w); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q: %v", want, err)
		}
	}
}

func TestNames(t *testing.T) {
	for g := range Gate(3) {
		if got, err := ParseGate(g.String()); got != g || err != nil {
			t.Errorf("gate %v: %v, %v", g, got, err)
		}
	}
	for p := range Pooling(2) {
		if got, err := ParsePooling(p.String()); got != p || err != nil {
			t.Errorf("pooling %v: %v, %v", p, got, err)
		}
	}
	for p := range Previous(3) {
		if got, err := ParsePrevious(p.String()); got != p || err != nil {
			t.Errorf("previous %v: %v, %v", p, got, err)
		}
	}
	if _, err := ParseGate("lstm"); err == nil || !strings.Contains(err.Error(), "known: gru, simple, none") || Gate(7).String() != "kind(7)" {
		t.Errorf("%v, %v", err, Gate(7))
	}
}
