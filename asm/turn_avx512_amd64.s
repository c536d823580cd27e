//go:build !purego

#include "textflag.h"
#include "turn_amd64.h"

// ROTATE16 turns the pairs (Z0, Z1) of sixteen keys by the angles at DX, and stores them.
#define ROTATE16 \
	VMOVUPS (R11)(DX*4), Z2 \
	VMOVUPS (R12)(DX*4), Z3 \
	VMULPS  Z3, Z1, Z4      \
	VMULPS  Z2, Z1, Z5      \
	VMULPS  Z2, Z0, Z2      \
	VMULPS  Z3, Z0, Z3      \
	VSUBPS  Z4, Z2, Z4      \
	VADDPS  Z5, Z3, Z5      \
	VMOVUPS Z4, (BX)        \
	VMOVUPS Z5, (BX)(R9*4)

// func TurnF32AVX512(t *Turn)
TEXT ·TurnF32AVX512(SB), NOSPLIT, $0-8
	TURNARGS

pairF32:
	FIRSTGROUP

groupF32:
	VMOVUPS (R14), Z0
	VMOVUPS (R14)(R9*4), Z1
	ROTATE16
	NEXTGROUP(4)
	JNZ     groupF32
	NEXTPAIR(4)
	JNZ     pairF32
	VZEROUPPER
	RET

// func TurnF16AVX512(t *Turn)
TEXT ·TurnF16AVX512(SB), NOSPLIT, $0-8
	TURNARGS

pairF16:
	FIRSTGROUP

groupF16:
	VCVTPH2PS (R14), Z0
	VCVTPH2PS (R14)(R9*2), Z1
	ROTATE16
	NEXTGROUP(2)
	JNZ       groupF16
	NEXTPAIR(2)
	JNZ       pairF16
	VZEROUPPER
	RET
