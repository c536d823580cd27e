//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "data_avx2_amd64.h"

// A piece of the outputs stays in registers while all rows are added to it.
//
// SI points to the piece's values in the current row, R8 is the distance in bytes to the next; DI, BX and DX are the
// outputs' weights and R11 the number of the row, of CX. R9 is the number of values left, R10 the distance in bytes of
// the piece from the outputs' start, R12 that of its values from the rows' start.

LANEMASKS

#define ARGS \
	MOVQ t+0(FP), R14               \
	MOVQ RowsAdd_RowStride(R14), R8 \
	MOVQ RowsAdd_Count(R14), CX     \
	MOVQ RowsAdd_N(R14), R9         \
	MOVQ RowsAdd_W+0(R14), DI       \
	MOVQ RowsAdd_W+8(R14), BX       \
	MOVQ RowsAdd_W+16(R14), DX      \
	XORQ R10, R10                   \
	XORQ R12, R12

// ROWS begins with the first row.
#define ROWS \
	MOVQ RowsAdd_Rows(R14), SI \
	ADDQ R12, SI               \
	XORQ R11, R11

#define AGAIN(LABEL) \
	ADDQ R8, SI  \
	INCQ R11     \
	CMPQ R11, CX \
	JNE  LABEL

// OUT makes AX the piece of output COL.
#define OUT(COL) \
	MOVQ RowsAdd_Out+(8*COL)(R14), AX \
	ADDQ R10, AX

#define GET4(OFF, A, B, C, D) \
	VMOVUPS (OFF)(AX), A    \
	VMOVUPS (OFF+32)(AX), B \
	VMOVUPS (OFF+64)(AX), C \
	VMOVUPS (OFF+96)(AX), D

#define PUT4(OFF, A, B, C, D) \
	VMOVUPS A, (OFF)(AX)    \
	VMOVUPS B, (OFF+32)(AX) \
	VMOVUPS C, (OFF+64)(AX) \
	VMOVUPS D, (OFF+96)(AX)

// Eight values of a row, the I-th eight of the piece. Q8_0 wants the scale of the block, in Y15.
#define F32(I, Y) VMOVUPS (32*I)(SI), Y

#define F16(I, Y) VCVTPH2PS (16*I)(SI), Y

#define Q8(I, Y) \
	VPMOVSXBD (8*I+2)(SI), Y \
	VCVTDQ2PS Y, Y           \
	VMULPS    Y15, Y, Y

#define Q8HIGH(I, Y) \
	VPMOVSXBD (8*I+4)(SI), Y \
	VCVTDQ2PS Y, Y           \
	VMULPS    Y15, Y, Y

#define NOSCALE(OFF)

// Q8SCALE also asks for what lies 2 KB ahead.
#define Q8SCALE(OFF) \
	PREFETCHT0   (2048+OFF)(SI) \
	VPBROADCASTW OFF(SI), X15   \
	VCVTPH2PS    X15, Y15

#define ADD1(LOAD, I, A) \
	LOAD(I, Y14)            \
	VFMADD231PS Y14, Y13, A

#define ADD2(LOAD, I, A, B) \
	LOAD(I, Y14)            \
	VFMADD231PS Y14, Y13, A \
	VFMADD231PS Y14, Y12, B

#define ADD3(LOAD, I, A, B, C) \
	LOAD(I, Y15)            \
	VFMADD231PS Y15, Y12, A \
	VFMADD231PS Y15, Y13, B \
	VFMADD231PS Y15, Y14, C

// ONE adds rows to one output: 64 values at a time, then 32, then 8. HIGH loads from the second half of 64.
#define ONE(LOAD, HIGH, SCALEOF, SIZE64, SIZE32, SIZE8) \
wide:                             \
	CMPQ         R9, $64          \
	JLT          narrow           \
	ROWS                          \
	OUT(0)                        \
	GET4(0, Y0, Y1, Y2, Y3)       \
	GET4(128, Y4, Y5, Y6, Y7)     \
row64:                            \
	VBROADCASTSS (DI)(R11*4), Y13 \
	SCALEOF(0)                    \
	ADD1(LOAD, 0, Y0)             \
	ADD1(LOAD, 1, Y1)             \
	ADD1(LOAD, 2, Y2)             \
	ADD1(LOAD, 3, Y3)             \
	SCALEOF(34)                   \
	ADD1(HIGH, 4, Y4)             \
	ADD1(HIGH, 5, Y5)             \
	ADD1(HIGH, 6, Y6)             \
	ADD1(HIGH, 7, Y7)             \
	AGAIN(row64)                  \
	PUT4(0, Y0, Y1, Y2, Y3)       \
	PUT4(128, Y4, Y5, Y6, Y7)     \
	ADDQ         $256, R10        \
	ADDQ         $SIZE64, R12     \
	SUBQ         $64, R9          \
	JMP          wide             \
narrow:                           \
	CMPQ         R9, $32          \
	JLT          eights           \
	ROWS                          \
	OUT(0)                        \
	GET4(0, Y0, Y1, Y2, Y3)       \
row32:                            \
	VBROADCASTSS (DI)(R11*4), Y13 \
	SCALEOF(0)                    \
	ADD1(LOAD, 0, Y0)             \
	ADD1(LOAD, 1, Y1)             \
	ADD1(LOAD, 2, Y2)             \
	ADD1(LOAD, 3, Y3)             \
	AGAIN(row32)                  \
	PUT4(0, Y0, Y1, Y2, Y3)       \
	ADDQ         $128, R10        \
	ADDQ         $SIZE32, R12     \
	SUBQ         $32, R9          \
	JMP          narrow

#define EIGHTS1(LOAD, SIZE8) \
eights:                           \
	CMPQ         R9, $8           \
	JLT          rest             \
	ROWS                          \
	OUT(0)                        \
	VMOVUPS      (AX), Y0         \
row8:                             \
	VBROADCASTSS (DI)(R11*4), Y13 \
	ADD1(LOAD, 0, Y0)             \
	AGAIN(row8)                   \
	VMOVUPS      Y0, (AX)         \
	ADDQ         $32, R10         \
	ADDQ         $SIZE8, R12      \
	SUBQ         $8, R9           \
	JMP          eights

// MASKS makes Y11 the lanes of the values left, or goes to NONE.
#define MASKS(NONE) \
	TESTQ   R9, R9             \
	JZ      NONE               \
	NEGQ    R9                 \
	LEAQ    laneMask<>(SB), AX \
	VMOVUPS 32(AX)(R9*4), Y11

// func AddF32x1AVX2(t *RowsAdd)
TEXT ·AddF32x1AVX2(SB), NOSPLIT, $0-8
	ARGS
	ONE(F32, F32, NOSCALE, 256, 128, 32)
	EIGHTS1(F32, 32)

rest:
	MASKS(done)
	ROWS
	OUT(0)
	VMASKMOVPS (AX), Y11, Y0

rowrest:
	VBROADCASTSS (DI)(R11*4), Y13
	VMASKMOVPS   (SI), Y11, Y14
	VFMADD231PS  Y14, Y13, Y0
	AGAIN(rowrest)
	VMASKMOVPS   Y0, Y11, (AX)

done:
	VZEROUPPER
	RET

// func AddF16x1AVX2(t *RowsAdd)
TEXT ·AddF16x1AVX2(SB), NOSPLIT, $0-8
	ARGS
	ONE(F16, F16, NOSCALE, 128, 64, 16)
	EIGHTS1(F16, 16)

rest:
	VZEROUPPER
	RET

// func AddQ8_0x1AVX2(t *RowsAdd)
TEXT ·AddQ8_0x1AVX2(SB), NOSPLIT, $0-8
	ARGS
	ONE(Q8, Q8HIGH, Q8SCALE, 68, 34, 0)

eights:
	VZEROUPPER
	RET

// TWO adds rows to two outputs, 32 values at a time.
#define TWO(LOAD, SCALEOF, SIZE32) \
wide:                             \
	CMPQ         R9, $32          \
	JLT          eights           \
	ROWS                          \
	OUT(0)                        \
	GET4(0, Y0, Y1, Y2, Y3)       \
	OUT(1)                        \
	GET4(0, Y4, Y5, Y6, Y7)       \
row32:                            \
	VBROADCASTSS (DI)(R11*4), Y13 \
	VBROADCASTSS (BX)(R11*4), Y12 \
	SCALEOF(0)                    \
	ADD2(LOAD, 0, Y0, Y4)         \
	ADD2(LOAD, 1, Y1, Y5)         \
	ADD2(LOAD, 2, Y2, Y6)         \
	ADD2(LOAD, 3, Y3, Y7)         \
	AGAIN(row32)                  \
	PUT4(0, Y4, Y5, Y6, Y7)       \
	OUT(0)                        \
	PUT4(0, Y0, Y1, Y2, Y3)       \
	ADDQ         $128, R10        \
	ADDQ         $SIZE32, R12     \
	SUBQ         $32, R9          \
	JMP          wide

#define EIGHTS2(LOAD, SIZE8) \
eights:                           \
	CMPQ         R9, $8           \
	JLT          rest             \
	ROWS                          \
	OUT(0)                        \
	VMOVUPS      (AX), Y0         \
	OUT(1)                        \
	VMOVUPS      (AX), Y4         \
row8:                             \
	VBROADCASTSS (DI)(R11*4), Y13 \
	VBROADCASTSS (BX)(R11*4), Y12 \
	ADD2(LOAD, 0, Y0, Y4)         \
	AGAIN(row8)                   \
	VMOVUPS      Y4, (AX)         \
	OUT(0)                        \
	VMOVUPS      Y0, (AX)         \
	ADDQ         $32, R10         \
	ADDQ         $SIZE8, R12      \
	SUBQ         $8, R9           \
	JMP          eights

// func AddF32x2AVX2(t *RowsAdd)
TEXT ·AddF32x2AVX2(SB), NOSPLIT, $0-8
	ARGS
	TWO(F32, NOSCALE, 128)
	EIGHTS2(F32, 32)

rest:
	MASKS(done)
	ROWS
	OUT(0)
	VMASKMOVPS (AX), Y11, Y0
	OUT(1)
	VMASKMOVPS (AX), Y11, Y4

rowrest:
	VBROADCASTSS (DI)(R11*4), Y13
	VBROADCASTSS (BX)(R11*4), Y12
	VMASKMOVPS   (SI), Y11, Y14
	VFMADD231PS  Y14, Y13, Y0
	VFMADD231PS  Y14, Y12, Y4
	AGAIN(rowrest)
	VMASKMOVPS   Y4, Y11, (AX)
	OUT(0)
	VMASKMOVPS   Y0, Y11, (AX)

done:
	VZEROUPPER
	RET

// func AddF16x2AVX2(t *RowsAdd)
TEXT ·AddF16x2AVX2(SB), NOSPLIT, $0-8
	ARGS
	TWO(F16, NOSCALE, 64)
	EIGHTS2(F16, 16)

rest:
	VZEROUPPER
	RET

// func AddQ8_0x2AVX2(t *RowsAdd)
TEXT ·AddQ8_0x2AVX2(SB), NOSPLIT, $0-8
	ARGS
	TWO(Q8, Q8SCALE, 34)

eights:
	VZEROUPPER
	RET

// func AddF32x3AVX2(t *RowsAdd)
TEXT ·AddF32x3AVX2(SB), NOSPLIT, $0-8
	ARGS

wide:
	CMPQ R9, $32
	JLT  eights
	ROWS
	OUT(0)
	GET4(0, Y0, Y1, Y2, Y3)
	OUT(1)
	GET4(0, Y4, Y5, Y6, Y7)
	OUT(2)
	GET4(0, Y8, Y9, Y10, Y11)

row32:
	VBROADCASTSS (DI)(R11*4), Y12
	VBROADCASTSS (BX)(R11*4), Y13
	VBROADCASTSS (DX)(R11*4), Y14
	ADD3(F32, 0, Y0, Y4, Y8)
	ADD3(F32, 1, Y1, Y5, Y9)
	ADD3(F32, 2, Y2, Y6, Y10)
	ADD3(F32, 3, Y3, Y7, Y11)
	AGAIN(row32)
	PUT4(0, Y8, Y9, Y10, Y11)
	OUT(1)
	PUT4(0, Y4, Y5, Y6, Y7)
	OUT(0)
	PUT4(0, Y0, Y1, Y2, Y3)
	ADDQ $128, R10
	ADDQ $128, R12
	SUBQ $32, R9
	JMP  wide

eights:
	CMPQ    R9, $8
	JLT     rest
	ROWS
	OUT(0)
	VMOVUPS (AX), Y0
	OUT(1)
	VMOVUPS (AX), Y4
	OUT(2)
	VMOVUPS (AX), Y8

row8:
	VBROADCASTSS (DI)(R11*4), Y12
	VBROADCASTSS (BX)(R11*4), Y13
	VBROADCASTSS (DX)(R11*4), Y14
	ADD3(F32, 0, Y0, Y4, Y8)
	AGAIN(row8)
	VMOVUPS Y8, (AX)
	OUT(1)
	VMOVUPS Y4, (AX)
	OUT(0)
	VMOVUPS Y0, (AX)
	ADDQ    $32, R10
	ADDQ    $32, R12
	SUBQ    $8, R9
	JMP     eights

rest:
	MASKS(done)
	ROWS
	OUT(0)
	VMASKMOVPS (AX), Y11, Y0
	OUT(1)
	VMASKMOVPS (AX), Y11, Y4
	OUT(2)
	VMASKMOVPS (AX), Y11, Y8

rowrest:
	VBROADCASTSS (DI)(R11*4), Y12
	VBROADCASTSS (BX)(R11*4), Y13
	VBROADCASTSS (DX)(R11*4), Y14
	VMASKMOVPS   (SI), Y11, Y15
	VFMADD231PS  Y15, Y12, Y0
	VFMADD231PS  Y15, Y13, Y4
	VFMADD231PS  Y15, Y14, Y8
	AGAIN(rowrest)
	VMASKMOVPS   Y8, Y11, (AX)
	OUT(1)
	VMASKMOVPS   Y4, Y11, (AX)
	OUT(0)
	VMASKMOVPS   Y0, Y11, (AX)

done:
	VZEROUPPER
	RET
