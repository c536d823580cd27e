//go:build !purego

#include "textflag.h"

// Sixteen packed weight rows, a lane for each, against one row of 8-bit activations.
//
// SI points into the rows, DI to the activations, BX and DX to what goes with their blocks. Z16 to Z19 add up, for each
// residue modulo four, the groups' sums times their scales over 1024 weights, and Z20 then takes the residues in order.
//
// Nothing is prefetched: the rows are one ascending run of bytes, which the processor follows by itself, and instructions
// that ask for its lines made it slower.

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

// Block I of a step.
#define Q8_0BLOCK(I, A, B, ACC) \
	VPXORD            A, A, A                                    \
	VPBROADCASTD      (4*I)(DX), B                               \
	VCVTPH2PS         (32*I)(SI), Z2                             \
	VMULPS.BCST       (4*I)(BX), Z2, Z2                          \
	VMOVDQU64         (128+512*I)(SI), Z0                        \
	VMOVDQU64         (128+512*I+64)(SI), Z1                     \
	VPDPBUSD.BCST     (32*I)(DI), Z0, A                          \
	VPDPBUSD.BCST     (32*I+4)(DI), Z1, B                        \
	VMOVDQU64         (128+512*I+128)(SI), Z0                    \
	VMOVDQU64         (128+512*I+192)(SI), Z1                    \
	VPDPBUSD.BCST     (32*I+8)(DI), Z0, A                        \
	VPDPBUSD.BCST     (32*I+12)(DI), Z1, B                       \
	VMOVDQU64         (128+512*I+256)(SI), Z0                    \
	VMOVDQU64         (128+512*I+320)(SI), Z1                    \
	VPDPBUSD.BCST     (32*I+16)(DI), Z0, A                       \
	VPDPBUSD.BCST     (32*I+20)(DI), Z1, B                       \
	VMOVDQU64         (128+512*I+384)(SI), Z0                    \
	VMOVDQU64         (128+512*I+448)(SI), Z1                    \
	VPDPBUSD.BCST     (32*I+24)(DI), Z0, A                       \
	VPDPBUSD.BCST     (32*I+28)(DI), Z1, B                       \
	VPADDD            A, B, B                                    \
	VCVTDQ2PS         B, B                                       \
	VFMADD231PS       Z2, B, ACC

// func dotQ8_0x16AVX512(t *Dot16)
TEXT ·dotQ8_0x16AVX512(SB), NOSPLIT, $0-8
	ARGS16

q8_0chunk16:
	CHUNK16(8)

q8_0loop16:
	Q8_0BLOCK(0, Z8, Z9, Z16)
	Q8_0BLOCK(1, Z10, Z11, Z17)
	Q8_0BLOCK(2, Z12, Z13, Z18)
	Q8_0BLOCK(3, Z14, Z15, Z19)
	ADDQ  $2176, SI
	ADDQ  $128, DI
	ADDQ  $16, BX
	ADDQ  $16, DX
	DECQ  R11
	JNZ   q8_0loop16
	FLUSH16
	TESTQ CX, CX
	JNZ   q8_0chunk16
	DONE16

// HEADER takes apart what a Q4_K step begins with: d to Z21, dmin to Z22, scales of sub-blocks 0 to 3 and 4 to 7 to the
// bytes of Z24 and Z25, minimums to those of Z26 and Z27. Z7 and Z28 are the masks of 6 and of 2 bits, the latter 4 up.
#define HEADER \
	VCVTPH2PS  (SI), Z21             \
	VCVTPH2PS  32(SI), Z22           \
	VMOVDQU64  64(SI), Z0            \
	VMOVDQU64  128(SI), Z1           \
	VMOVDQU64  192(SI), Z2           \
	VPANDD     Z7, Z0, Z24           \
	VPANDD     Z7, Z1, Z26           \
	VPANDD     Z31, Z2, Z25          \
	VPSRLD     $4, Z2, Z2            \
	VPANDD     Z31, Z2, Z27          \
	VPSRLD     $2, Z0, Z0            \
	VPSRLD     $2, Z1, Z1            \
	VPTERNLOGD $0xF8, Z28, Z0, Z25   \
	VPTERNLOGD $0xF8, Z28, Z1, Z27

#define HEADERMASKS \
	MOVL         $0x3f3f3f3f, AX \
	VPBROADCASTD AX, Z7          \
	MOVL         $0x30303030, AX \
	VPBROADCASTD AX, Z28         \
	MOVL         $0xff, AX       \
	VPBROADCASTD AX, Z23

// BYTE0 to BYTE3 take one byte of each lane.
#define BYTE0(ALL, ONE) VPANDD Z23, ALL, ONE
#define BYTE1(ALL, ONE) \
	VPSRLD $8, ALL, ONE   \
	VPANDD Z23, ONE, ONE
#define BYTE2(ALL, ONE) \
	VPSRLD $16, ALL, ONE  \
	VPANDD Z23, ONE, ONE
#define BYTE3(ALL, ONE) VPSRLD $24, ALL, ONE

// SUBBLOCK adds the sum of sub-block G, whose scale and minimum are a byte of SCALES and MINS.
#define SUBBLOCK(G, BYTE, SCALES, MINS, SUM, ACC) \
	BYTE(SCALES, Z2)                        \
	BYTE(MINS, Z3)                          \
	VCVTDQ2PS         Z2, Z2                \
	VCVTDQ2PS         Z3, Z3                \
	VMULPS            Z21, Z2, Z2           \
	VMULPS            Z22, Z3, Z3           \
	VMULPS.BCST       (4*G)(BX), Z2, Z2     \
	VCVTDQ2PS         SUM, SUM              \
	VFMADD231PS       Z2, SUM, ACC          \
	VFNMADD231PS.BCST (4*G)(DX), Z3, ACC

// Sub-blocks 2·P and 2·P+1 of a step: their sums go to A and B.
#define Q4_KPAIR(P, A, B) \
	VPXORD            A, A, A                                          \
	VPXORD            B, B, B                                          \
	NIBBLES16((256+512*P)(SI), (64*P)(DI), (64*P+32)(DI), A, B)        \
	NIBBLES16((256+512*P+64)(SI), (64*P+4)(DI), (64*P+36)(DI), A, B)   \
	NIBBLES16((256+512*P+128)(SI), (64*P+8)(DI), (64*P+40)(DI), A, B)  \
	NIBBLES16((256+512*P+192)(SI), (64*P+12)(DI), (64*P+44)(DI), A, B) \
	NIBBLES16((256+512*P+256)(SI), (64*P+16)(DI), (64*P+48)(DI), A, B) \
	NIBBLES16((256+512*P+320)(SI), (64*P+20)(DI), (64*P+52)(DI), A, B) \
	NIBBLES16((256+512*P+384)(SI), (64*P+24)(DI), (64*P+56)(DI), A, B) \
	NIBBLES16((256+512*P+448)(SI), (64*P+28)(DI), (64*P+60)(DI), A, B) \
	VPSRAD            $4, B, B

// func dotQ4_Kx16AVX512(t *Dot16)
TEXT ·dotQ4_Kx16AVX512(SB), NOSPLIT, $0-8
	ARGS16
	NIBBLEMASKS
	HEADERMASKS

q4_Kchunk16:
	CHUNK16(4)

q4_Kloop16:
	HEADER
	Q4_KPAIR(0, Z8, Z9)
	Q4_KPAIR(1, Z10, Z11)
	SUBBLOCK(0, BYTE0, Z24, Z26, Z8, Z16)
	SUBBLOCK(1, BYTE1, Z24, Z26, Z9, Z17)
	SUBBLOCK(2, BYTE2, Z24, Z26, Z10, Z18)
	SUBBLOCK(3, BYTE3, Z24, Z26, Z11, Z19)
	Q4_KPAIR(2, Z12, Z13)
	Q4_KPAIR(3, Z14, Z15)
	SUBBLOCK(4, BYTE0, Z25, Z27, Z12, Z16)
	SUBBLOCK(5, BYTE1, Z25, Z27, Z13, Z17)
	SUBBLOCK(6, BYTE2, Z25, Z27, Z14, Z18)
	SUBBLOCK(7, BYTE3, Z25, Z27, Z15, Z19)
	ADDQ  $2304, SI
	ADDQ  $256, DI
	ADDQ  $32, BX
	ADDQ  $32, DX
	DECQ  R11
	JNZ   q4_Kloop16
	FLUSH16
	TESTQ CX, CX
	JNZ   q4_Kchunk16
	DONE16

// SIXBITS makes, of 192 bytes at OFF, weights 4·i to 4·i+3 of half a step (Z4), those 32 further on (Z5), 64 (Z6) and,
// four times each, 96 (Z7).
#define SIXBITS(OFF) \
	VMOVDQU64  (OFF)(SI), Z0        \
	VMOVDQU64  (OFF+64)(SI), Z1     \
	VMOVDQU64  (OFF+128)(SI), Z2    \
	VPANDD     Z29, Z0, Z4          \
	VPANDD     Z29, Z1, Z5          \
	VPANDD     Z29, Z2, Z6          \
	VPSRLD     $2, Z1, Z1           \
	VPSRLD     $4, Z2, Z2           \
	VPTERNLOGD $0xD8, Z28, Z0, Z1   \
	VPTERNLOGD $0xD8, Z30, Z1, Z2   \
	VPANDD     Z27, Z2, Z7

#define SIXMASKS \
	MOVL         $0x3f3f3f3f, AX \
	VPBROADCASTD AX, Z29         \
	MOVL         $0xf0f0f0f0, AX \
	VPBROADCASTD AX, Z30         \
	MOVL         $0xc0c0c0c0, AX \
	VPBROADCASTD AX, Z28         \
	MOVL         $0xfcfcfcfc, AX \
	VPBROADCASTD AX, Z27

#define SIX16(OFF, Q) \
	SIXBITS(OFF)                       \
	VPDPBUSD.BCST (Q)(DI), Z4, Z8      \
	VPDPBUSD.BCST (Q+32)(DI), Z5, Z9   \
	VPDPBUSD.BCST (Q+64)(DI), Z6, Z10  \
	VPDPBUSD.BCST (Q+96)(DI), Z7, Z11

// SIXSCALE16 sets S to the scale at OFF of group G, times that of the activations.
#define SIXSCALE16(G, OFF, S) \
	VPMOVSXBD   (OFF)(SI), S      \
	VCVTDQ2PS   S, S              \
	VMULPS      Z21, S, S         \
	VMULPS.BCST (4*G)(BX), S, S

#define SIXTEEN(S, SUM, ACC) \
	VCVTDQ2PS   SUM, SUM      \
	VFMADD231PS S, SUM, ACC

// Groups G, G+2, G+4 and G+6 of a step, of 16 weights each, whose sums begin at −32·Σq; that of the last, at four times
// that. They lie at OFF, their activations at Q. A has the first and the third of the groups, B the others.
#define Q6_KQUAD(G, OFF, Q, A, B) \
	SIXSCALE16(G, OFF, Z12)             \
	SIXSCALE16((G+2), (OFF+16), Z13)    \
	SIXSCALE16((G+4), (OFF+32), Z14)    \
	SIXSCALE16((G+6), (OFF+48), Z15)    \
	VPSRAD.BCST  $2, (4*G)(DX), Z8      \
	VPSRAD.BCST  $2, (4*G+8)(DX), Z9    \
	VPSRAD.BCST  $2, (4*G+16)(DX), Z10  \
	VPBROADCASTD (4*G+24)(DX), Z11      \
	SIX16((OFF+64), Q)                  \
	SIX16((OFF+256), (Q+4))             \
	SIX16((OFF+448), (Q+8))             \
	SIX16((OFF+640), (Q+12))            \
	VPSRAD       $2, Z11, Z11           \
	SIXTEEN(Z12, Z8, A)                 \
	SIXTEEN(Z13, Z9, B)                 \
	SIXTEEN(Z14, Z10, A)                \
	SIXTEEN(Z15, Z11, B)

// func dotQ6_Kx16AVX512(t *Dot16)
TEXT ·dotQ6_Kx16AVX512(SB), NOSPLIT, $0-8
	ARGS16
	SIXMASKS

q6_Kchunk16:
	CHUNK16(4)

q6_Kloop16:
	VMOVUPS (SI), Z21
	Q6_KQUAD(0, 64, 0, Z16, Z18)
	Q6_KQUAD(1, 896, 16, Z17, Z19)
	Q6_KQUAD(8, 1728, 128, Z16, Z18)
	Q6_KQUAD(9, 2560, 144, Z17, Z19)
	ADDQ    $3392, SI
	ADDQ    $256, DI
	ADDQ    $64, BX
	ADDQ    $64, DX
	DECQ    R11
	JNZ     q6_Kloop16
	FLUSH16
	TESTQ   CX, CX
	JNZ     q6_Kchunk16
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

#define Q8_0TILE4(OFF, TO) \
	VMOVDQU64 (OFF)(SI), Z0      \
	VMOVDQU64 (OFF+64)(SI), Z1   \
	VMOVDQU64 (OFF+128)(SI), Z2  \
	VMOVDQU64 (OFF+192)(SI), Z3  \
	VMOVDQU64 Z0, (TO)(DI)       \
	VMOVDQU64 Z1, (TO+128)(DI)   \
	VMOVDQU64 Z2, (TO+256)(DI)   \
	VMOVDQU64 Z3, (TO+384)(DI)

#define Q8_0TILE(I) \
	VCVTPH2PS (32*I)(SI), Z4                     \
	VMOVUPS   Z4, (128*I)(R8)                    \
	Q8_0TILE4((128+512*I), (1024*I))             \
	Q8_0TILE4((128+512*I+256), (1024*I+512))

// func tileQ8_0x16AVX512(t *Packed16)
TEXT ·tileQ8_0x16AVX512(SB), NOSPLIT, $0-8
	TILEARGS

q8_0tile16:
	Q8_0TILE(0)
	Q8_0TILE(1)
	Q8_0TILE(2)
	Q8_0TILE(3)
	ADDQ $2176, SI
	ADDQ $4096, DI
	ADDQ $512, R8
	DECQ CX
	JNZ  q8_0tile16
	VZEROUPPER
	RET

// SUBSCALES writes the scale and the minimum of sub-block G.
#define SUBSCALES(G, BYTE, SCALES, MINS) \
	BYTE(SCALES, Z2)               \
	BYTE(MINS, Z3)                 \
	VCVTDQ2PS Z2, Z2               \
	VCVTDQ2PS Z3, Z3               \
	VMULPS    Z21, Z2, Z2          \
	VMULPS    Z22, Z3, Z3          \
	VMOVUPS   Z2, (128*G)(R8)      \
	VMOVUPS   Z3, (128*G)(R9)

// Sub-blocks 2·P and 2·P+1, with 128 added by their highest bit.
#define Q4_KTILE(P) \
	NIBBLESTO((256+512*P)(SI), (2048*P)(DI), (2048*P+1024)(DI))            \
	NIBBLESTO((256+512*P+64)(SI), (2048*P+128)(DI), (2048*P+1152)(DI))     \
	NIBBLESTO((256+512*P+128)(SI), (2048*P+256)(DI), (2048*P+1280)(DI))    \
	NIBBLESTO((256+512*P+192)(SI), (2048*P+384)(DI), (2048*P+1408)(DI))    \
	NIBBLESTO((256+512*P+256)(SI), (2048*P+512)(DI), (2048*P+1536)(DI))    \
	NIBBLESTO((256+512*P+320)(SI), (2048*P+640)(DI), (2048*P+1664)(DI))    \
	NIBBLESTO((256+512*P+384)(SI), (2048*P+768)(DI), (2048*P+1792)(DI))    \
	NIBBLESTO((256+512*P+448)(SI), (2048*P+896)(DI), (2048*P+1920)(DI))

// func tileQ4_Kx16AVX512(t *Packed16)
TEXT ·tileQ4_Kx16AVX512(SB), NOSPLIT, $0-8
	TILEARGS
	NIBBLEMASKS
	HEADERMASKS
	MOVL         $0x80808080, AX
	VPBROADCASTD AX, Z29

q4_Ktile16:
	HEADER
	SUBSCALES(0, BYTE0, Z24, Z26)
	SUBSCALES(1, BYTE1, Z24, Z26)
	SUBSCALES(2, BYTE2, Z24, Z26)
	SUBSCALES(3, BYTE3, Z24, Z26)
	SUBSCALES(4, BYTE0, Z25, Z27)
	SUBSCALES(5, BYTE1, Z25, Z27)
	SUBSCALES(6, BYTE2, Z25, Z27)
	SUBSCALES(7, BYTE3, Z25, Z27)
	Q4_KTILE(0)
	Q4_KTILE(1)
	Q4_KTILE(2)
	Q4_KTILE(3)
	ADDQ $2304, SI
	ADDQ $8192, DI
	ADDQ $1024, R8
	ADDQ $1024, R9
	DECQ CX
	JNZ  q4_Ktile16
	VZEROUPPER
	RET

#define SIXTO(OFF, TO) \
	SIXBITS(OFF)                     \
	VPSRLD    $2, Z7, Z7             \
	VPADDB    Z26, Z4, Z4            \
	VPADDB    Z26, Z5, Z5            \
	VPADDB    Z26, Z6, Z6            \
	VPADDB    Z26, Z7, Z7            \
	VMOVDQU64 Z4, (TO)(DI)           \
	VMOVDQU64 Z5, (TO+1024)(DI)      \
	VMOVDQU64 Z6, (TO+2048)(DI)      \
	VMOVDQU64 Z7, (TO+3072)(DI)

// SIXSCALE writes the scale at OFF of group G.
#define SIXSCALE(G, OFF) \
	VPMOVSXBD (OFF)(SI), Z2        \
	VCVTDQ2PS Z2, Z2               \
	VMULPS    Z21, Z2, Z2          \
	VMOVUPS   Z2, (128*G)(R8)

// Groups G, G+2, G+4 and G+6, which lie at OFF and go to TO.
#define Q6_KTILE(G, OFF, TO) \
	SIXSCALE(G, OFF)               \
	SIXSCALE((G+2), (OFF+16))      \
	SIXSCALE((G+4), (OFF+32))      \
	SIXSCALE((G+6), (OFF+48))      \
	SIXTO((OFF+64), TO)            \
	SIXTO((OFF+256), (TO+128))     \
	SIXTO((OFF+448), (TO+256))     \
	SIXTO((OFF+640), (TO+384))

// func tileQ6_Kx16AVX512(t *Packed16)
TEXT ·tileQ6_Kx16AVX512(SB), NOSPLIT, $0-8
	TILEARGS
	SIXMASKS
	MOVL         $0x60606060, AX // 128 − 32
	VPBROADCASTD AX, Z26

q6_Ktile16:
	VMOVUPS (SI), Z21
	Q6_KTILE(0, 64, 0)
	Q6_KTILE(1, 896, 512)
	Q6_KTILE(8, 1728, 4096)
	Q6_KTILE(9, 2560, 4608)
	ADDQ    $3392, SI
	ADDQ    $8192, DI
	ADDQ    $2048, R8
	DECQ    CX
	JNZ     q6_Ktile16
	VZEROUPPER
	RET
