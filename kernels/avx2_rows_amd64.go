//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// directColumns is the number of columns that stored rows are decoded for in passing: the kernels keep the results of
// two in registers beside the decoding. For more, rows are decoded into memory first, and taken three columns at a time.
const directColumns = 2

// stripRows is the number of rows that are decoded at a time.
const stripRows = 16

// rowsKernels are the products for one type of rows: with one and with two columns or outputs.
type rowsKernels struct {
	step int // values that a row must be a multiple of
	dot  [directColumns]func(*asm.RowsDot)
	add  [directColumns]func(*asm.RowsAdd)
}

var storedRows = map[quant.Type]*rowsKernels{
	quant.F16: {8, [2]func(*asm.RowsDot){asm.DotF16x1AVX2, asm.DotF16x2AVX2},
		[2]func(*asm.RowsAdd){asm.AddF16x1AVX2, asm.AddF16x2AVX2}},
	quant.BF16: {8, [2]func(*asm.RowsDot){asm.DotBF16x1AVX2, asm.DotBF16x2AVX2}, [2]func(*asm.RowsAdd){}},
	quant.Q8_0: {32, [2]func(*asm.RowsDot){asm.DotQ8_0x1AVX2, asm.DotQ8_0x2AVX2},
		[2]func(*asm.RowsAdd){asm.AddQ8_0x1AVX2, asm.AddQ8_0x2AVX2}},
}

var floatDots = [3]func(*asm.RowsDot){asm.DotF32x1AVX2, asm.DotF32x2AVX2, asm.DotF32x3AVX2}

var floatAdds = [3]func(*asm.RowsAdd){asm.AddF32x1AVX2, asm.AddF32x2AVX2, asm.AddF32x3AVX2}

// widen decodes values that lie side by side.
func widen(dst []float32, stored []byte, t quant.Type) {
	whole, size := len(dst)/8, 0
	if whole > 0 {
		switch t {
		case quant.F32:
			size = copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), stored)
		case quant.F16:
			asm.WidenF16AVX2(&dst[0], &stored[0], whole)
			size = 16 * whole
		case quant.BF16:
			asm.WidenBF16AVX2(&dst[0], &stored[0], whole)
			size = 16 * whole
		case quant.Q8_0:
			asm.WidenQ8_0AVX2(&dst[0], &stored[0], len(dst)/32)
			size = len(stored)
		}
	}
	if size < len(stored) {
		if size > 0 {
			dst = dst[8*whole:]
		}
		decodeRow(dst, stored[size:], t)
	}
}

// dotRowsAVX2 is Implementation.DotRows.
func dotRowsAVX2(dst, q []float32, dim int, rows []byte, t quant.Type, n int, s *Scratch) {
	if n == 0 || dim == 0 {
		return
	}
	heads, size := len(q)/dim, len(rows)/n
	p := &s.native.rowsDot
	*p = asm.RowsDot{Rows: &rows[0], RowStride: size, Count: n, N: dim}
	if k := storedRows[t]; t == quant.F32 {
		dotWithColumns(p, floatDots[:], dst, n, 0, q, heads)
	} else if k != nil && heads <= directColumns && dim%k.step == 0 {
		dotWithColumns(p, k.dot[:], dst, n, 0, q, heads)
	} else {
		dotStrips(p, dst, q, dim, rows, t, n, s)
	}
	*p = asm.RowsDot{}
}

// share is how many of n columns to take at once, of at most most: four are two and two rather than three and one.
func share(n, most int) int {
	if n == most+1 && most > 2 {
		return 2
	}
	return min(n, most)
}

// dotWithColumns multiplies p's rows, the results of which begin at row, by all columns q, as many at a time as there are
// kernels.
func dotWithColumns(p *asm.RowsDot, kernels []func(*asm.RowsDot), dst []float32, stride, row int, q []float32, n int) {
	for c := 0; c < n; {
		some := share(n-c, len(kernels))
		for i := range some {
			p.X[i] = &q[(c+i)*p.N]
			p.Dst[i] = &dst[(c+i)*stride+row]
		}
		kernels[some-1](p)
		c += some
	}
}

// dotStrips decodes some rows at a time and multiplies them by all queries.
func dotStrips(p *asm.RowsDot, dst, q []float32, dim int, rows []byte, t quant.Type, n int, s *Scratch) {
	strip := s.Floats(stripRows * dim)
	size := p.RowStride
	p.Rows, p.RowStride = (*byte)(unsafe.Pointer(&strip[0])), 4*dim
	for j := 0; j < n; j += stripRows {
		p.Count = min(stripRows, n-j)
		widen(strip[:p.Count*dim], rows[j*size:(j+p.Count)*size], t)
		dotWithColumns(p, floatDots[:], dst, n, j, q, len(q)/dim)
	}
}

// addRowsAVX2 is Implementation.AddRows.
func addRowsAVX2(out, w []float32, dim int, rows []byte, t quant.Type, n int, s *Scratch) {
	if n == 0 || dim == 0 {
		return
	}
	heads, size := len(out)/dim, len(rows)/n
	p := &s.native.rowsAdd
	*p = asm.RowsAdd{Rows: &rows[0], RowStride: size, Count: n, N: dim}
	if k := storedRows[t]; t == quant.F32 {
		addOutputs(p, floatAdds[:], out, w, n, 0, heads)
	} else if k != nil && k.add[0] != nil && heads <= directColumns && dim%k.step == 0 {
		addOutputs(p, k.add[:], out, w, n, 0, heads)
	} else {
		addStrips(p, out, w, dim, rows, t, n, s)
	}
	*p = asm.RowsAdd{}
}

// addOutputs adds p's rows, from row first on, to all outputs, as many at a time as there are kernels.
func addOutputs(p *asm.RowsAdd, kernels []func(*asm.RowsAdd), out, w []float32, stride, first, n int) {
	for c := 0; c < n; {
		some := share(n-c, len(kernels))
		for i := range some {
			p.W[i] = &w[(c+i)*stride+first]
			p.Out[i] = &out[(c+i)*p.N]
		}
		kernels[some-1](p)
		c += some
	}
}

// addStrips decodes some rows at a time and adds them to all outputs.
func addStrips(p *asm.RowsAdd, out, w []float32, dim int, rows []byte, t quant.Type, n int, s *Scratch) {
	strip := s.Floats(stripRows * dim)
	size := p.RowStride
	p.Rows, p.RowStride = (*byte)(unsafe.Pointer(&strip[0])), 4*dim
	for j := 0; j < n; j += stripRows {
		p.Count = min(stripRows, n-j)
		widen(strip[:p.Count*dim], rows[j*size:(j+p.Count)*size], t)
		addOutputs(p, floatAdds[:], out, w, n, j, len(out)/dim)
	}
}
