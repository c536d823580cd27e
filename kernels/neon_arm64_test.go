//go:build !purego

package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// TestTiers: every processor has NEON, and what is beyond it builds upon what comes before.
func TestTiers(t *testing.T) {
	var names []string
	for _, impl := range Implementations() {
		names = append(names, impl.Name)
	}
	want := []string{"generic", "neon", "dotprod", "i8mm"}
	if len(names) < 2 || !slices.Equal(names, want[:len(names)]) {
		t.Fatalf("there are %v, of %v", names, want)
	}
	if hasDotProd() != slices.Contains(names, "dotprod") || hasI8MM() != slices.Contains(names, "i8mm") {
		t.Fatalf("dot products: %v, matrix products: %v, but there are %v", hasDotProd(), hasI8MM(), names)
	}
}

// TestUnpackNEONIsUnpack: the same weights, though some formats scale codes and scales by powers of two.
func TestUnpackNEONIsUnpack(t *testing.T) {
	for typ, unpack := range stripUnpackers {
		rng := rand.New(rand.NewPCG(41, uint64(typ)))
		const n = 5 * 256
		_, stored := encodedRows(t, rng, typ, 1, n)
		for i := range stored { // any bits are codes
			if rng.IntN(3) == 0 {
				stored[i] = byte(rng.Uint32())
			}
		}
		setScales(typ, stored, func() float32 { return float32(rng.NormFloat64()) / 8 })
		want := make([]float32, n)
		if err := quant.Decode(typ, want, stored); err != nil {
			t.Fatal(err)
		}
		group := Q8Block
		if inHalves(typ) {
			group = groupLen
		}
		q, scales, mins := make([]int8, n), make([]float32, n/group), make([]float32, n/group)
		unpack(&asm.Unpacked{Row: &stored[0], Blocks: n / typ.BlockLen(), Q: &q[0], Scales: &scales[0], Mins: &mins[0]})
		for i, v := range want {
			if got := float32(scales[i/group]*float32(q[i])) - mins[i/group]; got != v {
				t.Fatalf("%s: weight %d is %v·%d − %v = %v, want %v", typ, i, scales[i/group], q[i], mins[i/group], got, v)
			}
			if !hasMins(typ) && mins[i/group] != 0 {
				t.Fatalf("%s: the minimum of group %d was written", typ, i/group)
			}
		}
	}
}

// TestTiersAgree: products are the same bits in all of them, for any number of columns.
func TestTiersAgree(t *testing.T) {
	tiers := Implementations()[1:]
	for typ := range generic.Mul {
		rng := rand.New(rand.NewPCG(42, uint64(typ)))
		const rows, most = 21, 11
		for _, cols := range []int{typ.BlockLen(), 1280} {
			m, _ := randomMatrix(t, rng, typ, rows, cols)
			x := randomActivations(tiers[0], rng, most, cols, FormOf(typ))
			var want []float32
			for _, impl := range tiers {
				for _, n := range []int{1, 2, 3, 5, most} {
					x.Rows = n
					got := make([]float32, n*rows)
					impl.Mul[typ](got, rows, &m, 0, rows, x, nil, new(Scratch))
					if n == 1 && want == nil {
						want = append(want, got...)
					}
					sameBits(t, fmt.Sprintf("%s: %s of %d columns, %d long", impl.Name, typ, n, cols), got[:rows], want)
				}
			}
		}
	}
}

// TestWidenQ8_0 holds cached rows and keys against the decoder, to the bit.
func TestWidenQ8_0(t *testing.T) {
	stored := make([]byte, 3*34)
	for i := range stored {
		stored[i] = byte(37 * i)
	}
	setScales(quant.Q8_0, stored, func() float32 { return 0.1 })
	got, want := make([]float32, 96), make([]float32, 96)
	if err := quant.Decode(quant.Q8_0, want, stored); err != nil {
		t.Fatal(err)
	}
	asm.WidenQ8_0NEON(&got[0], &stored[0], 3)
	sameBits(t, "decoded rows", got, want)

	const dim = 96
	stored = make([]byte, KeyGroup*dim/32*34)
	for i := range stored {
		stored[i] = byte(i * (i + 3) / 2)
	}
	for b := 0; b < len(stored); b += KeyGroup * 34 {
		for lane := range KeyGroup {
			h := quant.F32ToF16(float32(lane+b)*0.013 - 0.1)
			stored[b+2*lane], stored[b+2*lane+1] = byte(h), byte(h>>8)
		}
	}
	got, want = make([]float32, KeyGroup*dim), make([]float32, KeyGroup*dim)
	widenKeys(want, stored, quant.Q8_0)
	widenKeysNEON(got, stored)
	sameBits(t, "decoded keys", got, want)
}

// TestWidenHalves: every float16 and bfloat16 number becomes the float32 that the decoder makes of it. A signalling NaN
// may become a quiet one.
func TestWidenHalves(t *testing.T) {
	const n = 1 << 16
	stored := make([]byte, 2*n)
	for i := range n {
		stored[2*i], stored[2*i+1] = byte(i), byte(i>>8)
	}
	got, want := make([]float32, n), make([]float32, n)
	if err := quant.Decode(quant.F16, want, stored); err != nil {
		t.Fatal(err)
	}
	asm.WidenF16NEON(&got[0], &stored[0], n)
	for i, v := range want {
		if math.Float32bits(got[i]) != math.Float32bits(v) && !(v != v && got[i] != got[i]) {
			t.Fatalf("%#04x is %v, want %v", i, got[i], v)
		}
	}
}

// TestNoAllocations: operations take the memory that they need from Scratch, once.
func TestNoAllocations(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		if impl.Name == "generic" {
			return
		}
		rng := rand.New(rand.NewPCG(43, 1))
		var s Scratch
		for typ, mul := range impl.Mul {
			m, _ := randomMatrix(t, rng, typ, 9, 512)
			x := randomActivations(impl, rng, 9, 512, FormOf(typ))
			dst := make([]float32, 9*9)
			for _, n := range []int{1, 3, 9} {
				x.Rows = n
				if got := testing.AllocsPerRun(2, func() { mul(dst, 9, &m, 0, 9, x, nil, &s) }); got != 0 {
					t.Errorf("%s, %d columns: %v allocations", typ, n, got)
				}
			}
		}
		x := NewActivations(1, 64, FormQ8|FormBF16)
		a, b := randoms(rng, 67), randoms(rng, 67)
		if got := testing.AllocsPerRun(2, func() {
			impl.Convert(x, 0, 0, 64)
			impl.SwiGLU(a, a, b)
			impl.GeGLU(a, a, b)
			impl.Softcap(a, 30)
			impl.RMSNorm(a, a, b, 1e-5)
			impl.Softmax(a[:64], 3, 0)
		}); got != 0 {
			t.Errorf("vectors: %v allocations", got)
		}
	})
}
