package fifo

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/kernels"
)

func TestStateRoundTrip(t *testing.T) {
	for i, c := range shapes() {
		r := rand.New(rand.NewPCG(uint64(i), 21))
		l := newLayer(t, c, randomWeights(r, c, true, true))
		for _, impl := range kernels.Implementations() {
			b, s := l.NewBank(), newScratch()
			text := 0
			for range 8 {
				state := b.Save([]byte("before"))
				other := l.NewBank()
				feed(t, impl, other, randoms(r, r.IntN(90)*c.Dim, 1), s, nil)
				if err := other.Restore(state[6:], text); err != nil {
					t.Fatal(err)
				}
				more := 1 + r.IntN(2*c.Chunk)
				text += more
				x, q := randoms(r, more*c.Dim, 1), randoms(r, c.HeadDim, 1)
				feed(t, impl, b, x, s, nil)
				feed(t, impl, other, x, s, nil)
				if !slices.Equal(readOne(b, impl, q), readOne(other, impl, q)) || !bytes.Equal(b.Save(nil), other.Save(nil)) {
					t.Fatalf("%s, %+v: a restored bank goes on differently", impl.Name, c)
				}
			}
		}
	}
}

// hostileState makes a state of TestHostileStates, with one word changed.
func hostileState(b *Bank, word int, value uint32) []byte {
	data := b.Save(nil)
	binary.LittleEndian.PutUint32(data[4*word:], value)
	return data
}

func TestHostileStates(t *testing.T) {
	c := shapes()[0]
	r := rand.New(rand.NewPCG(3, 21))
	l := newLayer(t, c, randomWeights(r, c, true, true))
	impl, s := kernels.Implementations()[0], newScratch()
	b := l.NewBank()
	feed(t, impl, b, randoms(r, (2*c.Chunk+5)*c.Dim, 1), s, nil)
	good := b.Save(nil)
	bad := [][]byte{nil, good[:20], good[:len(good)-4], append(slices.Clone(good), 0, 0, 0, 0), good[:len(good)-1]}
	for word := range stateWords {
		bad = append(bad, hostileState(b, word, 7), hostileState(b, word, 0xffffffff))
	}
	bad = append(bad, hostileState(b, stateWords, 0x7fc00000), hostileState(b, len(good)/4-1, 0xff800000))
	for _, text := range []int{-1, 0, c.Chunk + 5, 2*c.Chunk + 4, 3*c.Chunk + 5} {
		if err := b.Restore(good, text); err == nil {
			t.Errorf("the state of %d rows is taken for that of %d", 2*c.Chunk+5, text)
		}
	}
	for i, data := range bad {
		if err := b.Restore(data, 2*c.Chunk+5); err == nil || !bytes.Equal(b.Save(nil), good) {
			t.Errorf("state %d: error %v", i, err)
		}
	}

	groups := c.Slots / c.PerChunk
	feed(t, impl, b, randoms(r, (groups-1)*c.Chunk*c.Dim, 1), s, nil) // all groups are filled, and the first was written anew
	text, good := (groups+1)*c.Chunk+5, b.Save(nil)
	for next := range uint32(groups + 1) {
		err := b.Restore(hostileState(b, 7, next), text)
		if (err == nil) != (next == 1) || !bytes.Equal(b.Save(nil), good) {
			t.Errorf("a full bank with group %d next: error %v", next, err)
		}
	}
}

func FuzzRestore(f *testing.F) {
	c := shapes()[0]
	r := rand.New(rand.NewPCG(4, 21))
	l := newLayer(f, c, randomWeights(r, c, true, true))
	impl, s := kernels.Implementations()[0], newScratch()
	b := l.NewBank()
	f.Add(b.Save(nil), 0)
	feed(f, impl, b, randoms(r, (2*c.Chunk+5)*c.Dim, 1), s, nil)
	f.Add(b.Save(nil), 2*c.Chunk+5)
	x := randoms(r, c.Dim, 1)
	f.Fuzz(func(t *testing.T, data []byte, text int) {
		b := l.NewBank()
		if err := b.Restore(data, text); err != nil {
			return
		}
		if !bytes.Equal(b.Save(nil), data) {
			t.Error("a state that was taken is not the bank's")
		}
		feed(t, impl, b, x, s, func(int, int) { readOne(b, impl, x[:c.HeadDim]) })
	})
}

func TestNoAllocations(t *testing.T) {
	for _, c := range shapes() {
		r := rand.New(rand.NewPCG(4, 22))
		l := newLayer(t, c, randomWeights(r, c, true, true))
		for _, impl := range kernels.Implementations() {
			b, s := l.NewBank(), newScratch()
			x, q, out := randoms(r, c.Dim, 1), randoms(r, c.Width(), 1), make([]float32, c.Width())
			token := func() {
				b.Hold()
				b.Advance(impl, s)
				for h := range c.Heads {
					b.Read(impl, out[h*c.HeadDim:], c.Width(), q[h*c.HeadDim:], c.Width(), 1, h, s)
				}
				if err := b.Write(impl, x); err != nil {
					t.Fatal(err)
				}
			}
			for range c.Chunk * (c.Slots/c.PerChunk + 2) {
				token()
			}
			if n := testing.AllocsPerRun(3*c.Chunk, token); n != 0 {
				t.Errorf("%s, %+v: %v allocations per token", impl.Name, c, n)
			}
		}
	}
}

func BenchmarkToken(b *testing.B) {
	c := Config{Dim: 512, Chunk: 64, Slots: 128, PerChunk: 8, Gate: GateSimple, Pooling: PoolQuery, Heads: 8, HeadDim: 64, Scale: 0.125, Epsilon: 1e-6}
	r := rand.New(rand.NewPCG(4, 23))
	l := newLayer(b, c, randomWeights(r, c, true, true))
	x, out := randoms(r, c.Dim, 1), make([]float32, c.Width())
	for _, impl := range kernels.Implementations() {
		b.Run(impl.Name, func(b *testing.B) {
			bank, s := l.NewBank(), newScratch()
			for b.Loop() {
				bank.Advance(impl, s)
				for h := range c.Heads {
					bank.Read(impl, out[h*c.HeadDim:], c.Width(), x[h*c.HeadDim:], c.Width(), 1, h, s)
				}
				if err := bank.Write(impl, x); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestScratchValues(t *testing.T) {
	for _, c := range shapes() {
		r := rand.New(rand.NewPCG(5, 22))
		l := newLayer(t, c, randomWeights(r, c, true, true))
		impl, b, s := kernels.Implementations()[0], l.NewBank(), newScratch()
		for _, rows := range []int{5, 3 * c.Chunk} {
			x, out := randoms(r, rows*c.Dim, 1), make([]float32, rows*c.Width())
			for range 7 {
				feed(t, impl, b, x, s, func(_, n int) { b.Read(impl, out, c.Width(), out, c.Width(), n, 0, s) })
			}
			got := cap(s.scores) + cap(s.pooled) + cap(s.mixed) + cap(s.before) + cap(s.gates)
			if want := c.ScratchValues(rows); got > want || got < want/2 {
				t.Errorf("%+v: %d values for %d rows, want at most %d", c, got, rows, want)
			}
		}
	}
}
