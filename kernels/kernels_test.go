package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Every implementation answers the same questions; the reference is held against plain float64 arithmetic.

// lengths lie on both sides of the edges of vectors, unrolled loops and tiles.
var lengths = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000}

func each(t *testing.T, f func(t *testing.T, impl *Implementation)) {
	for _, impl := range Implementations() {
		t.Run(impl.Name, func(t *testing.T) { f(t, impl) })
	}
}

func randoms(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// near fails unless got is within tolerance of want, relative to scale.
func near(t *testing.T, what string, got float32, want, scale, tolerance float64) {
	if !(math.Abs(float64(got)-want) <= tolerance*max(scale, 1e-30)) {
		t.Helper() // which takes longer than the comparison
		t.Fatalf("%s: got %v, want %v within %g of %g", what, got, want, tolerance, scale)
	}
}

const floatTolerance = 2e-6 // of the sum of magnitudes

func TestDot(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(1, 1))
		for _, n := range lengths {
			a, b := randoms(rng, n), randoms(rng, n)
			var want, scale float64
			for i := range a {
				want += float64(a[i]) * float64(b[i])
				scale += math.Abs(float64(a[i]) * float64(b[i]))
			}
			near(t, fmt.Sprint("length ", n), impl.Dot(a, b), want, scale, floatTolerance)
		}
		if got := impl.Dot(nil, nil); got != 0 {
			t.Fatalf("empty product is %v", got)
		}
	})
}

func TestAxpy(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(2, 1))
		for _, n := range lengths {
			x, y := randoms(rng, n), guarded(randoms(rng, n))
			before := append([]float32(nil), y...)
			impl.Axpy(0.75, x, y)
			for i := range x {
				near(t, fmt.Sprint("length ", n), y[i], float64(before[i])+0.75*float64(x[i]), 4, floatTolerance)
			}
			checkGuard(t, y)
		}
	})
}

func TestScale(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(2, 3))
		for _, n := range lengths {
			x, w := randoms(rng, n), randoms(rng, n)
			for _, dst := range [][]float32{guarded(x), guarded(w), guarded(make([]float32, n))} {
				impl.Scale(dst, x, w, 0.7)
				for i, v := range x {
					if want := w[i] * float32(v*0.7); dst[i] != want {
						t.Fatalf("length %d, value %d: %v, want %v", n, i, dst[i], want)
					}
				}
				checkGuard(t, dst)
			}
			in, over := guarded(x), guarded(w)
			impl.Scale(in, in, w, 1)
			impl.Scale(over, x, over, 1)
			for i, v := range x {
				if want := w[i] * v; in[i] != want || over[i] != want {
					t.Fatalf("length %d, value %d in place: %v and %v, want %v", n, i, in[i], over[i], want)
				}
			}
		}
	})
}

const guard = 12345

// guarded returns a copy of x with values behind it that must survive.
func guarded(x []float32) []float32 {
	y := append(append(make([]float32, 0, len(x)+16), x...), make([]float32, 16)...)
	for i := len(x); i < len(y); i++ {
		y[i] = guard
	}
	return y[:len(x)]
}

func checkGuard(t *testing.T, x []float32) {
	t.Helper()
	for i, v := range x[len(x):cap(x)] {
		if v != guard {
			t.Fatalf("value %d behind the end was overwritten with %v", i, v)
		}
	}
}

func TestRMSNorm(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(3, 1))
		for _, n := range lengths {
			x, w, dst := randoms(rng, n), randoms(rng, n), guarded(make([]float32, n))
			impl.RMSNorm(dst, x, w, 1e-5)
			var sum float64
			for _, v := range x {
				sum += float64(v) * float64(v)
			}
			scale := 1 / math.Sqrt(sum/float64(n)+1e-5)
			for i := range x {
				near(t, fmt.Sprint("length ", n), dst[i], float64(w[i])*float64(x[i])*scale, 10, floatTolerance)
			}
			checkGuard(t, dst)
			impl.RMSNorm(x, x, w, 1e-5) // in place
			for i := range x {
				if x[i] != dst[i] {
					t.Fatalf("in place: %v, elsewhere %v", x[i], dst[i])
				}
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(4, 1))
		for _, n := range []int{16, 32, 48, 112, 128} {
			for _, most := range []float32{float32(math.Inf(-1)), -1, 0.5, 9} {
				x := guarded(randoms(rng, n))
				x[n/3], x[n-1] = -2000, float32(math.Inf(-1)) // underflow, and a row that is not seen
				before := append([]float32(nil), x...)
				high, sum := impl.Softmax(x, 0.25, most)
				want := most
				for _, v := range before {
					want = max(want, 0.25*v)
				}
				if high != want {
					t.Fatalf("maximum of %d: %v, want %v", n, high, want)
				}
				var total float64
				for i, v := range before {
					want := math.Exp(float64(0.25*v) - float64(high))
					near(t, "exp", x[i], want, want+1e-30, 2e-6)
					total += want
				}
				near(t, fmt.Sprint("sum of ", n), sum, total, total+1e-30, 1e-5)
				checkGuard(t, x)
			}
		}
		x := make([]float32, 16)
		for i := range x {
			x[i] = float32(math.Inf(-1))
		}
		x[5] = 3.7
		if high, sum := impl.Softmax(x, 1.3, float32(math.Inf(-1))); high != float32(3.7)*1.3 || sum != 1 || x[5] != 1 || x[4] != 0 {
			t.Fatalf("softmax of one score: %v, sum %v, maximum %v", x, sum, high)
		}
	})
}

func TestGatedActivations(t *testing.T) {
	silu := func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	gelu := func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(5, 1))
		for _, n := range lengths {
			gate, up := randoms(rng, n), randoms(rng, n)
			gate[0] = []float32{-100, 100, -20, 20}[n%4]
			for name, f := range map[string]struct {
				got  func(dst, gate, up []float32)
				want func(float64) float64
			}{"SwiGLU": {impl.SwiGLU, silu}, "GeGLU": {impl.GeGLU, gelu}} {
				dst := guarded(make([]float32, n))
				f.got(dst, gate, up)
				for i := range gate {
					want := f.want(float64(gate[i])) * float64(up[i])
					near(t, fmt.Sprint(name, " of ", gate[i]), dst[i], want, math.Abs(want)+1e-3, 1e-5)
				}
				checkGuard(t, dst)
			}
		}
	})
}

func TestSoftcap(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(6, 1))
		for _, n := range lengths {
			x := guarded(randoms(rng, n))
			x[0] = 1e6
			before := append([]float32(nil), x...)
			impl.Softcap(x, 30)
			for i, v := range before {
				near(t, "softcap", x[i], 30*math.Tanh(float64(v)/30), 30, 1e-6)
			}
			checkGuard(t, x)
		}
	})
}

func TestRope(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(7, 1))
		for _, pairs := range []int{1, 2, 3, 4, 7, 8, 16, 31, 32, 33, 64, 128} {
			x := randoms(rng, 2*pairs+3) // the last three are not rotated
			cos, sin := make([]float32, pairs), make([]float32, pairs)
			for i := range cos {
				s, c := math.Sincos(rng.Float64() * 10)
				cos[i], sin[i] = float32(c), float32(s)
			}
			halves, neighbours := append([]float32(nil), x...), append([]float32(nil), x...)
			impl.RopeHalves(halves, cos, sin)
			impl.RopePairs(neighbours, cos, sin)
			check := func(name string, got []float32, i, j, pair int) {
				a, b, c, s := float64(x[i]), float64(x[j]), float64(cos[pair]), float64(sin[pair])
				near(t, name, got[i], a*c-b*s, 4, floatTolerance)
				near(t, name, got[j], a*s+b*c, 4, floatTolerance)
			}
			for i := range pairs {
				check("halves", halves, i, i+pairs, i)
				check("pairs", neighbours, 2*i, 2*i+1, i)
			}
			wantHalves, wantNeighbours := append([]float32(nil), x...), append([]float32(nil), x...)
			generic.RopeHalves(wantHalves, cos, sin)
			generic.RopePairs(wantNeighbours, cos, sin)
			if !slices.Equal(halves, wantHalves) || !slices.Equal(neighbours, wantNeighbours) {
				t.Fatalf("%d pairs are not rotated to the reference's bits", pairs)
			}
			for i := 2 * pairs; i < len(x); i++ {
				if halves[i] != x[i] || neighbours[i] != x[i] {
					t.Fatalf("dimension %d of %d pairs was rotated", i, pairs)
				}
			}
		}
	})
}

// encodedRows makes random rows and returns the values that their stored form has, and that form.
func encodedRows(t *testing.T, rng *rand.Rand, typ quant.Type, n, dim int) (values []float32, stored []byte) {
	t.Helper()
	size, err := typ.RowBytes(dim)
	if err != nil {
		t.Fatal(err)
	}
	stored, values = make([]byte, n*size), make([]float32, n*dim)
	if typ.CanEncode() {
		if err := quant.Encode(typ, stored, randoms(rng, n*dim)); err != nil {
			t.Fatal(err)
		}
	} else {
		randomBlocks(rng, typ, stored)
	}
	if err := quant.Decode(typ, values, stored); err != nil {
		t.Fatal(err)
	}
	return values, stored
}

// randomBlocks fills blocks of a type that cannot be encoded: any bits are codes, but scales must be small numbers.
func randomBlocks(rng *rand.Rand, typ quant.Type, stored []byte) {
	for i := range stored {
		stored[i] = byte(rng.Uint32())
	}
	scalesAt := map[quant.Type][]int{quant.Q2_K: {80, 82}, quant.Q3_K: {108}, quant.IQ4_NL: {0}, quant.IQ4_XS: {0}}[typ]
	for b := 0; b < len(stored); b += typ.BlockBytes() {
		for _, at := range scalesAt {
			h := quant.F32ToF16(float32(rng.NormFloat64() / 100))
			stored[b+at], stored[b+at+1] = byte(h), byte(h>>8)
		}
	}
}
