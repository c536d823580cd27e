//go:build !purego

package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/cpuid/v2"

	"github.com/mneme-lm/mneme/weights/quant"
)

// TestAVX2IsThere: a machine that has the instructions has the implementation.
func TestAVX2IsThere(t *testing.T) {
	if !cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		t.Skip("this machine has no AVX2, FMA or F16C")
	}
	impl, err := Choose("avx2")
	if err != nil {
		t.Fatal(err)
	}
	for typ := range generic.Mul {
		if impl.Mul[typ] == nil {
			t.Errorf("no product for %s", typ)
		}
	}
	for typ := range unpackers {
		if blockKernels[typ] == nil {
			t.Errorf("no kernels for %s", typ)
		}
	}
}

// TestUnpackAVX2 holds the unpackers against those of the reference, with any codes, right up to a fence.
func TestUnpackAVX2(t *testing.T) {
	if _, err := Choose("avx2"); err != nil {
		t.Skip(err)
	}
	rng := rand.New(rand.NewPCG(41, 1))
	for typ, unpack := range unpackers {
		for _, blocks := range []int{1, 2, 3, 9} {
			n := blocks * typ.BlockLen()
			stored := make([]byte, blocks*typ.BlockBytes())
			for i := range stored {
				stored[i] = byte(rng.Uint32())
			}
			var s Scratch
			want, scales, mins := s.unpacked(n)
			unpack(want, scales, mins, stored)
			sides(t, func(f *fences, start bool) {
				got := fenced(f, make([]int8, n), start)
				blockKernels[typ].unpack(&got[0], &fenced(f, stored, start)[0], blocks)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%s: code %d of %d blocks is %d, want %d", typ, i, blocks, got[i], want[i])
					}
				}
			})
			blockKernels[typ].unpack(&want[0], &stored[0], 0) // no blocks: nothing happens
		}
	}
}

// TestTileScalesAVX2 holds the scales and minimums of tiles against those of unpacked rows.
func TestTileScalesAVX2(t *testing.T) {
	if _, err := Choose("avx2"); err != nil {
		t.Skip(err)
	}
	rng := rand.New(rand.NewPCG(42, 1))
	tile := new(blockTile)
	for typ, k := range blockKernels {
		for _, n := range []int{1, 3, 4} {
			cols := n * max(typ.BlockLen(), 64)
			_, stored := encodedRows(t, rng, typ, 1, cols)
			stored = append([]byte(nil), stored...)
			for i := range stored {
				stored[i] ^= byte(rng.Uint32())
			}
			setScales(typ, stored, func() float32 { return float32(rng.NormFloat64()) })
			var s Scratch
			q, scales, mins := s.unpacked(cols)
			unpackers[typ](q, scales, mins, stored)
			f := newFences(t)
			k.scales(tile, 3, fenced(f, stored, false))
			for g := range cols / groupLen {
				factor, minFactor := 1, 1
				if k.perRow {
					factor = int(int16(tile.rowFactors[3][g]))
					if tile.rowFactors[3][g]>>16 != tile.rowFactors[3][g]&0xffff {
						t.Fatalf("%s: the two factors of half %d are %#x", typ, g, tile.rowFactors[3][g])
					}
					zero := int(int8(k.add))
					if got := int(int16(tile.rowZeros[3][g/2] >> (g % 2 * 16))); zero != 0 && got != -zero*factor {
						t.Fatalf("%s: the zero of half %d is %d, want %d", typ, g, got, -zero*factor)
					}
				}
				if k.minFactors {
					minFactor = int(int16(tile.rowMinFactors[3][g/2] >> (g % 2 * 16)))
				}
				if got := tile.rowScales[3][g/2] * float32(factor); got != scales[g] {
					t.Fatalf("%s: the scale of half %d is %v, want %v", typ, g, got, scales[g])
				}
				if got := tile.rowMins[3][g/2] * float32(minFactor); k.mins && got != mins[g] {
					t.Fatalf("%s: the minimum of half %d is %v, want %v", typ, g, got, mins[g])
				}
			}
			f.free()
		}
	}
}

// TestNoAllocation: after the first call, a thread's memory is there.
func TestNoAllocation(t *testing.T) {
	for _, impl := range Implementations()[1:] {
		t.Run(impl.Name, func(t *testing.T) { noAllocation(t, impl) })
	}
}

func noAllocation(t *testing.T, impl *Implementation) {
	rng := rand.New(rand.NewPCG(43, 1))
	var s Scratch
	for typ, mul := range impl.Mul {
		for _, n := range []int{1, 3, 20} {
			const rows, cols = 37, 1280
			m, _ := randomMatrix(t, rng, typ, rows, cols)
			x := randomActivations(impl, rng, n, cols, FormOf(typ))
			dst, pick := make([]float32, n*rows), make([]int32, n)
			for name, pick := range map[string][]int32{"all": nil, "picked": pick} {
				if got := testing.AllocsPerRun(3, func() { mul(dst, rows, &m, 0, rows, x, pick, &s) }); got != 0 {
					t.Errorf("%s by %d columns, %s: %v allocations", typ, n, name, got)
				}
			}
		}
	}
}

func BenchmarkUnpackAVX2(b *testing.B) {
	const n = 4096
	for _, typ := range quant.Types() {
		k := blockKernels[typ]
		if k == nil {
			continue
		}
		b.Run(fmt.Sprint(typ), func(b *testing.B) {
			size, _ := typ.RowBytes(n)
			row, q := make([]byte, size), make([]int8, n)
			b.SetBytes(n)
			for b.Loop() {
				k.unpack(&q[0], &row[0], n/typ.BlockLen())
			}
		})
	}
}
