//go:build !purego

#include "textflag.h"
#include "words_arm64.h"
#include "gemm_arm64.h"

// Two quads, A and B, at a time: their weights are at R1 and R2, their scales at R3 and R4. An SMMLA adds eight products
// each to a 2 by 2 matrix of rows and columns. The four pairs of rows and two pairs of columns are added up in V0 to V7,
// the first pair of columns in the even registers; V8 to V15 take the integer sums of a group.
//
// A group of 32 takes 32 SMMLA and 32 other vector instructions; 30 loads of 16 bytes.

#define TWOQUADS \
	MOVD R21, R1       \
	ADD  R25, R21, R2  \
	MOVD R22, R3       \
	ADD  R26, R22, R4

#define EIGHT4 \
	FLDPQ.P 32(R1), (F16, F17) \
	FLDPQ.P 32(R5), (F20, F21) \
	FLDPQ.P 32(R2), (F18, F19) \
	SMMLA_4S(v8, v16, v20)     \
	SMMLA_4S(v9, v16, v21)     \
	SMMLA_4S(v10, v17, v20)    \
	SMMLA_4S(v11, v17, v21)    \
	SMMLA_4S(v12, v18, v20)    \
	SMMLA_4S(v13, v18, v21)    \
	SMMLA_4S(v14, v19, v20)    \
	SMMLA_4S(v15, v19, v21)

#define ADDGROUP4 \
	FLDPQ.P 32(R3), (F22, F23) \
	FLDPQ.P 32(R4), (F24, F25) \
	SCALED(v8, v22)            \
	SCALED(v9, v22)            \
	SCALED(v10, v23)           \
	SCALED(v11, v23)           \
	SCALED(v12, v24)           \
	SCALED(v13, v24)           \
	SCALED(v14, v25)           \
	SCALED(v15, v25)           \
	FMLA_4S(v0, v8, v26)       \
	FMLA_4S(v1, v9, v27)       \
	FMLA_4S(v2, v10, v26)      \
	FMLA_4S(v3, v11, v27)      \
	FMLA_4S(v4, v12, v26)      \
	FMLA_4S(v5, v13, v27)      \
	FMLA_4S(v6, v14, v26)      \
	FMLA_4S(v7, v15, v27)

#define GROUP32x4 \
	BEGIN4(v8)                 \
	BEGIN4(v12)                \
	EIGHT4                     \
	EIGHT4                     \
	EIGHT4                     \
	EIGHT4                     \
	FLDPQ.P 32(R9), (F26, F27) \
	ADDGROUP4                  \
	SUBS $1, R13

#define GROUP16x4 \
	BEGIN4(v8)                 \
	BEGIN4(v12)                \
	EIGHT4                     \
	EIGHT4                     \
	FLDPQ.P 32(R9), (F26, F27) \
	ADDGROUP4                  \
	BEGIN4(v8)                 \
	BEGIN4(v12)                \
	EIGHT4                     \
	EIGHT4                     \
	ADDGROUP4                  \
	SUBS $2, R13

// LOADPAIR brings two columns into the order of matrices of two rows and two columns, STOREPAIR takes them back.
#define LOADPAIR(COLUMN, COLUMN2, a, b, c, d) \
	FLDPQ (COLUMN), (F16, F17)  \
	FLDPQ (COLUMN2), (F18, F19) \
	ZIP1_4S(a, v16, v18)        \
	ZIP2_4S(b, v16, v18)        \
	ZIP1_4S(c, v17, v19)        \
	ZIP2_4S(d, v17, v19)

#define STOREPAIR(COLUMN, COLUMN2, a, b, c, d) \
	UZP1_4S(v16, a, b)   \
	UZP1_4S(v17, c, d)   \
	UZP2_4S(v18, a, b)   \
	UZP2_4S(v19, c, d)   \
	FSTPQ.P (F16, F17), 32(COLUMN) \
	FSTPQ.P (F18, F19), 32(COLUMN2)

#define LOAD4 \
	LOADPAIR(R16, R17, v0, v2, v4, v6) \
	LOADPAIR(R19, R20, v1, v3, v5, v7)

#define STORE4 \
	STOREPAIR(R16, R17, v0, v2, v4, v6) \
	STOREPAIR(R19, R20, v1, v3, v5, v7)

#define EIGHT2 \
	FLDPQ.P 32(R1), (F16, F17) \
	FMOVQ.P 32(R5), F20        \
	FLDPQ.P 32(R2), (F18, F19) \
	SMMLA_4S(v8, v16, v20)     \
	SMMLA_4S(v10, v17, v20)    \
	SMMLA_4S(v12, v18, v20)    \
	SMMLA_4S(v14, v19, v20)

#define BEGIN2 \
	BEGIN(v8)  \
	BEGIN(v10) \
	BEGIN(v12) \
	BEGIN(v14)

#define ADDGROUP2 \
	FLDPQ.P 32(R3), (F22, F23) \
	FLDPQ.P 32(R4), (F24, F25) \
	SCALED(v8, v22)            \
	SCALED(v10, v23)           \
	SCALED(v12, v24)           \
	SCALED(v14, v25)           \
	FMLA_4S(v0, v8, v26)       \
	FMLA_4S(v2, v10, v26)      \
	FMLA_4S(v4, v12, v26)      \
	FMLA_4S(v6, v14, v26)

#define GROUP32x2 \
	BEGIN2                     \
	EIGHT2                     \
	EIGHT2                     \
	EIGHT2                     \
	EIGHT2                     \
	FMOVQ.P 32(R9), F26        \
	ADDGROUP2                  \
	SUBS $1, R13

#define GROUP16x2 \
	BEGIN2                     \
	EIGHT2                     \
	EIGHT2                     \
	FMOVQ.P 32(R9), F26        \
	ADDGROUP2                  \
	BEGIN2                     \
	EIGHT2                     \
	EIGHT2                     \
	ADDGROUP2                  \
	SUBS $2, R13

#define LOAD2 \
	LOADPAIR(R16, R17, v0, v2, v4, v6)

#define STORE2 \
	STOREPAIR(R16, R17, v0, v2, v4, v6)

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

// func Gemm32x4I8MM(t *Gemm)
TEXT ·Gemm32x4I8MM(SB), NOSPLIT, $0-8
	GEMM(GROUP32x4, LOAD4, STORE4)

// func Gemm32x2I8MM(t *Gemm)
TEXT ·Gemm32x2I8MM(SB), NOSPLIT, $0-8
	GEMM(GROUP32x2, LOAD2, STORE2)

// func Gemm16x4I8MM(t *Gemm)
TEXT ·Gemm16x4I8MM(SB), NOSPLIT, $0-8
	GEMM(GROUP16x4, LOAD4, STORE4)

// func Gemm16x2I8MM(t *Gemm)
TEXT ·Gemm16x2I8MM(SB), NOSPLIT, $0-8
	GEMM(GROUP16x2, LOAD2, STORE2)
