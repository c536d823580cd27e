//go:build !purego

package kernels

import "github.com/mneme-lm/mneme/asm"

// nativeScratch is what the kernels of this architecture keep.
type nativeScratch struct {
	stored  asm.StoredDots
	strip   *strip
	mins    []float32
	floats  floatDots
	bf16    bf16Product
	gemm32  asm.Gemm32
	turn    asm.Turn
	turnDot asm.TurnDot
	seconds asm.Gemm32
}
