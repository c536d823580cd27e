//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// Eight, four or one value of the row that PTR (number p) points at; eight in A and B (numbers a and b), else in A.

#define LOAD8F32(PTR, A, B, a, b) \
	VLD1.P 32(PTR), [A.B16, B.B16]

#define LOAD4F32(PTR, A, a) \
	VLD1.P 16(PTR), [A.B16]

#define LOAD1F32(PTR, F, a, p) \
	FMOVS.P 4(PTR), F

#define LOAD8F16(PTR, A, B, a, b) \
	VLD1.P 16(PTR), [A.B16] \
	FCVTL2_4S(b, a)         \
	FCVTL_4S(a, a)

#define LOAD4F16(PTR, A, a) \
	VLD1.P 8(PTR), [A.B8] \
	FCVTL_4S(a, a)

#define LOAD1F16(PTR, F, a, p) \
	LDR_H(a, p, 0) \
	ADD    $2, PTR \
	FCVTHS F, F

// ARGS: R0 is the next row, R1 the bytes of one, R2 the rows left, R5 their length, R3, R4, R6 and R7 the vectors, and R19
// to R22 their results.
#define ARGS \
	MOVD t+0(FP), R8  \
	MOVD 0(R8), R0    \
	MOVD 8(R8), R1    \
	MOVD 16(R8), R2   \
	MOVD 24(R8), R5   \
	MOVD 32(R8), R3   \
	MOVD 40(R8), R4   \
	MOVD 48(R8), R6   \
	MOVD 56(R8), R7   \
	MOVD 64(R8), R19  \
	MOVD 72(R8), R20  \
	MOVD 80(R8), R21  \
	MOVD 88(R8), R22

// THEN points Q at the row behind P, or, if there are fewer than n rows left, at P's once more.
#define THEN(P, Q, n) \
	ADD  R1, P, Q  \
	CMP  $n, R2    \
	CSEL GE, Q, P, Q

#define ZERO8(a) \
	MOVI_0(a)   \
	MOVI_0(a+1) \
	MOVI_0(a+2) \
	MOVI_0(a+3) \
	MOVI_0(a+4) \
	MOVI_0(a+5) \
	MOVI_0(a+6) \
	MOVI_0(a+7)

// SUMS adds up the lanes of four registers, and leaves the sums in the first.
#define SUMS(a) \
	FADDP_4S(a, a, a+1)     \
	FADDP_4S(a+2, a+2, a+3) \
	FADDP_4S(a, a, a+2)

// Four rows in the registers from r on, every s-th, times a vector.
#define ROWS4(acc, q, r, s) \
	FMLA_4S(acc, r, q)         \
	FMLA_4S(acc+1, (r)+(s), q)   \
	FMLA_4S(acc+2, (r)+2*(s), q) \
	FMLA_4S(acc+3, (r)+3*(s), q)

// Four rows with four vectors: V0 to V3 add up the products with the first, and so on to V15.
#define DOTROWS4(LOAD8, LOAD4, LOAD1) \
	ARGS                               \
rows:                                  \
	CBZ  R2, done                      \
	MOVD R0, R8                        \
	THEN(R8, R9, 2)                    \
	THEN(R9, R10, 3)                   \
	THEN(R10, R11, 4)                  \
	MOVD R3, R12                       \
	MOVD R4, R13                       \
	MOVD R6, R14                       \
	MOVD R7, R15                       \
	ZERO8(v0)                          \
	ZERO8(v8)                          \
	SUBS $8, R5, R16                   \
	BLT  rest                          \
eight:                                 \
	LOAD8(R8, V16, V17, v16, v17)      \
	LOAD8(R9, V18, V19, v18, v19)      \
	LOAD8(R10, V20, V21, v20, v21)     \
	LOAD8(R11, V22, V23, v22, v23)     \
	VLD1.P 32(R12), [V24.B16, V25.B16] \
	VLD1.P 32(R13), [V26.B16, V27.B16] \
	VLD1.P 32(R14), [V28.B16, V29.B16] \
	VLD1.P 32(R15), [V30.B16, V31.B16] \
	ROWS4(v0, v24, v16, 2)             \
	ROWS4(v4, v26, v16, 2)             \
	ROWS4(v8, v28, v16, 2)             \
	ROWS4(v12, v30, v16, 2)            \
	ROWS4(v0, v25, v17, 2)             \
	ROWS4(v4, v27, v17, 2)             \
	ROWS4(v8, v29, v17, 2)             \
	ROWS4(v12, v31, v17, 2)            \
	SUBS $8, R16                       \
	BGE  eight                         \
rest:                                  \
	TBZ  $2, R16, ones                 \
	LOAD4(R8, V16, v16)                \
	LOAD4(R9, V17, v17)                \
	LOAD4(R10, V18, v18)               \
	LOAD4(R11, V19, v19)               \
	VLD1.P 16(R12), [V24.B16]          \
	VLD1.P 16(R13), [V25.B16]          \
	VLD1.P 16(R14), [V26.B16]          \
	VLD1.P 16(R15), [V27.B16]          \
	ROWS4(v0, v24, v16, 1)             \
	ROWS4(v4, v25, v16, 1)             \
	ROWS4(v8, v26, v16, 1)             \
	ROWS4(v12, v27, v16, 1)            \
ones:                                  \
	ANDS $3, R16                       \
	BEQ  sums                          \
one:                                   \
	LOAD1(R8, F16, v16, 8)             \
	LOAD1(R9, F17, v17, 9)             \
	LOAD1(R10, F18, v18, 10)           \
	LOAD1(R11, F19, v19, 11)           \
	FMOVS.P 4(R12), F24                \
	FMOVS.P 4(R13), F25                \
	FMOVS.P 4(R14), F26                \
	FMOVS.P 4(R15), F27                \
	ROWS4(v0, v24, v16, 1)             \
	ROWS4(v4, v25, v16, 1)             \
	ROWS4(v8, v26, v16, 1)             \
	ROWS4(v12, v27, v16, 1)            \
	SUBS $1, R16                       \
	BNE  one                           \
sums:                                  \
	SUMS(v0)                           \
	SUMS(v4)                           \
	SUMS(v8)                           \
	SUMS(v12)                          \
	CMP  $4, R2                        \
	BLT  few                           \
	VST1.P [V0.B16], 16(R19)           \
	VST1.P [V4.B16], 16(R20)           \
	VST1.P [V8.B16], 16(R21)           \
	VST1.P [V12.B16], 16(R22)          \
	ADD  R1<<2, R0                     \
	SUB  $4, R2                        \
	B    rows                          \
few:                                   \
	VST1.P V0.S[0], 4(R19)             \
	VST1.P V4.S[0], 4(R20)             \
	VST1.P V8.S[0], 4(R21)             \
	VST1.P V12.S[0], 4(R22)            \
	CMP  $2, R2                        \
	BLT  done                          \
	VST1.P V0.S[1], 4(R19)             \
	VST1.P V4.S[1], 4(R20)             \
	VST1.P V8.S[1], 4(R21)             \
	VST1.P V12.S[1], 4(R22)            \
	BEQ  done                          \
	VST1 V0.S[2], (R19)                \
	VST1 V4.S[2], (R20)                \
	VST1 V8.S[2], (R21)                \
	VST1 V12.S[2], (R22)               \
done:                                  \
	RET

// Eight rows with one vector, which R3 points at: V0 to V7 add up their products.
#define DOTROWS1(LOAD8, LOAD4, LOAD1) \
	ARGS                               \
rows:                                  \
	CBZ  R2, done                      \
	MOVD R0, R8                        \
	THEN(R8, R9, 2)                    \
	THEN(R9, R10, 3)                   \
	THEN(R10, R11, 4)                  \
	THEN(R11, R12, 5)                  \
	THEN(R12, R13, 6)                  \
	THEN(R13, R14, 7)                  \
	THEN(R14, R15, 8)                  \
	MOVD R3, R17                       \
	ZERO8(v0)                          \
	SUBS $8, R5, R16                   \
	BLT  rest                          \
eight:                                 \
	LOAD8(R8, V8, V9, v8, v9)          \
	LOAD8(R9, V10, V11, v10, v11)      \
	LOAD8(R10, V12, V13, v12, v13)     \
	LOAD8(R11, V14, V15, v14, v15)     \
	LOAD8(R12, V16, V17, v16, v17)     \
	LOAD8(R13, V18, V19, v18, v19)     \
	LOAD8(R14, V20, V21, v20, v21)     \
	LOAD8(R15, V22, V23, v22, v23)     \
	VLD1.P 32(R17), [V24.B16, V25.B16] \
	ROWS4(v0, v24, v8, 2)              \
	ROWS4(v4, v24, v16, 2)             \
	ROWS4(v0, v25, v9, 2)              \
	ROWS4(v4, v25, v17, 2)             \
	SUBS $8, R16                       \
	BGE  eight                         \
rest:                                  \
	TBZ  $2, R16, ones                 \
	LOAD4(R8, V8, v8)                  \
	LOAD4(R9, V9, v9)                  \
	LOAD4(R10, V10, v10)               \
	LOAD4(R11, V11, v11)               \
	LOAD4(R12, V12, v12)               \
	LOAD4(R13, V13, v13)               \
	LOAD4(R14, V14, v14)               \
	LOAD4(R15, V15, v15)               \
	VLD1.P 16(R17), [V24.B16]          \
	ROWS4(v0, v24, v8, 1)              \
	ROWS4(v4, v24, v12, 1)             \
ones:                                  \
	ANDS $3, R16                       \
	BEQ  sums                          \
one:                                   \
	LOAD1(R8, F8, v8, 8)               \
	LOAD1(R9, F9, v9, 9)               \
	LOAD1(R10, F10, v10, 10)           \
	LOAD1(R11, F11, v11, 11)           \
	LOAD1(R12, F12, v12, 12)           \
	LOAD1(R13, F13, v13, 13)           \
	LOAD1(R14, F14, v14, 14)           \
	LOAD1(R15, F15, v15, 15)           \
	FMOVS.P 4(R17), F24                \
	ROWS4(v0, v24, v8, 1)              \
	ROWS4(v4, v24, v12, 1)             \
	SUBS $1, R16                       \
	BNE  one                           \
sums:                                  \
	SUMS(v0)                           \
	SUMS(v4)                           \
	CMP  $8, R2                        \
	BLT  few                           \
	VST1.P [V0.B16], 16(R19)           \
	VST1.P [V4.B16], 16(R19)           \
	ADD  R1<<3, R0                     \
	SUB  $8, R2                        \
	B    rows                          \
few:                                   \
	TBZ  $2, R2, fewer                 \
	VST1.P [V0.B16], 16(R19)           \
	ORR_16B(v0, v4, v4)                \
	ANDS $3, R2                        \
	BEQ  done                          \
fewer:                                 \
	VST1.P V0.S[0], 4(R19)             \
	CMP  $2, R2                        \
	BLT  done                          \
	VST1.P V0.S[1], 4(R19)             \
	BEQ  done                          \
	VST1 V0.S[2], (R19)                \
done:                                  \
	RET

// func DotRowsF32x4NEON(t *RowDots)
TEXT ·DotRowsF32x4NEON(SB), NOSPLIT, $0-8
	DOTROWS4(LOAD8F32, LOAD4F32, LOAD1F32)

// func DotRowsF32x1NEON(t *RowDots)
TEXT ·DotRowsF32x1NEON(SB), NOSPLIT, $0-8
	DOTROWS1(LOAD8F32, LOAD4F32, LOAD1F32)

// func DotRowsF16x4NEON(t *RowDots)
TEXT ·DotRowsF16x4NEON(SB), NOSPLIT, $0-8
	DOTROWS4(LOAD8F16, LOAD4F16, LOAD1F16)

// func DotRowsF16x1NEON(t *RowDots)
TEXT ·DotRowsF16x1NEON(SB), NOSPLIT, $0-8
	DOTROWS1(LOAD8F16, LOAD4F16, LOAD1F16)
