//go:build !purego

#include "textflag.h"
#include "dot_avx512_amd64.h"

// The formats of 32 weights to a block, beside Q4_0 and Q8_0: sixteen bytes of nibbles each, the lower of which belong
// to weights 0 to 15, the upper to weights 16 to 31. Of four blocks, the sixteen bytes of each go to a 128-bit lane.

// The nibbles of three blocks of 20 bytes.
DATA q4_1Nibbles<>+0(SB)/8, $0x0b0a090807060504
DATA q4_1Nibbles<>+8(SB)/8, $0x131211100f0e0d0c
DATA q4_1Nibbles<>+16(SB)/8, $0x1f1e1d1c1b1a1918
DATA q4_1Nibbles<>+24(SB)/8, $0x2726252423222120
DATA q4_1Nibbles<>+32(SB)/8, $0x333231302f2e2d2c
DATA q4_1Nibbles<>+40(SB)/8, $0x3b3a393837363534
DATA q4_1Nibbles<>+48(SB)/8, $0x0000000000000000
DATA q4_1Nibbles<>+56(SB)/8, $0x0000000000000000
GLOBL q4_1Nibbles<>(SB), RODATA|NOPTR, $64

// Words 0, 10, 20 and 30, the scales of four blocks of 20 bytes, and the words after them, the offsets.
DATA q4_1Scales<>+0(SB)/8, $0x0000000000000000
DATA q4_1Scales<>+8(SB)/8, $0x000a000a000a000a
DATA q4_1Scales<>+16(SB)/8, $0x0014001400140014
DATA q4_1Scales<>+24(SB)/8, $0x001e001e001e001e
DATA q4_1Scales<>+32(SB)/8, $0x0001000100010001
DATA q4_1Scales<>+40(SB)/8, $0x000b000b000b000b
DATA q4_1Scales<>+48(SB)/8, $0x0015001500150015
DATA q4_1Scales<>+56(SB)/8, $0x001f001f001f001f
GLOBL q4_1Scales<>(SB), RODATA|NOPTR, $64

// The nibbles of three blocks of 18 bytes.
DATA iq4_NLNibbles<>+0(SB)/8, $0x0908070605040302
DATA iq4_NLNibbles<>+8(SB)/8, $0x11100f0e0d0c0b0a
DATA iq4_NLNibbles<>+16(SB)/8, $0x1b1a191817161514
DATA iq4_NLNibbles<>+24(SB)/8, $0x232221201f1e1d1c
DATA iq4_NLNibbles<>+32(SB)/8, $0x2d2c2b2a29282726
DATA iq4_NLNibbles<>+40(SB)/8, $0x3534333231302f2e
DATA iq4_NLNibbles<>+48(SB)/8, $0x0000000000000000
DATA iq4_NLNibbles<>+56(SB)/8, $0x0000000000000000
GLOBL iq4_NLNibbles<>(SB), RODATA|NOPTR, $64

// Words 0, 9, 18 and 27, the scales of four blocks of 18 bytes.
DATA iq4_NLScales<>+0(SB)/8, $0x0000000000000000
DATA iq4_NLScales<>+8(SB)/8, $0x0009000900090009
DATA iq4_NLScales<>+16(SB)/8, $0x0012001200120012
DATA iq4_NLScales<>+24(SB)/8, $0x001b001b001b001b
DATA iq4_NLScales<>+32(SB)/8, $0x0000000000000000
DATA iq4_NLScales<>+40(SB)/8, $0x0000000000000000
DATA iq4_NLScales<>+48(SB)/8, $0x0000000000000000
DATA iq4_NLScales<>+56(SB)/8, $0x0000000000000000
GLOBL iq4_NLScales<>(SB), RODATA|NOPTR, $64

// The levels of IQ4_NL and IQ4_XS plus 128, four times: all that counts of a byte that picks one is its low four bits.
DATA iq4Levels<>+0(SB)/8, $0x766a5d4f3f2d1801
DATA iq4Levels<>+8(SB)/8, $0xf1d9c5b5a6998d81
DATA iq4Levels<>+16(SB)/8, $0x766a5d4f3f2d1801
DATA iq4Levels<>+24(SB)/8, $0xf1d9c5b5a6998d81
DATA iq4Levels<>+32(SB)/8, $0x766a5d4f3f2d1801
DATA iq4Levels<>+40(SB)/8, $0xf1d9c5b5a6998d81
DATA iq4Levels<>+48(SB)/8, $0x766a5d4f3f2d1801
DATA iq4Levels<>+56(SB)/8, $0xf1d9c5b5a6998d81
GLOBL iq4Levels<>(SB), RODATA|NOPTR, $64

// The nibbles of blocks 1, 2 and 3 of 22 bytes, from byte 24 on.
DATA q5_0Nibbles<>+0(SB)/8, $0x0000000000000000
DATA q5_0Nibbles<>+8(SB)/8, $0x0000000000000000
DATA q5_0Nibbles<>+16(SB)/8, $0x0b0a090807060504
DATA q5_0Nibbles<>+24(SB)/8, $0x131211100f0e0d0c
DATA q5_0Nibbles<>+32(SB)/8, $0x21201f1e1d1c1b1a
DATA q5_0Nibbles<>+40(SB)/8, $0x2928272625242322
DATA q5_0Nibbles<>+48(SB)/8, $0x3736353433323130
DATA q5_0Nibbles<>+56(SB)/8, $0x3f3e3d3c3b3a3938
GLOBL q5_0Nibbles<>(SB), RODATA|NOPTR, $64

// The nibbles of blocks 1, 2 and 3 of 24 bytes, from byte 32 on.
DATA q5_1Nibbles<>+0(SB)/8, $0x0000000000000000
DATA q5_1Nibbles<>+8(SB)/8, $0x0000000000000000
DATA q5_1Nibbles<>+16(SB)/8, $0x0706050403020100
DATA q5_1Nibbles<>+24(SB)/8, $0x0f0e0d0c0b0a0908
DATA q5_1Nibbles<>+32(SB)/8, $0x1f1e1d1c1b1a1918
DATA q5_1Nibbles<>+40(SB)/8, $0x2726252423222120
DATA q5_1Nibbles<>+48(SB)/8, $0x3736353433323130
DATA q5_1Nibbles<>+56(SB)/8, $0x3f3e3d3c3b3a3938
GLOBL q5_1Nibbles<>(SB), RODATA|NOPTR, $64

// Words 0, 4, 8 and 12 of four headers of 8 bytes, the scales, and the words after them.
DATA headWords<>+0(SB)/8, $0x0000000000000000
DATA headWords<>+8(SB)/8, $0x0004000400040004
DATA headWords<>+16(SB)/8, $0x0008000800080008
DATA headWords<>+24(SB)/8, $0x000c000c000c000c
DATA headWords<>+32(SB)/8, $0x0001000100010001
DATA headWords<>+40(SB)/8, $0x0005000500050005
DATA headWords<>+48(SB)/8, $0x0009000900090009
DATA headWords<>+56(SB)/8, $0x000d000d000d000d
GLOBL headWords<>(SB), RODATA|NOPTR, $64

// Headers 0 to 3, twice each.
DATA twice<>+0(SB)/8, $0x0000000000000000
DATA twice<>+8(SB)/8, $0x0000000000000000
DATA twice<>+16(SB)/8, $0x0000000000000001
DATA twice<>+24(SB)/8, $0x0000000000000001
DATA twice<>+32(SB)/8, $0x0000000000000002
DATA twice<>+40(SB)/8, $0x0000000000000002
DATA twice<>+48(SB)/8, $0x0000000000000003
DATA twice<>+56(SB)/8, $0x0000000000000003
GLOBL twice<>(SB), RODATA|NOPTR, $64

// What brings the fifth bits of weights 0 to 15, bits 16 and up of a header, to bit 4 of every byte.
DATA q5_0Lows<>+0(SB)/8, $0x131211100f0e0d0c
DATA q5_0Lows<>+8(SB)/8, $0x1b1a191817161514
DATA q5_0Lows<>+16(SB)/8, $0x131211100f0e0d0c
DATA q5_0Lows<>+24(SB)/8, $0x1b1a191817161514
DATA q5_0Lows<>+32(SB)/8, $0x131211100f0e0d0c
DATA q5_0Lows<>+40(SB)/8, $0x1b1a191817161514
DATA q5_0Lows<>+48(SB)/8, $0x131211100f0e0d0c
DATA q5_0Lows<>+56(SB)/8, $0x1b1a191817161514
GLOBL q5_0Lows<>(SB), RODATA|NOPTR, $64

// And those of weights 16 to 31.
DATA q5_0Highs<>+0(SB)/8, $0x232221201f1e1d1c
DATA q5_0Highs<>+8(SB)/8, $0x2b2a292827262524
DATA q5_0Highs<>+16(SB)/8, $0x232221201f1e1d1c
DATA q5_0Highs<>+24(SB)/8, $0x2b2a292827262524
DATA q5_0Highs<>+32(SB)/8, $0x232221201f1e1d1c
DATA q5_0Highs<>+40(SB)/8, $0x2b2a292827262524
DATA q5_0Highs<>+48(SB)/8, $0x232221201f1e1d1c
DATA q5_0Highs<>+56(SB)/8, $0x2b2a292827262524
GLOBL q5_0Highs<>(SB), RODATA|NOPTR, $64

// What brings the fifth bits of weights 0 to 15, bits 32 and up of a header, to bit 4 of every byte.
DATA q5_1Lows<>+0(SB)/8, $0x232221201f1e1d1c
DATA q5_1Lows<>+8(SB)/8, $0x2b2a292827262524
DATA q5_1Lows<>+16(SB)/8, $0x232221201f1e1d1c
DATA q5_1Lows<>+24(SB)/8, $0x2b2a292827262524
DATA q5_1Lows<>+32(SB)/8, $0x232221201f1e1d1c
DATA q5_1Lows<>+40(SB)/8, $0x2b2a292827262524
DATA q5_1Lows<>+48(SB)/8, $0x232221201f1e1d1c
DATA q5_1Lows<>+56(SB)/8, $0x2b2a292827262524
GLOBL q5_1Lows<>(SB), RODATA|NOPTR, $64

// And those of weights 16 to 31.
DATA q5_1Highs<>+0(SB)/8, $0x333231302f2e2d2c
DATA q5_1Highs<>+8(SB)/8, $0x3b3a393837363534
DATA q5_1Highs<>+16(SB)/8, $0x333231302f2e2d2c
DATA q5_1Highs<>+24(SB)/8, $0x3b3a393837363534
DATA q5_1Highs<>+32(SB)/8, $0x333231302f2e2d2c
DATA q5_1Highs<>+40(SB)/8, $0x3b3a393837363534
DATA q5_1Highs<>+48(SB)/8, $0x333231302f2e2d2c
DATA q5_1Highs<>+56(SB)/8, $0x3b3a393837363534
GLOBL q5_1Highs<>(SB), RODATA|NOPTR, $64

// WORDMASKS sets K3-K6 to every fourth word, from word 0, 1, 2 and 3 on: what belongs to each row.
#define WORDMASKS \
	MOVL  $0x11111111, AX \
	KMOVD AX, K3          \
	ADDL  AX, AX          \
	KMOVD AX, K4          \
	ADDL  AX, AX          \
	KMOVD AX, K5          \
	ADDL  AX, AX          \
	KMOVD AX, K6

// COLUMN reads the activations of four blocks: weights 0 to 15 of each to Z2, 16 to 31 to Z3, their scales to Z4.
#define COLUMN \
	VMOVDQU64       (DI), Z0          \
	VMOVDQU64       64(DI), Z1        \
	VSHUFI32X4      $0x88, Z1, Z0, Z2 \
	VSHUFI32X4      $0xDD, Z1, Z0, Z3 \
	VBROADCASTF32X4 (BX), Z4          \
	VPERMPS         Z4, Z28, Z4

// COLUMNSUMS reads what minimums are multiplied by.
#define COLUMNSUMS \
	VBROADCASTF32X4 (DX), Z5    \
	VPERMPS         Z5, Z28, Z5

// SUM adds up the rows and multiplies them by their scales, the words of Y12.
#define SUM \
	ROWS(Z8, Z9, Z10, Z11, Z6) \
	VCVTDQ2PS   Z8, Z8         \
	VCVTPH2PS   Y12, Z7        \
	VMULPS      Z4, Z7, Z7     \
	VFMADD231PS Z7, Z8, Z16

// OFFSETS adds the offsets, the upper words of Z12, times the activations' sums.
#define OFFSETS \
	VEXTRACTI64X4 $1, Z12, Y12 \
	VCVTPH2PS     Y12, Z7      \
	VFMADD231PS   Z5, Z7, Z16

// NEXT goes on to the next four blocks.
#define NEXT(LOOP, START) \
	ADDQ  $128, DI    \
	ADDQ  $16, BX     \
	ADDQ  $16, DX     \
	DECQ  R11         \
	JNZ   LOOP        \
	FLUSH(0, 1, 2, 3) \
	TESTQ CX, CX      \
	JNZ   START       \
	DONE

// Four blocks of a row, their scales and offsets to the words in K.
#define Q4_1ROW(PTR, ACC, K) \
	VPERMB       (PTR), Z30, Z6      \
	VINSERTI32X4 $3, 64(PTR), Z6, Z6 \
	VPSRLW       $4, Z6, Z7          \
	VPANDD       Z31, Z6, Z6         \
	VPANDD       Z31, Z7, Z7         \
	VPXORD       ACC, ACC, ACC       \
	VPDPBUSD     Z2, Z6, ACC         \
	VPDPBUSD     Z3, Z7, ACC         \
	VPERMW       (PTR), Z29, K, Z12  \
	ADDQ         $80, PTR

// func dotQ4_1x4AVX512(t *Dot4)
TEXT ·dotQ4_1x4AVX512(SB), NOSPLIT, $0-8
	ARGS
	WORDMASKS
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z31
	VMOVDQU64    q4_1Nibbles<>(SB), Z30
	VMOVDQU64    q4_1Scales<>(SB), Z29
	VMOVDQU64    fours<>(SB), Z28

q4_1chunk:
	CHUNK(8)

q4_1loop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	ADDQ $320, R13
	COLUMN
	COLUMNSUMS
	VPXORD Z12, Z12, Z12
	Q4_1ROW(SI, Z8, K3)
	Q4_1ROW(R8, Z9, K4)
	Q4_1ROW(R9, Z10, K5)
	Q4_1ROW(R10, Z11, K6)
	SUM
	OFFSETS
	NEXT(q4_1loop, q4_1chunk)

// Four blocks of a row: their levels meet Z2 and Z3 on top of Z5, −128·Σq; their scales go to the words in K.
#define IQ4_NLROW(PTR, ACC, K) \
	VPERMB       (PTR), Z30, Z6      \
	VINSERTI32X4 $3, 56(PTR), Z6, Z6 \
	VPSRLW       $4, Z6, Z7          \
	VPERMB       Z31, Z6, Z6         \
	VPERMB       Z31, Z7, Z7         \
	VMOVDQA32    Z5, ACC             \
	VPDPBUSD     Z2, Z6, ACC         \
	VPDPBUSD     Z3, Z7, ACC         \
	VPERMW       (PTR), Z29, K, Z12  \
	ADDQ         $72, PTR

// func dotIQ4_NLx4AVX512(t *Dot4)
TEXT ·dotIQ4_NLx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	WORDMASKS
	VMOVDQU64 iq4Levels<>(SB), Z31
	VMOVDQU64 iq4_NLNibbles<>(SB), Z30
	VMOVDQU64 iq4_NLScales<>(SB), Z29
	VMOVDQU64 fours<>(SB), Z28

iq4_NLchunk:
	CHUNK(8)

iq4_NLloop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	ADDQ $288, R13
	COLUMN
	VMOVDQU  (DX), X5
	VPERMD.Z Z5, Z28, K3, Z5
	VPXORD   Z12, Z12, Z12
	IQ4_NLROW(SI, Z8, K3)
	IQ4_NLROW(R8, Z9, K4)
	IQ4_NLROW(R9, Z10, K5)
	IQ4_NLROW(R10, Z11, K6)
	SUM
	NEXT(iq4_NLloop, iq4_NLchunk)

// Four blocks of SIZE bytes of a row, the first eight of which are a header with the scale and the fifth bits; the
// nibbles are the last sixteen, those of block 0 at FIRST. They meet Z2 and Z3 on top of Z5.
#define Q5ROW(SIZE, FIRST, PTR, ACC, K) \
	VMOVQ          (PTR), X6                 \
	VMOVQ          (2*SIZE)(PTR), X7         \
	VPINSRQ        $1, SIZE(PTR), X6, X6     \
	VPINSRQ        $1, (3*SIZE)(PTR), X7, X7 \
	VINSERTI128    $1, X7, Y6, Y6            \
	VPERMW         Z6, Z29, K, Z12           \
	VPERMQ         Z6, Z27, Z6               \
	VPERMB         (4*SIZE-64)(PTR), Z30, Z7 \
	VINSERTI32X4   $0, FIRST(PTR), Z7, Z7    \
	VPMULTISHIFTQB Z6, Z26, Z13              \
	VPMULTISHIFTQB Z6, Z25, Z14              \
	VPSRLW         $4, Z7, Z6                \
	VPANDD         Z31, Z7, Z7               \
	VPANDD         Z31, Z6, Z6               \
	VPTERNLOGD     $0xF8, Z24, Z13, Z7       \
	VPTERNLOGD     $0xF8, Z24, Z14, Z6       \
	VMOVDQA32      Z5, ACC                   \
	VPDPBUSD       Z2, Z7, ACC               \
	VPDPBUSD       Z3, Z6, ACC               \
	ADDQ           $(4*SIZE), PTR

#define Q5CONSTANTS \
	MOVL         $0x0f0f0f0f, AX      \
	VPBROADCASTD AX, Z31              \
	MOVL         $0x10101010, AX      \
	VPBROADCASTD AX, Z24              \
	VMOVDQU64    headWords<>(SB), Z29 \
	VMOVDQU64    fours<>(SB), Z28     \
	VMOVDQU64    twice<>(SB), Z27

// func dotQ5_0x4AVX512(t *Dot4)
TEXT ·dotQ5_0x4AVX512(SB), NOSPLIT, $0-8
	ARGS
	WORDMASKS
	Q5CONSTANTS
	VMOVDQU64 q5_0Nibbles<>(SB), Z30
	VMOVDQU64 q5_0Lows<>(SB), Z26
	VMOVDQU64 q5_0Highs<>(SB), Z25

q5_0chunk:
	CHUNK(8)

q5_0loop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	ADDQ $352, R13
	COLUMN
	VMOVDQU  (DX), X5
	VPSRAD   $3, X5, X5               // −16·Σq
	VPERMD.Z Z5, Z28, K3, Z5
	VPXORD   Z12, Z12, Z12
	Q5ROW(22, 6, SI, Z8, K3)
	Q5ROW(22, 6, R8, Z9, K4)
	Q5ROW(22, 6, R9, Z10, K5)
	Q5ROW(22, 6, R10, Z11, K6)
	SUM
	NEXT(q5_0loop, q5_0chunk)

// func dotQ5_1x4AVX512(t *Dot4)
TEXT ·dotQ5_1x4AVX512(SB), NOSPLIT, $0-8
	ARGS
	WORDMASKS
	Q5CONSTANTS
	VMOVDQU64 q5_1Nibbles<>(SB), Z30
	VMOVDQU64 q5_1Lows<>(SB), Z26
	VMOVDQU64 q5_1Highs<>(SB), Z25

q5_1chunk:
	CHUNK(8)

q5_1loop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	ADDQ $384, R13
	COLUMN
	VPXORD Z5, Z5, Z5
	VPXORD Z12, Z12, Z12
	Q5ROW(24, 8, SI, Z8, K3)
	Q5ROW(24, 8, R8, Z9, K4)
	Q5ROW(24, 8, R9, Z10, K5)
	Q5ROW(24, 8, R10, Z11, K6)
	SUM
	COLUMNSUMS
	OFFSETS
	NEXT(q5_1loop, q5_1chunk)
