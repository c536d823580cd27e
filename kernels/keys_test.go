package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

var rowTypes = []quant.Type{quant.F32, quant.F16, quant.Q8_0}

// cached are rows as a cache has them: as keys, in groups, and as values.
type cached struct {
	typ            quant.Type
	n, dim         int
	floats         []float32 // [n, dim] what they decode to
	keys, values   []byte
	rowBytes, room int
}

// cachedFrom makes keys of rows and fills the last group with rows that are not to be used.
func cachedFrom(typ quant.Type, n, dim int, floats []float32, rows []byte) *cached {
	size := len(rows) / n
	room := (n + KeyGroup - 1) / KeyGroup * KeyGroup
	c := &cached{typ: typ, n: n, dim: dim, floats: floats, values: rows, rowBytes: size, room: room}
	c.keys = make([]byte, room*size)
	for r := range room {
		PutKey(c.keys, typ, dim, r, rows[r%n*size:(r%n+1)*size])
	}
	return c
}

func randomCached(t *testing.T, rng *rand.Rand, typ quant.Type, n, dim int) *cached {
	t.Helper()
	floats, rows := encodedRows(t, rng, typ, n, dim)
	return cachedFrom(typ, n, dim, floats, rows)
}

func TestKeysAreTheirRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 1))
	for _, typ := range rowTypes {
		for _, dim := range []int{32, 64, 96} {
			c := randomCached(t, rng, typ, 40, dim)
			row := make([]byte, c.rowBytes)
			for r := range c.n {
				TakeKey(row, typ, dim, r, c.keys)
				if string(row) != string(c.values[r*c.rowBytes:(r+1)*c.rowBytes]) {
					t.Fatalf("%s of %d: key %d is not the row that was put there", typ, dim, r)
				}
			}
			group := make([]float32, dim*KeyGroup)
			widenKeys(group, c.keys[KeyGroup*c.rowBytes:2*KeyGroup*c.rowBytes], typ)
			for lane := range KeyGroup {
				for d := range dim {
					if got, want := group[d*KeyGroup+lane], c.floats[(KeyGroup+lane)*dim+d]; got != want {
						t.Fatalf("%s: dimension %d of key %d is %v, want %v", typ, d, KeyGroup+lane, got, want)
					}
				}
			}
		}
	}
}

// eachCached calls do with rows of each type, on both sides of the numbers in which rows, dimensions and queries are
// taken.
func eachCached(t *testing.T, seed uint64, do func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, m int)) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, typ := range rowTypes {
			for _, dim := range []int{1, 7, 8, 16, 17, 32, 64, 80, 96, 100, 128, 256, 320} {
				if dim%typ.BlockLen() != 0 {
					continue
				}
				for _, n := range []int{1, 16, 17, 63, 64, 65, 128} {
					c := randomCached(t, rng, typ, n, dim)
					for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 13} {
						do(t, impl, rng, c, m)
					}
				}
			}
		}
	})
}

func TestScores(t *testing.T) {
	eachCached(t, 32, func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, m int) {
		q := randoms(rng, m*c.dim)
		stride := c.room + 3
		dst := guarded(make([]float32, (m-1)*stride+c.room))
		impl.Scores(dst, stride, q, c.dim, c.keys, c.typ, c.room, nil, new(Scratch))
		for i := range m {
			name := fmt.Sprintf("%s, %d keys of %d, query %d of %d", c.typ, c.n, c.dim, i, m)
			for j := range c.n {
				var want, scale float64
				for d := range c.dim {
					p := float64(q[i*c.dim+d]) * float64(c.floats[j*c.dim+d])
					want, scale = want+p, scale+math.Abs(p)
				}
				near(t, name, dst[i*stride+j], want, scale, floatTolerance)
			}
			for j := c.room; j < stride && i < m-1; j++ {
				if dst[i*stride+j] != 0 {
					t.Fatalf("score %d of query %d was written", j, i)
				}
			}
		}
		checkGuard(t, dst)
	})
}

func TestAddValues(t *testing.T) {
	eachCached(t, 33, func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, m int) {
		width, stride := ValueWidth(c.dim), c.n+3
		w, out := randoms(rng, m*stride), guarded(randoms(rng, m*width))
		before := append([]float32(nil), out...)
		impl.AddValues(out, w, stride, c.dim, c.values, c.typ, c.n, new(Scratch))
		for i := range m {
			name := fmt.Sprintf("%s, %d values of %d, output of %d of %d", c.typ, c.n, c.dim, i, m)
			for d := range c.dim {
				want := float64(before[i*width+d])
				scale := math.Abs(want)
				for j := range c.n {
					p := float64(w[i*stride+j]) * float64(c.floats[j*c.dim+d])
					want, scale = want+p, scale+math.Abs(p)
				}
				near(t, name, out[i*width+d], want, scale, floatTolerance)
			}
		}
		checkGuard(t, out)
	})
}

// TestCachedRowsStayWithinTheirOperands, and give the same beside a fence.
func TestCachedRowsStayWithinTheirOperands(t *testing.T) {
	eachCached(t, 34, func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, m int) {
		if rng.IntN(4) > 0 {
			return
		}
		width := ValueWidth(c.dim)
		q, w, before := randoms(rng, m*c.dim), randoms(rng, m*c.n), randoms(rng, m*width)
		scores, out := make([]float32, m*c.room), append([]float32(nil), before...)
		impl.Scores(scores, c.room, q, c.dim, c.keys, c.typ, c.room, nil, new(Scratch))
		impl.AddValues(out, w, c.n, c.dim, c.values, c.typ, c.n, new(Scratch))
		what := fmt.Sprintf("%s, %d rows of %d, %d queries", c.typ, c.n, c.dim, m)
		sides(t, func(f *fences, start bool) {
			d, o := fenced(f, make([]float32, m*c.room), start), fenced(f, before, start)
			impl.Scores(d, c.room, fenced(f, q, start), c.dim, fenced(f, c.keys, start), c.typ, c.room, nil, new(Scratch))
			sameBits(t, what, d, scores)
			impl.AddValues(o, fenced(f, w, start), c.n, c.dim, fenced(f, c.values, start), c.typ, c.n, new(Scratch))
			for i := range m {
				sameBits(t, what, o[i*width:i*width+c.dim], out[i*width:i*width+c.dim])
			}
		})
	})
}

// TestCachedRowsAreTheSameForAnyNumberOfQueries: what a query sees does not depend on those beside it, nor on how many
// keys or values are taken at a time.
func TestCachedRowsAreTheSameForAnyNumberOfQueries(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(35, 1))
		const n, most = 112, 14
		for _, typ := range rowTypes {
			for _, dim := range []int{32, 96, 128} {
				c := randomCached(t, rng, typ, n, dim)
				q, w := randoms(rng, most*dim), randoms(rng, most*n)
				scores, out := make([]float32, most*n), make([]float32, most*dim)
				impl.Scores(scores, n, q, dim, c.keys, typ, n, nil, new(Scratch))
				impl.AddValues(out, w, n, dim, c.values, typ, n, new(Scratch))
				for m := 1; m < most; m++ {
					d, o := make([]float32, m*n), make([]float32, m*dim)
					first := most - m
					for from := 0; from < n; from += 48 {
						some := min(48, n-from)
						impl.Scores(d[from:], n, q[first*dim:], dim, c.keys[from*c.rowBytes:(from+some)*c.rowBytes], typ, some, nil, new(Scratch))
						impl.AddValues(o, w[first*n+from:], n, dim, c.values[from*c.rowBytes:(from+some)*c.rowBytes], typ, some, new(Scratch))
					}
					sameBits(t, fmt.Sprintf("%s, %d of %d queries", typ, m, most), d, scores[first*n:])
					sameBits(t, fmt.Sprintf("%s, %d of %d queries", typ, m, most), o, out[first*dim:])
				}
			}
		}
	})
}

func TestCachedRowsTakeNoMemory(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(36, 1))
		var s Scratch
		for _, typ := range rowTypes {
			c := randomCached(t, rng, typ, 48, 64)
			q, w := randoms(rng, 5*64), make([]float32, 5*48)
			if got := testing.AllocsPerRun(3, func() {
				impl.Scores(w, 48, q, 64, c.keys, typ, 48, nil, &s)
				impl.AddValues(q, w, 48, 64, c.values, typ, 48, &s)
				impl.Softmax(w, 0.1, 0)
			}); got != 0 {
				t.Errorf("%s: %v allocations", typ, got)
			}
		}
	})
}

// FuzzCachedRows holds the products with cached rows against the reference.
func FuzzCachedRows(f *testing.F) {
	f.Add(uint8(0), uint8(5), uint8(16), uint8(1), []byte{1, 2, 3})
	f.Add(uint8(1), uint8(17), uint8(63), uint8(3), []byte("any"))
	f.Add(uint8(2), uint8(33), uint8(127), uint8(7), []byte{0x80, 0xff})
	f.Fuzz(func(t *testing.T, which, rowCount, length, queries uint8, data []byte) {
		typ := rowTypes[which%3]
		n, m := int(rowCount%70)+1, int(queries%9)+1
		dim := (int(length)/typ.BlockLen() + 1) * typ.BlockLen()
		stored, values := fuzzedRows(typ, n, dim, data), make([]float32, n*dim)
		if err := quant.Decode(typ, values, stored); err != nil {
			t.Fatal(err)
		}
		c := cachedFrom(typ, n, dim, values, stored)
		q, w := make([]float32, m*dim), make([]float32, m*n)
		for i, b := range bytesOf(data, len(q)) {
			q[i] = float32(int8(b)) / 32
		}
		for i, b := range bytesOf(data, len(w)) {
			w[i] = float32(b) / 256
		}
		var most float64
		for _, v := range values {
			most = max(most, math.Abs(float64(v)))
		}
		width := ValueWidth(dim)
		wantScores, wantOut := make([]float32, m*c.room), make([]float32, m*width)
		generic.Scores(wantScores, c.room, q, dim, c.keys, typ, c.room, nil, new(Scratch))
		generic.AddValues(wantOut, w, n, dim, c.values, typ, n, new(Scratch))
		for _, impl := range Implementations() {
			scores, out := make([]float32, m*c.room), make([]float32, m*width)
			impl.Scores(scores, c.room, q, dim, c.keys, typ, c.room, nil, new(Scratch))
			impl.AddValues(out, w, n, dim, c.values, typ, n, new(Scratch))
			for i := range scores { // queries are at most 4, weights 1
				near(t, impl.Name, scores[i], float64(wantScores[i]), 4*most*float64(dim), 1e-6)
			}
			for i := range out {
				if i%width < dim {
					near(t, impl.Name, out[i], float64(wantOut[i]), most*float64(n), 1e-6)
				}
			}
		}
	})
}

// BenchmarkCachedRows times attention's products with a page of cached rows of one head: the rows' bytes per second, and
// operations.
func BenchmarkCachedRows(b *testing.B) {
	const n = 128
	for _, impl := range Implementations() {
		for _, typ := range rowTypes {
			for _, dim := range []int{64, 128} {
				for _, m := range []int{1, 4, 48} {
					rng := rand.New(rand.NewPCG(51, 1))
					size, _ := typ.RowBytes(dim)
					rows := make([]byte, n*size)
					if err := quant.Encode(typ, rows, randoms(rng, n*dim)); err != nil {
						b.Fatal(err)
					}
					c := cachedFrom(typ, n, dim, nil, rows)
					q, w, s := randoms(rng, m*dim), randoms(rng, m*n), new(Scratch)
					for name, do := range map[string]func(){
						"scores": func() { impl.Scores(w, n, q, dim, c.keys, typ, n, nil, s) },
						"values": func() { clear(q); impl.AddValues(q, w, n, dim, c.values, typ, n, s) },
					} {
						b.Run(fmt.Sprintf("%s/%s/%s/dim=%d/queries=%d", impl.Name, name, typ, dim, m), func(b *testing.B) {
							b.SetBytes(int64(len(rows)))
							for b.Loop() {
								do()
							}
							b.ReportMetric(2*n*float64(dim*m)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
						})
					}
				}
			}
		}
	}
}
