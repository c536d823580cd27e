package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mneme-lm/mneme/weights/quant"
)

// Packed matrices are held against the same matrices as they are stored, bit for bit.

// eachPacking calls f for every packing of every implementation.
func eachPacking(t *testing.T, f func(t *testing.T, impl *Implementation, typ quant.Type)) {
	each(t, func(t *testing.T, impl *Implementation) {
		for typ := range impl.Packings {
			t.Run(typ.String(), func(t *testing.T) { f(t, impl, typ) })
		}
	})
}

// packed returns the packed form of a matrix.
func packed(t testing.TB, impl *Implementation, m *Matrix) Matrix {
	t.Helper()
	n, ok := impl.PackedBytes(m)
	if !ok {
		t.Fatalf("%s: no packing for %d×%d of %s", impl.Name, m.Rows, m.Cols, m.Type)
	}
	p := impl.Packed(m, make([]byte, n))
	for g := range p.Groups() {
		p.Pack(m, g, g+1)
	}
	return p
}

func TestPackedMulIsMul(t *testing.T) {
	eachPacking(t, func(t *testing.T, impl *Implementation, typ quant.Type) {
		rng := rand.New(rand.NewPCG(61, uint64(typ)))
		step := impl.Packings[typ].Step
		for _, cols := range []int{step, 3 * step, 1024, 1024 + step, 2048, 2304} {
			for _, rows := range []int{1, 2, 15, 16, 17, 31, 32, 33, 49} {
				const most = 40
				m, _ := randomMatrix(t, rng, typ, rows, cols)
				p := packed(t, impl, &m)
				x := randomActivations(impl, rng, most, cols, FormQ8)
				want := make([]float32, most*rows)
				impl.Mul[typ](want, rows, &m, 0, rows, x, nil, new(Scratch))
				for _, n := range []int{1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, most} {
					what := fmt.Sprintf("%d×%d by %d", rows, cols, n)
					x.Rows = n
					got := guarded(make([]float32, n*rows))
					impl.Product(&p)(got, rows, &p, 0, rows, x, nil, new(Scratch))
					sameBits(t, what, got, want[:n*rows])
					checkGuard(t, got)

					// The rows may be shared out in any way.
					part, s := guarded(make([]float32, n*rows)), new(Scratch)
					for from := 0; from < rows; {
						to := min(rows, from+1+rng.IntN(40))
						impl.Product(&p)(part, rows, &p, from, to, x, nil, s)
						from = to
					}
					sameBits(t, what+" in parts", part, want[:n*rows])
					checkGuard(t, part)

					pick := make([]int32, n)
					picked, chosen := guarded(make([]float32, n*rows)), make([]float32, n*rows)
					for c := range pick {
						pick[c] = int32(rng.IntN(most))
						copy(chosen[c*rows:(c+1)*rows], want[int(pick[c])*rows:])
					}
					x.Rows = most
					impl.Product(&p)(picked, rows, &p, 0, rows, x, pick, s)
					sameBits(t, what+", picked", picked, chosen)
					checkGuard(t, picked)
				}
			}
		}
	})
}

// TestPackedMulOfNothing: matrices without columns, and products without rows or activations.
func TestPackedMulOfNothing(t *testing.T) {
	eachPacking(t, func(t *testing.T, impl *Implementation, typ quant.Type) {
		m, err := NewMatrix(typ, 5, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		p := packed(t, impl, &m)
		dst := []float32{1, 2, 3, 4, 5}
		p.Packing.Mul(dst, 5, &p, 1, 3, NewActivations(1, 0, FormQ8), nil, new(Scratch))
		sameBits(t, "no columns", dst, []float32{1, 0, 0, 4, 5})
		p.Packing.Mul(dst, 5, &p, 0, 5, NewActivations(0, 0, FormQ8), nil, new(Scratch))
		p.Packing.Mul(dst, 5, &p, 3, 3, NewActivations(1, 0, FormQ8), nil, new(Scratch))
		sameBits(t, "nothing", dst, []float32{1, 0, 0, 4, 5})
	})
}

func TestPackedMulStaysWithinItsOperands(t *testing.T) {
	eachPacking(t, func(t *testing.T, impl *Implementation, typ quant.Type) {
		rng := rand.New(rand.NewPCG(62, uint64(typ)))
		step := impl.Packings[typ].Step
		for _, cols := range []int{step, 1024, 1024 + step} {
			for _, rows := range []int{1, 16, 17, 33} {
				for _, n := range []int{1, 5, 9, 34} {
					m, _ := randomMatrix(t, rng, typ, rows, cols)
					x := randomActivations(impl, rng, n, cols, FormQ8)
					want := make([]float32, n*rows)
					impl.Mul[typ](want, rows, &m, 0, rows, x, nil, new(Scratch))
					sides(t, func(f *fences, start bool) {
						m, dst := m, fenced(f, make([]float32, n*rows), start)
						m.Data = fenced(f, m.Data, start)
						size, _ := impl.PackedBytes(&m)
						p := impl.Packed(&m, fenced(f, make([]byte, size), start))
						p.Pack(&m, 0, p.Groups())
						p.Packing.Mul(dst, rows, &p, 0, rows, fencedActivations(f, x, start), nil, new(Scratch))
						sameBits(t, fmt.Sprintf("%d×%d by %d", rows, cols, n), dst, want)
					})
				}
			}
		}
	})
}

// TestPackedMulAtAnyAddress: a matrix need not begin with a cache line.
func TestPackedMulAtAnyAddress(t *testing.T) {
	eachPacking(t, func(t *testing.T, impl *Implementation, typ quant.Type) {
		rng := rand.New(rand.NewPCG(63, uint64(typ)))
		const rows, cols, n = 17, 1280, 34
		m, _ := randomMatrix(t, rng, typ, rows, cols)
		x := randomActivations(impl, rng, n, cols, FormQ8)
		p := packed(t, impl, &m)
		want := make([]float32, n*rows)
		impl.Mul[typ](want, rows, &m, 0, rows, x, nil, new(Scratch))
		for _, offset := range []int{1, 2, 3, 7, 13, 31} {
			moved, y := p, *x
			moved.Data = shifted(p.Data, offset)
			y.Q, y.Scales, y.Starts, y.BlockSums = shifted(x.Q, offset), shifted(x.Scales, offset), shifted(x.Starts, offset), shifted(x.BlockSums, offset)
			y.HalfScales, y.HalfStarts = shifted(x.HalfScales, offset), shifted(x.HalfStarts, offset)
			for _, columns := range []int{1, n} {
				y.Rows = columns
				dst := make([]float32, columns*rows+offset)[offset:]
				p.Packing.Mul(dst, rows, &moved, 0, rows, &y, nil, new(Scratch))
				sameBits(t, fmt.Sprintf("moved by %d", offset), dst, want[:columns*rows])
			}
		}
	})
}

// TestPackedMulOfExtremes multiplies the largest codes by the largest activations.
func TestPackedMulOfExtremes(t *testing.T) {
	eachPacking(t, func(t *testing.T, impl *Implementation, typ quant.Type) {
		const rows, cols, most = 18, 1280, 34
		size, _ := typ.RowBytes(cols)
		for _, pattern := range []byte{0, 0xff, 0x80, 0x7f, 0x0f, 0xf0, 0x55, 0xaa} {
			for _, scale := range []float32{1.0 / 64, -1, 65504, 0x1p-24} {
				stored := make([]byte, rows*size)
				for i := range stored {
					stored[i] = pattern
				}
				setScales(typ, stored, func() float32 { return scale })
				m, err := NewMatrix(typ, rows, cols, stored)
				if err != nil {
					t.Fatal(err)
				}
				p := packed(t, impl, &m)
				for i, sign := range []func(r, i int) bool{
					func(r, i int) bool { return false },
					func(r, i int) bool { return true },
					func(r, i int) bool { return i&1 == 1 },
					func(r, i int) bool { return i%(r+2) == 0 },
				} {
					for _, n := range []int{1, most} {
						x := fullScale(impl, n, cols, sign)
						got, want := make([]float32, n*rows), make([]float32, n*rows)
						p.Packing.Mul(got, rows, &p, 0, rows, x, nil, new(Scratch))
						impl.Mul[typ](want, rows, &m, 0, rows, x, nil, new(Scratch))
						sameBits(t, fmt.Sprintf("codes %#x times %v, signs %d, %d columns", pattern, scale, i, n), got, want)
					}
				}
			}
		}
	})
}

// FuzzPackedMul packs rows of any codes in any shape.
func FuzzPackedMul(f *testing.F) {
	for i := range quant.Types() {
		f.Add(uint8(i), uint8(17), uint8(5), uint8(1), uint8(0), []byte{0xff, 0x80, 0x7f, 0, 1})
		f.Add(uint8(i), uint8(5), uint8(34), uint8(7), uint8(3), []byte("any codes"))
	}
	f.Fuzz(func(t *testing.T, which, rowCount, length, columnCount, from uint8, data []byte) {
		typ := quant.Types()[int(which)%len(quant.Types())]
		for _, impl := range Implementations() {
			if impl.Packings[typ] == nil {
				continue
			}
			rows, n := int(rowCount%70)+1, int(columnCount%40)+1
			cols := (int(length%20) + 1) * impl.Packings[typ].Step
			m, err := NewMatrix(typ, rows, cols, fuzzedRows(typ, rows, cols, data))
			if err != nil {
				t.Fatal(err)
			}
			p := packed(t, impl, &m)
			x := NewActivations(n, cols, FormQ8)
			for i, b := range bytesOf(append(data, 3), n*cols) {
				x.Float[i] = float32(int8(b)) / 16
			}
			for c := range n {
				impl.Convert(x, c, 0, cols)
			}
			first := int(from) % rows
			got, want := make([]float32, n*rows), make([]float32, n*rows)
			p.Packing.Mul(got, rows, &p, first, rows, x, nil, new(Scratch))
			impl.Mul[typ](want, rows, &m, first, rows, x, nil, new(Scratch))
			sameBits(t, fmt.Sprintf("%s: %s, rows %d to %d of %d by %d", impl.Name, typ, first, rows, cols, n), got, want)
		}
	})
}

func TestPackedBytesRefuses(t *testing.T) {
	each(t, func(t *testing.T, impl *Implementation) {
		rng := rand.New(rand.NewPCG(64, 1))
		for typ := range impl.Mul {
			packing := impl.Packings[typ]
			if packing == nil {
				m, _ := randomMatrix(t, rng, typ, 3, 256)
				if n, ok := impl.PackedBytes(&m); ok {
					t.Errorf("%s: there is no packing, and it takes %d bytes", typ, n)
				}
				continue
			}
			if odd := packing.Step + typ.BlockLen(); odd%packing.Step != 0 {
				m, _ := randomMatrix(t, rng, typ, 3, odd)
				if n, ok := impl.PackedBytes(&m); ok {
					t.Errorf("%s: rows of %d are no steps of %d, and take %d bytes", typ, odd, packing.Step, n)
				}
			}
			m, _ := randomMatrix(t, rng, typ, 2*packing.Rows, 2*packing.Step)
			n, ok := impl.PackedBytes(&m)
			if stored := len(m.Data); !ok || n < stored || n > stored+stored/50 {
				t.Errorf("%s: %d bytes packed, %v, stored %d", typ, n, ok, stored)
			}
			p := packed(t, impl, &m)
			if _, ok := impl.PackedBytes(&p); ok {
				t.Errorf("%s: a packed matrix can be packed again", typ)
			}
		}
	})
}
