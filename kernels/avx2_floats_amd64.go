//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// mulFloatsAVX2 multiplies F32, F16 and BF16. Activations for BF16 are those rounded to bfloat16, as float32 again.
func mulFloatsAVX2(dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	n := columns(x, pick)
	if w.Cols == 0 || n == 0 || from >= to {
		generic.Mul[w.Type](dst, stride, w, from, to, x, pick, s)
		return
	}
	p := &s.native.rowsDot
	*p = asm.RowsDot{}
	kernels, step := floatDots[:], 1
	if k := storedRows[w.Type]; k != nil {
		kernels, step = k.dot[:], k.step
	}
	if n <= storedColumns && w.Cols%step == 0 {
		dotStored(p, kernels, dst, stride, w, from, to, x, pick, s)
	} else {
		mulStrips(p, dst, stride, w, from, to, x, pick, s)
	}
	*p = asm.RowsDot{}
}

// storedColumns is the number of columns up to which rows are taken as they are stored. For more it pays to decode them
// into memory first, in pieces that stay in the first-level cache while all columns meet them: measured with 512 rows of
// 2048 weights, 8 columns take as long either way for F32, and 8% less as stored for F16.
const storedColumns = 8

// dotStored multiplies rows as they are stored.
func dotStored(p *asm.RowsDot, kernels []func(*asm.RowsDot), dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	p.Rows, p.RowStride, p.Count, p.N = &w.Data[from*w.RowBytes], w.RowBytes, to-from, w.Cols
	n := columns(x, pick)
	for c := 0; c < n; {
		some := share(n-c, len(kernels))
		floats := s.Floats(len(kernels) * w.Cols)
		for i := range some {
			p.X[i] = floatColumn(x, picked(pick, c+i), 0, w.Cols, w.Type, floats[i*w.Cols:])
			p.Dst[i] = &dst[(c+i)*stride+from]
		}
		kernels[some-1](p)
		c += some
	}
}

// floatColumn returns values [first, first+n) of a row of activations, in the form that weights of type t ask for, as
// float32; floats is room for them.
func floatColumn(x *Activations, r, first, n int, t quant.Type, floats []float32) *float32 {
	if t != quant.BF16 {
		return &x.Row(r)[first]
	}
	half := x.bf16(r)[first : first+n]
	whole := n / 8
	if whole > 0 {
		asm.WidenBF16AVX2(&floats[0], (*byte)(unsafe.Pointer(&half[0])), whole)
	}
	for i := 8 * whole; i < n; i++ {
		floats[i] = quant.BF16ToF32(half[i])
	}
	return &floats[0]
}

// mulStrips decodes a piece of some rows at a time and multiplies it with all columns.
func mulStrips(p *asm.RowsDot, dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	const chunk = asm.RowsDotChunk
	n := columns(x, pick)
	floats := s.Floats((stripRows + len(floatDots)) * chunk)
	strip, rounded := floats[:stripRows*chunk], floats[stripRows*chunk:]
	size := w.Type.BlockBytes()
	p.Rows, p.RowStride = (*byte)(unsafe.Pointer(&strip[0])), 4*chunk
	for r := from; r < to; r += stripRows {
		p.Count = min(stripRows, to-r)
		for first := 0; first < w.Cols; first += chunk {
			p.N = min(chunk, w.Cols-first)
			p.Add = first > 0
			for i := range p.Count {
				widen(strip[i*chunk:i*chunk+p.N], w.Row(r + i)[first*size:(first+p.N)*size], w.Type)
			}
			for c := 0; c < n; {
				some := share(n-c, len(floatDots))
				for i := range some {
					p.X[i] = floatColumn(x, picked(pick, c+i), first, p.N, w.Type, rounded[i*chunk:])
					p.Dst[i] = &dst[(c+i)*stride+r]
				}
				floatDots[some-1](p)
				c += some
			}
		}
	}
}
