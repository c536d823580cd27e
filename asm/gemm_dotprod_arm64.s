//go:build !purego

#include "textflag.h"
#include "words_arm64.h"
#include "gemm_arm64.h"

// Two quads, A and B, at a time: their weights are at R1 and R2, their scales at R3 and R4. Four columns are added up in
// V0 to V7, A's rows in the even registers, and V8 to V15 take the integer sums of a group. V16 to V19 are sixteen
// activations of each column.
//
// A group of 32 takes 64 SDOT and 32 other vector instructions; 24 loads.

#define TWOQUADS \
	MOVD R21, R1       \
	ADD  R25, R21, R2  \
	MOVD R22, R3       \
	ADD  R26, R22, R4

// FOURS adds the products of four bytes of eight rows, in a and b, with bytes 4·i to 4·i+3 of the columns.
#define FOURS(a, b, i) \
	SDOT_4S_4B(v8, a, v16, i)  \
	SDOT_4S_4B(v9, b, v16, i)  \
	SDOT_4S_4B(v10, a, v17, i) \
	SDOT_4S_4B(v11, b, v17, i) \
	SDOT_4S_4B(v12, a, v18, i) \
	SDOT_4S_4B(v13, b, v18, i) \
	SDOT_4S_4B(v14, a, v19, i) \
	SDOT_4S_4B(v15, b, v19, i)

#define SIXTEEN4 \
	VLD1.P 16(R5), [V16.B16]   \
	VLD1.P 16(R6), [V17.B16]   \
	VLD1.P 16(R7), [V18.B16]   \
	VLD1.P 16(R8), [V19.B16]   \
	FLDPQ.P 32(R1), (F20, F21) \
	FLDPQ.P 32(R2), (F24, F25) \
	FOURS(v20, v24, 0)         \
	FLDPQ.P 32(R1), (F22, F23) \
	FLDPQ.P 32(R2), (F26, F27) \
	FOURS(v21, v25, 1)         \
	FOURS(v22, v26, 2)         \
	FOURS(v23, v27, 3)

#define COLUMNSCALES4 \
	FMOVS.P 4(R9), F26  \
	FMOVS.P 4(R10), F27 \
	FMOVS.P 4(R11), F28 \
	FMOVS.P 4(R12), F29

#define ADDGROUP4 \
	VLD1.P 16(R3), [V24.B16]   \
	VLD1.P 16(R4), [V25.B16]   \
	SCALED(v8, v24)            \
	SCALED(v9, v25)            \
	SCALED(v10, v24)           \
	SCALED(v11, v25)           \
	SCALED(v12, v24)           \
	SCALED(v13, v25)           \
	SCALED(v14, v24)           \
	SCALED(v15, v25)           \
	FMLA_4S_S(v0, v8, v26, 0)  \
	FMLA_4S_S(v1, v9, v26, 0)  \
	FMLA_4S_S(v2, v10, v27, 0) \
	FMLA_4S_S(v3, v11, v27, 0) \
	FMLA_4S_S(v4, v12, v28, 0) \
	FMLA_4S_S(v5, v13, v28, 0) \
	FMLA_4S_S(v6, v14, v29, 0) \
	FMLA_4S_S(v7, v15, v29, 0)

#define GROUP32x4 \
	BEGIN4(v8)    \
	BEGIN4(v12)   \
	SIXTEEN4      \
	SIXTEEN4      \
	COLUMNSCALES4 \
	ADDGROUP4     \
	SUBS $1, R13

#define GROUP16x4 \
	BEGIN4(v8)    \
	BEGIN4(v12)   \
	SIXTEEN4      \
	COLUMNSCALES4 \
	ADDGROUP4     \
	BEGIN4(v8)    \
	BEGIN4(v12)   \
	SUB  $4, R9   \
	SUB  $4, R10  \
	SUB  $4, R11  \
	SUB  $4, R12  \
	SIXTEEN4      \
	COLUMNSCALES4 \
	ADDGROUP4     \
	SUBS $2, R13

#define LOAD4 \
	FLDPQ (R16), (F0, F1) \
	FLDPQ (R17), (F2, F3) \
	FLDPQ (R19), (F4, F5) \
	FLDPQ (R20), (F6, F7)

#define STORE4 \
	FSTPQ.P (F0, F1), 32(R16) \
	FSTPQ.P (F2, F3), 32(R17) \
	FSTPQ.P (F4, F5), 32(R19) \
	FSTPQ.P (F6, F7), 32(R20)

#define SIXTEEN1 \
	VLD1.P 16(R5), [V16.B16]    \
	VLD1.P 64(R1), [V20.B16, V21.B16, V22.B16, V23.B16] \
	VLD1.P 64(R2), [V24.B16, V25.B16, V26.B16, V27.B16] \
	SDOT_4S_4B(v8, v20, v16, 0) \
	SDOT_4S_4B(v9, v24, v16, 0) \
	SDOT_4S_4B(v8, v21, v16, 1) \
	SDOT_4S_4B(v9, v25, v16, 1) \
	SDOT_4S_4B(v8, v22, v16, 2) \
	SDOT_4S_4B(v9, v26, v16, 2) \
	SDOT_4S_4B(v8, v23, v16, 3) \
	SDOT_4S_4B(v9, v27, v16, 3)

#define ADDGROUP1 \
	VLD1.P 16(R3), [V24.B16]   \
	VLD1.P 16(R4), [V25.B16]   \
	SCALED(v8, v24)            \
	SCALED(v9, v25)            \
	FMLA_4S_S(v0, v8, v28, 0)  \
	FMLA_4S_S(v1, v9, v28, 0)

#define GROUP32x1 \
	BEGIN(v8)           \
	BEGIN(v9)           \
	SIXTEEN1            \
	SIXTEEN1            \
	FMOVS.P 4(R9), F28  \
	ADDGROUP1           \
	SUBS $1, R13

#define GROUP16x1 \
	BEGIN(v8)           \
	BEGIN(v9)           \
	SIXTEEN1            \
	FMOVS.P 4(R9), F28  \
	ADDGROUP1           \
	BEGIN(v8)           \
	BEGIN(v9)           \
	SIXTEEN1            \
	ADDGROUP1           \
	SUBS $2, R13

#define LOAD1 \
	FLDPQ (R16), (F0, F1)

#define STORE1 \
	FSTPQ.P (F0, F1), 32(R16)

#define GEMM(GROUP, LOAD, STORE) \
	GEMMARGS                \
	SETMAGIC                \
quads:                      \
	TWOQUADS                \
	COLUMNS                 \
	LOAD                    \
group:                      \
	GROUP                   \
	BNE  group              \
	STORE                   \
	NEXTQUAD                \
	NEXTQUAD                \
	CBNZ R24, quads         \
done:                       \
	RET

// func Gemm32x4DotProd(t *Gemm)
TEXT ·Gemm32x4DotProd(SB), NOSPLIT, $0-8
	GEMM(GROUP32x4, LOAD4, STORE4)

// func Gemm32x1DotProd(t *Gemm)
TEXT ·Gemm32x1DotProd(SB), NOSPLIT, $0-8
	GEMM(GROUP32x1, LOAD1, STORE1)

// func Gemm16x4DotProd(t *Gemm)
TEXT ·Gemm16x4DotProd(SB), NOSPLIT, $0-8
	GEMM(GROUP16x4, LOAD4, STORE4)

// func Gemm16x1DotProd(t *Gemm)
TEXT ·Gemm16x1DotProd(SB), NOSPLIT, $0-8
	GEMM(GROUP16x1, LOAD1, STORE1)
