//go:build !purego

#include "textflag.h"
#include "words_arm64.h"
#include "gemm_arm64.h"

// One quad at a time. Its rows of a group are in V8 to V15, two registers each, at R1 to R4; R14 points at its scales.
// V0 to V3 add up the columns, V20 to V23 take the sums of products of the four rows.

#define QUADROWS \
	MOVD R21, R1          \
	ADD  R25>>2, R1, R2   \
	ADD  R25>>2, R2, R3   \
	ADD  R25>>2, R3, R4   \
	MOVD R22, R14

#define QUADGROUP \
	FLDPQ.P 32(R1), (F8, F9)   \
	FLDPQ.P 32(R2), (F10, F11) \
	FLDPQ.P 32(R3), (F12, F13) \
	FLDPQ.P 32(R4), (F14, F15)

#define PRODUCT(acc, w, q) \
	SMULL_8H(v18, w, q)  \
	SMLAL2_8H(v18, w, q) \
	SADDLP_4S(acc, v18)

#define PRODUCTMORE(acc, w, q) \
	SMULL_8H(v19, w, q)  \
	SMLAL2_8H(v19, w, q) \
	SADALP_4S(acc, v19)

// ROWSUMS adds up the lanes of V20 to V23 and multiplies the four sums by the scales of rows in w.
#define ROWSUMS(w) \
	ADDP_4S(v20, v20, v21) \
	ADDP_4S(v22, v22, v23) \
	ADDP_4S(v20, v20, v22) \
	SCVTF_4S(v20, v20)     \
	FMUL_4S(v20, v20, w)

// COLUMN32 adds the products of a column, at Q, with scales at S, to acc.
#define COLUMN32(Q, S, acc) \
	FLDPQ.P 32(Q), (F16, F17)  \
	FMOVS.P 4(S), F26          \
	PRODUCT(v20, v8, v16)      \
	PRODUCTMORE(v20, v9, v17)  \
	PRODUCT(v21, v10, v16)     \
	PRODUCTMORE(v21, v11, v17) \
	PRODUCT(v22, v12, v16)     \
	PRODUCTMORE(v22, v13, v17) \
	PRODUCT(v23, v14, v16)     \
	PRODUCTMORE(v23, v15, v17) \
	ROWSUMS(v24)               \
	FMLA_4S_S(acc, v20, v26, 0)

// COLUMN16 does the same for two groups of 16.
#define COLUMN16(Q, S, acc) \
	FLDPQ.P 32(Q), (F16, F17)  \
	FMOVS.P 4(S), F26          \
	PRODUCT(v20, v8, v16)      \
	PRODUCT(v21, v10, v16)     \
	PRODUCT(v22, v12, v16)     \
	PRODUCT(v23, v14, v16)     \
	ROWSUMS(v24)               \
	FMLA_4S_S(acc, v20, v26, 0) \
	PRODUCT(v20, v9, v17)      \
	PRODUCT(v21, v11, v17)     \
	PRODUCT(v22, v13, v17)     \
	PRODUCT(v23, v15, v17)     \
	ROWSUMS(v25)               \
	FMLA_4S_S(acc, v20, v26, 0)

#define SCALES32 \
	VLD1.P 16(R14), [V24.B16]

#define SCALES16 \
	VLD1.P 32(R14), [V24.B16, V25.B16]

#define ONEGROUP \
	SUBS $1, R13

#define TWOGROUPS \
	SUBS $2, R13

#define GEMM4(SCALES, COLUMN, STEP) \
	GEMMARGS               \
quad:                      \
	QUADROWS               \
	COLUMNS                \
	VLD1 (R16), [V0.B16]   \
	VLD1 (R17), [V1.B16]   \
	VLD1 (R19), [V2.B16]   \
	VLD1 (R20), [V3.B16]   \
group:                     \
	QUADGROUP              \
	SCALES                 \
	COLUMN(R5, R9, v0)     \
	COLUMN(R6, R10, v1)    \
	COLUMN(R7, R11, v2)    \
	COLUMN(R8, R12, v3)    \
	STEP                   \
	BNE group              \
	VST1.P [V0.B16], 16(R16) \
	VST1.P [V1.B16], 16(R17) \
	VST1.P [V2.B16], 16(R19) \
	VST1.P [V3.B16], 16(R20) \
	NEXTQUAD               \
	CBNZ R24, quad         \
done:                      \
	RET

#define GEMM1(SCALES, COLUMN, STEP) \
	GEMMARGS               \
quad:                      \
	QUADROWS               \
	COLUMNS                \
	VLD1 (R16), [V0.B16]   \
group:                     \
	QUADGROUP              \
	SCALES                 \
	COLUMN(R5, R9, v0)     \
	STEP                   \
	BNE group              \
	VST1.P [V0.B16], 16(R16) \
	NEXTQUAD               \
	CBNZ R24, quad         \
done:                      \
	RET

// func Gemm32x4NEON(t *Gemm)
TEXT ·Gemm32x4NEON(SB), NOSPLIT, $0-8
	GEMM4(SCALES32, COLUMN32, ONEGROUP)

// func Gemm32x1NEON(t *Gemm)
TEXT ·Gemm32x1NEON(SB), NOSPLIT, $0-8
	GEMM1(SCALES32, COLUMN32, ONEGROUP)

// func Gemm16x4NEON(t *Gemm)
TEXT ·Gemm16x4NEON(SB), NOSPLIT, $0-8
	GEMM4(SCALES16, COLUMN16, TWOGROUPS)

// func Gemm16x1NEON(t *Gemm)
TEXT ·Gemm16x1NEON(SB), NOSPLIT, $0-8
	GEMM1(SCALES16, COLUMN16, TWOGROUPS)
