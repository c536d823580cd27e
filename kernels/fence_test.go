package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/mneme-lm/mneme/weights/quant"
)

// No kernel reads or writes beyond its operands: each lies right beside a page that may not be touched, and a file's
// last tensor may end with the last page that is mapped. The results are those of the same operands elsewhere.

// fenced returns a copy of x beside a fence.
func fenced[T any](f *fences, x []T, start bool) []T {
	if len(x) == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(x[0]))
	b := f.bytes(len(x)*size, start)
	y := unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(x))
	copy(y, x)
	return y
}

// sides calls do with either side of the operands at a fence, and takes their memory back.
func sides(t *testing.T, do func(f *fences, start bool)) {
	f := newFences(t)
	for _, start := range []bool{false, true} {
		do(f, start)
		f.free()
	}
}

// fencedActivations returns a copy of x, every array of it just large enough for its rows and columns.
func fencedActivations(f *fences, x *Activations, start bool) *Activations {
	y := *x
	y.Float = fenced(f, x.Float, start)
	y.Q, y.Scales, y.Sums = fenced(f, x.Q, start), fenced(f, x.Scales, start), fenced(f, x.Sums, start)
	y.BF16 = fenced(f, x.BF16, start)
	y.Starts, y.HalfStarts = fenced(f, x.Starts, start), fenced(f, x.HalfStarts, start)
	y.BlockSums, y.HalfSums = fenced(f, x.BlockSums, start), fenced(f, x.HalfSums, start)
	y.HalfScales = fenced(f, x.HalfScales, start)
	return &y
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d is %v, elsewhere %v", what, i, got[i], want[i])
		}
	}
}

// shapes are numbers of columns with which rows of a type are tried: one block and few, and either side of the pieces in
// which rows are taken.
func shapes(typ quant.Type) []int {
	switch typ.BlockLen() {
	case 1:
		return []int{1, 7, 8, 9, 15, 17, 40, 172, 511, 512, 513, 520, 1027}
	case 32:
		return []int{32, 64, 96, 288, 352, 992, 1024, 1056, 1536}
	}
	return []int{256, 512, 768, 1024, 1280}
}

func TestMulStaysWithinItsOperands(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ, mul := range impl.Mul {
			rng := rand.New(rand.NewPCG(21, uint64(typ)))
			for _, cols := range shapes(typ) {
				if testing.Short() && cols > 600 {
					continue // rows have been taken in pieces of each kind
				}
				for _, rows := range []int{1, 3, 4, 15, 16, 17, 33} {
					n := []int{1, 2, 3, 4, 5, 6, 7, 12}[rng.IntN(8)]
					m, _ := randomMatrix(t, rng, typ, rows, cols)
					x := randomActivations(impl, rng, n, cols, FormOf(typ))
					want := make([]float32, n*rows)
					mul(want, rows, &m, 0, rows, x, nil, new(Scratch))
					sides(t, func(f *fences, start bool) {
						m, dst := m, fenced(f, make([]float32, n*rows), start)
						m.Data = fenced(f, m.Data, start)
						mul(dst, rows, &m, 0, rows, fencedActivations(f, x, start), nil, new(Scratch))
						sameBits(t, fmt.Sprintf("%s, %d×%d by %d", typ, rows, cols, n), dst, want)
					})
				}
			}
		}
	})
}

// TestMulAtAnyAddress: rows of a file lie at any byte, and activations at any float.
func TestMulAtAnyAddress(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ, mul := range impl.Mul {
			rng := rand.New(rand.NewPCG(22, uint64(typ)))
			const rows, cols, n = 17, 1280, 9
			m, _ := randomMatrix(t, rng, typ, rows, cols)
			x := randomActivations(impl, rng, n, cols, FormOf(typ))
			want := make([]float32, n*rows)
			mul(want, rows, &m, 0, rows, x, nil, new(Scratch))
			for _, offset := range []int{1, 2, 3, 7, 13, 31} {
				moved, y := m, *x
				moved.Data = shifted(m.Data, offset)
				y.Float, y.Q, y.Scales, y.Sums = shifted(x.Float, offset), shifted(x.Q, offset), shifted(x.Scales, offset), shifted(x.Sums, offset)
				y.BF16, y.Starts, y.BlockSums = shifted(x.BF16, offset), shifted(x.Starts, offset), shifted(x.BlockSums, offset)
				for _, columns := range []int{1, n} {
					y.Rows = columns
					dst := make([]float32, columns*rows+offset)[offset:]
					mul(dst, rows, &moved, 0, rows, &y, nil, new(Scratch))
					sameBits(t, fmt.Sprintf("%s, moved by %d", typ, offset), dst, want[:columns*rows])
				}
			}
		}
	})
}

// shifted returns a copy of x that begins so many elements into its memory.
func shifted[T any](x []T, by int) []T {
	return append(make([]T, by, by+len(x)), x...)[by:]
}

func TestVectorsStayWithinTheirOperands(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(25, 1))
		for _, n := range lengths {
			x, y, w := randoms(rng, n), randoms(rng, n), randoms(rng, n)
			pairs := randoms(rng, 2*n)
			for name, do := range map[string]func(put func([]float32) []float32) []float32{
				"Dot":  func(put func([]float32) []float32) []float32 { return []float32{impl.Dot(put(x), put(y))} },
				"Axpy": func(put func([]float32) []float32) []float32 { d := put(y); impl.Axpy(0.5, put(x), d); return d },
				"Scale": func(put func([]float32) []float32) []float32 {
					d := put(y)
					impl.Scale(d, put(x), put(w), 0.5)
					return d
				},
				"RMSNorm": func(put func([]float32) []float32) []float32 {
					d := put(y)
					impl.RMSNorm(d, put(x), put(w), 1e-6)
					return d
				},
				"Softmax": func(put func([]float32) []float32) []float32 {
					d := put(x[:n/KeyGroup*KeyGroup])
					high, sum := impl.Softmax(d, 0.5, 0)
					return append(d, high, sum)
				},
				"Softcap": func(put func([]float32) []float32) []float32 { d := put(x); impl.Softcap(d, 2); return d },
				"SwiGLU":  func(put func([]float32) []float32) []float32 { d := put(w); impl.SwiGLU(d, put(x), put(y)); return d },
				"GeGLU":   func(put func([]float32) []float32) []float32 { d := put(w); impl.GeGLU(d, put(x), put(y)); return d },
				"RopeHalves": func(put func([]float32) []float32) []float32 {
					d := put(pairs)
					impl.RopeHalves(d, put(x), put(y))
					return d
				},
				"RopePairs": func(put func([]float32) []float32) []float32 {
					d := put(pairs)
					impl.RopePairs(d, put(x), put(y))
					return d
				},
			} {
				want := do(func(x []float32) []float32 { return append([]float32(nil), x...) })
				sides(t, func(f *fences, start bool) {
					got := do(func(x []float32) []float32 { return fenced(f, x, start) })
					sameBits(t, fmt.Sprint(name, " of ", n), got, want)
				})
			}
		}
	})
}

func TestConvertStaysWithinItsOperands(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(26, 1))
		for _, cols := range []int{32, 64, 96, 160} {
			x := randomActivations(impl, rng, 3, cols, FormQ8|FormBF16)
			sides(t, func(f *fences, start bool) {
				y := fencedActivations(f, x, start)
				clear(y.Q)
				clear(y.BF16)
				for r := range y.Rows {
					impl.Convert(y, r, 0, cols)
				}
				for i := range x.Q {
					if y.Q[i] != x.Q[i] || y.BF16[i] != x.BF16[i] {
						t.Fatalf("value %d of rows of %d became %d and %#x, elsewhere %d and %#x", i, cols, y.Q[i], y.BF16[i], x.Q[i], x.BF16[i])
					}
				}
			})
		}
	})
}
