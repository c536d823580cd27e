package kernels

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

func TestUnpackIsDecode(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	for typ, unpack := range unpackers {
		n := 3 * 256
		values, stored := encodedRows(t, rng, typ, 1, n)
		var s Scratch
		q, scales, mins := s.unpacked(n)
		unpack(q, scales, mins, stored)
		for i, want := range values {
			if got := scales[i/groupLen]*float32(q[i]) - mins[i/groupLen]; got != want {
				t.Fatalf("%s: weight %d unpacked is %v, decoded %v", typ, i, got, want)
			}
		}
	}
}

// Rounding activations to 8 bits in blocks of 32 errs evenly within half a step of 1/127 of the block's largest: for
// normal ones, about 0.6% of the root of the sum of squares of the products. This is more than six deviations.
const q8Tolerance = 0.04

func TestMulAgainstDecodedWeights(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ, mul := range impl.Mul {
			rng := rand.New(rand.NewPCG(10, uint64(typ)))
			for _, cols := range []int{typ.BlockLen(), 2 * typ.BlockLen(), 3 * 256} {
				for _, n := range []int{1, 2, 3, 8, 17} {
					m, values := randomMatrix(t, rng, typ, 19, cols)
					x := randomActivations(impl, rng, n, cols, FormOf(typ))
					dst := guarded(make([]float32, n*m.Rows))
					mul(dst, m.Rows, &m, 0, 7, x, nil, new(Scratch))
					mul(dst, m.Rows, &m, 7, m.Rows, x, nil, new(Scratch))
					for c := range n {
						for r := range m.Rows {
							want, norm := exactDot(values[r*cols:(r+1)*cols], x.Row(c))
							tolerance := floatTolerance * 10
							if FormOf(typ) != 0 {
								tolerance = q8Tolerance
							}
							near(t, fmt.Sprintf("%s [%d,%d]·[%d]", typ, m.Rows, cols, n), dst[c*m.Rows+r], want, norm, tolerance)
						}
					}
					checkGuard(t, dst)
				}
			}
		}
	})
}

// TestMulIsTheReference holds each implementation against the reference with the same activations: what differs is the
// order of float32 additions.
func TestMulIsTheReference(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ, mul := range impl.Mul {
			rng := rand.New(rand.NewPCG(11, uint64(typ)))
			m, values := randomMatrix(t, rng, typ, 37, 5*256)
			x := randomActivations(impl, rng, 9, m.Cols, FormOf(typ))
			got, want := make([]float32, 9*m.Rows), make([]float32, 9*m.Rows)
			mul(got, m.Rows, &m, 0, m.Rows, x, nil, new(Scratch))
			generic.Mul[typ](want, m.Rows, &m, 0, m.Rows, x, nil, new(Scratch))
			for i := range got {
				_, norm := exactDot(values[i%m.Rows*m.Cols:(i%m.Rows+1)*m.Cols], x.Row(i/m.Rows))
				near(t, typ.String(), got[i], float64(want[i]), norm, 1e-5)
			}
		}
	})
}

// TestMulBF16IsTheReferenceBitByBit: products of bfloat16 are added up in one order everywhere. Their results are rounded
// to bfloat16 again before the next product: what differs in the last bit would sooner or later round the other way.
func TestMulBF16IsTheReferenceBitByBit(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(16, 1))
		for _, cols := range []int{1, 2, 7, 16, 31, 32, 33, 63, 64, 65, 96, 172, 1000, 1024, 1056, 2048, 2100, 4160} {
			for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 11} {
				m, _ := randomMatrix(t, rng, quant.BF16, 21, cols)
				x := randomActivations(impl, rng, n, cols, FormBF16)
				got, want := make([]float32, n*m.Rows), make([]float32, n*m.Rows)
				impl.Mul[quant.BF16](got, m.Rows, &m, 0, m.Rows, x, nil, new(Scratch))
				generic.Mul[quant.BF16](want, m.Rows, &m, 0, m.Rows, x, nil, new(Scratch))
				for i := range got {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("%d columns of %d: row %d with column %d is %v, want %v", n, cols, i%m.Rows, i/m.Rows, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestMulIsTheSameForAnyNumberOfColumns: an activation row gives the same bits alone and beside others, whatever
// kernel an implementation takes for how many. Where activations are rounded to 8 bits after every product, a
// difference in the last bit would grow into one that can be seen, and a text would depend on how it was cut into
// batches.
func TestMulIsTheSameForAnyNumberOfColumns(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ, mul := range impl.Mul {
			for _, cols := range []int{typ.BlockLen(), 3 * typ.BlockLen(), 256, 1280, 2304} {
				if cols%typ.BlockLen() != 0 {
					continue
				}
				if testing.Short() && (cols > 1280 || cols > 256 && impl.Name == generic.Name) {
					continue // the reference takes long, and goes through columns one by one
				}
				rng := rand.New(rand.NewPCG(15, uint64(typ)))
				const rows, most = 45, 40
				m, _ := randomMatrix(t, rng, typ, rows, cols)
				x := randomActivations(impl, rng, most, cols, FormOf(typ))
				want := make([]float32, most*rows)
				for c := range most {
					mul(want[c*rows:], rows, &m, 0, rows, x, []int32{int32(c)}, new(Scratch))
				}
				for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 31, most} {
					x.Rows = n
					got, part := make([]float32, n*rows), make([]float32, n*rows)
					mul(got, rows, &m, 0, rows, x, nil, new(Scratch))
					for _, cut := range [][2]int{{0, 5}, {5, 37}, {37, rows}} { // the rows may be shared out in any way
						mul(part, rows, &m, cut[0], cut[1], x, nil, new(Scratch))
					}
					for i := range got {
						if got[i] != want[i] || part[i] != want[i] {
							t.Fatalf("%s, %d columns of %d: row %d with column %d is %v, in parts %v, alone %v",
								typ, n, cols, i%rows, i/rows, got[i], part[i], want[i])
						}
					}
				}
			}
		}
	})
}

func TestMulPicksRows(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ, mul := range impl.Mul {
			rng := rand.New(rand.NewPCG(12, uint64(typ)))
			m, _ := randomMatrix(t, rng, typ, 5, 256)
			x := randomActivations(impl, rng, 6, m.Cols, FormOf(typ))
			all, some := make([]float32, 6*5), make([]float32, 3*5)
			mul(all, 5, &m, 0, 5, x, nil, new(Scratch))
			pick := []int32{4, 0, 5}
			mul(some, 5, &m, 0, 5, x, pick, new(Scratch))
			for c, from := range pick {
				for r := range 5 {
					if got, want := some[c*5+r], all[int(from)*5+r]; got != want {
						t.Fatalf("%s: picked row %d: %v, want %v", typ, from, got, want)
					}
				}
			}
		}
	})
}

func TestConvertQ8(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(13, 1))
		x := NewActivations(3, 96, FormQ8)
		for i := range x.Float {
			x.Float[i] = float32(rng.NormFloat64()) * float32(math.Pow(10, float64(i/32)-4))
		}
		clear(x.Row(1)[32:64])                                // a block of zeros
		x.Row(2)[0], x.Row(2)[1], x.Row(2)[2] = 127, 0.5, 1.5 // with a step of 1: ties go to even
		for i := range x.Row(2)[3:32] {
			x.Row(2)[3+i] = float32(i)
		}
		for r := range 3 {
			impl.Convert(x, r, 0, 64)
			impl.Convert(x, r, 64, 96)
			q, scales, sums := x.q8(r)
			for i, v := range x.Row(r) {
				if math.Abs(float64(v)-float64(scales[i/32])*float64(q[i])) > float64(scales[i/32])*0.5001 {
					t.Fatalf("row %d: %v became %d steps of %v", r, v, q[i], scales[i/32])
				}
			}
			for g, sum := range sums {
				var want int16
				for _, v := range q[g*groupLen : (g+1)*groupLen] {
					want += int16(v)
				}
				if sum != want {
					t.Fatalf("row %d: sum of group %d is %d, want %d", r, g, sum, want)
				}
			}
		}
		if q, scales, _ := x.q8(1); scales[1] != 0 || q[40] != 0 {
			t.Fatalf("zeros became %d steps of %v", q[40], scales[1])
		}
		if q, _, _ := x.q8(2); q[0] != 127 || q[1] != 0 || q[2] != 2 {
			t.Fatalf("127, 0.5, 1.5 became %d", q[:3])
		}
	})
}

func TestActivationBytes(t *testing.T) {
	x := NewActivations(7, 64, FormQ8|FormBF16)
	got := int64(4*len(x.Float) + len(x.Q) + 4*len(x.Scales) + 2*len(x.Sums) + 2*len(x.BF16) +
		4*(len(x.Starts)+len(x.BlockSums)+len(x.HalfStarts)+len(x.HalfSums)+len(x.HalfScales)))
	if want := ActivationBytes(7, 64, FormQ8|FormBF16); got != want {
		t.Fatalf("%d bytes, ActivationBytes says %d", got, want)
	}
	before := &x.Float[0]
	if x.Resize(4, 112); x.Rows != 4 || x.Cols != 112 || &x.Float[0] != before {
		t.Fatal("the same number of values did not fit the same memory")
	}
}

func TestNewMatrixRefuses(t *testing.T) {
	for _, c := range []struct {
		typ        quant.Type
		rows, cols int
		bytes      int
	}{
		{quant.Q8_0, 2, 33, 68},      // half a block
		{quant.F32, 2, 4, 31},        // a byte short
		{quant.F32, -1, 4, 0},        //
		{quant.Type(16), 1, 256, 66}, // no kernel
		{quant.F32, 1 << 62, 4, 16},
	} {
		if _, err := NewMatrix(c.typ, c.rows, c.cols, make([]byte, c.bytes)); err == nil {
			t.Errorf("%s, %d × %d in %d bytes: no error", c.typ, c.rows, c.cols, c.bytes)
		}
	}
	m, err := NewMatrix(quant.F32, 3, 2, make([]byte, 24))
	if err != nil {
		t.Fatal(err)
	}
	if part := m.Slice(1, 3); part.Rows != 2 || len(part.Data) != 16 || &part.Data[0] != &m.Data[8] {
		t.Fatal("a slice is not the rows that it should be")
	}
}

func TestChoose(t *testing.T) {
	t.Setenv("MNEME_CPU", "")
	fastest := Implementations()[len(Implementations())-1]
	if impl, err := Choose(""); err != nil || impl != fastest {
		t.Fatalf("chose %v, %v", impl, err)
	}
	for _, impl := range Implementations() {
		if got, err := Choose(impl.Name); err != nil || got != impl {
			t.Fatalf("%s: chose %v, %v", impl.Name, got, err)
		}
	}
	t.Setenv("MNEME_CPU", "abacus")
	if _, err := Choose(""); err == nil {
		t.Fatal("an unknown name in MNEME_CPU was taken")
	}
	if impl, err := Choose("generic"); err != nil || impl != &generic {
		t.Fatalf("a name does not go before MNEME_CPU: %v, %v", impl, err)
	}
}

func randomMatrix(t *testing.T, rng *rand.Rand, typ quant.Type, rows, cols int) (Matrix, []float32) {
	t.Helper()
	values, stored := encodedRows(t, rng, typ, rows, cols)
	m, err := NewMatrix(typ, rows, cols, stored)
	if err != nil {
		t.Fatal(err)
	}
	return m, values
}

func randomActivations(impl *Implementation, rng *rand.Rand, rows, cols int, forms Form) *Activations {
	x := NewActivations(rows, cols, forms)
	copy(x.Float, randoms(rng, rows*cols))
	for r := range rows {
		impl.Convert(x, r, 0, cols)
	}
	return x
}

// exactDot returns Σ a·b in float64, and the root of the sum of squares of the products.
func exactDot(a, b []float32) (dot, norm float64) {
	for i := range a {
		p := float64(a[i]) * float64(b[i])
		dot += p
		norm += p * p
	}
	return dot, math.Sqrt(norm)
}

func BenchmarkMul(b *testing.B) {
	const rows, cols = 512, 2048
	for _, impl := range Implementations() {
		for _, typ := range quant.Types() {
			if !typ.CanEncode() {
				continue
			}
			for _, n := range []int{1, 64, 512} {
				if impl == &generic && n > 64 {
					continue // it takes no more weights at a time
				}
				b.Run(fmt.Sprintf("%s/%s/columns=%d", impl.Name, typ, n), func(b *testing.B) {
					rng := rand.New(rand.NewPCG(14, 1))
					size, _ := typ.RowBytes(cols)
					data := make([]byte, rows*size)
					if err := quant.Encode(typ, data, randoms(rng, rows*cols)); err != nil {
						b.Fatal(err)
					}
					m, err := NewMatrix(typ, rows, cols, data)
					if err != nil {
						b.Fatal(err)
					}
					x := randomActivations(impl, rng, n, cols, FormOf(typ))
					dst, s := make([]float32, n*rows), new(Scratch)
					b.SetBytes(int64(len(data)))
					for b.Loop() {
						impl.Mul[typ](dst, rows, &m, 0, rows, x, nil, s)
					}
					b.ReportMetric(2*rows*cols*float64(n)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				})
			}
		}
	}
}

// BenchmarkMulFromMemory times one activation row with more weights than caches hold: how a model writes a token.
func BenchmarkMulFromMemory(b *testing.B) {
	const cols, some, least = 2048, 512, 128 << 20
	for _, typ := range quant.Types() {
		if !typ.CanEncode() {
			continue
		}
		rng := rand.New(rand.NewPCG(16, 1))
		size, _ := typ.RowBytes(cols)
		data := make([]byte, some*size)
		if err := quant.Encode(typ, data, randoms(rng, some*cols)); err != nil {
			b.Fatal(err)
		}
		copies := least/len(data) + 1
		data = bytes.Repeat(data, copies)
		m, err := NewMatrix(typ, some*copies, cols, data)
		if err != nil {
			b.Fatal(err)
		}
		for _, impl := range Implementations()[1:] { // the reference does not wait for memory
			b.Run(fmt.Sprintf("%s/%s", impl.Name, typ), func(b *testing.B) {
				x := randomActivations(impl, rng, 1, cols, FormOf(typ))
				dst, s := make([]float32, m.Rows), new(Scratch)
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					impl.Mul[typ](dst, m.Rows, &m, 0, m.Rows, x, nil, s)
				}
			})
		}
	}
}
