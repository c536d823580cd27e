//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// func TransposeNEON(dst *float32, dstStride int, src *float32, srcStride, n int)
TEXT ·TransposeNEON(SB), NOSPLIT, $0-40
	MOVD dst+0(FP), R0
	MOVD dstStride+8(FP), R1
	MOVD src+16(FP), R3
	MOVD srcStride+24(FP), R7
	MOVD n+32(FP), R2
	ADD  R7, R3, R4
	ADD  R7, R4, R5
	ADD  R7, R5, R6
	CBZ  R2, done

four:
	VLD1.P 16(R3), [V0.B16]
	VLD1.P 16(R4), [V1.B16]
	VLD1.P 16(R5), [V2.B16]
	VLD1.P 16(R6), [V3.B16]
	TRN1_4S(v4, v0, v1)
	TRN2_4S(v5, v0, v1)
	TRN1_4S(v6, v2, v3)
	TRN2_4S(v7, v2, v3)
	TRN1_2D(v0, v4, v6)
	TRN1_2D(v1, v5, v7)
	TRN2_2D(v2, v4, v6)
	TRN2_2D(v3, v5, v7)
	VST1.P [V0.B16], (R0)(R1)
	VST1.P [V1.B16], (R0)(R1)
	VST1.P [V2.B16], (R0)(R1)
	VST1.P [V3.B16], (R0)(R1)
	SUBS   $1, R2
	BNE    four

done:
	RET
