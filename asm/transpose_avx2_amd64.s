//go:build !purego

#include "textflag.h"

// FOUR makes rows of eight of the four columns from AT on: each half of a register takes four rows of one column.
#define FOUR(AT) \
	VMOVUPS     AT(SI), X0               \
	VMOVUPS     AT(SI)(R8*1), X1         \
	VMOVUPS     AT(SI)(R8*2), X2         \
	VMOVUPS     AT(SI)(R9*1), X3         \
	VINSERTF128 $1, AT(R10), Y0, Y0       \
	VINSERTF128 $1, AT(R10)(R8*1), Y1, Y1 \
	VINSERTF128 $1, AT(R10)(R8*2), Y2, Y2 \
	VINSERTF128 $1, AT(R10)(R9*1), Y3, Y3 \
	VUNPCKLPS   Y1, Y0, Y4 \
	VUNPCKHPS   Y1, Y0, Y5 \
	VUNPCKLPS   Y3, Y2, Y6 \
	VUNPCKHPS   Y3, Y2, Y7 \
	VUNPCKLPD   Y6, Y4, Y0 \
	VUNPCKHPD   Y6, Y4, Y1 \
	VUNPCKLPD   Y7, Y5, Y2 \
	VUNPCKHPD   Y7, Y5, Y3 \
	VMOVUPS     Y0, (DI)         \
	VMOVUPS     Y1, (DI)(R11*1)  \
	VMOVUPS     Y2, (DI)(R11*2)  \
	VMOVUPS     Y3, (DI)(R12*1)  \
	LEAQ        (DI)(R11*4), DI

// func TransposeAVX2(dst *float32, dstStride int, src *float32, srcStride, n int)
TEXT ·TransposeAVX2(SB), NOSPLIT, $0-40
	MOVQ  dst+0(FP), DI
	MOVQ  dstStride+8(FP), R11
	MOVQ  src+16(FP), SI
	MOVQ  srcStride+24(FP), R8
	MOVQ  n+32(FP), CX
	LEAQ  (R8)(R8*2), R9
	LEAQ  (R11)(R11*2), R12
	LEAQ  (SI)(R8*4), R10
	TESTQ CX, CX
	JZ    done

eight:
	FOUR(0)
	FOUR(16)
	ADDQ $32, SI
	ADDQ $32, R10
	DECQ CX
	JNZ  eight

done:
	VZEROUPPER
	RET
