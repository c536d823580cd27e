//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// Four rows at a time; if fewer than four are left, the last stands in for the rest.
//
// R0 is the next row, R1 the bytes of one, R2 the rows left, R5 the blocks in one, R3, R4, R6 and R7 the columns, R19 to
// R22 their results, and R23 the bytes from a quarter of a column's values to the next.

#define ARGS \
	MOVD t+0(FP), R8 \
	MOVD 0(R8), R0   \
	MOVD 8(R8), R1   \
	MOVD 16(R8), R2  \
	MOVD 24(R8), R5  \
	MOVD 32(R8), R3  \
	MOVD 40(R8), R4  \
	MOVD 48(R8), R6  \
	MOVD 56(R8), R7  \
	MOVD 64(R8), R19 \
	MOVD 72(R8), R20 \
	MOVD 80(R8), R21 \
	MOVD 88(R8), R22 \
	LSL  $5, R5, R23

// UPPER makes V30 the upper halves of its four numbers.
#define UPPER \
	MOVD $0xffff0000, R8 \
	VDUP R8, V30.S4

// THEN points Q at the row behind P, or, if there are fewer than n rows left, at P's once more.
#define THEN(P, Q, n) \
	ADD  R1, P, Q \
	CMP  $n, R2   \
	CSEL GE, Q, P, Q

#define FOUR \
	MOVD R0, R8      \
	THEN(R8, R9, 2)  \
	THEN(R9, R10, 3) \
	THEN(R10, R11, 4)

#define ZERO4(a) \
	MOVI_0(a)   \
	MOVI_0(a+1) \
	MOVI_0(a+2) \
	MOVI_0(a+3)

#define ADD4(a, b) \
	FADD_4S(a, a, b)       \
	FADD_4S(a+1, a+1, b+1) \
	FADD_4S(a+2, a+2, b+2) \
	FADD_4S(a+3, a+3, b+3)

// SUMS adds up the lanes of four registers, halves first, and leaves the sums in the first.
#define SUMS(a) \
	TRN1_2D(v16, a, a+1)   \
	TRN2_2D(v17, a, a+1)   \
	TRN1_2D(v18, a+2, a+3) \
	TRN2_2D(v19, a+2, a+3) \
	FADD_4S(v16, v16, v17) \
	FADD_4S(v18, v18, v19) \
	FADDP_4S(a, v16, v18)

// Four rows in the registers from r on, every s-th, times a column.
#define ROWS4(acc, q, r, s) \
	FMLA_4S(acc, r, q)           \
	FMLA_4S(acc+1, (r)+(s), q)   \
	FMLA_4S(acc+2, (r)+2*(s), q) \
	FMLA_4S(acc+3, (r)+3*(s), q)

// QUARTER multiplies the next eight values of four rows with a column, which PTR points at: four odd ones, then four even
// ones.
#define QUARTER(acc, PTR) \
	VLD1.P 16(R8), [V20.B16]           \
	VLD1.P 16(R9), [V21.B16]           \
	VLD1.P 16(R10), [V22.B16]          \
	VLD1.P 16(R11), [V23.B16]          \
	VLD1.P 32(PTR), [V16.B16, V17.B16] \
	AND_16B(v24, v20, v30)             \
	AND_16B(v25, v21, v30)             \
	AND_16B(v26, v22, v30)             \
	AND_16B(v27, v23, v30)             \
	SHL_4S(v20, v20, 16)               \
	SHL_4S(v21, v21, 16)               \
	SHL_4S(v22, v22, 16)               \
	SHL_4S(v23, v23, 16)               \
	ROWS4(acc, v16, v24, 1)            \
	ROWS4(acc, v17, v20, 1)

// func DotBF16x1NEON(t *BF16RowDots)
//
// V0 to V3 are the first four lanes of the rows, V4 to V7 the next, and so on.
TEXT ·DotBF16x1NEON(SB), NOSPLIT, $0-8
	ARGS
	UPPER

rows:
	CBZ  R2, done
	FOUR
	MOVD R3, R12
	ADD  R23, R12, R13
	ADD  R23, R13, R14
	ADD  R23, R14, R15
	MOVD R5, R16
	ZERO4(v0)
	ZERO4(v4)
	ZERO4(v8)
	ZERO4(v12)

block:
	QUARTER(v0, R12)
	QUARTER(v4, R13)
	QUARTER(v8, R14)
	QUARTER(v12, R15)
	SUBS $1, R16
	BNE  block
	ADD4(v0, v8)
	ADD4(v4, v12)
	ADD4(v0, v4)
	SUMS(v0)
	CMP  $4, R2
	BLT  few
	VST1.P [V0.B16], 16(R19)
	ADD  R1<<2, R0
	SUB  $4, R2
	B    rows

few:
	VST1.P V0.S[0], 4(R19)
	CMP  $2, R2
	BLT  done
	VST1.P V0.S[1], 4(R19)
	BEQ  done
	VST1 V0.S[2], (R19)

done:
	RET

// With four columns there are registers for four of the sixteen lanes: V0 to V3 are those of the rows for the first
// column, V4 to V7 for the second, and so on. The rows are gone through four times, once for each quarter of a block.

// STORED takes eight values of each row as they are stored, one block after the other.
#define STORED \
	VLD1.P (R8)(R24), [V17.B16]  \
	VLD1.P (R9)(R24), [V19.B16]  \
	VLD1.P (R10)(R24), [V21.B16] \
	VLD1.P (R11)(R24), [V23.B16] \
	AND_16B(v16, v17, v30)       \
	AND_16B(v18, v19, v30)       \
	AND_16B(v20, v21, v30)       \
	AND_16B(v22, v23, v30)       \
	SHL_4S(v17, v17, 16)         \
	SHL_4S(v19, v19, 16)         \
	SHL_4S(v21, v21, 16)         \
	SHL_4S(v23, v23, 16)

// SPLIT takes rows that are laid out as columns are.
#define SPLIT \
	VLD1.P 32(R8), [V16.B16, V17.B16]  \
	VLD1.P 32(R9), [V18.B16, V19.B16]  \
	VLD1.P 32(R10), [V20.B16, V21.B16] \
	VLD1.P 32(R11), [V22.B16, V23.B16]

// PASS goes through quarter Q of the blocks. R25 is what lies between two quarters of a row.
#define PASS(Q, LOAD, LOOP) \
	FOUR                               \
	MOVD $Q, R16                       \
	MADD R25, R8, R16, R8              \
	MADD R25, R9, R16, R9              \
	MADD R25, R10, R16, R10            \
	MADD R25, R11, R16, R11            \
	MADD R23, R3, R16, R12             \
	MADD R23, R4, R16, R13             \
	MADD R23, R6, R16, R14             \
	MADD R23, R7, R16, R15             \
	MOVD R5, R16                       \
	ZERO4(v0)                          \
	ZERO4(v4)                          \
	ZERO4(v8)                          \
	ZERO4(v12)                         \
LOOP:                                  \
	LOAD                               \
	VLD1.P 32(R12), [V24.B16, V25.B16] \
	VLD1.P 32(R13), [V26.B16, V27.B16] \
	ROWS4(v0, v24, v16, 2)             \
	ROWS4(v4, v26, v16, 2)             \
	ROWS4(v0, v25, v17, 2)             \
	ROWS4(v4, v27, v17, 2)             \
	VLD1.P 32(R14), [V24.B16, V25.B16] \
	VLD1.P 32(R15), [V26.B16, V27.B16] \
	ROWS4(v8, v24, v16, 2)             \
	ROWS4(v12, v26, v16, 2)            \
	ROWS4(v8, v25, v17, 2)             \
	ROWS4(v12, v27, v17, 2)            \
	SUBS $1, R16                       \
	BNE  LOOP

#define SAVE \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R17)   \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R17)   \
	VST1.P [V8.B16, V9.B16, V10.B16, V11.B16], 64(R17) \
	VST1.P [V12.B16, V13.B16, V14.B16, V15.B16], 64(R17)

#define MORE(a) \
	VLD1.P 64(R17), [V16.B16, V17.B16, V18.B16, V19.B16] \
	ADD4(a, v16)

#define SAVED \
	MORE(v0) \
	MORE(v4) \
	MORE(v8) \
	MORE(v12)

// Lanes j and j+8 are added first, then those with the ones four from them.
#define DOT4(LOAD) \
rows:                         \
	CBZ  R2, done             \
	PASS(0, LOAD, pass0)      \
	MOVD $lanes-512(SP), R17  \
	SAVE                      \
	PASS(2, LOAD, pass2)      \
	MOVD $lanes-512(SP), R17  \
	SAVED                     \
	MOVD $lanes-512(SP), R17  \
	SAVE                      \
	PASS(1, LOAD, pass1)      \
	MOVD $rest-256(SP), R17   \
	SAVE                      \
	PASS(3, LOAD, pass3)      \
	MOVD $rest-256(SP), R17   \
	SAVED                     \
	MOVD $lanes-512(SP), R17  \
	SAVED                     \
	SUMS(v0)                  \
	SUMS(v4)                  \
	SUMS(v8)                  \
	SUMS(v12)                 \
	CMP  $4, R2               \
	BLT  few                  \
	VST1.P [V0.B16], 16(R19)  \
	VST1.P [V4.B16], 16(R20)  \
	VST1.P [V8.B16], 16(R21)  \
	VST1.P [V12.B16], 16(R22) \
	ADD  R1<<2, R0            \
	SUB  $4, R2               \
	B    rows                 \
few:                          \
	VST1.P V0.S[0], 4(R19)    \
	VST1.P V4.S[0], 4(R20)    \
	VST1.P V8.S[0], 4(R21)    \
	VST1.P V12.S[0], 4(R22)   \
	CMP  $2, R2               \
	BLT  done                 \
	VST1.P V0.S[1], 4(R19)    \
	VST1.P V4.S[1], 4(R20)    \
	VST1.P V8.S[1], 4(R21)    \
	VST1.P V12.S[1], 4(R22)   \
	BEQ  done                 \
	VST1 V0.S[2], (R19)       \
	VST1 V4.S[2], (R20)       \
	VST1 V8.S[2], (R21)       \
	VST1 V12.S[2], (R22)      \
done:                         \
	RET

// func DotBF16x4NEON(t *BF16RowDots)
TEXT ·DotBF16x4NEON(SB), NOSPLIT, $512-8
	ARGS
	UPPER
	MOVD $64, R24
	MOVD $16, R25
	DOT4(STORED)

// func DotSplitx4NEON(t *BF16RowDots)
TEXT ·DotSplitx4NEON(SB), NOSPLIT, $512-8
	ARGS
	MOVD R23, R25
	DOT4(SPLIT)

// func SplitBF16NEON(dst *float32, src *byte, n int)
TEXT ·SplitBF16NEON(SB), NOSPLIT, $0-24
	UPPER
	MOVD dst+0(FP), R12
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	LSL  $5, R2, R23
	ADD  R23, R12, R13
	ADD  R23, R13, R14
	ADD  R23, R14, R15

split:
	VLD1.P 64(R1), [V1.B16, V2.B16, V3.B16, V4.B16]
	AND_16B(v16, v1, v30)
	SHL_4S(v17, v1, 16)
	AND_16B(v18, v2, v30)
	SHL_4S(v19, v2, 16)
	AND_16B(v20, v3, v30)
	SHL_4S(v21, v3, 16)
	AND_16B(v22, v4, v30)
	SHL_4S(v23, v4, 16)
	VST1.P [V16.B16, V17.B16], 32(R12)
	VST1.P [V18.B16, V19.B16], 32(R13)
	VST1.P [V20.B16, V21.B16], 32(R14)
	VST1.P [V22.B16, V23.B16], 32(R15)
	SUBS   $1, R2
	BNE    split
	RET
