//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// ARGS: R0 is where the rows begin, R1 the bytes of one, R2 their number, R3 the values left, R4 to R7 the weights,
// R8 to R11 the outputs.
#define ARGS \
	MOVD t+0(FP), R12 \
	MOVD 0(R12), R0   \
	MOVD 8(R12), R1   \
	MOVD 16(R12), R2  \
	MOVD 24(R12), R3  \
	MOVD 32(R12), R4  \
	MOVD 40(R12), R5  \
	MOVD 48(R12), R6  \
	MOVD 56(R12), R7  \
	MOVD 64(R12), R8  \
	MOVD 72(R12), R9  \
	MOVD 80(R12), R10 \
	MOVD 88(R12), R11

// STARTROWS sets R12 to the first row, R13 to R16 to the weights, R17 to the number of rows.
#define STARTROWS \
	MOVD R0, R12 \
	MOVD R4, R13 \
	MOVD R5, R14 \
	MOVD R6, R15 \
	MOVD R7, R16 \
	MOVD R2, R17

// func AddRowsF32x4NEON(t *RowSums)
TEXT ·AddRowsF32x4NEON(SB), NOSPLIT, $0-8
	ARGS
	SUBS $16, R3
	BLT  add4Rest

add4Values:
	STARTROWS
	VLD1 (R8), [V0.B16, V1.B16, V2.B16, V3.B16]
	VLD1 (R9), [V4.B16, V5.B16, V6.B16, V7.B16]
	VLD1 (R10), [V8.B16, V9.B16, V10.B16, V11.B16]
	VLD1 (R11), [V12.B16, V13.B16, V14.B16, V15.B16]

add4Rows:
	VLD1    (R12), [V16.B16, V17.B16, V18.B16, V19.B16]
	ADD     R1, R12
	FMOVS.P 4(R13), F20
	FMOVS.P 4(R14), F21
	FMOVS.P 4(R15), F22
	FMOVS.P 4(R16), F23
	FMLA_4S_S(v0, v16, v20, 0)
	FMLA_4S_S(v1, v17, v20, 0)
	FMLA_4S_S(v2, v18, v20, 0)
	FMLA_4S_S(v3, v19, v20, 0)
	FMLA_4S_S(v4, v16, v21, 0)
	FMLA_4S_S(v5, v17, v21, 0)
	FMLA_4S_S(v6, v18, v21, 0)
	FMLA_4S_S(v7, v19, v21, 0)
	FMLA_4S_S(v8, v16, v22, 0)
	FMLA_4S_S(v9, v17, v22, 0)
	FMLA_4S_S(v10, v18, v22, 0)
	FMLA_4S_S(v11, v19, v22, 0)
	FMLA_4S_S(v12, v16, v23, 0)
	FMLA_4S_S(v13, v17, v23, 0)
	FMLA_4S_S(v14, v18, v23, 0)
	FMLA_4S_S(v15, v19, v23, 0)
	SUBS    $1, R17
	BNE     add4Rows
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], 64(R8)
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], 64(R9)
	VST1.P  [V8.B16, V9.B16, V10.B16, V11.B16], 64(R10)
	VST1.P  [V12.B16, V13.B16, V14.B16, V15.B16], 64(R11)
	ADD     $64, R0
	SUBS    $16, R3
	BGE     add4Values

add4Rest:
	ADDS $16, R3
	BEQ  add4Done

add4Few:
	CMP  $4, R3
	BLT  add4One
	STARTROWS
	VLD1 (R8), [V0.B16]
	VLD1 (R9), [V1.B16]
	VLD1 (R10), [V2.B16]
	VLD1 (R11), [V3.B16]

add4FewRows:
	VLD1    (R12), [V16.B16]
	ADD     R1, R12
	FMOVS.P 4(R13), F20
	FMOVS.P 4(R14), F21
	FMOVS.P 4(R15), F22
	FMOVS.P 4(R16), F23
	FMLA_4S_S(v0, v16, v20, 0)
	FMLA_4S_S(v1, v16, v21, 0)
	FMLA_4S_S(v2, v16, v22, 0)
	FMLA_4S_S(v3, v16, v23, 0)
	SUBS    $1, R17
	BNE     add4FewRows
	VST1.P  [V0.B16], 16(R8)
	VST1.P  [V1.B16], 16(R9)
	VST1.P  [V2.B16], 16(R10)
	VST1.P  [V3.B16], 16(R11)
	ADD     $16, R0
	SUBS    $4, R3
	BNE     add4Few
	RET

add4One:
	STARTROWS
	FMOVS (R8), F0
	FMOVS (R9), F1
	FMOVS (R10), F2
	FMOVS (R11), F3

add4OneRows:
	FMOVS   (R12), F16
	ADD     R1, R12
	FMOVS.P 4(R13), F20
	FMOVS.P 4(R14), F21
	FMOVS.P 4(R15), F22
	FMOVS.P 4(R16), F23
	FMADDS  F16, F0, F20, F0
	FMADDS  F16, F1, F21, F1
	FMADDS  F16, F2, F22, F2
	FMADDS  F16, F3, F23, F3
	SUBS    $1, R17
	BNE     add4OneRows
	FMOVS.P F0, 4(R8)
	FMOVS.P F1, 4(R9)
	FMOVS.P F2, 4(R10)
	FMOVS.P F3, 4(R11)
	ADD     $4, R0
	SUBS    $1, R3
	BNE     add4One

add4Done:
	RET

// Thirty-two values at R12, in V16 to V23; four, and one, in V16.

#define LOAD32F32 \
	VLD1.P 64(R12), [V16.B16, V17.B16, V18.B16, V19.B16] \
	VLD1   (R12), [V20.B16, V21.B16, V22.B16, V23.B16]   \
	SUB    $64, R12

#define LOAD4F32 \
	VLD1 (R12), [V16.B16]

#define LOAD1F32 \
	FMOVS (R12), F16

#define LOAD32F16 \
	VLD1 (R12), [V24.B16, V25.B16, V26.B16, V27.B16] \
	FCVTL_4S(v16, v24)  \
	FCVTL2_4S(v17, v24) \
	FCVTL_4S(v18, v25)  \
	FCVTL2_4S(v19, v25) \
	FCVTL_4S(v20, v26)  \
	FCVTL2_4S(v21, v26) \
	FCVTL_4S(v22, v27)  \
	FCVTL2_4S(v23, v27)

#define LOAD4F16 \
	VLD1 (R12), [V16.B8] \
	FCVTL_4S(v16, v16)

#define LOAD1F16 \
	LDR_H(v16, 12, 0) \
	FCVTHS F16, F16

#define ADDROWS1(LOAD32, LOAD4, LOAD1, SIZE) \
	ARGS                               \
	SUBS    $32, R3                    \
	BLT     rest                       \
values:                                \
	STARTROWS                          \
	VLD1.P  64(R8), [V0.B16, V1.B16, V2.B16, V3.B16] \
	VLD1    (R8), [V4.B16, V5.B16, V6.B16, V7.B16]   \
	SUB     $64, R8                    \
rows:                                  \
	LOAD32                             \
	ADD     R1, R12                    \
	FMOVS.P 4(R13), F28                \
	FMLA_4S_S(v0, v16, v28, 0)         \
	FMLA_4S_S(v1, v17, v28, 0)         \
	FMLA_4S_S(v2, v18, v28, 0)         \
	FMLA_4S_S(v3, v19, v28, 0)         \
	FMLA_4S_S(v4, v20, v28, 0)         \
	FMLA_4S_S(v5, v21, v28, 0)         \
	FMLA_4S_S(v6, v22, v28, 0)         \
	FMLA_4S_S(v7, v23, v28, 0)         \
	SUBS    $1, R17                    \
	BNE     rows                       \
	VST1.P  [V0.B16, V1.B16, V2.B16, V3.B16], 64(R8) \
	VST1.P  [V4.B16, V5.B16, V6.B16, V7.B16], 64(R8) \
	ADD     $(32*SIZE), R0             \
	SUBS    $32, R3                    \
	BGE     values                     \
rest:                                  \
	ADDS    $32, R3                    \
	BEQ     done                       \
few:                                   \
	CMP     $4, R3                     \
	BLT     one                        \
	STARTROWS                          \
	VLD1    (R8), [V0.B16]             \
fewRows:                               \
	LOAD4                              \
	ADD     R1, R12                    \
	FMOVS.P 4(R13), F28                \
	FMLA_4S_S(v0, v16, v28, 0)         \
	SUBS    $1, R17                    \
	BNE     fewRows                    \
	VST1.P  [V0.B16], 16(R8)           \
	ADD     $(4*SIZE), R0              \
	SUBS    $4, R3                     \
	BNE     few                        \
	RET                                \
one:                                   \
	STARTROWS                          \
	FMOVS   (R8), F0                   \
oneRows:                               \
	LOAD1                              \
	ADD     R1, R12                    \
	FMOVS.P 4(R13), F28                \
	FMADDS  F16, F0, F28, F0           \
	SUBS    $1, R17                    \
	BNE     oneRows                    \
	FMOVS.P F0, 4(R8)                  \
	ADD     $SIZE, R0                  \
	SUBS    $1, R3                     \
	BNE     one                        \
done:                                  \
	RET

// func AddRowsF32x1NEON(t *RowSums)
TEXT ·AddRowsF32x1NEON(SB), NOSPLIT, $0-8
	ADDROWS1(LOAD32F32, LOAD4F32, LOAD1F32, 4)

// func AddRowsF16x1NEON(t *RowSums)
TEXT ·AddRowsF16x1NEON(SB), NOSPLIT, $0-8
	ADDROWS1(LOAD32F16, LOAD4F16, LOAD1F16, 2)
