package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// scaleFields lists where the blocks of a type hold binary16 numbers, scales and minimums.
var scaleFields = map[quant.Type][]int{
	quant.Q4_0: {0}, quant.Q4_1: {0, 2}, quant.Q5_0: {0}, quant.Q5_1: {0, 2}, quant.Q8_0: {0}, quant.Q2_K: {80, 82},
	quant.Q3_K: {108}, quant.Q4_K: {0, 2}, quant.Q5_K: {0, 2}, quant.Q6_K: {208}, quant.IQ4_NL: {0}, quant.IQ4_XS: {0},
}

// setScales gives every block of stored rows scales and minimums from next.
func setScales(typ quant.Type, stored []byte, next func() float32) {
	for b := 0; b < len(stored); b += typ.BlockBytes() {
		for _, at := range scaleFields[typ] {
			h := quant.F32ToF16(next())
			stored[b+at], stored[b+at+1] = byte(h), byte(h>>8)
		}
	}
}

// fullScale makes activations whose integers are 127 in magnitude, with the signs that sign gives.
func fullScale(impl *Implementation, rows, cols int, sign func(r, i int) bool) *Activations {
	x := NewActivations(rows, cols, FormQ8|FormQ8Halves)
	for r := range rows {
		for i := range cols {
			x.Row(r)[i] = 2
			if sign(r, i) {
				x.Row(r)[i] = -2
			}
		}
		impl.Convert(x, r, 0, cols)
	}
	return x
}

// TestMulOfExtremes multiplies the largest codes of each kind by the largest activations: products of 8 bits that are
// added up in 16 must not wrap or saturate. The integers must be exact; scales of powers of two, one for all blocks,
// leave little to round.
func TestMulOfExtremes(t *testing.T) {
	patterns := map[string]func(i int) byte{
		"zeros":        func(int) byte { return 0 },
		"ones":         func(int) byte { return 0xff },
		"least":        func(int) byte { return 0x80 },
		"most":         func(int) byte { return 0x7f },
		"low halves":   func(int) byte { return 0x0f },
		"high halves":  func(int) byte { return 0xf0 },
		"alternating":  func(i int) byte { return byte(i&1) * 0xff },
		"pairs":        func(i int) byte { return byte(i>>1&1) * 0xff },
		"least or 127": func(i int) byte { return 0x80 - byte(i&1) },
	}
	signs := []func(r, i int) bool{
		func(r, i int) bool { return false },
		func(r, i int) bool { return true },
		func(r, i int) bool { return i&1 == 1 },
		func(r, i int) bool { return i>>1&1 == 1 },
		func(r, i int) bool { return i%(r+2) == 0 },
	}
	each(t, func(t *testing.T, impl *Implementation) {
		const rows, cols, most = 18, 1280, 7
		for typ := range unpackers {
			size, _ := typ.RowBytes(cols)
			for name, pattern := range patterns {
				stored := make([]byte, rows*size)
				for i := range stored {
					stored[i] = pattern(i)
				}
				setScales(typ, stored, func() float32 { return 1.0 / 64 })
				m, err := NewMatrix(typ, rows, cols, stored)
				if err != nil {
					t.Fatal(err)
				}
				for i, sign := range signs {
					for _, n := range []int{1, most} {
						x := fullScale(impl, n, cols, sign)
						got, want := make([]float32, n*rows), make([]float32, n*rows)
						impl.Mul[typ](got, rows, &m, 0, rows, x, nil, new(Scratch))
						generic.Mul[typ](want, rows, &m, 0, rows, x, nil, new(Scratch))
						scale := largest(typ, stored[:size], cols)
						for j := range got {
							near(t, fmt.Sprintf("%s, %s, signs %d, %d columns", typ, name, i, n), got[j], float64(want[j]), scale, 2e-6)
						}
					}
				}
			}
		}
	})
}

// largest is the sum of the magnitudes of a row's products with activations of magnitude 2, scale and minimum apart.
func largest(typ quant.Type, row []byte, cols int) (sum float64) {
	var s Scratch
	q, scales, mins := s.unpacked(cols)
	unpackers[typ](q, scales, mins, row)
	for i, v := range q {
		sum += 2 * (math.Abs(float64(v)*float64(scales[i/groupLen])) + math.Abs(float64(mins[i/groupLen])))
	}
	return sum
}

// special values for activations: ties, the ends of the range, and what is not finite.
var special = []float32{0, float32(math.Copysign(0, -1)), 1e-45, -1e-45, 1e-38, 3e-39, 127, 126.5, 0.5, -0.5, 1.5, 2.5, -2.5,
	lostQ8, -lostQ8, math.Nextafter32(lostQ8, 1), math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)),
	float32(math.NaN()), math.Float32frombits(0x7f800001), math.Float32frombits(0xffc12345)}

// TestConvertIsTheReference: the integers, scales and sums of activations, and their bfloat16 form, are the same bits in
// every implementation, whatever the values, but for which NaN the scale of a block with NaNs is.
func TestConvertIsTheReference(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(31, 1))
		for round := range 400 {
			const cols = 96
			got, want := NewActivations(1, cols, FormQ8|FormBF16), NewActivations(1, cols, FormQ8|FormBF16)
			exponent := rng.IntN(30) - 15
			if round%4 == 3 { // among values that lose their last bits, and all
				exponent = -118 - rng.IntN(20)
			}
			for i := range cols {
				v := float32(math.Ldexp(rng.NormFloat64(), exponent))
				if round%2 == 1 && rng.IntN(20) == 0 {
					v = special[rng.IntN(len(special))]
				}
				if round%8 == 2 { // ties
					v = float32(rng.IntN(510)-255) / 2
				}
				got.Float[i], want.Float[i] = v, v
			}
			for i := range got.Q { // of values that were there before nothing may remain
				got.Q[i], want.Q[i] = 99, 99
			}
			impl.Convert(got, 0, 0, cols)
			generic.Convert(want, 0, 0, cols)
			sameQ8(t, got, want)
			for i := range want.BF16 {
				if got.BF16[i] != want.BF16[i] {
					t.Fatalf("%v (%#x) became %#x, want %#x", want.Float[i], math.Float32bits(want.Float[i]), got.BF16[i], want.BF16[i])
				}
			}
		}
	})
}

// sameQ8 compares the Q8 form of a row.
func sameQ8(t *testing.T, got, want *Activations) {
	t.Helper()
	for b, scale := range want.Scales {
		block := want.Float[b*Q8Block : (b+1)*Q8Block]
		if got.Scales[b] != scale && (got.Scales[b] == got.Scales[b] || scale == scale) {
			t.Fatalf("the scale of %v is %v, want %v", block, got.Scales[b], scale)
		}
		for i, v := range want.Q[b*Q8Block : (b+1)*Q8Block] {
			if q := got.Q[b*Q8Block+i]; q != v {
				t.Fatalf("%v of %v became %d, want %d", block[i], block, q, v)
			}
		}
		for h := 2 * b; h < 2*b+2; h++ {
			if got.Sums[h] != want.Sums[h] {
				t.Fatalf("the sum of group %d of %v is %d, want %d", h, block, got.Sums[h], want.Sums[h])
			}
		}
	}
}

// TestConvertOfWhatIsLost: blocks out of which no integers can be made are zeros, with a scale that says why.
func TestConvertOfWhatIsLost(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	above := math.Nextafter32(lostQ8, 1)
	cases := map[string]struct {
		fill, one float32 // all values, and one that differs
		scale     float32
		q, qOne   int8
	}{
		"zeros":                {0, 0, 0, 0, 0},
		"least":                {1e-45, -1e-45, 0, 0, 0},
		"largest that is lost": {-lostQ8, lostQ8, lostQ8 / 127, 0, 0},
		"least that is not":    {-above, above, above / 127, -127, 127},
		"beside more":          {lostQ8, 1, 1.0 / 127, 0, 127},
		"largest":              {math.MaxFloat32, -math.MaxFloat32, math.MaxFloat32 / 127, 127, -127},
		"infinite":             {1, inf, inf, 0, 0},
		"negative infinite":    {-1, -inf, inf, 0, 0},
		"all infinite":         {inf, -inf, inf, 0, 0},
		"NaN":                  {1, nan, nan, 0, 0},
		"NaN beside infinite":  {-inf, nan, nan, 0, 0},
		"NaN beside zeros":     {0, math.Float32frombits(0xff800001), nan, 0, 0},
		"NaN beside least":     {1e-45, nan, nan, 0, 0},
	}
	each(t, func(t *testing.T, impl *Implementation) {
		for name, c := range cases {
			t.Run(name, func(t *testing.T) {
				for at := range Q8Block {
					want := NewActivations(1, Q8Block, FormQ8|FormQ8Halves)
					for i := range want.Float {
						want.Float[i], want.Q[i] = c.fill, c.q
					}
					want.Float[at], want.Q[at], want.Scales[0] = c.one, c.qOne, c.scale
					for i, q := range want.Q {
						want.Sums[i/groupLen] += int16(q)
					}
					got := NewActivations(1, Q8Block, FormQ8|FormQ8Halves)
					copy(got.Float, want.Float)
					impl.Convert(got, 0, 0, Q8Block)
					sameQ8(t, got, want)
				}
			})
		}
	})
}

// TestMulOfWhatIsNotFinite: a row of activations with a value that is not finite has only NaN for products, with block
// types, and leaves the rows beside it alone. A block that is lost adds nothing.
func TestMulOfWhatIsNotFinite(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		const rows, cols, most = 9, 1280, 6
		rng := rand.New(rand.NewPCG(35, 1))
		for typ := range unpackers {
			if !typ.CanEncode() {
				continue
			}
			m, _ := randomMatrix(t, rng, typ, rows, cols)
			for _, bad := range []float32{float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), lostQ8} {
				for _, n := range []int{1, most} {
					x := randomActivations(impl, rng, n, cols, FormQ8|FormQ8Halves)
					r, block := rng.IntN(n), rng.IntN(cols/Q8Block)
					values := x.Row(r)[block*Q8Block : (block+1)*Q8Block]
					clear(values)
					impl.Convert(x, r, 0, cols)
					want, got := make([]float32, n*rows), make([]float32, n*rows)
					impl.Mul[typ](want, rows, &m, 0, rows, x, nil, new(Scratch))
					values[rng.IntN(Q8Block)] = bad
					impl.Convert(x, r, 0, cols)
					impl.Mul[typ](got, rows, &m, 0, rows, x, nil, new(Scratch))
					for i, v := range got {
						if i/rows == r && bad != lostQ8 {
							if v == v {
								t.Fatalf("%s, %d rows: a product with %v is %v", typ, n, bad, v)
							}
						} else if v != want[i] {
							t.Fatalf("%s, %d rows: beside %v, or with zeros for it, %v, want %v", typ, n, bad, v, want[i])
						}
					}
				}
			}
		}
	})
}

// ulps is the distance of got from want in units of the last place of a float32 of want's size.
func ulps(got float32, want float64) float64 {
	_, exponent := math.Frexp(want)
	return math.Abs(float64(got)-want) / math.Ldexp(1, max(exponent-24, -149))
}

// TestExpIsAccurate: with a maximum of 0, weights are exponentials.
func TestExpIsAccurate(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(32, 1))
		const smallest = 0x1p-126
		x, before := make([]float32, 1024), make([]float32, 1024)
		for range 200 {
			for i := range x {
				x[i] = -float32(rng.Float64() * 87.3358)
			}
			copy(before, x)
			impl.Softmax(x, 1, 0)
			for i, v := range before {
				if want := math.Exp(float64(v)); ulps(x[i], want) > 2 {
					t.Fatalf("exp(%v) is %v, want %v: %v units in the last place off", v, x[i], want, ulps(x[i], want))
				}
			}
		}
		one := func(v float32) float32 {
			y := make([]float32, 16)
			y[7] = v
			impl.Softmax(y, 1, 0)
			return y[7]
		}
		inf := float32(math.Inf(1))
		for _, c := range []struct{ x, want float32 }{{0, 1}, {float32(math.Copysign(0, -1)), 1}, {-inf, 0}, {-104, 0}, {-1e30, 0}, {-math.MaxFloat32, 0}} {
			if got := one(c.x); got != c.want {
				t.Errorf("exp(%v) is %v, want %v", c.x, got, c.want)
			}
		}
		for v := float32(-87.2); v > -104; v -= 0.01 { // numbers that are not normal may be taken for 0
			if got, want := one(v), math.Exp(float64(v)); math.Abs(float64(got)-want) > smallest && ulps(got, want) > 2 {
				t.Fatalf("exp(%v) is %v, want %v", v, got, want)
			}
		}
		for _, bits := range []uint32{0x7fc00000, 0x7f800123, 0xffc00001} {
			for _, at := range []int{0, 9, 15} {
				y := make([]float32, 16)
				y[at] = math.Float32frombits(bits)
				if _, sum := impl.Softmax(y, 1, 0); y[at] == y[at] || sum == sum {
					t.Errorf("the weight of NaN is %v, the sum %v", y[at], sum)
				}
			}
		}
	})
}

func TestSoftcapIsAccurate(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(33, 1))
		x, before := make([]float32, 1000), make([]float32, 1000)
		for round := range 100 {
			for i := range x {
				x[i] = float32(rng.NormFloat64() * math.Pow(10, float64(round%8-6)))
			}
			copy(before, x)
			impl.Softcap(x, 1)
			for i, v := range before {
				if want := math.Tanh(float64(v)); ulps(x[i], want) > 4 {
					t.Fatalf("tanh(%v) is %v, want %v: %v units in the last place off", v, x[i], want, ulps(x[i], want))
				}
			}
		}
		inf := float32(math.Inf(1))
		y := []float32{inf, -inf, float32(math.NaN()), 0, float32(math.Copysign(0, -1)), 1e30, -1e30}
		impl.Softcap(y, 30)
		if y[0] != 30 || y[1] != -30 || y[2] == y[2] || y[3] != 0 || y[4] != 0 || y[5] != 30 || y[6] != -30 {
			t.Errorf("±Inf, NaN, ±0 and ±1e30 became %v", y)
		}
	})
}

// TestGatesAtTheEnds: beyond the range of the exponential, gates are 0 or the value itself.
func TestGatesAtTheEnds(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		gate := []float32{-1e30, -1000, -89, -88, 88, 89, 1000, 1e19, 0, float32(math.NaN())}
		up, dst := make([]float32, len(gate)), make([]float32, len(gate))
		for i := range up {
			up[i] = 0.5
		}
		for name, do := range map[string]func(dst, gate, up []float32){"SwiGLU": impl.SwiGLU, "GeGLU": impl.GeGLU} {
			do(dst, gate, up)
			for i, g := range gate[:9] {
				if want := max(g, 0) / 2; math.Abs(float64(dst[i]-want)) > 1e-30 && dst[i] != want {
					t.Errorf("%s of %v is %v, want %v", name, g, dst[i], want)
				}
			}
			if dst[9] == dst[9] {
				t.Errorf("%s of NaN is %v", name, dst[9])
			}
		}
	})
}

// TestRMSNormOfExtremes: squares that float32 cannot hold are added up all the same.
func TestRMSNormOfExtremes(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for _, size := range []float32{1e-25, 1e25} {
			for _, n := range []int{5, 64} {
				x, w, dst := make([]float32, n), make([]float32, n), make([]float32, n)
				for i := range x {
					x[i], w[i] = size, 1
				}
				impl.RMSNorm(dst, x, w, 0)
				for _, v := range dst {
					near(t, fmt.Sprint("all ", size), v, 1, 1, 1e-6)
				}
			}
		}
	})
}
