//go:build !purego

#include "textflag.h"

// The float32 matrix product. SI, R8: A and the bytes between its rows, R11: the fourth row; DI, R9, R10, R12: B, one and
// three times the bytes between its vectors, and those between its rows; BX, R13: C and the bytes between its rows.
// A vector of 16 lanes is two registers.

#define GEMM32ARGS \
	MOVQ t+0(FP), AX       \
	MOVQ 0(AX), SI         \
	MOVQ 8(AX), R8         \
	LEAQ (R8)(R8*2), R11   \
	ADDQ SI, R11           \
	MOVQ 16(AX), DI        \
	MOVQ 24(AX), R12       \
	MOVQ 32(AX), R9        \
	LEAQ (R9)(R9*2), R10   \
	MOVQ 40(AX), CX        \
	MOVQ 48(AX), BX        \
	MOVQ 56(AX), R13       \
	MOVQ 64(AX), DX

// CLEAR clears a row's sums, TAKE loads them from a row of C, and PUT stores them.
#define CLEAR(A, B) \
	VXORPS A, A, A \
	VXORPS B, B, B

#define TAKE(A, B) \
	VMOVUPS (AX), A   \
	VMOVUPS 32(AX), B \
	ADDQ    R13, AX

#define PUT(A, B) \
	VMOVUPS A, (BX)   \
	VMOVUPS B, 32(BX) \
	ADDQ    R13, BX

// VECTOR loads a vector of B, ROW adds its product with an element of A.
#define VECTOR \
	VMOVUPS (DI), Y12   \
	VMOVUPS 32(DI), Y13 \
	ADDQ    R12, DI

#define ROW(ADDR, T, A, B) \
	VBROADCASTSS ADDR, T   \
	VFMADD231PS  T, Y12, A \
	VFMADD231PS  T, Y13, B

// func gemm32x6x1AVX2(t *Gemm32)
TEXT ·gemm32x6x1AVX2(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	CLEAR(Y8, Y9)
	CLEAR(Y10, Y11)
	TESTQ DX, DX
	JZ    k6x1
	MOVQ  BX, AX
	TAKE(Y0, Y1)
	TAKE(Y2, Y3)
	TAKE(Y4, Y5)
	TAKE(Y6, Y7)
	TAKE(Y8, Y9)
	TAKE(Y10, Y11)

k6x1:
	VECTOR
	ROW((SI), Y14, Y0, Y1)
	ROW((SI)(R8*1), Y15, Y2, Y3)
	ROW((SI)(R8*2), Y14, Y4, Y5)
	ROW((R11), Y15, Y6, Y7)
	ROW((R11)(R8*1), Y14, Y8, Y9)
	ROW((R11)(R8*2), Y15, Y10, Y11)
	ADDQ $4, SI
	ADDQ $4, R11
	DECQ CX
	JNZ  k6x1
	PUT(Y0, Y1)
	PUT(Y2, Y3)
	PUT(Y4, Y5)
	PUT(Y6, Y7)
	PUT(Y8, Y9)
	PUT(Y10, Y11)
	VZEROUPPER
	RET

// func gemm32x4x1AVX2(t *Gemm32)
TEXT ·gemm32x4x1AVX2(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	TESTQ DX, DX
	JZ    k4x1
	MOVQ  BX, AX
	TAKE(Y0, Y1)
	TAKE(Y2, Y3)
	TAKE(Y4, Y5)
	TAKE(Y6, Y7)

k4x1:
	VECTOR
	ROW((SI), Y14, Y0, Y1)
	ROW((SI)(R8*1), Y15, Y2, Y3)
	ROW((SI)(R8*2), Y14, Y4, Y5)
	ROW((R11), Y15, Y6, Y7)
	ADDQ $4, SI
	ADDQ $4, R11
	DECQ CX
	JNZ  k4x1
	PUT(Y0, Y1)
	PUT(Y2, Y3)
	PUT(Y4, Y5)
	PUT(Y6, Y7)
	VZEROUPPER
	RET

// func gemm32x2x1AVX2(t *Gemm32)
TEXT ·gemm32x2x1AVX2(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	TESTQ DX, DX
	JZ    k2x1
	MOVQ  BX, AX
	TAKE(Y0, Y1)
	TAKE(Y2, Y3)

k2x1:
	VECTOR
	ROW((SI), Y14, Y0, Y1)
	ROW((SI)(R8*1), Y15, Y2, Y3)
	ADDQ $4, SI
	DECQ CX
	JNZ  k2x1
	PUT(Y0, Y1)
	PUT(Y2, Y3)
	VZEROUPPER
	RET

// func gemm32x1x1AVX2(t *Gemm32)
TEXT ·gemm32x1x1AVX2(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(Y0, Y1)
	TESTQ DX, DX
	JZ    k1x1
	MOVQ  BX, AX
	TAKE(Y0, Y1)

k1x1:
	VECTOR
	ROW((SI), Y14, Y0, Y1)
	ADDQ $4, SI
	DECQ CX
	JNZ  k1x1
	PUT(Y0, Y1)
	VZEROUPPER
	RET

// func gemm32x1x4AVX2(t *Gemm32)
TEXT ·gemm32x1x4AVX2(SB), NOSPLIT, $0-8
	GEMM32ARGS
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	TESTQ   DX, DX
	JZ      k1x4
	VMOVUPS (BX), Y0
	VMOVUPS 32(BX), Y1
	VMOVUPS 64(BX), Y2
	VMOVUPS 96(BX), Y3
	VMOVUPS 128(BX), Y4
	VMOVUPS 160(BX), Y5
	VMOVUPS 192(BX), Y6
	VMOVUPS 224(BX), Y7

k1x4:
	VBROADCASTSS (SI), Y15
	VFMADD231PS  (DI), Y15, Y0
	VFMADD231PS  32(DI), Y15, Y1
	VFMADD231PS  (DI)(R9*1), Y15, Y2
	VFMADD231PS  32(DI)(R9*1), Y15, Y3
	VFMADD231PS  (DI)(R9*2), Y15, Y4
	VFMADD231PS  32(DI)(R9*2), Y15, Y5
	VFMADD231PS  (DI)(R10*1), Y15, Y6
	VFMADD231PS  32(DI)(R10*1), Y15, Y7
	ADDQ         R12, DI
	ADDQ         $4, SI
	DECQ         CX
	JNZ          k1x4
	VMOVUPS      Y0, (BX)
	VMOVUPS      Y1, 32(BX)
	VMOVUPS      Y2, 64(BX)
	VMOVUPS      Y3, 96(BX)
	VMOVUPS      Y4, 128(BX)
	VMOVUPS      Y5, 160(BX)
	VMOVUPS      Y6, 192(BX)
	VMOVUPS      Y7, 224(BX)
	VZEROUPPER
	RET

// HALF adds the products of eight halves with the element of A in Y15.
#define HALF(ADDR, A) \
	VCVTPH2PS   ADDR, Y14   \
	VFMADD231PS Y14, Y15, A

// func gemmHalvesx1x4AVX2(t *Gemm32)
TEXT ·gemmHalvesx1x4AVX2(SB), NOSPLIT, $0-8
	GEMM32ARGS
	LEAQ    8192(DI), R14
	MOVQ    72(AX), R15
	CLEAR(Y0, Y1)
	CLEAR(Y2, Y3)
	CLEAR(Y4, Y5)
	CLEAR(Y6, Y7)
	TESTQ   DX, DX
	JZ      halves
	VMOVUPS (BX), Y0
	VMOVUPS 32(BX), Y1
	VMOVUPS 64(BX), Y2
	VMOVUPS 96(BX), Y3
	VMOVUPS 128(BX), Y4
	VMOVUPS 160(BX), Y5
	VMOVUPS 192(BX), Y6
	VMOVUPS 224(BX), Y7

halves:
	PREFETCHT1   (R14)
	PREFETCHT1   64(R14)
	ADDQ         R15, R14
	VBROADCASTSS (SI), Y15
	HALF((DI), Y0)
	HALF(16(DI), Y1)
	HALF((DI)(R9*1), Y2)
	HALF(16(DI)(R9*1), Y3)
	HALF((DI)(R9*2), Y4)
	HALF(16(DI)(R9*2), Y5)
	HALF((DI)(R10*1), Y6)
	HALF(16(DI)(R10*1), Y7)
	ADDQ         R12, DI
	ADDQ         $4, SI
	DECQ         CX
	JNZ          halves
	VMOVUPS      Y0, (BX)
	VMOVUPS      Y1, 32(BX)
	VMOVUPS      Y2, 64(BX)
	VMOVUPS      Y3, 96(BX)
	VMOVUPS      Y4, 128(BX)
	VMOVUPS      Y5, 160(BX)
	VMOVUPS      Y6, 192(BX)
	VMOVUPS      Y7, 224(BX)
	VZEROUPPER
	RET
