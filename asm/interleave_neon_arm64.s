//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

#define ARGS \
	MOVD dst+0(FP), R0  \
	MOVD rows+8(FP), R5 \
	MOVD n+16(FP), R6   \
	MOVD 0(R5), R1      \
	MOVD 8(R5), R2      \
	MOVD 16(R5), R3     \
	MOVD 24(R5), R4

// FOURWORDS makes V4 to V7 the next four words of all rows.
#define FOURWORDS \
	VLD1.P 16(R1), [V0.B16] \
	VLD1.P 16(R2), [V1.B16] \
	VLD1.P 16(R3), [V2.B16] \
	VLD1.P 16(R4), [V3.B16] \
	TRN1_4S(v16, v0, v1)    \
	TRN2_4S(v17, v0, v1)    \
	TRN1_4S(v18, v2, v3)    \
	TRN2_4S(v19, v2, v3)    \
	TRN1_2D(v4, v16, v18)   \
	TRN1_2D(v5, v17, v19)   \
	TRN2_2D(v6, v16, v18)   \
	TRN2_2D(v7, v17, v19)

// ONEWORD makes V4 the next word of all rows.
#define ONEWORD \
	VLD1.P 4(R1), V4.S[0] \
	VLD1.P 4(R2), V4.S[1] \
	VLD1.P 4(R3), V4.S[2] \
	VLD1.P 4(R4), V4.S[3]

#define WORDS(PUT4, PUT1) \
	ARGS              \
	SUBS $4, R6       \
	BLT  few          \
four:                 \
	FOURWORDS         \
	PUT4              \
	SUBS $4, R6       \
	BGE  four         \
few:                  \
	ADDS $4, R6       \
	BEQ  done         \
one:                  \
	ONEWORD           \
	PUT1              \
	SUBS $1, R6       \
	BNE  one          \
done:                 \
	RET

#define PUT4 \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)

#define PUT1 \
	VST1.P [V4.B16], 16(R0)

#define TWICE(v) \
	ZIP1_4S(v16, v, v)               \
	ZIP2_4S(v17, v, v)               \
	VST1.P [V16.B16, V17.B16], 32(R0)

#define TWICE4 \
	TWICE(v4) \
	TWICE(v5) \
	TWICE(v6) \
	TWICE(v7)

#define PAIRS(v) \
	TRN1_2D(v16, v, v)               \
	TRN2_2D(v17, v, v)               \
	VST1.P [V16.B16, V17.B16], 32(R0)

#define PAIRS4 \
	PAIRS(v4) \
	PAIRS(v5) \
	PAIRS(v6) \
	PAIRS(v7)

// func WordsNEON(dst unsafe.Pointer, rows *Quad, n int)
TEXT ·WordsNEON(SB), NOSPLIT, $0-24
	WORDS(PUT4, PUT1)

// func WordsTwiceNEON(dst unsafe.Pointer, rows *Quad, n int)
TEXT ·WordsTwiceNEON(SB), NOSPLIT, $0-24
	WORDS(TWICE4, TWICE(v4))

// func WordsPairsNEON(dst unsafe.Pointer, rows *Quad, n int)
TEXT ·WordsPairsNEON(SB), NOSPLIT, $0-24
	WORDS(PAIRS4, PAIRS(v4))

// func EightsNEON(dst unsafe.Pointer, rows *Quad, n int)
TEXT ·EightsNEON(SB), NOSPLIT, $0-24
	ARGS
	CBZ  R6, eightsDone

eightsLoop:
	VLD1.P 16(R1), [V0.B16]
	VLD1.P 16(R2), [V1.B16]
	VLD1.P 16(R3), [V2.B16]
	VLD1.P 16(R4), [V3.B16]
	TRN1_2D(v4, v0, v1)
	TRN1_2D(v5, v2, v3)
	TRN2_2D(v6, v0, v1)
	TRN2_2D(v7, v2, v3)
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R0)
	SUBS   $2, R6
	BNE    eightsLoop

eightsDone:
	RET
