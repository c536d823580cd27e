package quant

import (
	"encoding/binary"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// valueOf16 is the meaning of a float16 with sign, exponent and fraction fields, by the definition of IEEE 754.
func valueOf16(h uint16) float64 {
	sign, exponent, fraction := 1.0, int(h>>10&31), float64(h&0x3ff)
	if h>>15 != 0 {
		sign = -1
	}
	switch {
	case exponent == 31 && fraction != 0:
		return math.NaN()
	case exponent == 31:
		return sign * math.Inf(1)
	case exponent == 0:
		return sign * math.Ldexp(fraction, -24)
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

func TestF16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f, want := F16ToF32(h), valueOf16(h)
		if math.IsNaN(want) != math.IsNaN(float64(f)) || !math.IsNaN(want) && float64(f) != want {
			t.Fatalf("F16ToF32(%#04x) = %g; want %g", h, f, want)
		}
		if math.Signbit(float64(f)) != (h>>15 != 0) {
			t.Fatalf("F16ToF32(%#04x) = %g has the wrong sign", h, f)
		}
		if back := F32ToF16(f); back != h {
			t.Fatalf("F32ToF16(F16ToF32(%#04x)) = %#04x", h, back)
		}
	}
}

// TestF16Rounding visits every boundary between neighbours: the midpoint, which is a float32, and the float32 numbers
// next to it.
func TestF16Rounding(t *testing.T) {
	check := func(f float32, want uint16) {
		t.Helper()
		if got := F32ToF16(f); got != want {
			t.Fatalf("F32ToF16(%g) = %#04x; want %#04x", f, got, want)
		}
		if got := F32ToF16(-f); got != want|0x8000 {
			t.Fatalf("F32ToF16(%g) = %#04x; want %#04x", -f, got, want|0x8000)
		}
	}
	for h := uint16(0); h < 0x7c00; h++ {
		low, high := valueOf16(h), valueOf16(h+1)
		if h+1 == 0x7c00 {
			high = 65536 // where infinity lies for rounding
		}
		middle := float32((low + high) / 2)
		if float64(middle) != (low+high)/2 {
			t.Fatalf("the midpoint above %#04x is not a float32", h)
		}
		even := h + h&1
		check(float32(low), h)
		check(math.Nextafter32(middle, 0), h)
		check(middle, even)
		check(math.Nextafter32(middle, math.MaxFloat32), h+1)
	}
	check(math.SmallestNonzeroFloat32, 0)
	check(math.MaxFloat32, 0x7c00)
	check(float32(math.Inf(1)), 0x7c00)
	// A NaN whose payload does not fit must not become an infinity.
	if h := F32ToF16(math.Float32frombits(0xff800001)); h != 0xfe00 {
		t.Errorf("F32ToF16 of a NaN = %#04x; want 0xfe00", h)
	}
}

// nearestBig rounds a finite f to the given number of significant bits, or to a multiple of 2^lowest if that is
// coarser, ties to even, with arbitrary precision.
func nearestBig(f float32, bits uint, lowest int) float64 {
	x := new(big.Float).SetFloat64(float64(f))
	if f == 0 {
		return float64(f)
	}
	if exponent := x.MantExp(nil); exponent-int(bits) < lowest {
		keep := exponent - lowest
		if keep < 1 { // f is at most 2^lowest: 0, 1 or the tie between them
			limit := math.Ldexp(1, lowest-1)
			if math.Abs(float64(f)) > limit {
				return math.Copysign(2*limit, float64(f))
			}
			return math.Copysign(0, float64(f))
		}
		bits = uint(keep)
	}
	v, _ := new(big.Float).SetMode(big.ToNearestEven).SetPrec(bits).Set(x).Float64()
	return v
}

func TestRoundingAgainstBigFloat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := math.Float32frombits(rapid.Uint32().Draw(t, "bits"))
		if f != f {
			if h := F32ToF16(f); h&0x7c00 != 0x7c00 || h&0x3ff == 0 {
				t.Fatalf("F32ToF16(NaN %#08x) = %#04x", math.Float32bits(f), h)
			}
			if h := F32ToBF16(f); h&0x7f80 != 0x7f80 || h&0x7f == 0 {
				t.Fatalf("F32ToBF16(NaN %#08x) = %#04x", math.Float32bits(f), h)
			}
			return
		}
		if math.IsInf(float64(f), 0) {
			return
		}
		want := nearestBig(f, 11, -24)
		if math.Abs(want) > 65504 {
			want = math.Copysign(math.Inf(1), want)
		}
		if got := float64(F16ToF32(F32ToF16(f))); got != want {
			t.Fatalf("float16 of %g is %g; want %g", f, got, want)
		}
		want = nearestBig(f, 8, -133)
		if math.Abs(want) > math.MaxFloat32 {
			want = math.Copysign(math.Inf(1), want)
		}
		if got := float64(BF16ToF32(F32ToBF16(f))); got != want {
			t.Fatalf("bfloat16 of %g is %g; want %g", f, got, want)
		}
	})
}

func TestBF16Exhaustive(t *testing.T) {
	for i := range 1 << 16 {
		h := uint16(i)
		f := BF16ToF32(h)
		if math.Float32bits(f) != uint32(h)<<16 {
			t.Fatalf("BF16ToF32(%#04x) = %#08x", h, math.Float32bits(f))
		}
		if back := F32ToBF16(f); back != h {
			t.Fatalf("F32ToBF16(BF16ToF32(%#04x)) = %#04x", h, back)
		}
		if f != f || h&0x7fff == 0x7f80 {
			continue
		}
		for low, want := range map[uint32]uint16{1: h, 0x7fff: h, 0x8000: h + h&1, 0x8001: h + 1, 0xffff: h + 1} {
			if got := F32ToBF16(math.Float32frombits(uint32(h)<<16 | low)); got != want {
				t.Fatalf("F32ToBF16(%#04x%04x) = %#04x; want %#04x", h, low, got, want)
			}
		}
	}
	// A NaN whose payload lies in the lower half must not become an infinity.
	if h := F32ToBF16(math.Float32frombits(0xff800001)); h != 0xffc0 {
		t.Errorf("F32ToBF16 of a NaN = %#04x; want 0xffc0", h)
	}
}

func TestPlainFloats(t *testing.T) {
	x := []float32{0, float32(math.Copysign(0, -1)), 1, -2.5, 65504, 1e-7, float32(math.Inf(1)), float32(math.Inf(-1))}
	for _, c := range []struct {
		typ  Type
		want []uint32
	}{
		{F32, []uint32{0, 0x80000000, 0x3f800000, 0xc0200000, 0x477fe000, 0x33d6bf95, 0x7f800000, 0xff800000}},
		{F16, []uint32{0, 0x8000, 0x3c00, 0xc100, 0x7bff, 0x0002, 0x7c00, 0xfc00}},
		{BF16, []uint32{0, 0x8000, 0x3f80, 0xc020, 0x4780, 0x33d7, 0x7f80, 0xff80}},
	} {
		data := make([]byte, len(x)*c.typ.BlockBytes())
		if err := Encode(c.typ, data, x); err != nil {
			t.Fatal(err)
		}
		y := make([]float32, len(x))
		if err := Decode(c.typ, y, data); err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			got := uint32(binary.LittleEndian.Uint16(data[i*c.typ.BlockBytes():]))
			bits := want << 16
			switch c.typ {
			case F32:
				got = binary.LittleEndian.Uint32(data[4*i:])
				bits = want
			case F16:
				bits = math.Float32bits(float32(valueOf16(uint16(want))))
			}
			if got != want {
				t.Errorf("%s of %g: %#x; want %#x", c.typ, x[i], got, want)
			}
			if math.Float32bits(y[i]) != bits {
				t.Errorf("%s %#x decodes to %g (%#08x); want %#08x", c.typ, want, y[i], math.Float32bits(y[i]), bits)
			}
		}
	}
}

func TestPlainFloatsTooLarge(t *testing.T) {
	for _, c := range []struct {
		typ      Type
		fits     float32
		tooLarge float32
	}{
		{F16, 65519.996, 65520},
		{BF16, math.Float32frombits(0x7f7f7fff), math.Float32frombits(0x7f7f8000)},
	} {
		data := make([]byte, 4)
		for _, sign := range []float32{1, -1} {
			if err := Encode(c.typ, data, []float32{0, sign * c.fits}); err != nil {
				t.Error(err)
			}
			wantError(t, "at index 1", func() error { return Encode(c.typ, data, []float32{0, sign * c.tooLarge}) })
		}
	}
}
