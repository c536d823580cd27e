package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// randomTurn makes a turn for n keys whose tables hold angles, and end with the last column that is needed.
func randomTurn(rng *rand.Rand, pairs, first, n int, halves bool) *Turn {
	t := &Turn{Stride: first + n, Pairs: pairs, First: first, Halves: halves}
	for range pairs * t.Stride {
		sin, cos := math.Sincos(20 * rng.Float64())
		t.Cos, t.Sin = append(t.Cos, float32(cos)), append(t.Sin, float32(sin))
	}
	return t
}

// column returns the angles of a position as RopeHalves and RopePairs take them.
func (t *Turn) column(at int) (cos, sin []float32) {
	for p := range t.Pairs {
		cos, sin = append(cos, t.Cos[p*t.Stride+at]), append(sin, t.Sin[p*t.Stride+at])
	}
	return cos, sin
}

// rotated returns the keys as F32 keys, each of them rotated as a row.
func (c *cached) rotated(t *testing.T, impl *Implementation, turn *Turn) *cached {
	t.Helper()
	rows, floats := make([]byte, c.room*c.dim*4), make([]float32, c.room*c.dim)
	key := make([]byte, c.rowBytes)
	for j := range c.room {
		row := floats[j*c.dim : (j+1)*c.dim]
		TakeKey(key, c.typ, c.dim, j, c.keys)
		if err := quant.Decode(c.typ, row, key); err != nil {
			t.Fatal(err)
		}
		cos, sin := turn.column(turn.First + j)
		if turn.Halves {
			impl.RopeHalves(row[:2*turn.Pairs], cos, sin)
		} else {
			impl.RopePairs(row[:2*turn.Pairs], cos, sin)
		}
	}
	if err := quant.Encode(quant.F32, rows, floats); err != nil {
		t.Fatal(err)
	}
	return cachedFrom(quant.F32, c.room, c.dim, floats, rows)
}

// eachTurn calls do with keys of each type and turns of them: all pairs of dimensions and some, from columns on both sides
// of a vector's.
func eachTurn(t *testing.T, seed uint64, do func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, turn *Turn)) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for _, typ := range rowTypes {
			for _, dim := range []int{1, 2, 8, 9, 16, 64, 80, 96, 128} {
				if dim%typ.BlockLen() != 0 {
					continue
				}
				for _, n := range []int{16, 48, 64, 80, 128, 192} {
					c := randomCached(t, rng, typ, n, dim)
					for _, pairs := range []int{dim / 2, dim / 4, 1, 0} {
						if 2*pairs > dim {
							continue
						}
						for _, halves := range []bool{false, true} {
							first := []int{0, 1, 3, 16, 17, 37}[rng.IntN(6)]
							do(t, impl, rng, c, randomTurn(rng, pairs, first, n, halves))
						}
					}
				}
			}
		}
	})
}

// TestTurnIsRope: keys that are rotated when queries meet them give the scores of keys that were rotated before they were
// stored, bit for bit, for any number of queries.
func TestTurnIsRope(t *testing.T) {
	eachTurn(t, 41, func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, turn *Turn) {
		before := string(c.keys)
		want := c.rotated(t, impl, turn)
		counts := []int{1, 2, 3, 4, 5 + rng.IntN(46)}
		if testing.Short() {
			counts = []int{1 + rng.IntN(4), 5 + rng.IntN(16)}
		}
		for _, m := range counts {
			q := randoms(rng, m*c.dim)
			stride := c.room + 3
			got, scores := guarded(make([]float32, (m-1)*stride+c.room)), make([]float32, m*stride)
			impl.Scores(got, stride, q, c.dim, c.keys, c.typ, c.room, turn, new(Scratch))
			impl.Scores(scores, stride, q, c.dim, want.keys, quant.F32, c.room, nil, new(Scratch))
			sameBits(t, fmt.Sprintf("%s, %d keys of %d, %d queries, %d pairs from column %d, halves %v", c.typ, c.n, c.dim, m, turn.Pairs, turn.First, turn.Halves), got, scores[:len(got)])
			checkGuard(t, got)
		}
		if string(c.keys) != before {
			t.Fatalf("%s: the stored keys were rotated", c.typ)
		}
	})
}

// TestTurnIsARotation holds the reference against arithmetic in float64.
func TestTurnIsARotation(t *testing.T) {
	rng := rand.New(rand.NewPCG(42, 1))
	const dim, n = 10, 32
	for _, halves := range []bool{false, true} {
		c := randomCached(t, rng, quant.F32, n, dim)
		turn := randomTurn(rng, 4, 5, n, halves)
		q, dst := randoms(rng, dim), make([]float32, n)
		generic.Scores(dst, n, q, dim, c.keys, c.typ, n, turn, new(Scratch))
		for j := range n {
			want := 0.0
			for d := 8; d < dim; d++ {
				want += float64(q[d]) * float64(c.floats[j*dim+d])
			}
			for p := range 4 {
				a, b := 2*p, 2*p+1
				if halves {
					a, b = p, p+4
				}
				x, y := float64(c.floats[j*dim+a]), float64(c.floats[j*dim+b])
				cos, sin := float64(turn.Cos[p*turn.Stride+5+j]), float64(turn.Sin[p*turn.Stride+5+j])
				want += float64(q[a])*(x*cos-y*sin) + float64(q[b])*(x*sin+y*cos)
			}
			near(t, fmt.Sprintf("key %d, halves %v", j, halves), dst[j], want, 10, floatTolerance)
		}
	}
}

// TestTurnStaysWithinItsOperands: keys, queries and tables each lie beside a fence.
func TestTurnStaysWithinItsOperands(t *testing.T) {
	eachTurn(t, 43, func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, turn *Turn) {
		if rng.IntN(4) > 0 {
			return
		}
		m := []int{1, 2, 3, 4, 7}[rng.IntN(5)]
		q, want := randoms(rng, m*c.dim), make([]float32, m*c.room)
		impl.Scores(want, c.room, q, c.dim, c.keys, c.typ, c.room, turn, new(Scratch))
		sides(t, func(f *fences, start bool) {
			near := *turn
			near.Cos, near.Sin = fenced(f, turn.Cos, start), fenced(f, turn.Sin, start)
			got := fenced(f, make([]float32, m*c.room), start)
			impl.Scores(got, c.room, fenced(f, q, start), c.dim, fenced(f, c.keys, start), c.typ, c.room, &near, new(Scratch))
			sameBits(t, fmt.Sprintf("%s, %d keys of %d, %d queries", c.typ, c.n, c.dim, m), got, want)
		})
	})
}

// TestTurnIsTheSameForAnyNumberOfQueries, and for any number of keys at a time.
func TestTurnIsTheSameForAnyNumberOfQueries(t *testing.T) {
	eachTurn(t, 44, func(t *testing.T, impl *Implementation, rng *rand.Rand, c *cached, turn *Turn) {
		const most = 9
		n, s := c.room, new(Scratch)
		q, all := randoms(rng, most*c.dim), make([]float32, most*n)
		impl.Scores(all, n, q, c.dim, c.keys, c.typ, n, turn, s)
		m := 1 + rng.IntN(most-1)
		some := KeyGroup * (1 + rng.IntN(n/KeyGroup))
		got, first := make([]float32, m*n), most-m
		for from := 0; from < n; from += some {
			count, part := min(some, n-from), *turn
			part.First += from
			impl.Scores(got[from:], n, q[first*c.dim:], c.dim, c.keys[from*c.rowBytes:(from+count)*c.rowBytes], c.typ, count, &part, s)
		}
		sameBits(t, fmt.Sprintf("%s, %d of %d queries, %d keys at a time", c.typ, m, most, some), got, all[first*n:])
	})
}

func TestTurnTakesNoMemory(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(45, 1))
		var s Scratch
		for _, typ := range rowTypes {
			for _, m := range []int{1, 4, 7} {
				c, turn := randomCached(t, rng, typ, 80, 64), randomTurn(rng, 24, 3, 80, m%2 == 1)
				q, dst := randoms(rng, m*64), make([]float32, m*80)
				if got := testing.AllocsPerRun(3, func() { impl.Scores(dst, 80, q, 64, c.keys, typ, 80, turn, &s) }); got != 0 {
					t.Errorf("%s, %d queries: %v allocations", typ, m, got)
				}
			}
		}
	})
}

func TestTurnCheck(t *testing.T) {
	fits := func() *Turn {
		return &Turn{Cos: make([]float32, 7*100+60), Sin: make([]float32, 7*100+60), Stride: 100, Pairs: 8, First: 28}
	}
	if err := fits().Check(16, 32); err != nil {
		t.Error(err)
	}
	if err := (&Turn{Stride: 32}).Check(0, 32); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(t *Turn) (dim, n int){
		"too many pairs":  func(t *Turn) (int, int) { return 15, 32 },
		"negative pairs":  func(t *Turn) (int, int) { t.Pairs = -1; return 16, 32 },
		"negative column": func(t *Turn) (int, int) { t.First = -1; return 16, 32 },
		"negative keys":   func(t *Turn) (int, int) { return 16, -1 },
		"short cosines":   func(t *Turn) (int, int) { t.Cos = t.Cos[:len(t.Cos)-1]; return 16, 32 },
		"short sines":     func(t *Turn) (int, int) { t.Sin = t.Sin[:len(t.Sin)-1]; return 16, 32 },
		"columns":         func(t *Turn) (int, int) { t.First = 69; return 16, 32 },
		"huge column":     func(t *Turn) (int, int) { t.First = math.MaxInt; return 16, 32 },
		"no tables":       func(t *Turn) (int, int) { t.Cos, t.Sin = nil, nil; return 16, 32 },
	} {
		turn := fits()
		dim, n := change(turn)
		if err := turn.Check(dim, n); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestWidenKeysIsTheReference, within the operands.
func TestWidenKeysIsTheReference(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(46, 1))
		for _, typ := range rowTypes {
			for _, dim := range []int{1, 7, 32, 80, 96, 128} {
				if dim%typ.BlockLen() != 0 {
					continue
				}
				for _, n := range []int{16, 48} {
					c := randomCached(t, rng, typ, n, dim)
					want := make([]float32, n*dim)
					for j := range n {
						for d := range dim {
							want[(j/KeyGroup*dim+d)*KeyGroup+j%KeyGroup] = c.floats[j*dim+d]
						}
					}
					sides(t, func(f *fences, start bool) {
						dst := fenced(f, make([]float32, n*dim), start)
						impl.WidenKeys(dst, fenced(f, c.keys, start), typ, dim, n)
						sameBits(t, fmt.Sprintf("%s, %d keys of %d", typ, n, dim), dst, want)
					})
				}
			}
			impl.WidenKeys(nil, nil, typ, 0, 16)
			impl.WidenKeys(nil, nil, typ, 32, 0)
		}
	})
}

// FuzzTurn holds the scores of keys that are rotated against the reference.
func FuzzTurn(f *testing.F) {
	f.Add(uint8(0), uint8(5), uint8(16), uint8(1), uint8(3), uint8(7), true, []byte{1, 2, 3})
	f.Add(uint8(1), uint8(4), uint8(63), uint8(3), uint8(31), uint8(0), false, []byte("any"))
	f.Add(uint8(2), uint8(9), uint8(127), uint8(7), uint8(64), uint8(200), true, []byte{0x80, 0xff})
	f.Fuzz(func(t *testing.T, which, groups, length, queries, pairs, first uint8, halves bool, data []byte) {
		typ := rowTypes[which%3]
		n, m := (int(groups%9)+1)*KeyGroup, int(queries%9)+1
		dim := (int(length)/typ.BlockLen() + 1) * typ.BlockLen()
		stored, values := fuzzedRows(typ, n, dim, data), make([]float32, n*dim)
		if err := quant.Decode(typ, values, stored); err != nil {
			t.Fatal(err)
		}
		c := cachedFrom(typ, n, dim, values, stored)
		turn := &Turn{Stride: int(first) + n, Pairs: int(pairs) % (dim/2 + 1), First: int(first), Halves: halves}
		size := turn.Pairs * turn.Stride
		turn.Cos, turn.Sin = make([]float32, size), make([]float32, size)
		for i, b := range bytesOf(data, size) {
			sin, cos := math.Sincos(float64(b) + float64(i))
			turn.Cos[i], turn.Sin[i] = float32(cos), float32(sin)
		}
		if err := turn.Check(dim, n); err != nil {
			t.Fatal(err)
		}
		q := make([]float32, m*dim)
		for i, b := range bytesOf(data, len(q)) {
			q[i] = float32(int8(b)) / 32
		}
		var most float64
		for _, v := range values {
			most = max(most, math.Abs(float64(v)))
		}
		want := make([]float32, m*n)
		generic.Scores(want, n, q, dim, c.keys, typ, n, turn, new(Scratch))
		for _, impl := range Implementations() {
			scores := make([]float32, m*n)
			impl.Scores(scores, n, q, dim, c.keys, typ, n, turn, new(Scratch))
			for i := range scores { // queries are at most 4, rotated keys √2 times as large as keys
				near(t, impl.Name, scores[i], float64(want[i]), 4*math.Sqrt2*most*float64(dim), 1e-6)
			}
		}
	})
}

// BenchmarkTurn times the scores of keys that are rotated and of keys that are not: two thousand keys of a head, a page at a
// time as attention takes them.
func BenchmarkTurn(b *testing.B) {
	const n, page = 2048, 128
	for _, impl := range Implementations() {
		for _, typ := range rowTypes {
			for _, dim := range []int{64, 128} {
				for _, m := range []int{1, 4, 48} {
					rng := rand.New(rand.NewPCG(57, 1))
					size, _ := typ.RowBytes(dim)
					rows := make([]byte, n*size)
					if err := quant.Encode(typ, rows, randoms(rng, n*dim)); err != nil {
						b.Fatal(err)
					}
					c := cachedFrom(typ, n, dim, nil, rows)
					q, w, s := randoms(rng, m*dim), randoms(rng, m*page), new(Scratch)
					turn := &Turn{Cos: randoms(rng, dim/2*(n+16)), Sin: randoms(rng, dim/2*(n+16)), Stride: n + 16, Pairs: dim / 2, Halves: true}
					for _, turned := range []bool{false, true} {
						b.Run(fmt.Sprintf("%s/%s/dim=%d/queries=%d/turned=%v", impl.Name, typ, dim, m, turned), func(b *testing.B) {
							for b.Loop() {
								for j := 0; j < n; j += page {
									var t *Turn
									if turned {
										t, turn.First = turn, j+3
									}
									impl.Scores(w, page, q, dim, c.keys[j*size:(j+page)*size], typ, page, t, s)
								}
							}
							b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/key")
						})
					}
				}
			}
		}
	}
}
