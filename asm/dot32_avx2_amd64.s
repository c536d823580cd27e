//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "data_avx2_amd64.h"
#include "codes_avx2_amd64.h"
#include "dot_avx2_amd64.h"

// Rows in blocks of 32 weights. Y15 is bytes15, Y14 nibbleShifts, Y13 fifthSpread, Y12 fifthBits or iq4Levels, Y10 the
// words of 1; X11 the sums.

#define CONSTANTS \
	VMOVDQU bytes15<>(SB), Y15      \
	VMOVDQU nibbleShifts<>(SB), Y14 \
	VMOVDQU fifthSpread<>(SB), Y13  \
	VMOVDQU fifthBits<>(SB), Y12    \
	VMOVDQU words1<>(SB), Y10

// DOTS multiplies unsigned codes, at most 31, in Y0 to Y3 by the block's activations: X0 is the integer of each row.
// Four pairs of products are at most 4·2·31·127 = 31496, which fits 16 bits.
#define DOTS \
	VMOVDQU    (DI), Y4    \
	VPMADDUBSW Y4, Y0, Y0  \
	VPMADDUBSW Y4, Y1, Y1  \
	VPMADDUBSW Y4, Y2, Y2  \
	VPMADDUBSW Y4, Y3, Y3  \
	WORDS4(Y0, Y1, Y2, Y3) \
	VPMADDWD   Y10, Y0, Y0 \
	HALVES(Y0, X0, X1)

// SIGNED multiplies signed codes by the activations in Y4: 32-bit integers. |−128| is 128 as an unsigned byte, and a
// pair of products is at most 2·128·127, less than 2¹⁵.
#define SIGNED(Y, T) \
	VPABSB     Y, T      \
	VPSIGNB    Y, Y4, Y  \
	VPMADDUBSW Y, T, Y   \
	VPMADDWD   Y10, Y, Y

#define SIGNEDDOTS \
	VMOVDQU (DI), Y4       \
	SIGNED(Y0, Y5)         \
	SIGNED(Y1, Y6)         \
	SIGNED(Y2, Y7)         \
	SIGNED(Y3, Y8)         \
	LONGS4(Y0, Y1, Y2, Y3) \
	HALVES(Y0, X0, X1)

// ZERO takes a zero of 128 >> N off the codes: Starts has it for a zero of 128.
#define ZERO(N) \
	VPBROADCASTD (DX)(R12*4), X1 \
	VPSRAD       $N, X1, X1      \
	VPADDD       X1, X0, X0

// SCALED adds the integers X0 times the rows' scales X2 and the activations' scale.
#define SCALED \
	VBROADCASTSS (BX)(R12*4), X1 \
	VMULPS       X1, X2, X2      \
	VCVTDQ2PS    X0, X0          \
	VFMADD231PS  X2, X0, X11

// OFFSET adds the rows' offsets X3 times the scaled sum of the activations.
#define OFFSET \
	VBROADCASTSS (DX)(R12*4), X1 \
	VFMADD231PS  X1, X3, X11

#define NEXT(SIZE) \
	ADDQ $SIZE, R11     \
	ADDQ $(4*SIZE), R14 \
	ADDQ $32, DI        \
	INCQ R12            \
	CMPQ R12, CX        \
	JNE  block

// func DotQ4_0AVX2(t *BlockDot)
TEXT ·DotQ4_0AVX2(SB), NOSPLIT, $0-8
	ROWARGS
	STARTS
	CONSTANTS

block:
	FETCH(0)
	NIBBLES(2(SI)(R11*1), Y15, Y14, Y0)
	NIBBLES(2(R8)(R11*1), Y15, Y14, Y1)
	NIBBLES(2(R9)(R11*1), Y15, Y14, Y2)
	NIBBLES(2(R10)(R11*1), Y15, Y14, Y3)
	DOTS
	ZERO(4)
	HALFS4(0, X2)
	SCALED
	NEXT(18)
	ROWSOUT

// func DotQ4_1AVX2(t *BlockDot)
TEXT ·DotQ4_1AVX2(SB), NOSPLIT, $0-8
	ROWARGS
	BLOCKSUMS
	CONSTANTS

block:
	FETCH(0)
	NIBBLES(4(SI)(R11*1), Y15, Y14, Y0)
	NIBBLES(4(R8)(R11*1), Y15, Y14, Y1)
	NIBBLES(4(R9)(R11*1), Y15, Y14, Y2)
	NIBBLES(4(R10)(R11*1), Y15, Y14, Y3)
	DOTS
	PAIRS4(0, Y2, X2, X3)
	SCALED
	OFFSET
	NEXT(20)
	ROWSOUT

// func DotQ5_0AVX2(t *BlockDot)
TEXT ·DotQ5_0AVX2(SB), NOSPLIT, $0-8
	ROWARGS
	STARTS
	CONSTANTS

block:
	FETCH(0)
	NIBBLES(6(SI)(R11*1), Y15, Y14, Y0)
	NIBBLES(6(R8)(R11*1), Y15, Y14, Y1)
	NIBBLES(6(R9)(R11*1), Y15, Y14, Y2)
	NIBBLES(6(R10)(R11*1), Y15, Y14, Y3)
	FIFTH(2(SI)(R11*1), Y13, Y12, Y5, Y0)
	FIFTH(2(R8)(R11*1), Y13, Y12, Y6, Y1)
	FIFTH(2(R9)(R11*1), Y13, Y12, Y7, Y2)
	FIFTH(2(R10)(R11*1), Y13, Y12, Y8, Y3)
	DOTS
	ZERO(3)
	HALFS4(0, X2)
	SCALED
	NEXT(22)
	ROWSOUT

// func DotQ5_1AVX2(t *BlockDot)
TEXT ·DotQ5_1AVX2(SB), NOSPLIT, $0-8
	ROWARGS
	BLOCKSUMS
	CONSTANTS

block:
	FETCH(0)
	NIBBLES(8(SI)(R11*1), Y15, Y14, Y0)
	NIBBLES(8(R8)(R11*1), Y15, Y14, Y1)
	NIBBLES(8(R9)(R11*1), Y15, Y14, Y2)
	NIBBLES(8(R10)(R11*1), Y15, Y14, Y3)
	FIFTH(4(SI)(R11*1), Y13, Y12, Y5, Y0)
	FIFTH(4(R8)(R11*1), Y13, Y12, Y6, Y1)
	FIFTH(4(R9)(R11*1), Y13, Y12, Y7, Y2)
	FIFTH(4(R10)(R11*1), Y13, Y12, Y8, Y3)
	DOTS
	PAIRS4(0, Y2, X2, X3)
	SCALED
	OFFSET
	NEXT(24)
	ROWSOUT

// func DotQ8_0AVX2(t *BlockDot)
TEXT ·DotQ8_0AVX2(SB), NOSPLIT, $0-8
	ROWARGS
	CONSTANTS

block:
	FETCH(0)
	FETCH(128)
	VMOVDQU 2(SI)(R11*1), Y0
	VMOVDQU 2(R8)(R11*1), Y1
	VMOVDQU 2(R9)(R11*1), Y2
	VMOVDQU 2(R10)(R11*1), Y3
	SIGNEDDOTS
	HALFS4(0, X2)
	SCALED
	NEXT(34)
	ROWSOUT

// func DotIQ4_NLAVX2(t *BlockDot)
TEXT ·DotIQ4_NLAVX2(SB), NOSPLIT, $0-8
	ROWARGS
	CONSTANTS
	VMOVDQU iq4Levels<>(SB), Y12

block:
	FETCH(0)
	NIBBLES(2(SI)(R11*1), Y15, Y14, Y0)
	NIBBLES(2(R8)(R11*1), Y15, Y14, Y1)
	NIBBLES(2(R9)(R11*1), Y15, Y14, Y2)
	NIBBLES(2(R10)(R11*1), Y15, Y14, Y3)
	VPSHUFB Y0, Y12, Y0
	VPSHUFB Y1, Y12, Y1
	VPSHUFB Y2, Y12, Y2
	VPSHUFB Y3, Y12, Y3
	SIGNEDDOTS
	HALFS4(0, X2)
	SCALED
	NEXT(18)
	ROWSOUT
