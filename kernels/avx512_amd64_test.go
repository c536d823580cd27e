//go:build !purego

package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// TestAVX512IsThere: a machine that has the instructions has the implementation, with products for all block types.
func TestAVX512IsThere(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL, cpuid.AVX512VNNI, cpuid.AVX512VBMI) {
		t.Skip("this machine has no AVX-512 F, BW, DQ, VL, VNNI or VBMI")
	}
	if _, err := Choose("avx512"); err != nil {
		t.Fatal(err)
	}
	for typ := range unpackers {
		k := tileKernels[typ]
		if k == nil {
			t.Errorf("no kernels for %s", typ)
		} else if k.step%typ.BlockLen() != 0 || tileCols%k.step != 0 {
			t.Errorf("%s is multiplied %d weights at a time", typ, k.step)
		}
	}
}

// TestTileScalesAVX512 holds the scales and minimums of tiles against those of unpacked rows, with any bits in the blocks,
// right up to a fence.
func TestTileScalesAVX512(t *testing.T) {
	if _, err := Choose("avx512"); err != nil {
		t.Skip(err)
	}
	rng := rand.New(rand.NewPCG(44, 1))
	for typ, k := range tileKernels {
		for _, blocks := range []int{1, 2, 3, 4} {
			cols := blocks * typ.BlockLen()
			size, err := typ.RowBytes(cols)
			if err != nil {
				t.Fatal(err)
			}
			stored := make([]byte, size)
			for i := range stored {
				stored[i] = byte(rng.Uint32())
			}
			setScales(typ, stored, func() float32 { return float32(rng.NormFloat64()) })
			var s Scratch
			q, scales, mins := s.unpacked(cols)
			unpackers[typ](q, scales, mins, stored)
			groups := cols / k.group
			sides(t, func(f *fences, start bool) {
				gotScales, gotMins := fenced(f, make([]float32, groups), start), fenced(f, make([]float32, groups), start)
				k.scales(gotScales, gotMins, fenced(f, stored, start))
				for g := range groups {
					at := g * k.group / groupLen
					if gotScales[g] != scales[at] {
						t.Fatalf("%s: the scale of group %d of %d blocks is %v, want %v", typ, g, blocks, gotScales[g], scales[at])
					}
					if k.mins && gotMins[g] != mins[at] {
						t.Fatalf("%s: the minimum of group %d of %d blocks is %v, want %v", typ, g, blocks, gotMins[g], mins[at])
					}
					if !k.mins && mins[at] != 0 {
						t.Fatalf("%s: group %d has the minimum %v, which the kernel knows nothing of", typ, g, mins[at])
					}
				}
			})
		}
	}
}

// TestHalvesAVX512 holds what goes with halves of blocks of activations against its definition, when a row is converted
// in parts.
func TestHalvesAVX512(t *testing.T) {
	impl, err := Choose("avx512")
	if err != nil {
		t.Skip(err)
	}
	rng := rand.New(rand.NewPCG(45, 1))
	for _, blocks := range []int{1, 2, 7, 8, 9, 16, 23} {
		const rows = 2
		cols := blocks * Q8Block
		x := NewActivations(rows, cols, FormQ8|FormQ8Halves)
		copy(x.Float, randoms(rng, rows*cols))
		for r := range rows {
			cut := rng.IntN(blocks+1) * Q8Block
			impl.Convert(x, r, 0, cut)
			impl.Convert(x, r, cut, cols)
		}
		for h := range rows * cols / groupLen {
			scale, sum := x.Scales[h/2], float32(x.Sums[h])
			if x.HalfStarts[h] != -128*int32(x.Sums[h]) || x.HalfScales[h] != scale ||
				math.Float32bits(x.HalfSums[h]) != math.Float32bits(scale*sum) {
				t.Fatalf("half %d of %d blocks: starts at %d, scale %v, sum %v; the block's scale is %v, the sum %v",
					h, blocks, x.HalfStarts[h], x.HalfScales[h], x.HalfSums[h], scale, sum)
			}
		}
	}
}
