package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// plainXor is the exclusive or of 64-bit words by the definition, byte by byte.
func plainXor(p []byte) uint64 {
	var all [8]byte
	for i, b := range p {
		all[i%8] ^= b
	}
	return binary.LittleEndian.Uint64(all[:])
}

// What a tier can do must be found out with its own instructions.
func TestLimitsAreEachTiersOwn(t *testing.T) {
	seen := map[[2]uintptr]string{}
	for _, impl := range Implementations() {
		l := impl.Limits
		own := [2]uintptr{reflect.ValueOf(l.MulAdd).Pointer(), reflect.ValueOf(l.Dot8).Pointer()}
		if other, ok := seen[own]; ok {
			t.Errorf("%s has the limits of %s", impl.Name, other)
		}
		seen[own] = impl.Name
	}
}

func TestLimitsReadEveryByte(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(9, 1))
		buf := make([]byte, 5000)
		for i := range buf {
			buf[i] = byte(rng.Uint32())
		}
		for _, n := range append([]int{0, 511, 512, 513, 767, 768, 1023, 1024, 1025, 4099}, lengths...) {
			for _, start := range []int{0, 1, 3, 8, 31, 33, 63, 64} {
				p := buf[start : start+n]
				if got, want := impl.Limits.Read(p), plainXor(p); got != want {
					t.Fatalf("%d bytes from %d: %x, want %x", n, start, got, want)
				}
			}
		}
		for i := range 1600 { // each byte counts
			p := append([]byte(nil), buf[:1600]...)
			p[i] ^= 0x80
			if got, want := impl.Limits.Read(p), plainXor(p); got != want {
				t.Fatalf("byte %d: %x, want %x", i, got, want)
			}
		}
	})
}

func TestLimitsCountTheirOperations(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for _, rounds := range []int{-1, 0} {
			ops, sum := impl.Limits.MulAdd(rounds)
			dots, whole := impl.Limits.Dot8(rounds)
			if ops != 0 || sum != 0 || dots != 0 || whole != 0 {
				t.Fatalf("%d rounds: %d operations make %v, %d make %d", rounds, ops, sum, dots, whole)
			}
		}
		one, _ := impl.Limits.MulAdd(1)
		oneDot, _ := impl.Limits.Dot8(1)
		for _, rounds := range []int{1, 2, 3, 17, 1000} {
			ops, sum := impl.Limits.MulAdd(rounds)
			if want := float32(ops) / 2 / 8; ops != rounds*one || ops < 2*rounds || sum != want {
				t.Errorf("%d rounds: %d multiply-adds make %v, want %v", rounds, ops/2, sum, want)
			}
			dots, whole := impl.Limits.Dot8(rounds)
			if want := int32(dots / 2 * 15); dots != rounds*oneDot || dots < 2*rounds || whole != want {
				t.Errorf("%d rounds: %d products make %d, want %d", rounds, dots/2, whole, want)
			}
		}
		ops, sum := impl.Limits.MulAdd(1 << 16)
		if s := float64(sum); math.IsInf(s, 0) || !(s > 0) || s > float64(ops)/16 {
			t.Errorf("many rounds: %d operations make %v", ops, sum)
		}
	})
}

func BenchmarkLimits(b *testing.B) {
	for _, impl := range Implementations() {
		l := impl.Limits
		for _, size := range []int{16 << 10, 64 << 20} {
			p := make([]byte, size)
			for i := range p {
				p[i] = byte(i)
			}
			b.Run(fmt.Sprintf("Read/%dKiB/impl=%s", size>>10, impl.Name), func(b *testing.B) {
				b.SetBytes(int64(size))
				for b.Loop() {
					l.Read(p)
				}
			})
		}
		b.Run("MulAdd/impl="+impl.Name, func(b *testing.B) {
			benchmarkOps(b, func() int { ops, _ := l.MulAdd(1000); return ops })
		})
		b.Run("Dot8/impl="+impl.Name, func(b *testing.B) {
			benchmarkOps(b, func() int { ops, _ := l.Dot8(1000); return ops })
		})
	}
}

func benchmarkOps(b *testing.B, do func() int) {
	ops := 0
	for b.Loop() {
		ops += do()
	}
	b.ReportMetric(float64(ops)/b.Elapsed().Seconds()/1e9, "Gop/s")
}
