//go:build !purego

#include "textflag.h"

// The 8-bit matrix product: a tile of 32 weight rows against 6 columns of activations, or 1, with a scale for every 32
// weights of a row, or every 16. Groups are taken by their residue modulo 4, the number of which is kept on the stack.
//
// Z0-Z11 hold the integer sums of a group, Z12-Z23 the float sums: two registers of 16 rows for each column.

// INIT loads the sums' initial value of column n, −128·Σq of the group, into its two registers.
#define INIT(ADDR, A, B) \
	VPBROADCASTD ADDR, A \
	VMOVDQA32    A, B

// MAC adds the products of four weights of 32 rows (Z24, Z25) with four activations of one column.
#define MAC(ADDR, A, B) \
	VPBROADCASTD ADDR, Z26        \
	VPDPBUSD     Z26, Z24, A      \
	VPDPBUSD     Z26, Z25, B

// STEP6 takes four activations of each of the six columns, OFF bytes into the group.
#define STEP6(OFF) \
	VMOVDQU64 (AX), Z24               \
	VMOVDQU64 64(AX), Z25             \
	ADDQ      $128, AX                \
	MAC(OFF(DI), Z0, Z1)              \
	MAC(OFF(DI)(R8*1), Z2, Z3)        \
	MAC(OFF(DI)(R8*2), Z4, Z5)        \
	MAC(OFF(R9), Z6, Z7)              \
	MAC(OFF(R9)(R8*1), Z8, Z9)        \
	MAC(OFF(R9)(R8*2), Z10, Z11)

#define STEP1(OFF) \
	VMOVDQU64 (AX), Z24               \
	VMOVDQU64 64(AX), Z25             \
	ADDQ      $128, AX                \
	MAC(OFF(DI), Z0, Z1)

// SCALE adds the integer sums times the group's row scales (Z27, Z28) and the column's scale.
#define SCALE(ADDR, A, B, FA, FB) \
	VBROADCASTSS ADDR, Z26           \
	VCVTDQ2PS    A, A                \
	VCVTDQ2PS    B, B                \
	VMULPS       Z26, Z27, Z29       \
	VMULPS       Z26, Z28, Z30       \
	VFMADD231PS  Z29, A, FA          \
	VFMADD231PS  Z30, B, FB

// RESIDUE sets out for the groups of residue R12: weights, scales and minimums (AX, BX, R13, nil as it was), the number of
// groups (CX), q (DI), column scales, starts and sums (SI, DX, R14). A group has WEIGHTS bytes in the tile, LEN values.
#define RESIDUE(WEIGHTS, LEN) \
	MOVQ    t+0(FP), R15      \
	MOVQ    r-8(SP), R12      \
	MOVQ    24(R15), CX       \
	ADDQ    $3, CX            \
	SUBQ    R12, CX           \
	SHRQ    $2, CX            \
	IMUL3Q  $WEIGHTS, R12, AX \
	ADDQ    0(R15), AX        \
	MOVQ    R12, R9           \
	SHLQ    $7, R9            \
	MOVQ    8(R15), BX        \
	ADDQ    R9, BX            \
	MOVQ    16(R15), R13      \
	ADDQ    R13, R9           \
	TESTQ   R13, R13          \
	CMOVQNE R9, R13           \
	IMUL3Q  $LEN, R12, DI     \
	ADDQ    32(R15), DI       \
	SHLQ    $2, R12           \
	MOVQ    48(R15), SI       \
	ADDQ    R12, SI           \
	MOVQ    56(R15), DX       \
	ADDQ    R12, DX           \
	MOVQ    64(R15), R14      \
	ADDQ    R12, R14

// NEXTRESIDUE goes on to the next residue, unless that was the fourth or there are no groups of it.
#define NEXTRESIDUE(AGAIN) \
	MOVQ r-8(SP), R12  \
	INCQ R12           \
	MOVQ R12, r-8(SP)  \
	CMPQ R12, $4       \
	JEQ  2(PC)         \
	CMPQ R12, 24(R15)  \
	JLT  AGAIN

// MINS subtracts the group's row minimums (Z27, Z28) times the sum of the column's activations.
#define MINS(ADDR, FA, FB) \
	VBROADCASTSS ADDR, Z26           \
	VFNMADD231PS Z26, Z27, FA        \
	VFNMADD231PS Z26, Z28, FB

// ADD1 adds a column's float sums to memory.
#define ADD1(PTR, FA, FB) \
	VMOVUPS (PTR), K1, Z26          \
	VADDPS  Z26, FA, FA             \
	VMOVUPS FA, K1, (PTR)           \
	VMOVUPS 64(PTR), K2, Z26        \
	VADDPS  Z26, FB, FB             \
	VMOVUPS FB, K2, 64(PTR)

// func gemm32x6AVX512(t *Gemm8)
TEXT ·gemm32x6AVX512(SB), NOSPLIT, $8-8
	MOVQ  $0, r-8(SP)

residue32x6:
	RESIDUE(1024, 32)
	MOVQ  40(R15), R8  // bytes between columns
	LEAQ  (R8*2), R9
	ADDQ  R8, R9
	ADDQ  DI, R9       // q of the fourth column
	MOVQ  72(R15), R10 // bytes between the columns' scales
	LEAQ  (R10*2), R11
	ADDQ  R10, R11
	LEAQ  (DX)(R11*1), R12
	MOVL  96(R15), R15
	KMOVW R15, K1
	SHRL  $16, R15
	KMOVW R15, K2
	VXORPS Z12, Z12, Z12
	VXORPS Z13, Z13, Z13
	VXORPS Z14, Z14, Z14
	VXORPS Z15, Z15, Z15
	VXORPS Z16, Z16, Z16
	VXORPS Z17, Z17, Z17
	VXORPS Z18, Z18, Z18
	VXORPS Z19, Z19, Z19
	VXORPS Z20, Z20, Z20
	VXORPS Z21, Z21, Z21
	VXORPS Z22, Z22, Z22
	VXORPS Z23, Z23, Z23

group32x6:
	INIT((DX), Z0, Z1)
	INIT((DX)(R10*1), Z2, Z3)
	INIT((DX)(R10*2), Z4, Z5)
	INIT((R12), Z6, Z7)
	INIT((R12)(R10*1), Z8, Z9)
	INIT((R12)(R10*2), Z10, Z11)
	STEP6(0)
	STEP6(4)
	STEP6(8)
	STEP6(12)
	STEP6(16)
	STEP6(20)
	STEP6(24)
	STEP6(28)
	ADDQ $128, DI
	ADDQ $128, R9
	ADDQ $3072, AX
	VMOVUPS (BX), Z27
	VMOVUPS 64(BX), Z28
	ADDQ $512, BX
	LEAQ (SI)(R11*1), R15
	SCALE((SI), Z0, Z1, Z12, Z13)
	SCALE((SI)(R10*1), Z2, Z3, Z14, Z15)
	SCALE((SI)(R10*2), Z4, Z5, Z16, Z17)
	SCALE((R15), Z6, Z7, Z18, Z19)
	SCALE((R15)(R10*1), Z8, Z9, Z20, Z21)
	SCALE((R15)(R10*2), Z10, Z11, Z22, Z23)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $16, R12
	TESTQ R13, R13
	JZ   next32x6
	VMOVUPS (R13), Z27
	VMOVUPS 64(R13), Z28
	ADDQ $512, R13
	LEAQ (R14)(R11*1), R15
	MINS((R14), Z12, Z13)
	MINS((R14)(R10*1), Z14, Z15)
	MINS((R14)(R10*2), Z16, Z17)
	MINS((R15), Z18, Z19)
	MINS((R15)(R10*1), Z20, Z21)
	MINS((R15)(R10*2), Z22, Z23)
	ADDQ $16, R14

next32x6:
	DECQ CX
	JNZ  group32x6
	MOVQ t+0(FP), R15
	MOVQ 80(R15), DI // dst
	MOVQ 88(R15), R8 // bytes between its columns
	ADD1(DI, Z12, Z13)
	ADDQ R8, DI
	ADD1(DI, Z14, Z15)
	ADDQ R8, DI
	ADD1(DI, Z16, Z17)
	ADDQ R8, DI
	ADD1(DI, Z18, Z19)
	ADDQ R8, DI
	ADD1(DI, Z20, Z21)
	ADDQ R8, DI
	ADD1(DI, Z22, Z23)
	NEXTRESIDUE(residue32x6)
	VZEROUPPER
	RET

// func gemm32x1AVX512(t *Gemm8)
TEXT ·gemm32x1AVX512(SB), NOSPLIT, $8-8
	MOVQ  $0, r-8(SP)

residue32x1:
	RESIDUE(1024, 32)
	MOVQ  80(R15), R8
	MOVL  96(R15), R15
	KMOVW R15, K1
	SHRL  $16, R15
	KMOVW R15, K2
	VXORPS Z12, Z12, Z12
	VXORPS Z13, Z13, Z13

group32x1:
	INIT((DX), Z0, Z1)
	STEP1(0)
	STEP1(4)
	STEP1(8)
	STEP1(12)
	STEP1(16)
	STEP1(20)
	STEP1(24)
	STEP1(28)
	ADDQ $128, DI
	ADDQ $3072, AX
	VMOVUPS (BX), Z27
	VMOVUPS 64(BX), Z28
	ADDQ $512, BX
	SCALE((SI), Z0, Z1, Z12, Z13)
	ADDQ $16, SI
	ADDQ $16, DX
	TESTQ R13, R13
	JZ   next32x1
	VMOVUPS (R13), Z27
	VMOVUPS 64(R13), Z28
	ADDQ $512, R13
	MINS((R14), Z12, Z13)
	ADDQ $16, R14

next32x1:
	DECQ CX
	JNZ  group32x1
	ADD1(R8, Z12, Z13)
	MOVQ t+0(FP), R15
	NEXTRESIDUE(residue32x1)
	VZEROUPPER
	RET

// func gemm16x6AVX512(t *Gemm8)
TEXT ·gemm16x6AVX512(SB), NOSPLIT, $8-8
	MOVQ  $0, r-8(SP)

residue16x6:
	RESIDUE(512, 16)
	MOVQ  40(R15), R8  // bytes between columns
	LEAQ  (R8*2), R9
	ADDQ  R8, R9
	ADDQ  DI, R9       // q of the fourth column
	MOVQ  72(R15), R10 // bytes between the columns' scales
	LEAQ  (R10*2), R11
	ADDQ  R10, R11
	LEAQ  (DX)(R11*1), R12
	MOVL  96(R15), R15
	KMOVW R15, K1
	SHRL  $16, R15
	KMOVW R15, K2
	VXORPS Z12, Z12, Z12
	VXORPS Z13, Z13, Z13
	VXORPS Z14, Z14, Z14
	VXORPS Z15, Z15, Z15
	VXORPS Z16, Z16, Z16
	VXORPS Z17, Z17, Z17
	VXORPS Z18, Z18, Z18
	VXORPS Z19, Z19, Z19
	VXORPS Z20, Z20, Z20
	VXORPS Z21, Z21, Z21
	VXORPS Z22, Z22, Z22
	VXORPS Z23, Z23, Z23

group16x16x6:
	INIT((DX), Z0, Z1)
	INIT((DX)(R10*1), Z2, Z3)
	INIT((DX)(R10*2), Z4, Z5)
	INIT((R12), Z6, Z7)
	INIT((R12)(R10*1), Z8, Z9)
	INIT((R12)(R10*2), Z10, Z11)
	STEP6(0)
	STEP6(4)
	STEP6(8)
	STEP6(12)
	ADDQ $64, DI
	ADDQ $64, R9
	ADDQ $1536, AX
	VMOVUPS (BX), Z27
	VMOVUPS 64(BX), Z28
	ADDQ $512, BX
	LEAQ (SI)(R11*1), R15
	SCALE((SI), Z0, Z1, Z12, Z13)
	SCALE((SI)(R10*1), Z2, Z3, Z14, Z15)
	SCALE((SI)(R10*2), Z4, Z5, Z16, Z17)
	SCALE((R15), Z6, Z7, Z18, Z19)
	SCALE((R15)(R10*1), Z8, Z9, Z20, Z21)
	SCALE((R15)(R10*2), Z10, Z11, Z22, Z23)
	ADDQ $16, SI
	ADDQ $16, DX
	ADDQ $16, R12
	TESTQ R13, R13
	JZ   next16x16x6
	VMOVUPS (R13), Z27
	VMOVUPS 64(R13), Z28
	ADDQ $512, R13
	LEAQ (R14)(R11*1), R15
	MINS((R14), Z12, Z13)
	MINS((R14)(R10*1), Z14, Z15)
	MINS((R14)(R10*2), Z16, Z17)
	MINS((R15), Z18, Z19)
	MINS((R15)(R10*1), Z20, Z21)
	MINS((R15)(R10*2), Z22, Z23)
	ADDQ $16, R14

next16x16x6:
	DECQ CX
	JNZ  group16x16x6
	MOVQ t+0(FP), R15
	MOVQ 80(R15), DI // dst
	MOVQ 88(R15), R8 // bytes between its columns
	ADD1(DI, Z12, Z13)
	ADDQ R8, DI
	ADD1(DI, Z14, Z15)
	ADDQ R8, DI
	ADD1(DI, Z16, Z17)
	ADDQ R8, DI
	ADD1(DI, Z18, Z19)
	ADDQ R8, DI
	ADD1(DI, Z20, Z21)
	ADDQ R8, DI
	ADD1(DI, Z22, Z23)
	NEXTRESIDUE(residue16x6)
	VZEROUPPER
	RET

// func gemm16x1AVX512(t *Gemm8)
TEXT ·gemm16x1AVX512(SB), NOSPLIT, $8-8
	MOVQ  $0, r-8(SP)

residue16x1:
	RESIDUE(512, 16)
	MOVQ  80(R15), R8
	MOVL  96(R15), R15
	KMOVW R15, K1
	SHRL  $16, R15
	KMOVW R15, K2
	VXORPS Z12, Z12, Z12
	VXORPS Z13, Z13, Z13

group16x1:
	INIT((DX), Z0, Z1)
	STEP1(0)
	STEP1(4)
	STEP1(8)
	STEP1(12)
	ADDQ $64, DI
	ADDQ $1536, AX
	VMOVUPS (BX), Z27
	VMOVUPS 64(BX), Z28
	ADDQ $512, BX
	SCALE((SI), Z0, Z1, Z12, Z13)
	ADDQ $16, SI
	ADDQ $16, DX
	TESTQ R13, R13
	JZ   next16x1
	VMOVUPS (R13), Z27
	VMOVUPS 64(R13), Z28
	ADDQ $512, R13
	MINS((R14), Z12, Z13)
	ADDQ $16, R14

next16x1:
	DECQ CX
	JNZ  group16x1
	ADD1(R8, Z12, Z13)
	MOVQ t+0(FP), R15
	NEXTRESIDUE(residue16x1)
	VZEROUPPER
	RET
