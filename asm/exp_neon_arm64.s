//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// exp(x) = 2ⁿ·exp(r) with n the integer nearest to x/ln 2 and |r| ≤ ½ ln 2, and exp(r) = 1 + r + r²·P(r). P interpolates
// (exp(r)−1−r)/r² at the five Chebyshev nodes of the interval; the polynomial errs by 1·10⁻⁸ of the result.

DATA expTable<>+0(SB)/4, $0x3fb8aa3b  // 1/ln 2
DATA expTable<>+4(SB)/4, $0x3f317218  // ln 2
DATA expTable<>+8(SB)/4, $0xb102e308  // ln 2 less the number above
DATA expTable<>+12(SB)/4, $0
DATA expTable<>+16(SB)/4, $0x3f000000 // P, from the constant up
DATA expTable<>+20(SB)/4, $0x3e2aaa6e
DATA expTable<>+24(SB)/4, $0x3d2aaa8d
DATA expTable<>+28(SB)/4, $0x3c0905b6
DATA expTable<>+32(SB)/4, $0x3ab68883
DATA expTable<>+36(SB)/4, $0x4b400000 // 1.5·2²³: added and taken away, it rounds to an integer
DATA expTable<>+40(SB)/4, $0x3f800000 // 1
DATA expTable<>+44(SB)/4, $0x42b20000 // 89: exp overflows before
DATA expTable<>+48(SB)/4, $0xc2d00000 // −104: exp is zero before
GLOBL expTable<>(SB), RODATA|NOPTR, $52

#define EXPCONSTANTS \
	MOVD    $expTable<>(SB), R10    \
	VLD1.P  16(R10), [V20.B16]      \
	VLD1R.P 4(R10), [V21.S4]        \
	VLD1R.P 4(R10), [V22.S4]        \
	VLD1R.P 4(R10), [V23.S4]        \
	VLD1R.P 4(R10), [V24.S4]        \
	VLD1R.P 4(R10), [V25.S4]        \
	VLD1R.P 4(R10), [V26.S4]        \
	VLD1R.P 4(R10), [V27.S4]        \
	VLD1R.P 4(R10), [V28.S4]        \
	VLD1R.P 4(R10), [V29.S4]

// REDUCE makes of V0 the q = exp(r)−1, and leaves n in the lowest bits of V2. The reader of V2 shifts away those above:
// they are the ones of 1.5·2²³.
#define REDUCE \
	ORR_16B(v2, v26, v26)       \
	FMLA_4S_S(v2, v0, v20, 0)   \
	FSUB_4S(v1, v2, v26)        \
	FMLS_4S_S(v0, v1, v20, 1)   \
	FMLS_4S_S(v0, v1, v20, 2)   \
	ORR_16B(v1, v24, v24)       \
	FMLA_4S(v1, v25, v0)        \
	ORR_16B(v3, v23, v23)       \
	FMLA_4S(v3, v1, v0)         \
	ORR_16B(v1, v22, v22)       \
	FMLA_4S(v1, v3, v0)         \
	ORR_16B(v3, v21, v21)       \
	FMLA_4S(v3, v1, v0)         \
	FMUL_4S(v1, v0, v0)         \
	FMLA_4S(v0, v1, v3)

// EXP replaces V0 by its exponential. 2ⁿ is multiplied in two halves, so that the last multiplication rounds what falls
// below the smallest normal number and overflows to infinity where it must. NaN stays NaN.
#define EXP \
	FMIN_4S(v0, v0, v28)        \
	FMAX_4S(v0, v0, v29)        \
	REDUCE                      \
	FADD_4S(v0, v0, v27)        \
	SSHR_4S(v1, v2, 1)          \
	SUB_4S(v2, v2, v1)          \
	SHL_4S(v1, v1, 23)          \
	SHL_4S(v2, v2, 23)          \
	ADD_4S(v1, v1, v27)         \
	ADD_4S(v2, v2, v27)         \
	FMUL_4S(v0, v0, v1)         \
	FMUL_4S(v0, v0, v2)

// func softmax16(x *float32, n int, scale, most float32) (m, sum float32)
TEXT ·softmax16(SB), NOSPLIT, $0-32
	MOVD  x+0(FP), R0
	MOVD  n+8(FP), R2
	FMOVS scale+16(FP), F30
	VDUP  V30.S[0], V30.S4
	FMOVS most+20(FP), F4
	VDUP  V4.S[0], V4.S4
	ORR_16B(v5, v4, v4)
	ORR_16B(v6, v4, v4)
	ORR_16B(v7, v4, v4)
	MOVD  R0, R1
	MOVD  R2, R3

softmaxMost:
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	FMUL_4S(v0, v0, v30)
	FMUL_4S(v1, v1, v30)
	FMUL_4S(v2, v2, v30)
	FMUL_4S(v3, v3, v30)
	FMAX_4S(v4, v4, v0)
	FMAX_4S(v5, v5, v1)
	FMAX_4S(v6, v6, v2)
	FMAX_4S(v7, v7, v3)
	SUBS   $1, R3
	BNE    softmaxMost
	FMAX_4S(v4, v4, v5)
	FMAX_4S(v6, v6, v7)
	FMAX_4S(v4, v4, v6)
	FMAXV_S(v4, v4)
	FMOVS  F4, m+24(FP)
	VDUP   V4.S[0], V31.S4
	EXPCONSTANTS
	MOVI_0(v4)
	LSL    $2, R2

softmaxLoop:
	VLD1   (R0), [V0.B16]
	FMUL_4S(v0, v0, v30)
	FSUB_4S(v0, v0, v31)
	EXP
	FADD_4S(v4, v4, v0)
	VST1.P [V0.B16], 16(R0)
	SUBS   $1, R2
	BNE    softmaxLoop
	FADDP_4S(v4, v4, v4)
	FADDP_S(v4, v4)
	FMOVS  F4, sum+28(FP)
	RET

// func swiGLU4(dst, gate, up *float32, n int)
TEXT ·swiGLU4(SB), NOSPLIT, $0-32
	MOVD dst+0(FP), R0
	MOVD gate+8(FP), R1
	MOVD up+16(FP), R3
	MOVD n+24(FP), R2
	EXPCONSTANTS

swiGLULoop:
	VLD1.P 16(R1), [V4.B16]
	VLD1.P 16(R3), [V5.B16]
	FNEG_4S(v0, v4)
	EXP
	FADD_4S(v0, v0, v27)
	FDIV_4S(v4, v4, v0)
	FMUL_4S(v4, v4, v5)
	VST1.P [V4.B16], 16(R0)
	SUBS   $1, R2
	BNE    swiGLULoop
	RET

DATA geluTable<>+0(SB)/4, $0x3fcc422a // 2√(2/π)
DATA geluTable<>+4(SB)/4, $0x3d922279 // 0.044715 times that
GLOBL geluTable<>(SB), RODATA|NOPTR, $8

// func geGLU4(dst, gate, up *float32, n int)
TEXT ·geGLU4(SB), NOSPLIT, $0-32
	MOVD    dst+0(FP), R0
	MOVD    gate+8(FP), R1
	MOVD    up+16(FP), R3
	MOVD    n+24(FP), R2
	EXPCONSTANTS
	MOVD    $geluTable<>(SB), R10
	VLD1R.P 4(R10), [V30.S4]
	VLD1R   (R10), [V31.S4]

geGLULoop:
	VLD1.P 16(R1), [V4.B16]
	VLD1.P 16(R3), [V5.B16]
	FMUL_4S(v1, v4, v4)
	ORR_16B(v0, v30, v30)
	FMLA_4S(v0, v1, v31)
	FNEG_4S(v1, v4)
	FMUL_4S(v0, v0, v1)
	EXP
	FADD_4S(v0, v0, v27)
	FDIV_4S(v4, v4, v0)
	FMUL_4S(v4, v4, v5)
	VST1.P [V4.B16], 16(R0)
	SUBS   $1, R2
	BNE    geGLULoop
	RET

DATA tanhTable<>+0(SB)/4, $0x42200000 // 40: tanh is 1 before half of it
DATA tanhTable<>+4(SB)/4, $0xc2200000
GLOBL tanhTable<>(SB), RODATA|NOPTR, $8

// tanh(y) = e/(e+2) with e = exp(2y)−1 = 2ⁿq + (2ⁿ−1), which loses nothing where y is small.

// func softcap4(x *float32, n int, limit float32)
TEXT ·softcap4(SB), NOSPLIT, $0-20
	MOVD    x+0(FP), R0
	MOVD    n+8(FP), R2
	FMOVS   limit+16(FP), F30
	VDUP    V30.S[0], V30.S4
	EXPCONSTANTS
	MOVD    $tanhTable<>(SB), R10
	VLD1R.P 4(R10), [V28.S4]
	VLD1R   (R10), [V29.S4]

softcapLoop:
	VLD1   (R0), [V0.B16]
	FDIV_4S(v0, v0, v30)
	FADD_4S(v0, v0, v0)
	FMIN_4S(v0, v0, v28)
	FMAX_4S(v0, v0, v29)
	REDUCE
	SHL_4S(v2, v2, 23)
	ADD_4S(v2, v2, v27)
	FSUB_4S(v1, v2, v27)
	FMLA_4S(v1, v0, v2)
	FADD_4S(v0, v1, v27)
	FADD_4S(v0, v0, v27)
	FDIV_4S(v1, v1, v0)
	FMUL_4S(v1, v1, v30)
	VST1.P [V1.B16], 16(R0)
	SUBS   $1, R2
	BNE    softcapLoop
	RET
