//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// func QuantizeQ8NEON(r *Q8Row)
TEXT ·QuantizeQ8NEON(SB), NOSPLIT, $0-8
	MOVD  r+0(FP), R9
	MOVD  0(R9), R0
	MOVD  8(R9), R1
	MOVD  16(R9), R2
	MOVD  24(R9), R3
	MOVD  32(R9), R4
	MOVD  40(R9), R5
	MOVD  48(R9), R6
	MOVD  56(R9), R7
	CBZ   R1, quantizeDone
	MOVD  $0x42fe0000, R10 // 127
	FMOVS R10, F30
	MOVD  $0x02fe0000, R10 // 127 over this, and over less, is more than a float32 can be
	FMOVS R10, F29
	FMOVS ZR, F31

quantizeLoop:
	VLD1.P  64(R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P  64(R0), [V4.B16, V5.B16, V6.B16, V7.B16]
	FABS_4S(v16, v0)
	FABS_4S(v17, v1)
	FABS_4S(v18, v2)
	FABS_4S(v19, v3)
	FABS_4S(v20, v4)
	FABS_4S(v21, v5)
	FABS_4S(v22, v6)
	FABS_4S(v23, v7)
	FMAX_4S(v16, v16, v20)
	FMAX_4S(v17, v17, v21)
	FMAX_4S(v18, v18, v22)
	FMAX_4S(v19, v19, v23)
	FMAX_4S(v16, v16, v18)
	FMAX_4S(v17, v17, v19)
	FMAX_4S(v16, v16, v17)
	FMAXV_S(v16, v16)
	FDIVS   F30, F16, F17 // the scale
	FDIVS   F16, F30, F18 // its inverse, if that is a number
	FCMPS   F29, F16
	FCSELS  GT, F18, F31, F18
	FMUL_4S_S(v0, v0, v18, 0)
	FMUL_4S_S(v1, v1, v18, 0)
	FMUL_4S_S(v2, v2, v18, 0)
	FMUL_4S_S(v3, v3, v18, 0)
	FMUL_4S_S(v4, v4, v18, 0)
	FMUL_4S_S(v5, v5, v18, 0)
	FMUL_4S_S(v6, v6, v18, 0)
	FMUL_4S_S(v7, v7, v18, 0)
	FCVTNS_4S(v0, v0)
	FCVTNS_4S(v1, v1)
	FCVTNS_4S(v2, v2)
	FCVTNS_4S(v3, v3)
	FCVTNS_4S(v4, v4)
	FCVTNS_4S(v5, v5)
	FCVTNS_4S(v6, v6)
	FCVTNS_4S(v7, v7)
	UZP1_8H(v0, v0, v1)
	UZP1_8H(v2, v2, v3)
	UZP1_8H(v4, v4, v5)
	UZP1_8H(v6, v6, v7)
	UZP1_16B(v0, v0, v2)
	UZP1_16B(v1, v4, v6)
	VST1.P  [V0.B16, V1.B16], 32(R2)
	SADDLV_H(v0, v0)
	SADDLV_H(v1, v1)
	VST1.P  V0.H[0], 2(R4)
	VST1.P  V1.H[0], 2(R4)
	SSHLL_4S(v0, v0, 0)
	SSHLL_4S(v1, v1, 0)
	ZIP1_4S(v0, v0, v1)
	ADDP_4S(v1, v0, v0)
	SCVTF_4S(v0, v0)
	SCVTF_4S(v1, v1)
	FMUL_4S_S(v0, v0, v17, 0)
	FMUL_4S_S(v1, v1, v17, 0)
	FMOVS.P F17, 4(R3)
	FMOVS.P F1, 4(R5)
	FMOVD.P F0, 8(R6)
	ZIP1_4S(v17, v17, v17)
	FMOVD.P F17, 8(R7)
	SUBS    $1, R1
	BNE     quantizeLoop

quantizeDone:
	RET

DATA bf16Table<>+0(SB)/4, $1
DATA bf16Table<>+4(SB)/4, $0x7fff
DATA bf16Table<>+8(SB)/4, $0xff000000  // infinity without its sign, one bit up
DATA bf16Table<>+12(SB)/4, $0x007f0000 // what is left of a NaN's payload
DATA bf16Table<>+16(SB)/4, $0x00400000
GLOBL bf16Table<>(SB), RODATA|NOPTR, $20

// ROUND rounds the upper halves of the words of X, with A, B and C to work with.
#define ROUND(X, A, B, C) \
	USHR_4S(A, X, 16)       \
	AND_16B(A, A, v27)      \
	ADD_4S(A, A, v28)       \
	ADD_4S(A, A, X)         \
	CMTST_4S(B, X, v30)     \
	BIC_16B(B, v31, B)      \
	ORR_16B(B, B, X)        \
	SHL_4S(C, X, 1)         \
	CMHI_4S(C, C, v29)      \
	BIT_16B(A, B, C)

// func RoundBF16NEON(dst *uint16, x *float32, n int)
TEXT ·RoundBF16NEON(SB), NOSPLIT, $0-24
	MOVD    dst+0(FP), R0
	MOVD    x+8(FP), R1
	MOVD    n+16(FP), R2
	CBZ     R2, roundDone
	MOVD    $bf16Table<>(SB), R10
	VLD1R.P 4(R10), [V27.S4]
	VLD1R.P 4(R10), [V28.S4]
	VLD1R.P 4(R10), [V29.S4]
	VLD1R.P 4(R10), [V30.S4]
	VLD1R.P 4(R10), [V31.S4]

roundLoop:
	VLD1.P 32(R1), [V0.B16, V1.B16]
	ROUND(v0, v2, v3, v4)
	ROUND(v1, v5, v6, v7)
	UZP2_8H(v2, v2, v5)
	VST1.P [V2.B16], 16(R0)
	SUBS   $8, R2
	BNE    roundLoop

roundDone:
	RET
