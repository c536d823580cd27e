//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
)

// mulFloatsAVX2 multiplies F32 and F16.
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
		for i := range some {
			p.X[i] = &x.Row(picked(pick, c+i))[0]
			p.Dst[i] = &dst[(c+i)*stride+from]
		}
		kernels[some-1](p)
		c += some
	}
}

// mulStrips decodes a piece of some rows at a time and multiplies it with all columns.
func mulStrips(p *asm.RowsDot, dst []float32, stride int, w *Matrix, from, to int, x *Activations, pick []int32, s *Scratch) {
	const chunk = asm.RowsDotChunk
	n := columns(x, pick)
	strip := s.Floats(stripRows * chunk)
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
					p.X[i] = &x.Row(picked(pick, c+i))[first]
					p.Dst[i] = &dst[(c+i)*stride+r]
				}
				floatDots[some-1](p)
				c += some
			}
		}
	}
}
