//go:build !purego

#include "textflag.h"
#include "turn_amd64.h"

// ROTATE8 turns the pairs (Y0, Y1) of the half of a group's keys that begins so many bytes into its float32 values, and
// stores them.
#define ROTATE8(HALF) \
	VMOVUPS HALF(R11)(DX*4), Y2 \
	VMOVUPS HALF(R12)(DX*4), Y3 \
	VMULPS  Y3, Y1, Y4          \
	VMULPS  Y2, Y1, Y5          \
	VMULPS  Y2, Y0, Y2          \
	VMULPS  Y3, Y0, Y3          \
	VSUBPS  Y4, Y2, Y4          \
	VADDPS  Y5, Y3, Y5          \
	VMOVUPS Y4, HALF(BX)        \
	VMOVUPS Y5, HALF(BX)(R9*4)

// func TurnF32AVX2(t *Turn)
TEXT ·TurnF32AVX2(SB), NOSPLIT, $0-8
	TURNARGS

pairF32:
	FIRSTGROUP

groupF32:
	VMOVUPS (R14), Y0
	VMOVUPS (R14)(R9*4), Y1
	ROTATE8(0)
	VMOVUPS 32(R14), Y0
	VMOVUPS 32(R14)(R9*4), Y1
	ROTATE8(32)
	NEXTGROUP(4)
	JNZ     groupF32
	NEXTPAIR(4)
	JNZ     pairF32
	VZEROUPPER
	RET

// func TurnF16AVX2(t *Turn)
TEXT ·TurnF16AVX2(SB), NOSPLIT, $0-8
	TURNARGS

pairF16:
	FIRSTGROUP

groupF16:
	VCVTPH2PS (R14), Y0
	VCVTPH2PS (R14)(R9*2), Y1
	ROTATE8(0)
	VCVTPH2PS 16(R14), Y0
	VCVTPH2PS 16(R14)(R9*2), Y1
	ROTATE8(32)
	NEXTGROUP(2)
	JNZ       groupF16
	NEXTPAIR(2)
	JNZ       pairF16
	VZEROUPPER
	RET
