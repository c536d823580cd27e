//go:build !purego

package kernels

import "github.com/mneme-lm/mneme/asm"

// nativeScratch is what the kernels of this architecture keep.
type nativeScratch struct {
	dot   asm.Dot4
	dot16 asm.Dot16
	tile  *tile
	end   *rowEnd

	blockDot    asm.BlockDot
	blockTile   *blockTile
	rowsDot     asm.RowsDot
	gemm32      asm.Gemm32
	turn        asm.Turn
	turnDot     asm.TurnDot
	seconds     asm.Gemm32
	bf16Dots    asm.BF16Dots
	bf16Columns asm.BF16Columns
}
