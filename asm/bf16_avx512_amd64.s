//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Four rows at a time; if fewer than four are left, the last stands in for the rest.
//
// SI, R8, R9 and R10 are the rows, DI, BX, DX and AX the columns, and R11 is the distance in bytes of the next values from
// the start of all of them. R12 is the number of rows left, CX that of steps left, R15 that of steps in a row, and R13
// the distance in bytes of the rows' results from the start. K1 has the pairs behind the last whole step, K2 the rows
// that there are. Z0-Z3 are the lanes of each row for the first column, Z4-Z7 for the second, and so on.

// Numbers are those of registers: d is added to, a and b are multiplied.
#define VDPBF16PS(d, a, b) LONG $(0x40060262 | ((((d)>>3)&1)^1)<<15 | ((((b)>>4)&1)^1)<<14 | ((((b)>>3)&1)^1)<<13 | ((((d)>>4)&1)^1)<<12 | ((15-((a)&15))<<19) | ((((a)>>4)&1)^1)<<27); WORD $(0xc052 | (((d)&7)<<11) | (((b)&7)<<8)) // VDPBF16PS Zd, Za, Zb

#define ARGS \
	MOVQ  t+0(FP), R14                \
	MOVQ  BF16Columns_Rows(R14), SI   \
	MOVQ  BF16Columns_Count(R14), R12 \
	XORQ  R13, R13                    \
	MOVQ  BF16Columns_N(R14), R15     \
	MOVQ  R15, CX                     \
	ANDQ  $31, CX                     \
	MOVL  $1, AX                      \
	SHLL  CX, AX                      \
	DECL  AX                          \
	KMOVD AX, K1                      \
	SHRQ  $5, R15

// FOUR finds the next rows, and begins with their first values.
#define FOUR \
	MOVQ    BF16Columns_RowStride(R14), CX \
	MOVQ    SI, R8                         \
	LEAQ    (SI)(CX*1), AX                 \
	CMPQ    R12, $2                        \
	CMOVQGE AX, R8                         \
	MOVQ    R8, R9                         \
	LEAQ    (R8)(CX*1), AX                 \
	CMPQ    R12, $3                        \
	CMOVQGE AX, R9                         \
	MOVQ    R9, R10                        \
	LEAQ    (R9)(CX*1), AX                 \
	CMPQ    R12, $4                        \
	CMOVQGE AX, R10                        \
	MOVL    $15, AX                        \
	MOVQ    $4, CX                         \
	SUBQ    R12, CX                        \
	JLE     2(PC)                          \
	SHRL    CX, AX                         \
	KMOVW   AX, K2                         \
	MOVQ    BF16Columns_X+0(R14), DI       \
	MOVQ    BF16Columns_X+8(R14), BX       \
	MOVQ    BF16Columns_X+16(R14), DX      \
	MOVQ    BF16Columns_X+24(R14), AX      \
	XORQ    R11, R11                       \
	MOVQ    R15, CX

#define CLEAR(A, B, C, D) \
	VPXORD A, A, A \
	VPXORD B, B, B \
	VPXORD C, C, C \
	VPXORD D, D, D

// WHOLE loads the next 32 values, REST those that are left.
#define WHOLE(PTR, TO) VMOVDQU16 (PTR)(R11*1), TO

#define REST(PTR, TO) VMOVDQU16.Z (PTR)(R11*1), K1, TO

#define ROWS(LOAD) \
	LOAD(SI, Z16)  \
	LOAD(R8, Z17)  \
	LOAD(R9, Z18)  \
	LOAD(R10, Z19)

// COLUMN multiplies the rows by the column in register x; acc is the first of its lanes.
#define COLUMN(acc, x) \
	VDPBF16PS(acc, 16, x)     \
	VDPBF16PS((acc)+1, 17, x) \
	VDPBF16PS((acc)+2, 18, x) \
	VDPBF16PS((acc)+3, 19, x)

#define STEP1(LOAD) \
	ROWS(LOAD)    \
	LOAD(DI, Z20) \
	COLUMN(0, 20)

#define STEP2(LOAD) \
	STEP1(LOAD)   \
	LOAD(BX, Z21) \
	COLUMN(4, 21)

#define STEP4(LOAD) \
	STEP2(LOAD)    \
	LOAD(DX, Z22)  \
	LOAD(AX, Z23)  \
	COLUMN(8, 22)  \
	COLUMN(12, 23)

// HALVE makes A the sums of the two halves of its lanes.
#define HALVE(A, YA, Y) \
	VEXTRACTF64X4 $1, A, Y  \
	VADDPS        Y, YA, YA

// SUMS adds up the lanes of four rows, halves first, and stores the sums of column COL. Z24 is overwritten.
#define SUMS(COL, ZA, ZB, ZC, ZD, YA, YB, YC, YD, XA, XB, XC, XD) \
	HALVE(ZA, YA, Y24)                             \
	HALVE(ZB, YB, Y24)                             \
	HALVE(ZC, YC, Y24)                             \
	HALVE(ZD, YD, Y24)                             \
	VEXTRACTF32X4 $1, YA, X24                      \
	VADDPS        X24, XA, XA                      \
	VEXTRACTF32X4 $1, YB, X24                      \
	VADDPS        X24, XB, XB                      \
	VEXTRACTF32X4 $1, YC, X24                      \
	VADDPS        X24, XC, XC                      \
	VEXTRACTF32X4 $1, YD, X24                      \
	VADDPS        X24, XD, XD                      \
	VUNPCKHPS     XB, XA, X24                      \
	VUNPCKLPS     XB, XA, XA                       \
	VADDPS        X24, XA, XA                      \
	VUNPCKHPS     XD, XC, X24                      \
	VUNPCKLPS     XD, XC, XC                       \
	VADDPS        X24, XC, XC                      \
	VUNPCKHPD     XC, XA, X24                      \
	VUNPCKLPD     XC, XA, XA                       \
	VADDPS        X24, XA, XA                      \
	MOVQ          BF16Columns_Dst+(8*COL)(R14), CX \
	VMOVUPS       XA, K2, (CX)(R13*1)

#define SUMS1 SUMS(0, Z0, Z1, Z2, Z3, Y0, Y1, Y2, Y3, X0, X1, X2, X3)
#define SUMS2 SUMS(1, Z4, Z5, Z6, Z7, Y4, Y5, Y6, Y7, X4, X5, X6, X7)
#define SUMS3 SUMS(2, Z8, Z9, Z10, Z11, Y8, Y9, Y10, Y11, X8, X9, X10, X11)
#define SUMS4 SUMS(3, Z12, Z13, Z14, Z15, Y12, Y13, Y14, Y15, X12, X13, X14, X15)

// NEXT goes to the next rows.
#define NEXT \
	MOVQ BF16Columns_RowStride(R14), CX \
	LEAQ (SI)(CX*4), SI                 \
	ADDQ $16, R13                       \
	SUBQ $4, R12                        \
	JG   four                           \
	VZEROUPPER                          \
	RET

// func DotBF16x1AVX512(t *BF16Columns)
TEXT ·DotBF16x1AVX512(SB), NOSPLIT, $0-8
	ARGS

four:
	FOUR
	CLEAR(Z0, Z1, Z2, Z3)
	TESTQ CX, CX
	JZ    rest

step:
	STEP1(WHOLE)
	ADDQ $64, R11
	DECQ CX
	JNZ  step

rest:
	KTESTD K1, K1
	JZ     sum
	STEP1(REST)

sum:
	SUMS1
	NEXT

// func DotBF16x2AVX512(t *BF16Columns)
TEXT ·DotBF16x2AVX512(SB), NOSPLIT, $0-8
	ARGS

four:
	FOUR
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	TESTQ CX, CX
	JZ    rest

step:
	STEP2(WHOLE)
	ADDQ $64, R11
	DECQ CX
	JNZ  step

rest:
	KTESTD K1, K1
	JZ     sum
	STEP2(REST)

sum:
	SUMS1
	SUMS2
	NEXT

// func DotBF16x4AVX512(t *BF16Columns)
TEXT ·DotBF16x4AVX512(SB), NOSPLIT, $0-8
	ARGS

four:
	FOUR
	CLEAR(Z0, Z1, Z2, Z3)
	CLEAR(Z4, Z5, Z6, Z7)
	CLEAR(Z8, Z9, Z10, Z11)
	CLEAR(Z12, Z13, Z14, Z15)
	TESTQ CX, CX
	JZ    rest

step:
	STEP4(WHOLE)
	ADDQ $64, R11
	DECQ CX
	JNZ  step

rest:
	KTESTD K1, K1
	JZ     sum
	STEP4(REST)

sum:
	SUMS1
	SUMS2
	SUMS3
	SUMS4
	NEXT
