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

// rowsKernels are the products for one type of rows: with one and with two columns.
type rowsKernels struct {
	step int // values that a row must be a multiple of
	dot  [directColumns]func(*asm.RowsDot)
}

var storedRows = map[quant.Type]*rowsKernels{
	quant.F16: {8, [2]func(*asm.RowsDot){asm.DotF16x1AVX2, asm.DotF16x2AVX2}},
}

var floatDots = [3]func(*asm.RowsDot){asm.DotF32x1AVX2, asm.DotF32x2AVX2, asm.DotF32x3AVX2}

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

// share is how many of n columns to take at once, of at most most: four are two and two rather than three and one.
func share(n, most int) int {
	if n == most+1 && most > 2 {
		return 2
	}
	return min(n, most)
}

func widenKeysAVX2(dst []float32, keys []byte) {
	asm.WidenKeysQ8_0AVX2(&dst[0], &keys[0], len(dst)/(32*KeyGroup))
}
