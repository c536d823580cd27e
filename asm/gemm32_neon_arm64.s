//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// The float32 matrix product. R3 to R8: the rows of A; R1, R10 and R11: B, the bytes between its rows and those between
// its vectors; R2: K; R12 and R13: C and the bytes between its rows; R14: whether to begin with C. A vector of 16 lanes is
// four registers.

#define GEMM32ARGS \
	MOVD t+0(FP), R0  \
	MOVD 0(R0), R3    \
	MOVD 8(R0), R9    \
	MOVD 16(R0), R1   \
	MOVD 24(R0), R10  \
	MOVD 32(R0), R11  \
	MOVD 40(R0), R2   \
	MOVD 48(R0), R12  \
	MOVD 56(R0), R13  \
	MOVD 64(R0), R14  \
	ADD  R9, R3, R4   \
	ADD  R9, R4, R5   \
	ADD  R9, R5, R6   \
	ADD  R9, R6, R7   \
	ADD  R9, R7, R8

// CLEAR clears a row's sums, in the four registers from a on.
#define CLEAR(a) \
	MOVI_0(a)   \
	MOVI_0(a+1) \
	MOVI_0(a+2) \
	MOVI_0(a+3)

// VECTOR loads a vector of B. ROW adds its product with an element, in v, of A.
#define VECTOR VLD1.P (R1)(R10), [V24.B16, V25.B16, V26.B16, V27.B16]

#define ROW(v, a) \
	FMLA_4S_S(a, v24, v, 0)   \
	FMLA_4S_S(a+1, v25, v, 0) \
	FMLA_4S_S(a+2, v26, v, 0) \
	FMLA_4S_S(a+3, v27, v, 0)

// func gemm32x6x1NEON(t *Gemm32)
TEXT ·gemm32x6x1NEON(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(v0)
	CLEAR(v4)
	CLEAR(v8)
	CLEAR(v12)
	CLEAR(v16)
	CLEAR(v20)
	CBZ    R14, k6x1
	MOVD   R12, R15
	VLD1.P (R15)(R13), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P (R15)(R13), [V4.B16, V5.B16, V6.B16, V7.B16]
	VLD1.P (R15)(R13), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1.P (R15)(R13), [V12.B16, V13.B16, V14.B16, V15.B16]
	VLD1.P (R15)(R13), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1   (R15), [V20.B16, V21.B16, V22.B16, V23.B16]

	PCALIGN $32
k6x1:
	VECTOR
	FMOVS.P 4(R3), F28
	FMOVS.P 4(R4), F29
	FMOVS.P 4(R5), F30
	FMOVS.P 4(R6), F31
	ROW(v28, v0)
	ROW(v29, v4)
	FMOVS.P 4(R7), F28
	FMOVS.P 4(R8), F29
	ROW(v30, v8)
	ROW(v31, v12)
	ROW(v28, v16)
	ROW(v29, v20)
	SUBS    $1, R2
	BNE     k6x1
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], (R12)(R13)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], (R12)(R13)
	VST1.P  [V8.B16, V9.B16, V10.B16, V11.B16], (R12)(R13)
	VST1.P  [V12.B16, V13.B16, V14.B16, V15.B16], (R12)(R13)
	VST1.P  [V16.B16, V17.B16, V18.B16, V19.B16], (R12)(R13)
	VST1    [V20.B16, V21.B16, V22.B16, V23.B16], (R12)
	RET

// func gemm32x4x1NEON(t *Gemm32)
TEXT ·gemm32x4x1NEON(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(v0)
	CLEAR(v4)
	CLEAR(v8)
	CLEAR(v12)
	CBZ    R14, k4x1
	MOVD   R12, R15
	VLD1.P (R15)(R13), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P (R15)(R13), [V4.B16, V5.B16, V6.B16, V7.B16]
	VLD1.P (R15)(R13), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1   (R15), [V12.B16, V13.B16, V14.B16, V15.B16]

	PCALIGN $32
k4x1:
	VECTOR
	FMOVS.P 4(R3), F28
	FMOVS.P 4(R4), F29
	FMOVS.P 4(R5), F30
	FMOVS.P 4(R6), F31
	ROW(v28, v0)
	ROW(v29, v4)
	ROW(v30, v8)
	ROW(v31, v12)
	SUBS    $1, R2
	BNE     k4x1
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], (R12)(R13)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], (R12)(R13)
	VST1.P  [V8.B16, V9.B16, V10.B16, V11.B16], (R12)(R13)
	VST1    [V12.B16, V13.B16, V14.B16, V15.B16], (R12)
	RET

// func gemm32x2x1NEON(t *Gemm32)
TEXT ·gemm32x2x1NEON(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(v0)
	CLEAR(v4)
	CBZ    R14, k2x1
	MOVD   R12, R15
	VLD1.P (R15)(R13), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1   (R15), [V4.B16, V5.B16, V6.B16, V7.B16]

	PCALIGN $32
k2x1:
	VECTOR
	FMOVS.P 4(R3), F28
	FMOVS.P 4(R4), F29
	ROW(v28, v0)
	ROW(v29, v4)
	SUBS    $1, R2
	BNE     k2x1
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], (R12)(R13)
	VST1    [V4.B16, V5.B16, V6.B16, V7.B16], (R12)
	RET

// func gemm32x1x1NEON(t *Gemm32)
TEXT ·gemm32x1x1NEON(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(v0)
	CBZ  R14, k1x1
	VLD1 (R12), [V0.B16, V1.B16, V2.B16, V3.B16]

	PCALIGN $32
k1x1:
	VECTOR
	FMOVS.P 4(R3), F28
	ROW(v28, v0)
	SUBS    $1, R2
	BNE     k1x1
	VST1    [V0.B16, V1.B16, V2.B16, V3.B16], (R12)
	RET

// The vectors of B for one row of A are at R1, R5, R6 and R7.

// func gemm32x1x4NEON(t *Gemm32)
TEXT ·gemm32x1x4NEON(SB), NOSPLIT, $0-8
	GEMM32ARGS
	ADD    R11, R1, R5
	ADD    R11, R5, R6
	ADD    R11, R6, R7
	CLEAR(v0)
	CLEAR(v4)
	CLEAR(v8)
	CLEAR(v12)
	CBZ    R14, k1x4
	MOVD   R12, R15
	VLD1.P 64(R15), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P 64(R15), [V4.B16, V5.B16, V6.B16, V7.B16]
	VLD1.P 64(R15), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1   (R15), [V12.B16, V13.B16, V14.B16, V15.B16]

	PCALIGN $32
k1x4:
	FMOVS.P 4(R3), F28
	VECTOR
	VLD1.P  (R5)(R10), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1.P  (R6)(R10), [V20.B16, V21.B16, V22.B16, V23.B16]
	ROW(v28, v0)
	VLD1.P  (R7)(R10), [V24.B16, V25.B16, V26.B16, V27.B16]
	FMLA_4S_S(v4, v16, v28, 0)
	FMLA_4S_S(v5, v17, v28, 0)
	FMLA_4S_S(v6, v18, v28, 0)
	FMLA_4S_S(v7, v19, v28, 0)
	FMLA_4S_S(v8, v20, v28, 0)
	FMLA_4S_S(v9, v21, v28, 0)
	FMLA_4S_S(v10, v22, v28, 0)
	FMLA_4S_S(v11, v23, v28, 0)
	ROW(v28, v12)
	SUBS    $1, R2
	BNE     k1x4
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], 64(R12)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], 64(R12)
	VST1.P  [V8.B16, V9.B16, V10.B16, V11.B16], 64(R12)
	VST1    [V12.B16, V13.B16, V14.B16, V15.B16], (R12)
	RET
