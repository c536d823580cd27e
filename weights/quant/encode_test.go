package quant

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func blockTypes() (types []Type) {
	for _, t := range Types() {
		if t.BlockLen() > 1 {
			types = append(types, t)
		}
	}
	return types
}

func encoded(tb interface {
	Helper()
	Fatal(...any)
}, typ Type, x []float32) []byte {
	tb.Helper()
	size, err := typ.RowBytes(len(x))
	if err != nil {
		tb.Fatal(err)
	}
	data := bytes.Repeat([]byte{0xa5}, size) // Encode must overwrite every bit
	if err := Encode(typ, data, x); err != nil {
		tb.Fatal(err)
	}
	return data
}

func roundTrip(tb interface {
	Helper()
	Fatal(...any)
}, typ Type, x []float32) []float32 {
	tb.Helper()
	y := make([]float32, len(x))
	if err := Decode(typ, y, encoded(tb, typ, x)); err != nil {
		tb.Fatal(err)
	}
	return y
}

func squaredError(x, y []float32) (s float64) {
	for i := range x {
		e := float64(x[i]) - float64(y[i])
		s += e * e
	}
	return s
}

// TestGoldenEncode gives Encode the values of blocks worked by hand. Where a block's largest code is one that a search
// tries, it must come back bit for bit.
func TestGoldenEncode(t *testing.T) {
	for _, c := range []struct {
		typ Type
		hex string
	}{
		{Q4_0, "0038 1f 80 08 88*13"},
		{Q4_0, "00b8 10 8f 88*14"}, // d = -0.5
		{Q4_1, "0038 00bc 1f 00*14 f0"},
		{Q5_0, "003c 01000280 00 f0 00*13 ff"},
		{Q5_1, "003c 00b8 01800100 2f 00*14 01"}, // codes 0 … 31
		{Q8_0, "0034 01 ff 7f 82 00*27 81"},
		{IQ4_NL, "0038 f0 18 88*14"},
	} {
		want := parseHex(t, c.hex)
		x := make([]float32, c.typ.BlockLen())
		if err := Decode(c.typ, x, want); err != nil {
			t.Fatal(err)
		}
		if got := encoded(t, c.typ, x); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", c.typ, got, want)
		}
	}
}

// TestEncodeZeros covers zeros, and values too small for any scale.
func TestEncodeZeros(t *testing.T) {
	for _, typ := range blockTypes() {
		for _, zero := range []float32{0, float32(math.Copysign(0, -1)), 1e-30, math.SmallestNonzeroFloat32, -1.0 / (1 << 26)} {
			x := make([]float32, 2*typ.BlockLen())
			for i := range x {
				x[i] = zero
			}
			for i, v := range roundTrip(t, typ, x) {
				if v != 0 {
					t.Fatalf("%s: %g comes back as %g at %d", typ, zero, v, i)
				}
			}
		}
	}
}

// tolerance is the largest error of a constant block relative to the constant, where scales are not subnormal.
var tolerance = map[Type]float64{
	F16: 1.0 / (1 << 11), BF16: 1.0 / (1 << 8),
	// One scale times one code: a float16 has 11 bits.
	Q4_0: 1.0 / (1 << 11), Q5_0: 1.0 / (1 << 11), Q8_0: 1.0 / (1 << 11), IQ4_NL: 1.0 / (1 << 11),
	Q3_K: 1.0 / (1 << 11), Q6_K: 1.0 / (1 << 11), IQ4_XS: 1.0 / (1 << 11),
	// The scale covers what the offset's rounding leaves.
	Q4_1: 1.0 / (1 << 21), Q5_1: 1.0 / (1 << 21),
	Q2_K: 1.0 / (1 << 11), Q4_K: 1.0 / (1 << 11), Q5_K: 1.0 / (1 << 11),
}

func TestEncodeConstants(t *testing.T) {
	for _, typ := range Types() {
		for _, c := range []float32{1, -1, 0.1, -0.1, 3.14159, 1000.7, -65504, 65504} {
			x := make([]float32, 2*typ.BlockLen())
			for i := range x {
				x[i] = c
			}
			for i, v := range roundTrip(t, typ, x) {
				e := math.Abs(float64(v - c))
				if limit := tolerance[typ]*math.Abs(float64(c)) + 8*tinyHalf; typ != F32 && e > limit || typ == F32 && e != 0 {
					t.Errorf("%s: constant %g comes back as %g at %d, off by %.3g; want at most %.3g", typ, c, v, i, e, limit)
					break
				}
			}
		}
	}
}

// TestEncodeFarFromZero covers values whose spread is small beside their distance from zero, where the formats with
// offsets must not lose the spread to the rounding of the offset.
func TestEncodeFarFromZero(t *testing.T) {
	for _, typ := range []Type{Q4_1, Q5_1} {
		for _, centre := range []float32{100.03, -100.03, 3000.9} {
			x := make([]float32, 32)
			for i := range x {
				x[i] = centre + float32(i)/4096
			}
			gap := math.Abs(float64(centre)) / 1024 // between float16 numbers
			step := gap / float64(map[Type]int{Q4_1: 15, Q5_1: 31}[typ])
			if e := math.Sqrt(squaredError(x, roundTrip(t, typ, x)) / 32); e > step {
				t.Errorf("%s around %g: error %.3g; want at most %.3g", typ, centre, e, step)
			}
		}
	}
}

// TestEncodeSmallValues covers scales that are subnormal float16 numbers: few bits, and none to waste.
func TestEncodeSmallValues(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		limit float64 // of the relative error of values of about 1e-4
	}{
		{Q4_0, 0.1}, {Q4_1, 0.1}, {Q5_0, 0.05}, {Q5_1, 0.05}, {Q8_0, 0.02},
		{Q2_K, 0.4}, {Q3_K, 0.2}, {Q4_K, 0.1}, {Q5_K, 0.06}, {Q6_K, 0.05}, {IQ4_NL, 0.1}, {IQ4_XS, 0.1},
	} {
		x := normal(1024, 3)
		for i := range x {
			x[i] /= 1 << 7 // a deviation of 1.2e-4
		}
		var power float64
		for _, v := range x {
			power += float64(v) * float64(v)
		}
		if e := math.Sqrt(squaredError(x, roundTrip(t, c.typ, x)) / power); e > c.limit {
			t.Errorf("%s: relative error %.3f; want at most %.3f", c.typ, e, c.limit)
		}
	}
}

func TestEncodeRejects(t *testing.T) {
	for _, typ := range blockTypes() {
		for _, bad := range []float32{
			float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 65505, -65505, math.MaxFloat32,
		} {
			x := make([]float32, 2*typ.BlockLen())
			at := typ.BlockLen() + 3
			x[at] = bad
			data := make([]byte, 2*typ.BlockBytes())
			wantError(t, fmt.Sprintf("%s: value %g at index %d ", typ, bad, at), func() error { return Encode(typ, data, x) })
		}
	}
}

// values draws n finite float32 values that a block format accepts: of magnitudes from far below the smallest float16
// to the largest, more or less heavy-tailed, centred or not, with zeros and repeated values between them.
func values(t *rapid.T, n int) []float32 {
	exponent := rapid.IntRange(-30, 12).Draw(t, "exponent")
	spread := rapid.IntRange(0, 3).Draw(t, "spread")
	shift := float64(rapid.IntRange(-2, 2).Draw(t, "shift"))
	special := rapid.SampledFrom([]int{1, 2, 20, 1 << 30}).Draw(t, "special values, one in")
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	x := make([]float32, n)
	for i := range x {
		v := r.NormFloat64() + shift
		for range spread {
			v *= math.Abs(v)
		}
		if r.IntN(special) == 0 {
			v = []float64{0, 1, -1, 8, -16, math.Copysign(0, -1)}[r.IntN(6)]
		}
		x[i] = float32(max(-maxHalf, min(maxHalf, math.Ldexp(v, exponent))))
	}
	return x
}

// stepsAcross is the number of steps between the extremes of a format's codes.
var stepsAcross = map[Type]float64{
	Q4_0: 15, Q4_1: 15, Q5_0: 31, Q5_1: 31, Q8_0: 254, Q2_K: 3, Q3_K: 7, Q4_K: 15, Q5_K: 31, Q6_K: 63, IQ4_NL: 8, IQ4_XS: 8,
}

// TestEncodeError bounds the error by what the plainest choice of scales guarantees: half a step of the range of the
// block, or of the super-block.
func TestEncodeError(t *testing.T) {
	for _, typ := range blockTypes() {
		t.Run(typ.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				x := values(t, typ.BlockLen())
				y := roundTrip(t, typ, x)
				top := 0.0
				for _, v := range x {
					top = max(top, math.Abs(float64(v)))
				}
				// The codes span -top … top. The offset and scale of a block are rounded to float16 and, in super-blocks, to
				// multiples, which widens the steps a little. No scale is less than the smallest float16, and IQ4's levels are
				// up to 24 scales apart.
				least := tinyHalf
				if typ == IQ4_NL || typ == IQ4_XS {
					least *= 12
				}
				half := top/stepsAcross[typ]*1.1 + least
				if e := math.Sqrt(squaredError(x, y) / float64(len(x))); e > half {
					t.Fatalf("root mean squared error %.4g of values up to %g; want at most %.4g", e, top, half)
				}
				for i := range y {
					if e := math.Abs(float64(x[i]) - float64(y[i])); e > top+least {
						t.Fatalf("value %d: %g comes back as %g", i, x[i], y[i])
					}
				}
			})
		})
	}
}

// plainError is the squared error of a block under ggml's encoding: the scale that maps the largest value to the
// largest code, rounded to float16 after the codes are chosen.
func plainError(typ Type, x []float32) float64 {
	low, high, top := x[0], x[0], x[0]
	for _, v := range x {
		low, high = min(low, v), max(high, v)
		if math.Abs(float64(v)) > math.Abs(float64(top)) {
			top = v
		}
	}
	var d, m float32
	first, last := float32(0), float32(0)
	switch typ {
	case Q4_0:
		d, first, last = top/-8, -8, 7
	case Q5_0:
		d, first, last = top/-16, -16, 15
	case Q8_0:
		d, first, last = float32(math.Abs(float64(top)))/127, -127, 127
	case Q4_1:
		d, m, last = (high-low)/15, low, 15
	case Q5_1:
		d, m, last = (high-low)/31, low, 31
	}
	y := make([]float32, len(x))
	for i, v := range x {
		var q float32
		if d != 0 {
			q = max(first, min(last, float32(math.Floor(float64((v-m)/d+0.5)))))
		}
		y[i] = F16ToF32(F32ToF16(d))*q + F16ToF32(F32ToF16(m))
	}
	return squaredError(x, y)
}

// TestEncodeNoWorseThanPlain checks block by block what fitScale and steps.fit promise.
func TestEncodeNoWorseThanPlain(t *testing.T) {
	for _, typ := range []Type{Q4_0, Q4_1, Q5_0, Q5_1, Q8_0} {
		t.Run(typ.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				x := values(t, 32)
				ours, plain := squaredError(x, roundTrip(t, typ, x)), plainError(typ, x)
				var power float64
				for _, v := range x {
					power += float64(v) * float64(v)
				}
				// Decoded values are rounded to float32, which the search leaves out of account.
				if ours > plain*(1+1e-6)+power*1e-14 {
					t.Fatalf("squared error %.8g; ggml's is %.8g", ours, plain)
				}
			})
		})
	}
}

// TestEncodeIsIdempotent checks that what was decoded is encoded without further loss, in the formats where a block
// shows its scale: some value takes an extreme code.
func TestEncodeIsIdempotent(t *testing.T) {
	for _, c := range []struct {
		typ   Type
		codes int // offset of the codes in the block
		first byte
	}{
		{Q4_0, 2, 0x80}, {Q5_0, 6, 0x00}, {Q8_0, 2, 0x7f}, {Q4_1, 4, 0xf0}, {Q5_1, 8, 0xf0}, {IQ4_NL, 2, 0x80},
	} {
		t.Run(c.typ.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				data := rapid.SliceOfN(rapid.Byte(), c.typ.BlockBytes(), c.typ.BlockBytes()).Draw(t, "block")
				scale := float32(rapid.IntRange(1024, 2047).Draw(t, "scale")) / (1 << 14)
				putHalf(data, float64(scale)*float64(rapid.SampledFrom([]int{1, -1}).Draw(t, "sign")))
				data[c.codes] = c.first
				switch c.typ {
				case Q4_1, Q5_1:
					putHalf(data, float64(scale))
					putHalf(data[2:], float64(rapid.IntRange(-1024, 1024).Draw(t, "offset"))/1024)
					if c.typ == Q5_1 { // value 0 has code 0, value 16 code 31
						data[4], data[6] = data[4]&^1, data[6]|1
					}
				case Q5_0:
					data[2] &^= 1 // value 0 has code 0
				case Q8_0:
					for j := 2; j < 34; j++ {
						if data[j] == 0x80 {
							data[j] = 0x81
						}
					}
				}
				x := make([]float32, 32)
				if err := Decode(c.typ, x, data); err != nil {
					t.Fatal(err)
				}
				for i, v := range roundTrip(t, c.typ, x) {
					if v != x[i] {
						t.Fatalf("value %d: %g comes back as %g from %x, was %x", i, x[i], v, encoded(t, c.typ, x), data)
					}
				}
			})
		})
	}
}

// TestEncodeNegated checks that a symmetric format serves both signs alike.
func TestEncodeNegated(t *testing.T) {
	for _, typ := range []Type{Q4_0, Q5_0, Q8_0, Q3_K, Q6_K, IQ4_NL, IQ4_XS} {
		x := normal(1024, 5)
		negated := make([]float32, len(x))
		for i, v := range x {
			negated[i] = -v
		}
		a, b := squaredError(x, roundTrip(t, typ, x)), squaredError(negated, roundTrip(t, typ, negated))
		if math.Abs(a-b) > 1e-3*a {
			t.Errorf("%s: squared error %g, of the negated values %g", typ, a, b)
		}
	}
}

// TestEncodePositiveSuperBlocks: where all values are positive the offsets must be too, which takes a negative dmin.
func TestEncodePositiveSuperBlocks(t *testing.T) {
	for _, typ := range []Type{Q2_K, Q4_K, Q5_K} {
		x := normal(1024, 6)
		shifted := make([]float32, len(x))
		for i := range x {
			shifted[i] = x[i] + 0.2
		}
		plain, raised := squaredError(x, roundTrip(t, typ, x)), squaredError(shifted, roundTrip(t, typ, shifted))
		if raised > 1.5*plain {
			t.Errorf("%s: squared error %g, after a shift to positive values %g", typ, plain, raised)
		}
	}
}

// TestEncodeIsReproducible holds the bytes that this package writes for a fixed input. They must be the same on every
// machine; a change to the search changes them, and the table with it.
func TestEncodeIsReproducible(t *testing.T) {
	x := make([]float32, 1<<13)
	state := uint32(1)
	for i := range x {
		total := int32(0)
		for range 4 { // a sum of four uniform numbers is nearly normal
			state = state*1664525 + 1013904223
			total += int32(state>>16) - 1<<15
		}
		x[i] = float32(total) / (1 << 18)
		if i >= 1<<12 {
			x[i] = float32(x[i]*x[i]*x[i]) + 0.001 // not fused
		}
	}
	want := map[Type]uint32{
		F32:    0x48063a22,
		F16:    0xb7bb5ece,
		Q4_0:   0x4758edca,
		Q4_1:   0x8ced083d,
		Q5_0:   0x82836e8e,
		Q5_1:   0x77d84594,
		Q8_0:   0x0ac34381,
		Q2_K:   0x3a4f16d9,
		Q3_K:   0xead74155,
		Q4_K:   0x96c2e051,
		Q5_K:   0x437467b7,
		Q6_K:   0x8dc98df3,
		IQ4_NL: 0xc5afe02f,
		IQ4_XS: 0xf1df02ed,
		BF16:   0xa63c20f5,
	}
	for _, typ := range Types() {
		if got := crc32.ChecksumIEEE(encoded(t, typ, x)); got != want[typ] {
			t.Errorf("%s: checksum %#08x; want %#08x", typ, got, want[typ])
		}
	}
}
