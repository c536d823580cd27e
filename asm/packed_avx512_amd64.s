//go:build !purego

#include "textflag.h"

// Sixteen packed weight rows, a lane for each, against one row of 8-bit activations.
//
// SI points into the rows, DI to the activations, BX and DX to what goes with their blocks. Z16 to Z19 add up, for each
// residue modulo four, the groups' sums times their scales over 1024 weights, and Z20 then takes the residues in order.

#define ARGS16 \
	MOVQ   t+0(FP), AX   \
	MOVQ   0(AX), SI     \
	MOVQ   8(AX), CX     \
	MOVQ   16(AX), DI    \
	MOVQ   24(AX), BX    \
	MOVQ   32(AX), DX    \
	VPXORD Z20, Z20, Z20

// CHUNK16 begins the next STEPS steps, or those that are left.
#define CHUNK16(STEPS) \
	MOVQ    $STEPS, R11   \
	CMPQ    CX, R11       \
	CMOVQLT CX, R11       \
	SUBQ    R11, CX       \
	VPXORD  Z16, Z16, Z16 \
	VPXORD  Z17, Z17, Z17 \
	VPXORD  Z18, Z18, Z18 \
	VPXORD  Z19, Z19, Z19

#define FLUSH16 \
	VADDPS Z16, Z20, Z20 \
	VADDPS Z17, Z20, Z20 \
	VADDPS Z18, Z20, Z20 \
	VADDPS Z19, Z20, Z20

#define DONE16 \
	MOVQ    t+0(FP), AX \
	VMOVUPS Z20, 40(AX) \
	VZEROUPPER          \
	RET

// NIBBLES16 multiplies 16 times 4 low nibbles by the activations at LOW, on top of A, and high ones, sixteenfold, by
// those at HIGH, on top of B.
#define NIBBLES16(ADDR, LOW, HIGH, A, B) \
	VMOVDQU64     ADDR, Z0      \
	VPANDD        Z31, Z0, Z1   \
	VPANDD        Z30, Z0, Z0   \
	VPDPBUSD.BCST LOW, Z1, A    \
	VPDPBUSD.BCST HIGH, Z0, B

// Block I of a step. The sum of high nibbles begins at −128·Σq: a sixteenth of it is −8·Σq.
#define Q4_0BLOCK(I, A, B, ACC) \
	VPXORD            A, A, A                                                     \
	VPBROADCASTD      (4*I)(DX), B                                                \
	VCVTPH2PS         (32*I)(SI), Z2                                              \
	VMULPS.BCST       (4*I)(BX), Z2, Z2                                           \
	NIBBLES16((128+256*I)(SI), (32*I)(DI), (32*I+16)(DI), A, B)                   \
	NIBBLES16((128+256*I+64)(SI), (32*I+4)(DI), (32*I+20)(DI), A, B)              \
	NIBBLES16((128+256*I+128)(SI), (32*I+8)(DI), (32*I+24)(DI), A, B)             \
	NIBBLES16((128+256*I+192)(SI), (32*I+12)(DI), (32*I+28)(DI), A, B)            \
	VPSRAD            $4, B, B                                                    \
	VPADDD            A, B, B                                                     \
	VCVTDQ2PS         B, B                                                        \
	VFMADD231PS       Z2, B, ACC

#define NIBBLEMASKS \
	MOVL         $0x0f0f0f0f, AX \
	VPBROADCASTD AX, Z31         \
	VPSLLD       $4, Z31, Z30

// func dotQ4_0x16AVX512(t *Dot16)
TEXT ·dotQ4_0x16AVX512(SB), NOSPLIT, $0-8
	ARGS16
	NIBBLEMASKS

q4_0chunk16:
	CHUNK16(8)

q4_0loop16:
	Q4_0BLOCK(0, Z8, Z9, Z16)
	Q4_0BLOCK(1, Z10, Z11, Z17)
	Q4_0BLOCK(2, Z12, Z13, Z18)
	Q4_0BLOCK(3, Z14, Z15, Z19)
	ADDQ  $1152, SI
	ADDQ  $128, DI
	ADDQ  $16, BX
	ADDQ  $16, DX
	DECQ  R11
	JNZ   q4_0loop16
	FLUSH16
	TESTQ CX, CX
	JNZ   q4_0chunk16
	DONE16

// Sixteen packed rows into half a tile: DI points to weights of the tile, R8 to its scales, R9 to its minimums.

#define TILEARGS \
	MOVQ t+0(FP), AX \
	MOVQ 0(AX), SI   \
	MOVQ 8(AX), CX   \
	MOVQ 16(AX), DI  \
	MOVQ 24(AX), R8  \
	MOVQ 32(AX), R9

// NIBBLESTO writes low nibbles plus Z29 to LOW and high ones to HIGH.
#define NIBBLESTO(ADDR, LOW, HIGH) \
	VMOVDQU64 ADDR, Z0     \
	VPSRLW    $4, Z0, Z1   \
	VPANDD    Z31, Z0, Z0  \
	VPANDD    Z31, Z1, Z1  \
	VPADDB    Z29, Z0, Z0  \
	VPADDB    Z29, Z1, Z1  \
	VMOVDQU64 Z0, LOW      \
	VMOVDQU64 Z1, HIGH

#define Q4_0TILE(I) \
	VCVTPH2PS (32*I)(SI), Z2                                               \
	VMOVUPS   Z2, (128*I)(R8)                                              \
	NIBBLESTO((128+256*I)(SI), (1024*I)(DI), (1024*I+512)(DI))             \
	NIBBLESTO((128+256*I+64)(SI), (1024*I+128)(DI), (1024*I+640)(DI))      \
	NIBBLESTO((128+256*I+128)(SI), (1024*I+256)(DI), (1024*I+768)(DI))     \
	NIBBLESTO((128+256*I+192)(SI), (1024*I+384)(DI), (1024*I+896)(DI))

// func tileQ4_0x16AVX512(t *Packed16)
TEXT ·tileQ4_0x16AVX512(SB), NOSPLIT, $0-8
	TILEARGS
	NIBBLEMASKS
	MOVL         $0x78787878, AX // 128 − 8
	VPBROADCASTD AX, Z29

q4_0tile16:
	Q4_0TILE(0)
	Q4_0TILE(1)
	Q4_0TILE(2)
	Q4_0TILE(3)
	ADDQ $1152, SI
	ADDQ $4096, DI
	ADDQ $512, R8
	DECQ CX
	JNZ  q4_0tile16
	VZEROUPPER
	RET
