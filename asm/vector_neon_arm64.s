//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// Eight accumulators: four multiply-adds may begin in a cycle, and each takes four.

#define ZERO8 \
	MOVI_0(v0) \
	MOVI_0(v1) \
	MOVI_0(v2) \
	MOVI_0(v3) \
	MOVI_0(v4) \
	MOVI_0(v5) \
	MOVI_0(v6) \
	MOVI_0(v7)

// SUM8 adds up all lanes of V0 to V7 in F0.
#define SUM8 \
	FADD_4S(v0, v0, v4) \
	FADD_4S(v1, v1, v5) \
	FADD_4S(v2, v2, v6) \
	FADD_4S(v3, v3, v7) \
	FADD_4S(v0, v0, v2) \
	FADD_4S(v1, v1, v3) \
	FADD_4S(v0, v0, v1) \
	FADDP_4S(v0, v0, v0) \
	FADDP_S(v0, v0)

// func DotNEON(a, b []float32) (sum float32)
TEXT ·DotNEON(SB), NOSPLIT, $0-52
	MOVD a_base+0(FP), R0
	MOVD a_len+8(FP), R2
	MOVD b_base+24(FP), R1
	ZERO8
	SUBS $32, R2
	BLT  dotFew

dot32:
	VLD1.P 64(R0), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1.P 64(R1), [V24.B16, V25.B16, V26.B16, V27.B16]
	VLD1.P 64(R0), [V20.B16, V21.B16, V22.B16, V23.B16]
	VLD1.P 64(R1), [V28.B16, V29.B16, V30.B16, V31.B16]
	FMLA_4S(v0, v16, v24)
	FMLA_4S(v1, v17, v25)
	FMLA_4S(v2, v18, v26)
	FMLA_4S(v3, v19, v27)
	FMLA_4S(v4, v20, v28)
	FMLA_4S(v5, v21, v29)
	FMLA_4S(v6, v22, v30)
	FMLA_4S(v7, v23, v31)
	SUBS   $32, R2
	BGE    dot32

dotFew:
	ADD  $32, R2
	SUBS $4, R2
	BLT  dotSum

dot4:
	VLD1.P 16(R0), [V16.B16]
	VLD1.P 16(R1), [V24.B16]
	FMLA_4S(v0, v16, v24)
	SUBS   $4, R2
	BGE    dot4

dotSum:
	SUM8
	ADDS $4, R2
	BEQ  dotDone

dot1:
	FMOVS.P 4(R0), F16
	FMOVS.P 4(R1), F24
	FMADDS  F16, F0, F24, F0
	SUBS    $1, R2
	BNE     dot1

dotDone:
	FMOVS F0, sum+48(FP)
	RET

// Squares are added up as float64: those of float32 may overflow, or vanish.

// func SumSquaresNEON(x []float32) (sum float64)
TEXT ·SumSquaresNEON(SB), NOSPLIT, $0-32
	MOVD x_base+0(FP), R0
	MOVD x_len+8(FP), R2
	ZERO8
	SUBS $16, R2
	BLT  squaresFew

squares16:
	VLD1.P 64(R0), [V16.B16, V17.B16, V18.B16, V19.B16]
	FCVTL_2D(v20, v16)
	FCVTL2_2D(v21, v16)
	FCVTL_2D(v22, v17)
	FCVTL2_2D(v23, v17)
	FCVTL_2D(v24, v18)
	FCVTL2_2D(v25, v18)
	FCVTL_2D(v26, v19)
	FCVTL2_2D(v27, v19)
	FMLA_2D(v0, v20, v20)
	FMLA_2D(v1, v21, v21)
	FMLA_2D(v2, v22, v22)
	FMLA_2D(v3, v23, v23)
	FMLA_2D(v4, v24, v24)
	FMLA_2D(v5, v25, v25)
	FMLA_2D(v6, v26, v26)
	FMLA_2D(v7, v27, v27)
	SUBS   $16, R2
	BGE    squares16

squaresFew:
	FADD_2D(v0, v0, v4)
	FADD_2D(v1, v1, v5)
	FADD_2D(v2, v2, v6)
	FADD_2D(v3, v3, v7)
	FADD_2D(v0, v0, v2)
	FADD_2D(v1, v1, v3)
	FADD_2D(v0, v0, v1)
	FADDP_D(v0, v0)
	ADDS $16, R2
	BEQ  squaresDone

squares1:
	FMOVS.P 4(R0), F16
	FCVTSD  F16, F16
	FMADDD  F16, F0, F16, F0
	SUBS    $1, R2
	BNE     squares1

squaresDone:
	FMOVD F0, sum+24(FP)
	RET

// func AxpyNEON(alpha float32, x, y []float32)
TEXT ·AxpyNEON(SB), NOSPLIT, $0-56
	FMOVS alpha+0(FP), F31
	MOVD  x_base+8(FP), R0
	MOVD  x_len+16(FP), R2
	MOVD  y_base+32(FP), R1
	SUBS  $16, R2
	BLT   axpyFew

axpy16:
	VLD1.P 64(R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1   (R1), [V4.B16, V5.B16, V6.B16, V7.B16]
	FMLA_4S_S(v4, v0, v31, 0)
	FMLA_4S_S(v5, v1, v31, 0)
	FMLA_4S_S(v6, v2, v31, 0)
	FMLA_4S_S(v7, v3, v31, 0)
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R1)
	SUBS   $16, R2
	BGE    axpy16

axpyFew:
	ADD  $16, R2
	SUBS $4, R2
	BLT  axpyRest

axpy4:
	VLD1.P 16(R0), [V0.B16]
	VLD1   (R1), [V4.B16]
	FMLA_4S_S(v4, v0, v31, 0)
	VST1.P [V4.B16], 16(R1)
	SUBS   $4, R2
	BGE    axpy4

axpyRest:
	ADDS $4, R2
	BEQ  axpyDone

axpy1:
	FMOVS.P 4(R0), F0
	FMOVS   (R1), F4
	FMADDS  F0, F4, F31, F4
	FMOVS.P F4, 4(R1)
	SUBS    $1, R2
	BNE     axpy1

axpyDone:
	RET

// func ScaleNEON(dst, x, w []float32, scale float32)
TEXT ·ScaleNEON(SB), NOSPLIT, $0-76
	MOVD  dst_base+0(FP), R0
	MOVD  x_base+24(FP), R1
	MOVD  x_len+32(FP), R2
	MOVD  w_base+48(FP), R3
	FMOVS scale+72(FP), F31
	SUBS  $16, R2
	BLT   scaleFew

scale16:
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1.P 64(R3), [V4.B16, V5.B16, V6.B16, V7.B16]
	FMUL_4S_S(v0, v0, v31, 0)
	FMUL_4S_S(v1, v1, v31, 0)
	FMUL_4S_S(v2, v2, v31, 0)
	FMUL_4S_S(v3, v3, v31, 0)
	FMUL_4S(v0, v0, v4)
	FMUL_4S(v1, v1, v5)
	FMUL_4S(v2, v2, v6)
	FMUL_4S(v3, v3, v7)
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	SUBS   $16, R2
	BGE    scale16

scaleFew:
	ADDS $16, R2
	BEQ  scaleDone

scale1:
	FMOVS.P 4(R1), F0
	FMOVS.P 4(R3), F4
	FMULS   F31, F0, F0
	FMULS   F4, F0, F0
	FMOVS.P F0, 4(R0)
	SUBS    $1, R2
	BNE     scale1

scaleDone:
	RET

// Both orders of pairs: R0 points at the values, R1 at those n further on, R3 at the cosines, R4 at the sines. Products are
// rounded before they are added, as the reference does: both then give the same keys, bit by bit.

// func RopeHalvesNEON(x, cos, sin []float32)
TEXT ·RopeHalvesNEON(SB), NOSPLIT, $0-72
	MOVD x_base+0(FP), R0
	MOVD cos_base+24(FP), R3
	MOVD cos_len+32(FP), R2
	MOVD sin_base+48(FP), R4
	ADD  R2<<2, R0, R1
	SUBS $4, R2
	BLT  halvesRest

halves4:
	VLD1   (R0), [V0.B16]
	VLD1   (R1), [V1.B16]
	VLD1.P 16(R3), [V2.B16]
	VLD1.P 16(R4), [V3.B16]
	FMUL_4S(v4, v0, v2)
	FMUL_4S(v5, v0, v3)
	FMUL_4S(v6, v1, v3)
	FMUL_4S(v7, v1, v2)
	FSUB_4S(v4, v4, v6)
	FADD_4S(v5, v5, v7)
	VST1.P [V4.B16], 16(R0)
	VST1.P [V5.B16], 16(R1)
	SUBS   $4, R2
	BGE    halves4

halvesRest:
	ADDS $4, R2
	BEQ  halvesDone

halves1:
	FMOVS   (R0), F0
	FMOVS   (R1), F1
	FMOVS.P 4(R3), F2
	FMOVS.P 4(R4), F3
	FMULS   F0, F2, F4
	FMULS   F0, F3, F5
	FMULS   F1, F3, F6
	FMULS   F1, F2, F7
	FSUBS   F6, F4, F4
	FADDS   F7, F5, F5
	FMOVS.P F4, 4(R0)
	FMOVS.P F5, 4(R1)
	SUBS    $1, R2
	BNE     halves1

halvesDone:
	RET

// func RopePairsNEON(x, cos, sin []float32)
TEXT ·RopePairsNEON(SB), NOSPLIT, $0-72
	MOVD x_base+0(FP), R0
	MOVD cos_base+24(FP), R3
	MOVD cos_len+32(FP), R2
	MOVD sin_base+48(FP), R4
	SUBS $4, R2
	BLT  pairsRest

pairs4:
	VLD2   (R0), [V0.S4, V1.S4]
	VLD1.P 16(R3), [V2.B16]
	VLD1.P 16(R4), [V3.B16]
	FMUL_4S(v4, v0, v2)
	FMUL_4S(v5, v0, v3)
	FMUL_4S(v6, v1, v3)
	FMUL_4S(v7, v1, v2)
	FSUB_4S(v4, v4, v6)
	FADD_4S(v5, v5, v7)
	VST2.P [V4.S4, V5.S4], 32(R0)
	SUBS   $4, R2
	BGE    pairs4

pairsRest:
	ADDS $4, R2
	BEQ  pairsDone

pairs1:
	FMOVS   (R0), F0
	FMOVS   4(R0), F1
	FMOVS.P 4(R3), F2
	FMOVS.P 4(R4), F3
	FMULS   F0, F2, F4
	FMULS   F0, F3, F5
	FMULS   F1, F3, F6
	FMULS   F1, F2, F7
	FSUBS   F6, F4, F4
	FADDS   F7, F5, F5
	FMOVS.P F4, 4(R0)
	FMOVS.P F5, 4(R0)
	SUBS    $1, R2
	BNE     pairs1

pairsDone:
	RET
