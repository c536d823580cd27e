//go:build !purego

#include "textflag.h"
#include "words_arm64.h"
#include "codes_arm64.h"

// R0 is the next block, R1 its codes, R2 its scales, R3 its minimums, R4 the number of blocks left.
#define ARGS \
	MOVD t+0(FP), R9   \
	MOVD 0(R9), R0     \
	MOVD 8(R9), R4     \
	MOVD 16(R9), R1    \
	MOVD 24(R9), R2    \
	MOVD 32(R9), R3    \
	CBZ  R4, done

// Blocks of 32 weights and SIZE bytes, with a scale.
#define BLOCKS32(CODES, SIZE, FACTOR) \
loop:                                    \
	CODES(0)                             \
	LDR_H(v4, 0, 0)                      \
	FCVTHS  F4, F4                       \
	FACTOR                               \
	VST1.P  [V0.B16, V1.B16], 32(R1)     \
	FMOVS.P F4, 4(R2)                    \
	ADD     $SIZE, R0                    \
	SUBS    $1, R4                       \
	BNE     loop                         \
done:                                    \
	RET

#define WHOLE \

#define SIXTEENTH \
	FMULS F28, F4, F4

// The same, with a number behind the scale that is added.
#define BLOCKS32M(CODES, SIZE) \
loop:                                    \
	CODES(0)                             \
	FMOVS   (R0), F4                     \
	FCVTL_4S(v4, v4)                     \
	FNEG_4S(v5, v4)                      \
	VST1.P  [V0.B16, V1.B16], 32(R1)     \
	FMOVS.P F4, 4(R2)                    \
	VST1.P  V5.S[1], 4(R3)               \
	ADD     $SIZE, R0                    \
	SUBS    $1, R4                       \
	BNE     loop                         \
done:                                    \
	RET

// Blocks of 256 weights with eight scales.
#define BLOCKS256(CODES, SIZE, SCALES, MINS) \
loop:                                    \
	SCALES                               \
	FMUL_4S_S(v20, v20, v26, 0)          \
	FMUL_4S_S(v21, v21, v26, 0)          \
	VST1.P [V20.B16, V21.B16], 32(R2)    \
	MINS                                 \
	CODES(0)                             \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1) \
	CODES(1)                             \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1) \
	CODES(2)                             \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1) \
	CODES(3)                             \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1) \
	ADD    $SIZE, R0                     \
	SUBS   $1, R4                        \
	BNE    loop                          \
done:                                    \
	RET

#define NOMINS \

#define MINS8 \
	FMUL_4S_S(v22, v22, v26, 1)          \
	FMUL_4S_S(v23, v23, v26, 1)          \
	VST1.P [V22.B16, V23.B16], 32(R3)

// Blocks of 256 weights with sixteen scales.
#define BLOCKS16(CODES, SIZE, SCALES, MINS) \
loop:                                    \
	SCALES                               \
	FMUL_4S_S(v20, v20, v26, 0)          \
	FMUL_4S_S(v21, v21, v26, 0)          \
	FMUL_4S_S(v22, v22, v26, 0)          \
	FMUL_4S_S(v23, v23, v26, 0)          \
	VST1.P [V20.B16, V21.B16, V22.B16, V23.B16], 64(R2) \
	MINS                                 \
	CODES(0)                             \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1) \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R1) \
	CODES(1)                             \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R1) \
	VST1.P [V4.B16, V5.B16, V6.B16, V7.B16], 64(R1) \
	ADD    $SIZE, R0                     \
	SUBS   $1, R4                        \
	BNE    loop                          \
done:                                    \
	RET

#define MINS16 \
	FMUL_4S_S(v12, v12, v26, 1)          \
	FMUL_4S_S(v13, v13, v26, 1)          \
	FMUL_4S_S(v14, v14, v26, 1)          \
	FMUL_4S_S(v15, v15, v26, 1)          \
	VST1.P [V12.B16, V13.B16, V14.B16, V15.B16], 64(R3)

// func UnpackQ4_0NEON(t *Unpacked)
TEXT ·UnpackQ4_0NEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ4_0
	BLOCKS32(CODESQ4_0, 18, SIXTEENTH)

// func UnpackQ4_1NEON(t *Unpacked)
TEXT ·UnpackQ4_1NEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ4_1
	BLOCKS32M(CODESQ4_1, 20)

// func UnpackQ5_0NEON(t *Unpacked)
TEXT ·UnpackQ5_0NEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ5_0
	BLOCKS32(CODESQ5_0, 22, WHOLE)

// func UnpackQ5_1NEON(t *Unpacked)
TEXT ·UnpackQ5_1NEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ5_1
	BLOCKS32M(CODESQ5_1, 24)

// func UnpackQ8_0NEON(t *Unpacked)
TEXT ·UnpackQ8_0NEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ8_0
	BLOCKS32(CODESQ8_0, 34, WHOLE)

// func UnpackIQ4_NLNEON(t *Unpacked)
TEXT ·UnpackIQ4_NLNEON(SB), NOSPLIT, $0-8
	ARGS
	SETIQ4
	BLOCKS32(CODESIQ4_NL, 18, WHOLE)

// func UnpackQ4_KNEON(t *Unpacked)
TEXT ·UnpackQ4_KNEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ4_K
	BLOCKS256(CODESQ4_K, 144, SCALESQ45_K, MINS8)

// func UnpackQ5_KNEON(t *Unpacked)
TEXT ·UnpackQ5_KNEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ5_K
	BLOCKS256(CODESQ5_K, 176, SCALESQ5_K, MINS8)

// func UnpackIQ4_XSNEON(t *Unpacked)
TEXT ·UnpackIQ4_XSNEON(SB), NOSPLIT, $0-8
	ARGS
	SETIQ4_XS
	BLOCKS256(CODESIQ4_XS, 136, SCALESIQ4_XS, NOMINS)

// func UnpackQ2_KNEON(t *Unpacked)
TEXT ·UnpackQ2_KNEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ2_K
	BLOCKS16(CODESQ2_K, 84, SCALESQ2_K, MINS16)

// func UnpackQ3_KNEON(t *Unpacked)
TEXT ·UnpackQ3_KNEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ3_K
	BLOCKS16(CODESQ3_K, 110, SCALESQ3_K, NOMINS)

// func UnpackQ6_KNEON(t *Unpacked)
TEXT ·UnpackQ6_KNEON(SB), NOSPLIT, $0-8
	ARGS
	SETQ6_K
	BLOCKS16(CODESQ6_K, 210, SCALESQ6_K, NOMINS)
