//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "data_avx2_amd64.h"

// Four rows at a time against one, two or three columns; if fewer than four are left, the last stands in for the rest.
//
// SI, R8, R9 and R10 are the rows and R11 the distance in bytes of the next values from their start; DI, BX and DX the
// columns. R12 is the number of rows left, R15 that of values left, CX that of steps left in the chunk. R13 is the
// distance in bytes of the rows' results from the start. Y0-Y3, Y4-Y7 and Y8-Y11 are the lanes of each row for the
// first, the second and the third column.

LANEMASKS

#define ARGS \
	MOVQ t+0(FP), R14            \
	MOVQ RowsDot_Rows(R14), SI   \
	MOVQ RowsDot_Count(R14), R12 \
	XORQ R13, R13

// FOUR finds the next rows, and begins with their first values.
#define FOUR \
	MOVQ    RowsDot_RowStride(R14), CX \
	MOVQ    SI, R8                     \
	LEAQ    (SI)(CX*1), AX             \
	CMPQ    R12, $2                    \
	CMOVQGE AX, R8                     \
	MOVQ    R8, R9                     \
	LEAQ    (R8)(CX*1), AX             \
	CMPQ    R12, $3                    \
	CMOVQGE AX, R9                     \
	MOVQ    R9, R10                    \
	LEAQ    (R9)(CX*1), AX             \
	CMPQ    R12, $4                    \
	CMOVQGE AX, R10                    \
	XORQ    R11, R11                   \
	MOVQ    RowsDot_N(R14), R15        \
	MOVQ    RowsDot_X+0(R14), DI       \
	MOVQ    RowsDot_X+8(R14), BX       \
	MOVQ    RowsDot_X+16(R14), DX

// CHUNK counts the steps of 1<<LOG values in the next chunk. The chunk's sums are added to what is there unless it is
// the first and nothing else was asked for.
#define CHUNK(LOG) \
	MOVBLZX RowsDot_Add(R14), CX \
	ORQ     R11, CX              \
	MOVQ    CX, adds-8(SP)       \
	MOVQ    $512, CX             \
	CMPQ    R15, CX              \
	CMOVQLT R15, CX              \
	SUBQ    CX, R15              \
	MOVQ    CX, AX               \
	SHRQ    $LOG, CX

#define CLEAR(A, B, C, D) \
	VXORPS A, A, A \
	VXORPS B, B, B \
	VXORPS C, C, C \
	VXORPS D, D, D

// SUMS adds up the lanes of each row: four sums in XA.
#define SUMS(A, B, C, D, XA, XB) \
	VHADDPS      B, A, A    \
	VHADDPS      D, C, C    \
	VHADDPS      C, A, A    \
	VEXTRACTF128 $1, A, XB  \
	VADDPS       XB, XA, XA

// PUT stores or adds the sums X of column COL.
#define PUT(COL, X, SET, PART, DONE) \
	MOVQ       RowsDot_Dst+(8*COL)(R14), AX \
	ADDQ       R13, AX                      \
	CMPQ       R12, $4                      \
	JLT        PART                         \
	CMPQ       adds-8(SP), $0               \
	JEQ        SET                          \
	VADDPS     (AX), X, X                   \
SET:                                        \
	VMOVUPS    X, (AX)                      \
	JMP        DONE                         \
PART:                                       \
	LEAQ       laneMask<>(SB), CX           \
	NEGQ       R12                          \
	VMOVUPS    32(CX)(R12*4), X15           \
	NEGQ       R12                          \
	VMASKMOVPS (AX), X15, X14               \
	VADDPS     X14, X, X14                  \
	CMPQ       adds-8(SP), $0               \
	JEQ        2(PC)                        \
	VMOVAPS    X14, X                       \
	VMASKMOVPS X, X15, (AX)                 \
DONE:

#define PUTS1 \
	SUMS(Y0, Y1, Y2, Y3, X0, X12)  \
	PUT(0, X0, set0, part0, done0)

#define PUTS2 \
	SUMS(Y4, Y5, Y6, Y7, X4, X12)  \
	PUT(1, X4, set1, part1, done1)

#define PUTS3 \
	SUMS(Y8, Y9, Y10, Y11, X8, X12) \
	PUT(2, X8, set2, part2, done2)

// NEXT goes to the next chunk, or the next rows.
#define NEXT \
	TESTQ R15, R15                   \
	JNZ   chunk                      \
	MOVQ  RowsDot_RowStride(R14), CX \
	LEAQ  (SI)(CX*4), SI             \
	ADDQ  $16, R13                   \
	SUBQ  $4, R12                    \
	JG    four                       \
	VZEROUPPER                       \
	RET

// Eight values of a row.
#define F32(PTR, Y) VMOVUPS (PTR)(R11*1), Y

#define F16(PTR, Y) VCVTPH2PS (PTR)(R11*1), Y

// The first of eight values of a row, as the mask Y15 has them.
#define MASKED(PTR, Y) VMASKMOVPS (PTR)(R11*1), Y15, Y

#define ROW1(LOAD, PTR, Y, A) \
	LOAD(PTR, Y)          \
	VFMADD231PS Y, Y12, A

#define ROW2(LOAD, PTR, Y, A, B) \
	LOAD(PTR, Y)          \
	VFMADD231PS Y, Y12, A \
	VFMADD231PS Y, Y13, B

#define ROW3(LOAD, PTR, Y, A, B, C) \
	LOAD(PTR, Y)          \
	VFMADD231PS Y, Y12, A \
	VFMADD231PS Y, Y13, B \
	VFMADD231PS Y, Y14, C

#define ROWS1(LOAD, Y) \
	ROW1(LOAD, SI, Y, Y0)  \
	ROW1(LOAD, R8, Y, Y1)  \
	ROW1(LOAD, R9, Y, Y2)  \
	ROW1(LOAD, R10, Y, Y3)

#define ROWS2(LOAD, Y) \
	ROW2(LOAD, SI, Y, Y0, Y4)  \
	ROW2(LOAD, R8, Y, Y1, Y5)  \
	ROW2(LOAD, R9, Y, Y2, Y6)  \
	ROW2(LOAD, R10, Y, Y3, Y7)

#define ROWS3(LOAD, Y) \
	ROW3(LOAD, SI, Y, Y0, Y4, Y8)   \
	ROW3(LOAD, R8, Y, Y1, Y5, Y9)   \
	ROW3(LOAD, R9, Y, Y2, Y6, Y10)  \
	ROW3(LOAD, R10, Y, Y3, Y7, Y11)

// TAIL is the mask of the last values of the chunk, fewer than eight: AX%8 of them.
#define TAIL(NONE) \
	ANDQ    $7, AX             \
	JZ      NONE               \
	NEGQ    AX                 \
	LEAQ    laneMask<>(SB), CX \
	VMOVUPS 32(CX)(AX*4), Y15

// func DotF32x1AVX2(t *RowsDot)
TEXT ·DotF32x1AVX2(SB), NOSPLIT, $8-8
	ARGS

four:
	FOUR

chunk:
	CHUNK(3)
	CLEAR(Y0, Y1, Y2, Y3)
	TESTQ CX, CX
	JZ    tail

step:
	VMOVUPS (DI)(R11*1), Y12
	ROWS1(F32, Y15)
	ADDQ    $32, R11
	DECQ    CX
	JNZ     step

tail:
	TAIL(sum)
	VMASKMOVPS (DI)(R11*1), Y15, Y12
	ROWS1(MASKED, Y14)

sum:
	PUTS1
	NEXT

// func DotF32x2AVX2(t *RowsDot)
TEXT ·DotF32x2AVX2(SB), NOSPLIT, $8-8
	ARGS

four:
	FOUR

chunk:
	CHUNK(3)
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	TESTQ CX, CX
	JZ    tail

step:
	VMOVUPS (DI)(R11*1), Y12
	VMOVUPS (BX)(R11*1), Y13
	ROWS2(F32, Y15)
	ADDQ    $32, R11
	DECQ    CX
	JNZ     step

tail:
	TAIL(sum)
	VMASKMOVPS (DI)(R11*1), Y15, Y12
	VMASKMOVPS (BX)(R11*1), Y15, Y13
	ROWS2(MASKED, Y14)

sum:
	PUTS1
	PUTS2
	NEXT

// func DotF32x3AVX2(t *RowsDot)
TEXT ·DotF32x3AVX2(SB), NOSPLIT, $40-8
	ARGS

four:
	FOUR

chunk:
	CHUNK(3)
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	CLEAR(Y8, Y9, Y10, Y11)
	TESTQ CX, CX
	JZ    tail

step:
	VMOVUPS (DI)(R11*1), Y12
	VMOVUPS (BX)(R11*1), Y13
	VMOVUPS (DX)(R11*1), Y14
	ROWS3(F32, Y15)
	ADDQ    $32, R11
	DECQ    CX
	JNZ     step

tail:
	TAIL(sum)
	VMASKMOVPS (DI)(R11*1), Y15, Y12
	VMASKMOVPS (BX)(R11*1), Y15, Y13
	VMASKMOVPS (DX)(R11*1), Y15, Y14
	VMOVUPS    Y8, spare-40(SP)     // one register short
	VMASKMOVPS (SI)(R11*1), Y15, Y8
	VFMADD231PS Y8, Y12, Y0
	VFMADD231PS Y8, Y13, Y4
	VFMADD213PS spare-40(SP), Y14, Y8
	VMOVUPS    Y9, spare-40(SP)
	VMASKMOVPS (R8)(R11*1), Y15, Y9
	VFMADD231PS Y9, Y12, Y1
	VFMADD231PS Y9, Y13, Y5
	VFMADD213PS spare-40(SP), Y14, Y9
	VMOVUPS    Y10, spare-40(SP)
	VMASKMOVPS (R9)(R11*1), Y15, Y10
	VFMADD231PS Y10, Y12, Y2
	VFMADD231PS Y10, Y13, Y6
	VFMADD213PS spare-40(SP), Y14, Y10
	VMOVUPS    Y11, spare-40(SP)
	VMASKMOVPS (R10)(R11*1), Y15, Y11
	VFMADD231PS Y11, Y12, Y3
	VFMADD231PS Y11, Y13, Y7
	VFMADD213PS spare-40(SP), Y14, Y11

sum:
	PUTS1
	PUTS2
	PUTS3
	NEXT

#define HALFSx1(NAME, LOAD) \
TEXT NAME(SB), NOSPLIT, $8-8; \
	ARGS                      \
four:                         \
	FOUR                      \
chunk:                        \
	CHUNK(3)                  \
	CLEAR(Y0, Y1, Y2, Y3)     \
step:                         \
	VMOVUPS (DI)(R11*2), Y12  \
	ROWS1(LOAD, Y15)          \
	ADDQ    $16, R11          \
	DECQ    CX                \
	JNZ     step              \
	PUTS1                     \
	NEXT

#define HALFSx2(NAME, LOAD) \
TEXT NAME(SB), NOSPLIT, $8-8; \
	ARGS                      \
four:                         \
	FOUR                      \
chunk:                        \
	CHUNK(3)                  \
	CLEAR(Y0, Y1, Y2, Y3)     \
	CLEAR(Y4, Y5, Y6, Y7)     \
step:                         \
	VMOVUPS (DI)(R11*2), Y12  \
	VMOVUPS (BX)(R11*2), Y13  \
	ROWS2(LOAD, Y15)          \
	ADDQ    $16, R11          \
	DECQ    CX                \
	JNZ     step              \
	PUTS1                     \
	PUTS2                     \
	NEXT

// func DotF16x1AVX2(t *RowsDot)
HALFSx1(·DotF16x1AVX2, F16)

// func DotF16x2AVX2(t *RowsDot)
HALFSx2(·DotF16x2AVX2, F16)
