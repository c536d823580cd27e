//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// The rotation of interleaved keys. For a pair of dimensions and a group: R3 and R4: where they are, R5 and R6: where they
// go, R7 and R8: cosines and sines. R0 and R1: the pair in the first group of what is written and read; R9 and R10: the
// pair's angles; R11 to R14: bytes between the dimensions of a pair, and between groups, of what is written and read; R15,
// R16 and R17: bytes to the next pair of what is written, read, and to its angles; R2 and R19: pairs and groups that are
// left. SHIFT is the logarithm of the number of bytes in a value of the source.

#define TURNARGS(SHIFT) \
	MOVD t+0(FP), R20    \
	MOVD 0(R20), R0      \
	MOVD 8(R20), R1      \
	MOVD 16(R20), R15    \
	LSL  $SHIFT, R15, R16 \
	LSL  $2, R15         \
	MOVD 24(R20), R11    \
	LSL  $SHIFT, R11, R13 \
	LSL  $2, R11         \
	MOVD 32(R20), R12    \
	LSL  $SHIFT, R12, R14 \
	LSL  $2, R12         \
	MOVD 40(R20), R9     \
	MOVD 48(R20), R10    \
	MOVD 56(R20), R17    \
	LSL  $2, R17         \
	MOVD 64(R20), R2

#define FIRSTGROUP \
	MOVD R1, R3          \
	ADD  R13, R1, R4     \
	MOVD R0, R5          \
	ADD  R11, R0, R6     \
	MOVD R9, R7          \
	MOVD R10, R8         \
	MOVD 72(R20), R19

#define NEXTPAIR \
	ADD  R15, R0         \
	ADD  R16, R1         \
	ADD  R17, R9         \
	ADD  R17, R10        \
	SUBS $1, R2

// ROTATE4 turns four of the pairs in V0 to V3 and V4 to V7 by the angles in V16 to V19 and V20 to V23.
#define ROTATE4(a, b, c, s) \
	FMUL_4S(v24, b, s)   \
	FMUL_4S(v25, b, c)   \
	FMUL_4S(v26, a, c)   \
	FMUL_4S(v27, a, s)   \
	FSUB_4S(a, v26, v24) \
	FADD_4S(b, v27, v25)

// ROTATE16 turns the pairs of a group, stores them, and goes on to the next group.
#define ROTATE16 \
	VLD1.P 64(R7), [V16.B16, V17.B16, V18.B16, V19.B16]  \
	VLD1.P 64(R8), [V20.B16, V21.B16, V22.B16, V23.B16]  \
	ROTATE4(v0, v4, v16, v20)                            \
	ROTATE4(v1, v5, v17, v21)                            \
	ROTATE4(v2, v6, v18, v22)                            \
	ROTATE4(v3, v7, v19, v23)                            \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], (R5)(R12)   \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], (R6)(R12)   \
	SUBS   $1, R19

// func TurnF32NEON(t *Turn)
TEXT ·TurnF32NEON(SB), NOSPLIT, $0-8
	TURNARGS(2)

pairF32:
	FIRSTGROUP

groupF32:
	VLD1.P (R3)(R14), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P (R4)(R14), [V4.B16, V5.B16, V6.B16, V7.B16]
	ROTATE16
	BNE    groupF32
	NEXTPAIR
	BNE    pairF32
	RET

// func TurnF16NEON(t *Turn)
TEXT ·TurnF16NEON(SB), NOSPLIT, $0-8
	TURNARGS(1)

pairF16:
	FIRSTGROUP

groupF16:
	VLD1.P (R3)(R14), [V28.B16, V29.B16]
	VLD1.P (R4)(R14), [V30.B16, V31.B16]
	FCVTL_4S(v0, v28)
	FCVTL2_4S(v1, v28)
	FCVTL_4S(v2, v29)
	FCVTL2_4S(v3, v29)
	FCVTL_4S(v4, v30)
	FCVTL2_4S(v5, v30)
	FCVTL_4S(v6, v31)
	FCVTL2_4S(v7, v31)
	ROTATE16
	BNE    groupF16
	NEXTPAIR
	BNE    pairF16
	RET
