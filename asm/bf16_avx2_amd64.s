//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "data_avx2_amd64.h"

// Four rows at a time; if fewer than four are left, the last stands in for the rest.
//
// SI, R8, R9 and R10 are the rows and DI, BX and DX the columns: 32 bfloat16 of a row and the sixteen floats for either
// half of them take 64 bytes, and R11 is the distance from the start of all of them. R12 is the number of rows left, R15
// that of blocks left, CX that of steps left in a pass, and R13 the distance in bytes of the rows' results from the start.

LANEMASKS

SAME32(upperHalves, $0xffff0000ffff0000)

#define ARGS \
	MOVQ t+0(FP), R14             \
	MOVQ BF16Dots_Rows(R14), SI   \
	MOVQ BF16Dots_Count(R14), R12 \
	XORQ R13, R13

// FOUR finds the next rows, and begins with their first values.
#define FOUR \
	MOVQ    BF16Dots_RowStride(R14), CX \
	MOVQ    SI, R8                      \
	LEAQ    (SI)(CX*1), AX              \
	CMPQ    R12, $2                     \
	CMOVQGE AX, R8                      \
	MOVQ    R8, R9                      \
	LEAQ    (R8)(CX*1), AX              \
	CMPQ    R12, $3                     \
	CMOVQGE AX, R9                      \
	MOVQ    R9, R10                     \
	LEAQ    (R9)(CX*1), AX              \
	CMPQ    R12, $4                     \
	CMOVQGE AX, R10                     \
	XORQ    R11, R11                    \
	MOVQ    BF16Dots_Blocks(R14), R15   \
	MOVQ    BF16Dots_X+0(R14), DI       \
	MOVQ    BF16Dots_X+8(R14), BX       \
	MOVQ    BF16Dots_X+16(R14), DX

#define CLEAR(A, B, C, D) \
	VXORPS A, A, A \
	VXORPS B, B, B \
	VXORPS C, C, C \
	VXORPS D, D, D

// SUMS adds up the eight lanes of four rows, halves first: four sums in XA. XE is overwritten.
#define SUMS(YA, YB, YC, YD, XA, XB, XC, XD, XE) \
	VEXTRACTF128 $1, YA, XE  \
	VADDPS       XE, XA, XA  \
	VEXTRACTF128 $1, YB, XE  \
	VADDPS       XE, XB, XB  \
	VEXTRACTF128 $1, YC, XE  \
	VADDPS       XE, XC, XC  \
	VEXTRACTF128 $1, YD, XE  \
	VADDPS       XE, XD, XD  \
	VUNPCKHPS    XB, XA, XE  \
	VUNPCKLPS    XB, XA, XA  \
	VADDPS       XE, XA, XA  \
	VUNPCKHPS    XD, XC, XE  \
	VUNPCKLPS    XD, XC, XC  \
	VADDPS       XE, XC, XC  \
	VUNPCKHPD    XC, XA, XE  \
	VUNPCKLPD    XC, XA, XA  \
	VADDPS       XE, XA, XA

// PUT stores the sums X of column COL.
#define PUT(COL, X, PART, DONE) \
	MOVQ       BF16Dots_Dst+(8*COL)(R14), AX \
	ADDQ       R13, AX                       \
	CMPQ       R12, $4                       \
	JLT        PART                          \
	VMOVUPS    X, (AX)                       \
	JMP        DONE                          \
PART:                                        \
	LEAQ       laneMask<>(SB), CX            \
	NEGQ       R12                           \
	VMOVUPS    32(CX)(R12*4), X15            \
	NEGQ       R12                           \
	VMASKMOVPS X, X15, (AX)                  \
DONE:

// NEXT goes to the next rows.
#define NEXT \
	MOVQ BF16Dots_RowStride(R14), CX \
	LEAQ (SI)(CX*4), SI              \
	ADDQ $16, R13                    \
	SUBQ $4, R12                     \
	JG   four                        \
	VZEROUPPER                       \
	RET

// ODD and EVEN are those values of sixteen, OFF into a row's block.
#define ODD(OFF, PTR) \
	VMOVUPS upperHalves<>(SB), Y15 \
	VANDPS  OFF(PTR)(R11*1), Y15, Y15

#define EVEN(OFF, PTR) \
	VMOVDQU OFF(PTR)(R11*1), Y15 \
	VPSLLD  $16, Y15, Y15

#define ROW1(OFF, PTR, A) \
	VMOVDQU     OFF(PTR)(R11*1), Y8 \
	VPAND       Y15, Y8, Y9         \
	VPSLLD      $16, Y8, Y8         \
	VFMADD231PS Y9, Y12, A          \
	VFMADD231PS Y8, Y13, A

// func DotBF16x1AVX2(t *BF16Dots)
//
// Y0-Y3 are the first eight lanes of the rows, Y4-Y7 the last.
TEXT ·DotBF16x1AVX2(SB), NOSPLIT, $0-8
	ARGS
	VMOVUPS upperHalves<>(SB), Y15

four:
	FOUR
	MOVQ R15, BX
	SHLQ $6, BX
	ADDQ DI, BX // the values for the second halves
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)

block:
	VMOVUPS (DI)(R11*1), Y12
	VMOVUPS 32(DI)(R11*1), Y13
	ROW1(0, SI, Y0)
	ROW1(0, R8, Y1)
	ROW1(0, R9, Y2)
	ROW1(0, R10, Y3)
	VMOVUPS (BX)(R11*1), Y12
	VMOVUPS 32(BX)(R11*1), Y13
	ROW1(32, SI, Y4)
	ROW1(32, R8, Y5)
	ROW1(32, R9, Y6)
	ROW1(32, R10, Y7)
	ADDQ    $64, R11
	DECQ    R15
	JNZ     block
	VADDPS  Y4, Y0, Y0
	VADDPS  Y5, Y1, Y1
	VADDPS  Y6, Y2, Y2
	VADDPS  Y7, Y3, Y3
	SUMS(Y0, Y1, Y2, Y3, X0, X1, X2, X3, X4)
	PUT(0, X0, part, done)
	NEXT

// With more columns there are registers for eight lanes only. The two halves of up to 32 blocks, which stay in the
// first-level cache, are taken one after the other, and the lanes of either wait on the stack for the next blocks.

#define ROW2(LOAD, OFF, PTR, A, B) \
	LOAD(OFF, PTR)         \
	VFMADD231PS Y15, Y12, A \
	VFMADD231PS Y15, Y13, B

#define ROW3(LOAD, OFF, PTR, A, B, C) \
	LOAD(OFF, PTR)          \
	VFMADD231PS Y15, Y12, A \
	VFMADD231PS Y15, Y13, B \
	VFMADD231PS Y15, Y14, C

#define STEP2(OFF) \
	VMOVUPS (DI)(R11*1), Y12      \
	VMOVUPS (BX)(R11*1), Y13      \
	ROW2(ODD, OFF, SI, Y0, Y4)    \
	ROW2(ODD, OFF, R8, Y1, Y5)    \
	ROW2(ODD, OFF, R9, Y2, Y6)    \
	ROW2(ODD, OFF, R10, Y3, Y7)   \
	VMOVUPS 32(DI)(R11*1), Y12    \
	VMOVUPS 32(BX)(R11*1), Y13    \
	ROW2(EVEN, OFF, SI, Y0, Y4)   \
	ROW2(EVEN, OFF, R8, Y1, Y5)   \
	ROW2(EVEN, OFF, R9, Y2, Y6)   \
	ROW2(EVEN, OFF, R10, Y3, Y7)  \
	ADDQ    $64, R11              \
	DECQ    CX

#define STEP3(OFF) \
	VMOVUPS (DI)(R11*1), Y12          \
	VMOVUPS (BX)(R11*1), Y13          \
	VMOVUPS (DX)(R11*1), Y14          \
	ROW3(ODD, OFF, SI, Y0, Y4, Y8)    \
	ROW3(ODD, OFF, R8, Y1, Y5, Y9)    \
	ROW3(ODD, OFF, R9, Y2, Y6, Y10)   \
	ROW3(ODD, OFF, R10, Y3, Y7, Y11)  \
	VMOVUPS 32(DI)(R11*1), Y12        \
	VMOVUPS 32(BX)(R11*1), Y13        \
	VMOVUPS 32(DX)(R11*1), Y14        \
	ROW3(EVEN, OFF, SI, Y0, Y4, Y8)   \
	ROW3(EVEN, OFF, R8, Y1, Y5, Y9)   \
	ROW3(EVEN, OFF, R9, Y2, Y6, Y10)  \
	ROW3(EVEN, OFF, R10, Y3, Y7, Y11) \
	ADDQ    $64, R11                  \
	DECQ    CX

// PASS makes CX the number of blocks to take, of the R15 left.
#define PASS \
	MOVQ    $32, CX \
	CMPQ    R15, CX \
	CMOVQLT R15, CX

// HALF makes AX the distance of a column's values for the second halves from those for the first.
#define HALF \
	MOVQ BF16Dots_Blocks(R14), AX \
	SHLQ $6, AX

// BACK goes back to the first of the blocks that a pass took.
#define BACK \
	PASS         \
	SHLQ $6, CX  \
	SUBQ CX, R11 \
	PASS

// Lanes of one column's four rows lie AT bytes into the frame.
#define SAVE4(A, B, C, D, AT) \
	VMOVUPS A, lanes-768+(AT)(SP)    \
	VMOVUPS B, lanes-768+(AT+32)(SP) \
	VMOVUPS C, lanes-768+(AT+64)(SP) \
	VMOVUPS D, lanes-768+(AT+96)(SP)

#define LOAD4(A, B, C, D, AT) \
	VMOVUPS lanes-768+(AT)(SP), A    \
	VMOVUPS lanes-768+(AT+32)(SP), B \
	VMOVUPS lanes-768+(AT+64)(SP), C \
	VMOVUPS lanes-768+(AT+96)(SP), D

#define ADD4(A, B, C, D, AT) \
	VADDPS lanes-768+(AT)(SP), A, A    \
	VADDPS lanes-768+(AT+32)(SP), B, B \
	VADDPS lanes-768+(AT+64)(SP), C, C \
	VADDPS lanes-768+(AT+96)(SP), D, D

// The columns' first lanes are at 0, 128 and 256, their last at 384, 512 and 640.

// func DotBF16x2AVX2(t *BF16Dots)
TEXT ·DotBF16x2AVX2(SB), 0, $768-8
	ARGS

four:
	FOUR

chunk:
	PASS
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	TESTQ R11, R11
	JZ    firsts
	LOAD4(Y0, Y1, Y2, Y3, 0)
	LOAD4(Y4, Y5, Y6, Y7, 128)

firsts:
	STEP2(0)
	JNZ firsts
	SAVE4(Y0, Y1, Y2, Y3, 0)
	SAVE4(Y4, Y5, Y6, Y7, 128)
	BACK
	HALF
	ADDQ  AX, DI
	ADDQ  AX, BX
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	TESTQ R11, R11
	JZ    lasts
	LOAD4(Y0, Y1, Y2, Y3, 384)
	LOAD4(Y4, Y5, Y6, Y7, 512)

lasts:
	STEP2(32)
	JNZ  lasts
	HALF
	SUBQ AX, DI
	SUBQ AX, BX
	PASS
	SUBQ CX, R15
	JZ   sum
	SAVE4(Y0, Y1, Y2, Y3, 384)
	SAVE4(Y4, Y5, Y6, Y7, 512)
	JMP  chunk

sum:
	ADD4(Y0, Y1, Y2, Y3, 0)
	ADD4(Y4, Y5, Y6, Y7, 128)
	SUMS(Y0, Y1, Y2, Y3, X0, X1, X2, X3, X12)
	PUT(0, X0, part0, done0)
	SUMS(Y4, Y5, Y6, Y7, X4, X5, X6, X7, X12)
	PUT(1, X4, part1, done1)
	NEXT

// func DotBF16x3AVX2(t *BF16Dots)
TEXT ·DotBF16x3AVX2(SB), 0, $768-8
	ARGS

four:
	FOUR

chunk:
	PASS
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	CLEAR(Y8, Y9, Y10, Y11)
	TESTQ R11, R11
	JZ    firsts
	LOAD4(Y0, Y1, Y2, Y3, 0)
	LOAD4(Y4, Y5, Y6, Y7, 128)
	LOAD4(Y8, Y9, Y10, Y11, 256)

firsts:
	STEP3(0)
	JNZ firsts
	SAVE4(Y0, Y1, Y2, Y3, 0)
	SAVE4(Y4, Y5, Y6, Y7, 128)
	SAVE4(Y8, Y9, Y10, Y11, 256)
	BACK
	HALF
	ADDQ  AX, DI
	ADDQ  AX, BX
	ADDQ  AX, DX
	CLEAR(Y0, Y1, Y2, Y3)
	CLEAR(Y4, Y5, Y6, Y7)
	CLEAR(Y8, Y9, Y10, Y11)
	TESTQ R11, R11
	JZ    lasts
	LOAD4(Y0, Y1, Y2, Y3, 384)
	LOAD4(Y4, Y5, Y6, Y7, 512)
	LOAD4(Y8, Y9, Y10, Y11, 640)

lasts:
	STEP3(32)
	JNZ  lasts
	HALF
	SUBQ AX, DI
	SUBQ AX, BX
	SUBQ AX, DX
	PASS
	SUBQ CX, R15
	JZ   sum
	SAVE4(Y0, Y1, Y2, Y3, 384)
	SAVE4(Y4, Y5, Y6, Y7, 512)
	SAVE4(Y8, Y9, Y10, Y11, 640)
	JMP  chunk

sum:
	ADD4(Y0, Y1, Y2, Y3, 0)
	ADD4(Y4, Y5, Y6, Y7, 128)
	ADD4(Y8, Y9, Y10, Y11, 256)
	SUMS(Y0, Y1, Y2, Y3, X0, X1, X2, X3, X12)
	PUT(0, X0, part0, done0)
	SUMS(Y4, Y5, Y6, Y7, X4, X5, X6, X7, X12)
	PUT(1, X4, part1, done1)
	SUMS(Y8, Y9, Y10, Y11, X8, X9, X10, X11, X12)
	PUT(2, X8, part2, done2)
	NEXT

// func SplitBF16AVX2(dst *float32, src *uint16, n int)
TEXT ·SplitBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    src+8(FP), SI
	MOVQ    n+16(FP), CX
	MOVQ    CX, BX
	SHLQ    $6, BX
	ADDQ    DI, BX
	VMOVUPS upperHalves<>(SB), Y15

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPAND   Y15, Y0, Y2
	VPAND   Y15, Y1, Y3
	VPSLLD  $16, Y0, Y0
	VPSLLD  $16, Y1, Y1
	VMOVUPS Y2, (DI)
	VMOVUPS Y0, 32(DI)
	VMOVUPS Y3, (BX)
	VMOVUPS Y1, 32(BX)
	ADDQ    $64, SI
	ADDQ    $64, DI
	ADDQ    $64, BX
	DECQ    CX
	JNZ     block
	VZEROUPPER
	RET
