//go:build !purego

#include "textflag.h"
#include "dot_avx512_amd64.h"

// Q5_K and IQ4_XS: 256 weights to a block, with a scale for every 32.

// What brings bits 0, 2, 4 and 6 of every byte to bit 4: the fifth bits of groups 0, 2, 4 and 6.
DATA q5_KLows<>+0(SB)/8, $0x0000000400000004
DATA q5_KLows<>+8(SB)/8, $0x0000000400000004
DATA q5_KLows<>+16(SB)/8, $0x0000000200000002
DATA q5_KLows<>+24(SB)/8, $0x0000000200000002
DATA q5_KLows<>+32(SB)/8, $0x0000000000000000
DATA q5_KLows<>+40(SB)/8, $0x0000000000000000
DATA q5_KLows<>+48(SB)/8, $0x0000001e0000001e
DATA q5_KLows<>+56(SB)/8, $0x0000001e0000001e
GLOBL q5_KLows<>(SB), RODATA|NOPTR, $64

// And bits 1, 3, 5 and 7.
DATA q5_KHighs<>+0(SB)/8, $0x0000000300000003
DATA q5_KHighs<>+8(SB)/8, $0x0000000300000003
DATA q5_KHighs<>+16(SB)/8, $0x0000000100000001
DATA q5_KHighs<>+24(SB)/8, $0x0000000100000001
DATA q5_KHighs<>+32(SB)/8, $0x0000001f0000001f
DATA q5_KHighs<>+40(SB)/8, $0x0000001f0000001f
DATA q5_KHighs<>+48(SB)/8, $0x0000001d0000001d
DATA q5_KHighs<>+56(SB)/8, $0x0000001d0000001d
GLOBL q5_KHighs<>(SB), RODATA|NOPTR, $64

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

// Of headers of 8 bytes, words 2 and 1 of each row's: where the scales of groups 0 to 3 are.
DATA iq4_XSFirst<>+0(SB)/8, $0x0005000600010002
DATA iq4_XSFirst<>+8(SB)/8, $0x000d000e0009000a
DATA iq4_XSFirst<>+16(SB)/8, $0x0005000600010002
DATA iq4_XSFirst<>+24(SB)/8, $0x000d000e0009000a
DATA iq4_XSFirst<>+32(SB)/8, $0x0005000600010002
DATA iq4_XSFirst<>+40(SB)/8, $0x000d000e0009000a
DATA iq4_XSFirst<>+48(SB)/8, $0x0005000600010002
DATA iq4_XSFirst<>+56(SB)/8, $0x000d000e0009000a
GLOBL iq4_XSFirst<>(SB), RODATA|NOPTR, $64

// Words 3 and 1: those of groups 4 to 7.
DATA iq4_XSSecond<>+0(SB)/8, $0x0005000700010003
DATA iq4_XSSecond<>+8(SB)/8, $0x000d000f0009000b
DATA iq4_XSSecond<>+16(SB)/8, $0x0005000700010003
DATA iq4_XSSecond<>+24(SB)/8, $0x000d000f0009000b
DATA iq4_XSSecond<>+32(SB)/8, $0x0005000700010003
DATA iq4_XSSecond<>+40(SB)/8, $0x000d000f0009000b
DATA iq4_XSSecond<>+48(SB)/8, $0x0005000700010003
DATA iq4_XSSecond<>+56(SB)/8, $0x000d000f0009000b
GLOBL iq4_XSSecond<>(SB), RODATA|NOPTR, $64

// Word 0 of each row's, for every lane.
DATA iq4_XSD<>+0(SB)/8, $0x000c000800040000
DATA iq4_XSD<>+8(SB)/8, $0x000c000800040000
DATA iq4_XSD<>+16(SB)/8, $0x000c000800040000
DATA iq4_XSD<>+24(SB)/8, $0x000c000800040000
DATA iq4_XSD<>+32(SB)/8, $0x0000000000000000
DATA iq4_XSD<>+40(SB)/8, $0x0000000000000000
DATA iq4_XSD<>+48(SB)/8, $0x0000000000000000
DATA iq4_XSD<>+56(SB)/8, $0x0000000000000000
GLOBL iq4_XSD<>(SB), RODATA|NOPTR, $64

// What brings the lower four bits of the scales to bit 0.
DATA iq4_XSLow<>+0(SB)/8, $0x0000000000000000
DATA iq4_XSLow<>+8(SB)/8, $0x0000000000000000
DATA iq4_XSLow<>+16(SB)/8, $0x0000000400000004
DATA iq4_XSLow<>+24(SB)/8, $0x0000000400000004
DATA iq4_XSLow<>+32(SB)/8, $0x0000000800000008
DATA iq4_XSLow<>+40(SB)/8, $0x0000000800000008
DATA iq4_XSLow<>+48(SB)/8, $0x0000000c0000000c
DATA iq4_XSLow<>+56(SB)/8, $0x0000000c0000000c
GLOBL iq4_XSLow<>(SB), RODATA|NOPTR, $64

// And the upper two of groups 0 to 3 to bit 4.
DATA iq4_XSHigh<>+0(SB)/8, $0x0000000c0000000c
DATA iq4_XSHigh<>+8(SB)/8, $0x0000000c0000000c
DATA iq4_XSHigh<>+16(SB)/8, $0x0000000e0000000e
DATA iq4_XSHigh<>+24(SB)/8, $0x0000000e0000000e
DATA iq4_XSHigh<>+32(SB)/8, $0x0000001000000010
DATA iq4_XSHigh<>+40(SB)/8, $0x0000001000000010
DATA iq4_XSHigh<>+48(SB)/8, $0x0000001200000012
DATA iq4_XSHigh<>+56(SB)/8, $0x0000001200000012
GLOBL iq4_XSHigh<>(SB), RODATA|NOPTR, $64

// Half a group of every pair, a quarter of a block: the lower halves of the bytes in LOW are of groups 0, 2, 4 and 6 and
// meet XE, the upper ones of groups 1, 3, 5 and 7 and meet XO. Their fifth bits are in HIGH. T is overwritten.
#define Q5_KHALF(LOW, HIGH, T, XE, XO, EVEN, ODD) \
	VPROLVD    Z6, HIGH, Z23        \
	VPROLVD    Z7, HIGH, HIGH       \
	VPSRLW     $4, LOW, T           \
	VPANDD     Z31, LOW, LOW        \
	VPANDD     Z31, T, T            \
	VPTERNLOGD $0xF8, Z26, Z23, LOW \
	VPTERNLOGD $0xF8, Z26, HIGH, T  \
	VPDPBUSD   XE, LOW, EVEN        \
	VPDPBUSD   XO, T, ODD

// One block of a row: groups 0, 2, 4 and 6 to EVEN, 1, 3, 5 and 7 to ODD.
#define Q5_KROW(PTR, EVEN, ODD) \
	VMOVDQU64       48(PTR), Z18               \
	VMOVDQU64       112(PTR), Z20              \
	VBROADCASTI32X4 16(PTR), Z21               \
	VBROADCASTI32X4 32(PTR), Z22               \
	VSHUFI32X4      $0x88, Z20, Z18, Z19       \
	VSHUFI32X4      $0xDD, Z20, Z18, Z20       \
	VPXORD          EVEN, EVEN, EVEN           \
	VPXORD          ODD, ODD, ODD              \
	Q5_KHALF(Z19, Z21, Z18, Z0, Z2, EVEN, ODD) \
	Q5_KHALF(Z20, Z22, Z18, Z1, Z3, EVEN, ODD) \
	ADDQ            $176, PTR

// func dotQ5_Kx4AVX512(t *Dot4)
TEXT ·dotQ5_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z31
	MOVL         $0x10101010, AX
	VPBROADCASTD AX, Z26
	VMOVDQU64    evensFirst<>(SB), Z30
	VMOVDQU64    q5_KLows<>(SB), Z6
	VMOVDQU64    q5_KHighs<>(SB), Z7
	K4MASKS

q5_Kchunk:
	CHUNK(4)

q5_Kloop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	FETCH(640)
	ADDQ            $704, R13

	// Z0 and Z1 become the two halves of groups 0, 2, 4 and 6, Z2 and Z3 those of groups 1, 3, 5 and 7.
	VMOVDQU64       (DI), Z8
	VMOVDQU64       64(DI), Z9
	VMOVDQU64       128(DI), Z10
	VMOVDQU64       192(DI), Z11
	VSHUFI64X2      $0x44, Z9, Z8, Z12
	VSHUFI64X2      $0xEE, Z9, Z8, Z13
	VSHUFI64X2      $0x44, Z11, Z10, Z14
	VSHUFI64X2      $0xEE, Z11, Z10, Z15
	VSHUFI32X4      $0x88, Z14, Z12, Z0
	VSHUFI32X4      $0xDD, Z14, Z12, Z1
	VSHUFI32X4      $0x88, Z15, Z13, Z2
	VSHUFI32X4      $0xDD, Z15, Z13, Z3
	VBROADCASTF32X4 (BX), Z4
	VBROADCASTF32X4 16(BX), Z5
	VPERMPS         Z4, Z30, Z4
	VPERMPS         Z5, Z30, Z5
	K4SCALES
	VMULPS          Z4, Z18, Z4
	VMULPS          Z5, Z19, Z5
	Q5_KROW(SI, Z8, Z12)
	Q5_KROW(R8, Z9, Z13)
	Q5_KROW(R9, Z10, Z14)
	Q5_KROW(R10, Z11, Z15)
	ROWS(Z8, Z9, Z10, Z11, Z18)
	ROWS(Z12, Z13, Z14, Z15, Z18)
	VSHUFI64X2      $0x44, Z12, Z8, Z18    // groups 0, 2, 1 and 3
	VSHUFI64X2      $0xEE, Z12, Z8, Z19    // groups 4, 6, 5 and 7
	VBROADCASTF32X4 (DX), Z20
	VBROADCASTF32X4 16(DX), Z21
	VPERMPS         Z20, Z30, Z20
	VPERMPS         Z21, Z30, Z21
	VCVTDQ2PS       Z18, Z18
	VCVTDQ2PS       Z19, Z19
	VFMADD231PS     Z4, Z18, Z16
	VFNMADD231PS    Z20, Z24, Z16
	VFMADD231PS     Z5, Z19, Z16
	VFNMADD231PS    Z21, Z25, Z16
	ADDQ            $256, DI
	ADDQ            $32, BX
	ADDQ            $32, DX
	DECQ            R11
	JNZ             q5_Kloop
	FLUSH(0, 2, 1, 3)
	TESTQ           CX, CX
	JNZ             q5_Kchunk
	DONE

// One block of a row: groups 0 to 3 to QA on top of Z4, groups 4 to 7 to QB on top of Z5.
#define IQ4_XSROW(PTR, QA, QB) \
	VMOVDQU64 8(PTR), Z6    \
	VMOVDQU64 72(PTR), Z18  \
	VPSRLW    $4, Z6, Z7    \
	VPSRLW    $4, Z18, Z19  \
	VPERMB    Z31, Z6, Z6   \
	VPERMB    Z31, Z7, Z7   \
	VPERMB    Z31, Z18, Z18 \
	VPERMB    Z31, Z19, Z19 \
	VMOVDQA32 Z4, QA        \
	VMOVDQA32 Z5, QB        \
	VPDPBUSD  Z0, Z6, QA    \
	VPDPBUSD  Z2, Z18, QB   \
	VPDPBUSD  Z1, Z7, QA    \
	VPDPBUSD  Z3, Z19, QB   \
	ADDQ      $136, PTR

// SCALES makes S the scales of four groups, whose bits the words PICK of the headers Z6 have: the lower ones at what
// Z29 brings down, the upper ones at HIGH. Z7 is d; the activations' scales are at ADDR.
#define SCALES(PICK, HIGH, ADDR, S) \
	VPERMW          Z6, PICK, Z19      \
	VPSRLVD         Z29, Z19, S        \
	VPSRLVD         HIGH, Z19, Z19     \
	VPANDD          Z21, S, S          \
	VPTERNLOGD      $0xF8, Z20, Z19, S \
	VPSUBD          Z22, S, S          \
	VCVTDQ2PS       S, S               \
	VMULPS          Z7, S, S           \
	VBROADCASTF32X4 ADDR, Z19          \
	VPERMPS         Z19, Z28, Z19      \
	VMULPS          Z19, S, S

// func dotIQ4_XSx4AVX512(t *Dot4)
TEXT ·dotIQ4_XSx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	MOVL         $0x1111, AX
	KMOVW        AX, K3
	VMOVDQU64    iq4Levels<>(SB), Z31
	VMOVDQU64    iq4_XSHigh<>(SB), Z30
	VMOVDQU64    iq4_XSLow<>(SB), Z29
	VMOVDQU64    fours<>(SB), Z28
	VMOVDQU64    iq4_XSFirst<>(SB), Z27
	VMOVDQU64    iq4_XSSecond<>(SB), Z26
	MOVL         $8, AX
	VPBROADCASTD AX, Z23
	VPADDD       Z23, Z30, Z23             // the upper bits of groups 4 to 7
	MOVL         $32, AX
	VPBROADCASTD AX, Z22
	MOVL         $15, AX
	VPBROADCASTD AX, Z21
	MOVL         $0x30, AX
	VPBROADCASTD AX, Z20

iq4_XSchunk:
	CHUNK(4)

iq4_XSloop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	ADDQ         $544, R13
	VMOVDQU64    (DI), Z8
	VMOVDQU64    64(DI), Z9
	VMOVDQU64    128(DI), Z10
	VMOVDQU64    192(DI), Z11
	VSHUFI32X4   $0x88, Z9, Z8, Z0
	VSHUFI32X4   $0xDD, Z9, Z8, Z1
	VSHUFI32X4   $0x88, Z11, Z10, Z2
	VSHUFI32X4   $0xDD, Z11, Z10, Z3
	VMOVDQU      (DX), X4
	VMOVDQU      16(DX), X5
	VPERMD.Z     Z4, Z28, K3, Z4
	VPERMD.Z     Z5, Z28, K3, Z5
	VMOVQ        (SI), X6
	VMOVQ        (R9), X7
	VPINSRQ      $1, (R8), X6, X6
	VPINSRQ      $1, (R10), X7, X7
	VINSERTI128  $1, X7, Y6, Y6
	VMOVDQU64    iq4_XSD<>(SB), Z7
	VPERMW       Z6, Z7, Z7
	VCVTPH2PS    Y7, Z7
	SCALES(Z27, Z30, (BX), Z24)
	SCALES(Z26, Z23, 16(BX), Z25)
	IQ4_XSROW(SI, Z8, Z12)
	IQ4_XSROW(R8, Z9, Z13)
	IQ4_XSROW(R9, Z10, Z14)
	IQ4_XSROW(R10, Z11, Z15)
	ROWS(Z8, Z9, Z10, Z11, Z18)
	ROWS(Z12, Z13, Z14, Z15, Z18)
	VCVTDQ2PS    Z8, Z8
	VCVTDQ2PS    Z12, Z12
	VFMADD231PS  Z24, Z8, Z16
	VFMADD231PS  Z25, Z12, Z16
	ADDQ         $256, DI
	ADDQ         $32, BX
	ADDQ         $32, DX
	DECQ         R11
	JNZ          iq4_XSloop
	FLUSH(0, 1, 2, 3)
	TESTQ        CX, CX
	JNZ          iq4_XSchunk
	DONE
