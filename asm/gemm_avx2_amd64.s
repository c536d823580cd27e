//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "data_avx2_amd64.h"

// The 8-bit matrix products: a tile of 16 weight rows against three columns of activations, or two. For the columns
// that are missing from the last three (or two), the last column is computed again.
//
// DI, R8 and R9 point to the columns' activations; R10, R11 and R12 are the distances of the columns' group from the
// start of ColumnScales (SI), of Starts or BlockSums (DX) and of Sums (R9 where there are two columns). AX points to the
// weights, BX to their scales, R13 to their minimums.

SAME32(one16, $0x0001000100010001)
SAME32(sixteen16, $0x0010001000100010)

// rowMask+64-4·n is a mask of n lanes of sixteen.
DATA rowMask<>+0(SB)/8, $-1
DATA rowMask<>+8(SB)/8, $-1
DATA rowMask<>+16(SB)/8, $-1
DATA rowMask<>+24(SB)/8, $-1
DATA rowMask<>+32(SB)/8, $-1
DATA rowMask<>+40(SB)/8, $-1
DATA rowMask<>+48(SB)/8, $-1
DATA rowMask<>+56(SB)/8, $-1
DATA rowMask<>+64(SB)/8, $0
DATA rowMask<>+72(SB)/8, $0
DATA rowMask<>+80(SB)/8, $0
DATA rowMask<>+88(SB)/8, $0
DATA rowMask<>+96(SB)/8, $0
DATA rowMask<>+104(SB)/8, $0
DATA rowMask<>+112(SB)/8, $0
DATA rowMask<>+120(SB)/8, $0
GLOBL rowMask<>(SB), RODATA|NOPTR, $128

// COLUMN finds column c+N, or the last if that is less: its activations Q, its groups' distance OFF, and where its
// results go. R14 is the tile, AX the number of the last column. BX and CX are overwritten.
#define COLUMN(N, Q, OFF, DST) \
	MOVQ    c-8(SP), BX                     \
	ADDQ    $N, BX                          \
	CMPQ    BX, AX                          \
	CMOVQGT AX, BX                          \
	MOVQ    BlockTile_DstStride(R14), CX    \
	IMULQ   BX, CX                          \
	ADDQ    BlockTile_Dst(R14), CX          \
	MOVQ    CX, DST(SP)                     \
	MOVQ    BlockTile_Pick(R14), CX         \
	TESTQ   CX, CX                          \
	JZ      2(PC)                           \
	MOVLQSX (CX)(BX*4), BX                  \
	MOVQ    BlockTile_QStride(R14), Q       \
	IMULQ   BX, Q                           \
	ADDQ    BlockTile_Q(R14), Q             \
	MOVQ    BlockTile_GroupStride(R14), OFF \
	IMULQ   BX, OFF

// BEGIN loads the sums of a column from where they go.
#define BEGIN(DST, A, B) \
	MOVQ       DST(SP), BX    \
	VMASKMOVPS (BX), Y12, A   \
	VMASKMOVPS 32(BX), Y13, B

// MASKS makes Y12 and Y13 the lanes of the rows there are.
#define MASKS \
	LEAQ    rowMask<>(SB), BX       \
	MOVQ    BlockTile_Rows(R14), CX \
	NEGQ    CX                      \
	VMOVUPS 64(BX)(CX*4), Y12       \
	VMOVUPS 96(BX)(CX*4), Y13

#define POINTERS \
	MOVQ BlockTile_Weights(R14), AX      \
	MOVQ BlockTile_Scales(R14), BX       \
	MOVQ BlockTile_Mins(R14), R13        \
	MOVQ BlockTile_Groups(R14), CX       \
	MOVQ BlockTile_ColumnScales(R14), SI

// WHOLE and PART store the sums of a column, of sixteen rows and of fewer.
#define WHOLE(DST, A, B) \
	MOVQ    DST(SP), BX \
	VMOVUPS A, (BX)     \
	VMOVUPS B, 32(BX)

#define PART(DST, A, B) \
	MOVQ       DST(SP), BX    \
	VMASKMOVPS A, Y12, (BX)   \
	VMASKMOVPS B, Y13, 32(BX)

// SCALE adds the integers A and B times the rows' scales (Y12, Y13) and the column's scale at OFF.
#define SCALE(OFF, A, B, FA, FB) \
	VBROADCASTSS (SI)(OFF*1), Y15 \
	VMULPS       Y15, Y12, Y14    \
	VMULPS       Y15, Y13, Y15    \
	VCVTDQ2PS    A, A             \
	VCVTDQ2PS    B, B             \
	VFMADD231PS  Y14, A, FA       \
	VFMADD231PS  Y15, B, FB

// MINIMUM takes off the rows' minimums (Y12, Y13) times the column's sum at OFF.
#define MINIMUM(OFF, FA, FB) \
	VBROADCASTSS (DX)(OFF*1), Y15 \
	VFNMADD231PS Y15, Y12, FA     \
	VFNMADD231PS Y15, Y13, FB

// ── Nibbles: Y0-Y5 are the integer sums, Y6-Y11 the float sums ──────────────────────────────────────────────────────
//
// Eight pairs of products of 15 and 127 are at most 8·2·15·127 = 30480: a whole group fits 16 bits.

#define WEIGHTS(K) \
	VMOVDQU (64*K)(AX), Y12    \
	VMOVDQU (64*K+32)(AX), Y13

#define FIRST(ADDR, A, B) \
	VPBROADCASTD ADDR, Y14 \
	VPMADDUBSW Y14, Y12, A \
	VPMADDUBSW Y14, Y13, B

#define MORE(ADDR, A, B) \
	VPBROADCASTD ADDR, Y14   \
	VPMADDUBSW Y14, Y12, Y15 \
	VPMADDUBSW Y14, Y13, Y14 \
	VPADDW     Y15, A, A     \
	VPADDW     Y14, B, B

#define MORE3(K) \
	WEIGHTS(K)              \
	MORE((4*K)(DI), Y0, Y1) \
	MORE((4*K)(R8), Y2, Y3) \
	MORE((4*K)(R9), Y4, Y5)

#define LONGS(A, B) \
	VPMADDWD Y14, A, A \
	VPMADDWD Y14, B, B

// ZERO8 takes off 8·Σq: Starts over 16.
#define ZERO8(OFF, A, B) \
	VPBROADCASTD (DX)(OFF*1), Y15 \
	VPSRAD       $4, Y15, Y15     \
	VPADDD       Y15, A, A        \
	VPADDD       Y15, B, B

// func GemmNibblesAVX2(t *BlockTile)
TEXT ·GemmNibblesAVX2(SB), NOSPLIT, $32-8
	MOVQ $0, c-8(SP)

columns:
	MOVQ   t+0(FP), R14
	MOVQ   BlockTile_Columns(R14), AX
	DECQ   AX
	COLUMN(0, DI, R10, dst0-16)
	COLUMN(1, R8, R11, dst1-24)
	COLUMN(2, R9, R12, dst2-32)
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	CMPB   BlockTile_First(R14), $0
	JNE    begun
	MASKS
	BEGIN(dst0-16, Y6, Y7)
	BEGIN(dst1-24, Y8, Y9)
	BEGIN(dst2-32, Y10, Y11)

begun:
	POINTERS
	MOVQ  BlockTile_Starts(R14), DX
	TESTQ R13, R13
	JZ    group
	MOVQ  BlockTile_BlockSums(R14), DX

group:
	WEIGHTS(0)
	FIRST((DI), Y0, Y1)
	FIRST((R8), Y2, Y3)
	FIRST((R9), Y4, Y5)
	MORE3(1)
	MORE3(2)
	MORE3(3)
	MORE3(4)
	MORE3(5)
	MORE3(6)
	MORE3(7)
	VMOVDQU one16<>(SB), Y14
	LONGS(Y0, Y1)
	LONGS(Y2, Y3)
	LONGS(Y4, Y5)
	TESTQ   R13, R13
	JNZ     scale
	ZERO8(R10, Y0, Y1)
	ZERO8(R11, Y2, Y3)
	ZERO8(R12, Y4, Y5)

scale:
	VMOVUPS (BX), Y12
	VMOVUPS 32(BX), Y13
	SCALE(R10, Y0, Y1, Y6, Y7)
	SCALE(R11, Y2, Y3, Y8, Y9)
	SCALE(R12, Y4, Y5, Y10, Y11)
	TESTQ   R13, R13
	JZ      next
	VMOVUPS (R13), Y12
	VMOVUPS 32(R13), Y13
	MINIMUM(R10, Y6, Y7)
	MINIMUM(R11, Y8, Y9)
	MINIMUM(R12, Y10, Y11)
	ADDQ    $64, R13

next:
	ADDQ $512, AX
	ADDQ $64, BX
	ADDQ $32, DI
	ADDQ $32, R8
	ADDQ $32, R9
	ADDQ $4, R10
	ADDQ $4, R11
	ADDQ $4, R12
	DECQ CX
	JNZ  group

	MOVQ t+0(FP), R14
	CMPQ BlockTile_Rows(R14), $16
	JLT  part
	WHOLE(dst0-16, Y6, Y7)
	WHOLE(dst1-24, Y8, Y9)
	WHOLE(dst2-32, Y10, Y11)
	JMP  stored

part:
	MASKS
	PART(dst0-16, Y6, Y7)
	PART(dst1-24, Y8, Y9)
	PART(dst2-32, Y10, Y11)

stored:
	MOVQ c-8(SP), BX
	ADDQ $3, BX
	MOVQ BX, c-8(SP)
	CMPQ BX, BlockTile_Columns(R14)
	JLT  columns
	VZEROUPPER
	RET

// ── Bytes: Y0-Y3 are the integer sums of the lower halves, Y4-Y7 those of the upper, Y8-Y11 the float sums ──────────

#define HALFFIRST(OFF, L0, L1, L2, L3) \
	VMOVDQU    OFF(AX), Y14      \
	VMOVDQU    (OFF+32)(AX), Y15 \
	VPMADDUBSW Y12, Y14, L0      \
	VPMADDUBSW Y13, Y14, L2      \
	VPMADDUBSW Y12, Y15, L1      \
	VPMADDUBSW Y13, Y15, L3

#define HALFMORE(OFF, T, L0, L1) \
	VMOVDQU    OFF(AX), Y14  \
	VPMADDUBSW Y12, Y14, Y15 \
	VPMADDUBSW Y13, Y14, Y14 \
	VPADDW     Y15, L0, L0   \
	VPADDW     Y14, L1, L1

#define BYTES(K) \
	VPBROADCASTD (4*K)(DI), Y12       \
	VPBROADCASTD (4*K)(R8), Y13       \
	HALFMORE((128*K), Y15, Y0, Y2)    \
	HALFMORE((128*K+32), Y15, Y1, Y3) \
	HALFMORE((128*K+64), Y15, Y4, Y6) \
	HALFMORE((128*K+96), Y15, Y5, Y7)

// JOIN makes A of the lower halves, B of the upper and the column's start in Y15.
#define JOIN(A, B) \
	VPMADDWD Y12, A, A \
	VPMADDWD Y13, B, B \
	VPADDD   Y15, A, A \
	VPADDD   B, A, A

// func GemmBytesAVX2(t *BlockTile)
TEXT ·GemmBytesAVX2(SB), NOSPLIT, $24-8
	MOVQ $0, c-8(SP)

columns:
	MOVQ   t+0(FP), R14
	MOVQ   BlockTile_Columns(R14), AX
	DECQ   AX
	COLUMN(0, DI, R10, dst0-16)
	COLUMN(1, R8, R11, dst1-24)
	VXORPS Y8, Y8, Y8
	VXORPS Y9, Y9, Y9
	VXORPS Y10, Y10, Y10
	VXORPS Y11, Y11, Y11
	CMPB   BlockTile_First(R14), $0
	JNE    begun
	MASKS
	BEGIN(dst0-16, Y8, Y9)
	BEGIN(dst1-24, Y10, Y11)

begun:
	POINTERS
	MOVQ BlockTile_Starts(R14), DX

group:
	VPBROADCASTD (DI), Y12
	VPBROADCASTD (R8), Y13
	HALFFIRST(0, Y0, Y1, Y2, Y3)
	HALFFIRST(64, Y4, Y5, Y6, Y7)
	BYTES(1)
	BYTES(2)
	BYTES(3)
	BYTES(4)
	BYTES(5)
	BYTES(6)
	BYTES(7)
	VMOVDQU      one16<>(SB), Y12
	VMOVDQU      sixteen16<>(SB), Y13
	VPBROADCASTD (DX)(R10*1), Y15
	JOIN(Y0, Y4)
	JOIN(Y1, Y5)
	VPBROADCASTD (DX)(R11*1), Y15
	JOIN(Y2, Y6)
	JOIN(Y3, Y7)
	VMOVUPS      (BX), Y12
	VMOVUPS      32(BX), Y13
	SCALE(R10, Y0, Y1, Y8, Y9)
	SCALE(R11, Y2, Y3, Y10, Y11)
	ADDQ         $1024, AX
	ADDQ         $64, BX
	ADDQ         $32, DI
	ADDQ         $32, R8
	ADDQ         $4, R10
	ADDQ         $4, R11
	DECQ         CX
	JNZ          group

	MOVQ t+0(FP), R14
	CMPQ BlockTile_Rows(R14), $16
	JLT  part
	WHOLE(dst0-16, Y8, Y9)
	WHOLE(dst1-24, Y10, Y11)
	JMP  stored

part:
	MASKS
	PART(dst0-16, Y8, Y9)
	PART(dst1-24, Y10, Y11)

stored:
	MOVQ c-8(SP), BX
	ADDQ $2, BX
	MOVQ BX, c-8(SP)
	CMPQ BX, BlockTile_Columns(R14)
	JLT  columns
	VZEROUPPER
	RET

// ── Factors: Y0-Y3 are the integer sums, Y4-Y7 the float sums ───────────────────────────────────────────────────────
//
// Two pairs of products of 63 and 127 are at most 4·63·127 = 32004, less than 2¹⁵; then they are multiplied by their
// factor and added up in 32 bits. R12 points to the factors, R13 to the zeros.

// FACTORS adds the products of two times four weights of 16 rows (Y8-Y11) with the activations at ADDR of one column,
// times the factors at F.
#define FACTORS(K, COL, F, A, B) \
	VPBROADCASTD (4*K)(COL), Y12       \
	VPBROADCASTD (4*K+4)(COL), Y13     \
	VPMADDUBSW   Y12, Y8, Y14          \
	VPMADDUBSW   Y13, Y10, Y15         \
	VPADDW       Y15, Y14, Y14         \
	VPMADDWD     F(R12), Y14, Y14      \
	VPADDD       Y14, A, A             \
	VPMADDUBSW   Y12, Y9, Y12          \
	VPMADDUBSW   Y13, Y11, Y13         \
	VPADDW       Y13, Y12, Y12         \
	VPMADDWD     (F+32)(R12), Y12, Y12 \
	VPADDD       Y12, B, B

#define TWOSTEPS(K, F) \
	VMOVDQU (64*K)(AX), Y8     \
	VMOVDQU (64*K+32)(AX), Y9  \
	VMOVDQU (64*K+64)(AX), Y10 \
	VMOVDQU (64*K+96)(AX), Y11 \
	FACTORS(K, DI, F, Y0, Y1)  \
	FACTORS(K, R8, F, Y2, Y3)

// HALFSUMS multiplies the numbers for both halves of a group, Y8 and Y9, by the column's sums.
#define HALFSUMS(OFF, A, B) \
	VPBROADCASTD (R9)(OFF*1), Y15 \
	VPMADDWD     Y15, Y8, A       \
	VPMADDWD     Y15, Y9, B

// LESSMIN takes off the integers A and B times the rows' scales for minimums (Y12, Y13) and the column's scale.
#define LESSMIN(OFF, A, B, FA, FB) \
	VBROADCASTSS (SI)(OFF*1), Y15 \
	VMULPS       Y15, Y12, Y14    \
	VMULPS       Y15, Y13, Y15    \
	VCVTDQ2PS    A, A             \
	VCVTDQ2PS    B, B             \
	VFNMADD231PS Y14, A, FA       \
	VFNMADD231PS Y15, B, FB

// func GemmFactorsAVX2(t *BlockTile)
TEXT ·GemmFactorsAVX2(SB), NOSPLIT, $24-8
	MOVQ $0, c-8(SP)

columns:
	MOVQ   t+0(FP), R14
	MOVQ   BlockTile_Columns(R14), AX
	DECQ   AX
	COLUMN(0, DI, R10, dst0-16)
	COLUMN(1, R8, R11, dst1-24)
	VXORPS Y4, Y4, Y4
	VXORPS Y5, Y5, Y5
	VXORPS Y6, Y6, Y6
	VXORPS Y7, Y7, Y7
	CMPB   BlockTile_First(R14), $0
	JNE    begun
	MASKS
	BEGIN(dst0-16, Y4, Y5)
	BEGIN(dst1-24, Y6, Y7)

begun:
	POINTERS
	MOVQ R13, R15      // mins, or nil
	MOVQ BlockTile_Factors(R14), R12
	MOVQ BlockTile_Zeros(R14), R13
	MOVQ BlockTile_BlockSums(R14), DX
	MOVQ BlockTile_Sums(R14), R9
	MOVQ BlockTile_MinFactors(R14), R14 // factors of the minimums, or nil

group:
	VMOVDQU (R13), Y8
	VMOVDQU 32(R13), Y9
	HALFSUMS(R10, Y0, Y1)
	HALFSUMS(R11, Y2, Y3)
	TWOSTEPS(0, 0)
	TWOSTEPS(2, 0)
	TWOSTEPS(4, 64)
	TWOSTEPS(6, 64)
	VMOVUPS (BX), Y12
	VMOVUPS 32(BX), Y13
	SCALE(R10, Y0, Y1, Y4, Y5)
	SCALE(R11, Y2, Y3, Y6, Y7)
	TESTQ   R15, R15
	JZ      next
	VMOVUPS (R15), Y12
	VMOVUPS 32(R15), Y13
	ADDQ    $64, R15
	TESTQ   R14, R14
	JNZ     factors
	MINIMUM(R10, Y4, Y5)
	MINIMUM(R11, Y6, Y7)

next:
	ADDQ $512, AX
	ADDQ $64, BX
	ADDQ $128, R12
	ADDQ $64, R13
	ADDQ $32, DI
	ADDQ $32, R8
	ADDQ $4, R10
	ADDQ $4, R11
	DECQ CX
	JNZ  group

	MOVQ t+0(FP), R14
	CMPQ BlockTile_Rows(R14), $16
	JLT  part
	WHOLE(dst0-16, Y4, Y5)
	WHOLE(dst1-24, Y6, Y7)
	JMP  stored

part:
	MASKS
	PART(dst0-16, Y4, Y5)
	PART(dst1-24, Y6, Y7)

stored:
	MOVQ c-8(SP), BX
	ADDQ $2, BX
	MOVQ BX, c-8(SP)
	CMPQ BX, BlockTile_Columns(R14)
	JLT  columns
	VZEROUPPER
	RET

factors:
	VMOVDQU (R14), Y8
	VMOVDQU 32(R14), Y9
	ADDQ    $64, R14
	HALFSUMS(R10, Y0, Y1)
	HALFSUMS(R11, Y2, Y3)
	LESSMIN(R10, Y0, Y1, Y4, Y5)
	LESSMIN(R11, Y2, Y3, Y6, Y7)
	JMP     next
