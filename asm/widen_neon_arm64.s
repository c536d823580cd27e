//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// func WidenF16NEON(dst *float32, src *byte, n int)
TEXT ·WidenF16NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD n+16(FP), R2
	SUBS $16, R2
	BLT  f16Rest

f16Loop:
	VLD1.P 32(R1), [V4.B16, V5.B16]
	FCVTL_4S(v0, v4)
	FCVTL2_4S(v1, v4)
	FCVTL_4S(v2, v5)
	FCVTL2_4S(v3, v5)
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	SUBS   $16, R2
	BGE    f16Loop

f16Rest:
	ADDS   $16, R2
	BEQ    f16Done
	VLD1   (R1), [V4.B16]
	FCVTL_4S(v0, v4)
	FCVTL2_4S(v1, v4)
	VST1   [V0.B16, V1.B16], (R0)

f16Done:
	RET

// FLOAT16 makes V0 to V3 the sixteen signed bytes of q.
#define FLOAT16(q) \
	SSHLL_8H(v4, q, 0)         \
	SSHLL2_8H(v5, q, 0)        \
	SSHLL_4S(v0, v4, 0)        \
	SSHLL2_4S(v1, v4, 0)       \
	SSHLL_4S(v2, v5, 0)        \
	SSHLL2_4S(v3, v5, 0)       \
	SCVTF_4S(v0, v0)           \
	SCVTF_4S(v1, v1)           \
	SCVTF_4S(v2, v2)           \
	SCVTF_4S(v3, v3)

#define WIDEN16(q) \
	FLOAT16(q)                 \
	FMUL_4S_S(v0, v0, v30, 0)  \
	FMUL_4S_S(v1, v1, v30, 0)  \
	FMUL_4S_S(v2, v2, v30, 0)  \
	FMUL_4S_S(v3, v3, v30, 0)  \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)

// WIDENKEYS16 decodes one dimension of sixteen keys, whose scales are V16 to V19.
#define WIDENKEYS16(q) \
	FLOAT16(q)                 \
	FMUL_4S(v0, v0, v16)       \
	FMUL_4S(v1, v1, v17)       \
	FMUL_4S(v2, v2, v18)       \
	FMUL_4S(v3, v3, v19)       \
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)

// func WidenQ8_0NEON(dst *float32, src *byte, blocks int)
TEXT ·WidenQ8_0NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD blocks+16(FP), R2
	CBZ  R2, q8Done

q8Loop:
	LDR_H(v30, 1, 0)
	FCVTHS F30, F30
	FMOVQ  2(R1), F6
	FMOVQ  18(R1), F7
	WIDEN16(v6)
	WIDEN16(v7)
	ADD    $34, R1
	SUBS   $1, R2
	BNE    q8Loop

q8Done:
	RET

// func WidenKeysQ8_0NEON(dst *float32, src *byte, blocks int)
TEXT ·WidenKeysQ8_0NEON(SB), NOSPLIT, $0-24
	MOVD dst+0(FP), R0
	MOVD src+8(FP), R1
	MOVD blocks+16(FP), R2
	CBZ  R2, keysDone

keysLoop:
	VLD1.P 32(R1), [V6.B16, V7.B16]
	FCVTL_4S(v16, v6)
	FCVTL2_4S(v17, v6)
	FCVTL_4S(v18, v7)
	FCVTL2_4S(v19, v7)
	MOVD   $16, R3

keysTwo:
	VLD1.P 32(R1), [V6.B16, V7.B16]
	WIDENKEYS16(v6)
	WIDENKEYS16(v7)
	SUBS   $1, R3
	BNE    keysTwo
	SUBS   $1, R2
	BNE    keysLoop

keysDone:
	RET
