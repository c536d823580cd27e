//go:build !purego

package kernels

import (
	"unsafe"

	"github.com/mneme-lm/mneme/asm"
	"github.com/mneme-lm/mneme/weights/quant"
)

// widenNEON decodes values that lie side by side.
func widenNEON(dst []float32, stored []byte, t quant.Type) {
	done := 0
	switch t {
	case quant.F32:
		done = copy(unsafe.Slice((*byte)(unsafe.Pointer(&dst[0])), 4*len(dst)), stored) / 4
	case quant.F16:
		if done = len(dst) &^ 7; done > 0 {
			asm.WidenF16NEON(&dst[0], &stored[0], done)
		}
	case quant.Q8_0:
		done = len(dst)
		asm.WidenQ8_0NEON(&dst[0], &stored[0], done/32)
	}
	if done < len(dst) {
		decodeRow(dst[done:], stored[done/t.BlockLen()*t.BlockBytes():], t)
	}
}

func widenKeysNEON(dst []float32, keys []byte) {
	asm.WidenKeysQ8_0NEON(&dst[0], &keys[0], len(dst)/(32*KeyGroup))
}
