//go:build !purego

#include "textflag.h"
#include "dot_avx512_amd64.h"

// Q2_K and Q3_K: 256 weights to a block, with a scale for every 16. Every byte of 32 holds two bits of weight l of four
// groups of 32: bits 2·i and up those of group i.

// What brings bits 0 and 1 of every byte to bit 2.
DATA q3_KBits0<>+0(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+8(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+16(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+24(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+32(SB)/8, $0x0000000100000001
DATA q3_KBits0<>+40(SB)/8, $0x0000000100000001
DATA q3_KBits0<>+48(SB)/8, $0x0000000100000001
DATA q3_KBits0<>+56(SB)/8, $0x0000000100000001
GLOBL q3_KBits0<>(SB), RODATA|NOPTR, $64

// Bits 2 and 3.
DATA q3_KBits1<>+0(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+8(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+16(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+24(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+32(SB)/8, $0x0000001f0000001f
DATA q3_KBits1<>+40(SB)/8, $0x0000001f0000001f
DATA q3_KBits1<>+48(SB)/8, $0x0000001f0000001f
DATA q3_KBits1<>+56(SB)/8, $0x0000001f0000001f
GLOBL q3_KBits1<>(SB), RODATA|NOPTR, $64

// Bits 4 and 5.
DATA q3_KBits2<>+0(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+8(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+16(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+24(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+32(SB)/8, $0x0000001d0000001d
DATA q3_KBits2<>+40(SB)/8, $0x0000001d0000001d
DATA q3_KBits2<>+48(SB)/8, $0x0000001d0000001d
DATA q3_KBits2<>+56(SB)/8, $0x0000001d0000001d
GLOBL q3_KBits2<>(SB), RODATA|NOPTR, $64

// Bits 6 and 7.
DATA q3_KBits3<>+0(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+8(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+16(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+24(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+32(SB)/8, $0x0000001b0000001b
DATA q3_KBits3<>+40(SB)/8, $0x0000001b0000001b
DATA q3_KBits3<>+48(SB)/8, $0x0000001b0000001b
DATA q3_KBits3<>+56(SB)/8, $0x0000001b0000001b
GLOBL q3_KBits3<>(SB), RODATA|NOPTR, $64

// Bytes 0 to 3 of each row's 16, each in all of the lane that it belongs to.
DATA spread0<>+0(SB)/8, $0x1010101000000000
DATA spread0<>+8(SB)/8, $0x3030303020202020
DATA spread0<>+16(SB)/8, $0x1111111101010101
DATA spread0<>+24(SB)/8, $0x3131313121212121
DATA spread0<>+32(SB)/8, $0x1212121202020202
DATA spread0<>+40(SB)/8, $0x3232323222222222
DATA spread0<>+48(SB)/8, $0x1313131303030303
DATA spread0<>+56(SB)/8, $0x3333333323232323
GLOBL spread0<>(SB), RODATA|NOPTR, $64

// Bytes 4 to 7 of each row's 16, each in all of the lane that it belongs to.
DATA spread1<>+0(SB)/8, $0x1414141404040404
DATA spread1<>+8(SB)/8, $0x3434343424242424
DATA spread1<>+16(SB)/8, $0x1515151505050505
DATA spread1<>+24(SB)/8, $0x3535353525252525
DATA spread1<>+32(SB)/8, $0x1616161606060606
DATA spread1<>+40(SB)/8, $0x3636363626262626
DATA spread1<>+48(SB)/8, $0x1717171707070707
DATA spread1<>+56(SB)/8, $0x3737373727272727
GLOBL spread1<>(SB), RODATA|NOPTR, $64

// Bytes 8 to 11 of each row's 16, each in all of the lane that it belongs to.
DATA spread2<>+0(SB)/8, $0x1818181808080808
DATA spread2<>+8(SB)/8, $0x3838383828282828
DATA spread2<>+16(SB)/8, $0x1919191909090909
DATA spread2<>+24(SB)/8, $0x3939393929292929
DATA spread2<>+32(SB)/8, $0x1a1a1a1a0a0a0a0a
DATA spread2<>+40(SB)/8, $0x3a3a3a3a2a2a2a2a
DATA spread2<>+48(SB)/8, $0x1b1b1b1b0b0b0b0b
DATA spread2<>+56(SB)/8, $0x3b3b3b3b2b2b2b2b
GLOBL spread2<>(SB), RODATA|NOPTR, $64

// Bytes 12 to 15 of each row's 16, each in all of the lane that it belongs to.
DATA spread3<>+0(SB)/8, $0x1c1c1c1c0c0c0c0c
DATA spread3<>+8(SB)/8, $0x3c3c3c3c2c2c2c2c
DATA spread3<>+16(SB)/8, $0x1d1d1d1d0d0d0d0d
DATA spread3<>+24(SB)/8, $0x3d3d3d3d2d2d2d2d
DATA spread3<>+32(SB)/8, $0x1e1e1e1e0e0e0e0e
DATA spread3<>+40(SB)/8, $0x3e3e3e3e2e2e2e2e
DATA spread3<>+48(SB)/8, $0x1f1f1f1f0f0f0f0f
DATA spread3<>+56(SB)/8, $0x3f3f3f3f2f2f2f2f
GLOBL spread3<>(SB), RODATA|NOPTR, $64

// From byte 94 of a block on: the lower bits of scales 0 to 3 and 8 to 11, and of scales 4 to 7 and 12 to 15.
DATA q3_KLow<>+0(SB)/8, $0x0908070605040302
DATA q3_KLow<>+8(SB)/8, $0x0908070605040302
DATA q3_KLow<>+16(SB)/8, $0x0908070605040302
DATA q3_KLow<>+24(SB)/8, $0x0908070605040302
DATA q3_KLow<>+32(SB)/8, $0x0908070605040302
DATA q3_KLow<>+40(SB)/8, $0x0908070605040302
DATA q3_KLow<>+48(SB)/8, $0x0908070605040302
DATA q3_KLow<>+56(SB)/8, $0x0908070605040302
GLOBL q3_KLow<>(SB), RODATA|NOPTR, $64

// And the upper bits of all.
DATA q3_KHigh<>+0(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+8(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+16(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+24(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+32(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+40(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+48(SB)/8, $0x0d0c0b0a0d0c0b0a
DATA q3_KHigh<>+56(SB)/8, $0x0d0c0b0a0d0c0b0a
GLOBL q3_KHigh<>(SB), RODATA|NOPTR, $64

// And the lower ones to bit 0.
DATA q3_KDown<>+0(SB)/8, $0x0000000000000000
DATA q3_KDown<>+8(SB)/8, $0x0000000400000004
DATA q3_KDown<>+16(SB)/8, $0x0000000000000000
DATA q3_KDown<>+24(SB)/8, $0x0000000400000004
DATA q3_KDown<>+32(SB)/8, $0x0000000000000000
DATA q3_KDown<>+40(SB)/8, $0x0000000400000004
DATA q3_KDown<>+48(SB)/8, $0x0000000000000000
DATA q3_KDown<>+56(SB)/8, $0x0000000400000004
GLOBL q3_KDown<>(SB), RODATA|NOPTR, $64

// What brings the upper bits of the scales to bit 4.
DATA q3_KUp<>+0(SB)/8, $0x0000000200000004
DATA q3_KUp<>+8(SB)/8, $0x0000001e00000000
DATA q3_KUp<>+16(SB)/8, $0x0000000200000004
DATA q3_KUp<>+24(SB)/8, $0x0000001e00000000
DATA q3_KUp<>+32(SB)/8, $0x0000000200000004
DATA q3_KUp<>+40(SB)/8, $0x0000001e00000000
DATA q3_KUp<>+48(SB)/8, $0x0000000200000004
DATA q3_KUp<>+56(SB)/8, $0x0000001e00000000
GLOBL q3_KUp<>(SB), RODATA|NOPTR, $64

// Word 7 of each row's 16 bytes, for every lane.
DATA q3_KD<>+0(SB)/8, $0x001f0017000f0007
DATA q3_KD<>+8(SB)/8, $0x001f0017000f0007
DATA q3_KD<>+16(SB)/8, $0x001f0017000f0007
DATA q3_KD<>+24(SB)/8, $0x001f0017000f0007
DATA q3_KD<>+32(SB)/8, $0x0000000000000000
DATA q3_KD<>+40(SB)/8, $0x0000000000000000
DATA q3_KD<>+48(SB)/8, $0x0000000000000000
DATA q3_KD<>+56(SB)/8, $0x0000000000000000
GLOBL q3_KD<>(SB), RODATA|NOPTR, $64

// Word 0 of each row's four bytes, for every lane, and word 1.
DATA q2_KD<>+0(SB)/8, $0x0006000400020000
DATA q2_KD<>+8(SB)/8, $0x0006000400020000
DATA q2_KD<>+16(SB)/8, $0x0006000400020000
DATA q2_KD<>+24(SB)/8, $0x0006000400020000
DATA q2_KD<>+32(SB)/8, $0x0007000500030001
DATA q2_KD<>+40(SB)/8, $0x0007000500030001
DATA q2_KD<>+48(SB)/8, $0x0007000500030001
DATA q2_KD<>+56(SB)/8, $0x0007000500030001
GLOBL q2_KD<>(SB), RODATA|NOPTR, $64

// SHIFTS sets Z29 to words of 0, then of 2, and Z28 to words of 4, then of 6; Z27 to words of 1.
#define SHIFTS \
	MOVL         $0x00010001, AX      \
	VPBROADCASTD AX, Z27              \
	VPADDW       Z27, Z27, Z18        \
	VPXORD       Z19, Z19, Z19        \
	VSHUFI64X2   $0x44, Z18, Z19, Z29 \
	VPADDW       Z18, Z18, Z18        \
	VPADDW       Z18, Z29, Z28

// SUMS adds up the four integers of every 128-bit lane of A, B, C and D as ROWS does; no sum of them is beyond 16 bits.
#define SUMS(A, B, C, D) \
	VPACKSSDW B, A, A   \
	VPACKSSDW D, C, C   \
	VPMADDWD  Z27, A, A \
	VPMADDWD  Z27, C, C \
	VPACKSSDW C, A, A   \
	VPMADDWD  Z27, A, A


// NEXT goes on to the next block, SIZE bytes on.
#define NEXT(SIZE, LOOP, START) \
	ADDQ  $SIZE, SI      \
	ADDQ  $SIZE, R8      \
	ADDQ  $SIZE, R9      \
	ADDQ  $SIZE, R10     \
	ADDQ  $(4*SIZE), R13 \
	ADDQ  $256, DI       \
	ADDQ  $64, BX        \
	ADDQ  $64, DX        \
	DECQ  R11            \
	JNZ   LOOP           \
	FLUSH(0, 1, 2, 3)    \
	TESTQ CX, CX         \
	JNZ   START          \
	DONE

// Half a block of a row, 128 weights: low bits at OFF; the first 64 meet XA on top of Z4, the others XB on top of Z5.
// RA and RB bring their high bits into place.
#define Q3_KROW(PTR, OFF, RA, RB, XA, XB, PA, PB) \
	VBROADCASTI64X4 OFF(PTR), Z18        \
	VBROADCASTI64X4 (PTR), Z20           \
	VPSRLVW         Z28, Z18, Z19        \
	VPSRLVW         Z29, Z18, Z18        \
	VPROLVD         RB<>(SB), Z20, Z21   \
	VPROLVD         RA<>(SB), Z20, Z20   \
	VPANDD          Z31, Z18, Z18        \
	VPANDD          Z31, Z19, Z19        \
	VPTERNLOGD      $0xF8, Z30, Z20, Z18 \
	VPTERNLOGD      $0xF8, Z30, Z21, Z19 \
	VMOVDQA32       Z4, PA               \
	VMOVDQA32       Z5, PB               \
	VPDPBUSD        XA, Z18, PA          \
	VPDPBUSD        XB, Z19, PB

// STARTS sets ALL, whose low part LOW is, to −4·Σq of four groups of 16, each in the first of the group's lanes.
#define STARTS(OFF, LOW, ALL) \
	VMOVDQU  OFF(DX), LOW      \
	VPSRAD   $5, LOW, LOW      \
	VPERMD.Z ALL, Z26, K3, ALL

// Q3_KQUAD adds the sums in P of four groups of the four rows, times their scales: the bytes of Z24 that SPREAD says, d
// in Z25, the activations' at ADDR.
#define Q3_KQUAD(P, SPREAD, ADDR) \
	VMOVDQU64       SPREAD<>(SB), Z18 \
	VPERMB          Z24, Z18, Z18     \
	VBROADCASTF32X4 ADDR, Z19         \
	VPSRAD          $24, Z18, Z18     \
	VPERMPS         Z19, Z26, Z19     \
	VCVTDQ2PS       Z18, Z18          \
	VMULPS          Z25, Z18, Z18     \
	VMULPS          Z19, Z18, Z18     \
	VCVTDQ2PS       P, P              \
	VFMADD231PS     Z18, P, Z16

// func dotQ3_Kx4AVX512(t *Dot4)
TEXT ·dotQ3_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	MOVL         $0x1111, AX
	KMOVW        AX, K3
	MOVL         $0x03030303, AX
	VPBROADCASTD AX, Z31
	MOVL         $0x04040404, AX
	VPBROADCASTD AX, Z30
	SHIFTS
	VMOVDQU64    fours<>(SB), Z26
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z23
	MOVL         $0x30303030, AX
	VPBROADCASTD AX, Z22
	MOVL         $0x20202020, AX
	VPBROADCASTD AX, Z7

q3_Kchunk:
	CHUNK(4)

q3_Kloop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	VMOVDQU64    (DI), Z0
	VMOVDQU64    64(DI), Z1
	VMOVDQU64    128(DI), Z2
	VMOVDQU64    192(DI), Z3

	// Z24 becomes the sixteen scales of each row, Z25 d: from two bytes of low bits, twelve of scales, d.
	VMOVDQU32    94(SI), X18
	VINSERTI32X4 $1, 94(R8), Z18, Z18
	VINSERTI32X4 $2, 94(R9), Z18, Z18
	VINSERTI32X4 $3, 94(R10), Z18, Z18
	VMOVDQU64    q3_KD<>(SB), Z19
	VPSHUFB      q3_KLow<>(SB), Z18, Z24
	VPSHUFB      q3_KHigh<>(SB), Z18, Z20
	VPERMW       Z18, Z19, Z19
	VPSRLVD      q3_KDown<>(SB), Z24, Z24
	VPROLVD      q3_KUp<>(SB), Z20, Z20
	VCVTPH2PS    Y19, Z25
	VPANDD       Z23, Z24, Z24
	VPTERNLOGD   $0xF8, Z22, Z20, Z24
	VPSUBB       Z7, Z24, Z24
	STARTS(0, X4, Z4)
	STARTS(16, X5, Z5)
	Q3_KROW(SI, 32, q3_KBits0, q3_KBits1, Z0, Z1, Z8, Z12)
	Q3_KROW(R8, 32, q3_KBits0, q3_KBits1, Z0, Z1, Z9, Z13)
	Q3_KROW(R9, 32, q3_KBits0, q3_KBits1, Z0, Z1, Z10, Z14)
	Q3_KROW(R10, 32, q3_KBits0, q3_KBits1, Z0, Z1, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q3_KQUAD(Z8, spread0, (BX))
	Q3_KQUAD(Z12, spread1, 16(BX))
	STARTS(32, X4, Z4)
	STARTS(48, X5, Z5)
	Q3_KROW(SI, 64, q3_KBits2, q3_KBits3, Z2, Z3, Z8, Z12)
	Q3_KROW(R8, 64, q3_KBits2, q3_KBits3, Z2, Z3, Z9, Z13)
	Q3_KROW(R9, 64, q3_KBits2, q3_KBits3, Z2, Z3, Z10, Z14)
	Q3_KROW(R10, 64, q3_KBits2, q3_KBits3, Z2, Z3, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q3_KQUAD(Z8, spread2, 32(BX))
	Q3_KQUAD(Z12, spread3, 48(BX))
	NEXT(110, q3_Kloop, q3_Kchunk)

// Half a block of a row, 128 weights: the first 64 meet XA, the others XB.
#define Q2_KROW(PTR, OFF, XA, XB, PA, PB) \
	VBROADCASTI64X4 OFF(PTR), Z18 \
	VPXORD          PA, PA, PA    \
	VPXORD          PB, PB, PB    \
	VPSRLVW         Z28, Z18, Z19 \
	VPSRLVW         Z29, Z18, Z18 \
	VPANDD          Z31, Z19, Z19 \
	VPANDD          Z31, Z18, Z18 \
	VPDPBUSD        XB, Z19, PB   \
	VPDPBUSD        XA, Z18, PA

// Q2_KQUAD does what Q3_KQUAD does, and takes off minimums: the bytes of Z23, dmin in Z22, times the activations' sums.
#define Q2_KQUAD(P, SPREAD, ADDR, SUMSADDR) \
	VMOVDQU64       SPREAD<>(SB), Z18 \
	VPERMB.Z        Z24, Z18, K1, Z19 \
	VPERMB.Z        Z23, Z18, K1, Z20 \
	VBROADCASTF32X4 ADDR, Z21         \
	VBROADCASTF32X4 SUMSADDR, Z18     \
	VPERMPS         Z21, Z26, Z21     \
	VPERMPS         Z18, Z26, Z18     \
	VCVTDQ2PS       Z19, Z19          \
	VCVTDQ2PS       Z20, Z20          \
	VCVTDQ2PS       P, P              \
	VMULPS          Z25, Z19, Z19     \
	VMULPS          Z22, Z20, Z20     \
	VMULPS          Z21, Z19, Z19     \
	VFMADD231PS     Z19, P, Z16       \
	VFNMADD231PS    Z18, Z20, Z16

// func dotQ2_Kx4AVX512(t *Dot4)
TEXT ·dotQ2_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	MOVQ         $0x1111111111111111, AX
	KMOVQ        AX, K1
	MOVL         $0x03030303, AX
	VPBROADCASTD AX, Z31
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z30
	SHIFTS
	VMOVDQU64    fours<>(SB), Z26

q2_Kchunk:
	CHUNK(4)

q2_Kloop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	VMOVDQU64     (DI), Z0
	VMOVDQU64     64(DI), Z1
	VMOVDQU64     128(DI), Z2
	VMOVDQU64     192(DI), Z3

	// Z24 becomes the scales of each row, Z23 the minimums, Z25 d, Z22 dmin.
	VMOVDQU32     (SI), X24
	VINSERTI32X4  $1, (R8), Z24, Z24
	VINSERTI32X4  $2, (R9), Z24, Z24
	VINSERTI32X4  $3, (R10), Z24, Z24
	VPSRLW        $4, Z24, Z23
	VPANDD        Z30, Z24, Z24
	VPANDD        Z30, Z23, Z23
	VMOVD         80(SI), X4
	VPINSRD       $1, 80(R8), X4, X4
	VPINSRD       $2, 80(R9), X4, X4
	VPINSRD       $3, 80(R10), X4, X4
	VMOVDQU64     q2_KD<>(SB), Z5
	VPERMW        Z4, Z5, Z4
	VCVTPH2PS     Y4, Z25
	VEXTRACTI64X4 $1, Z4, Y4
	VCVTPH2PS     Y4, Z22
	Q2_KROW(SI, 16, Z0, Z1, Z8, Z12)
	Q2_KROW(R8, 16, Z0, Z1, Z9, Z13)
	Q2_KROW(R9, 16, Z0, Z1, Z10, Z14)
	Q2_KROW(R10, 16, Z0, Z1, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q2_KQUAD(Z8, spread0, (BX), (DX))
	Q2_KQUAD(Z12, spread1, 16(BX), 16(DX))
	Q2_KROW(SI, 48, Z2, Z3, Z8, Z12)
	Q2_KROW(R8, 48, Z2, Z3, Z9, Z13)
	Q2_KROW(R9, 48, Z2, Z3, Z10, Z14)
	Q2_KROW(R10, 48, Z2, Z3, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q2_KQUAD(Z8, spread2, 32(BX), 32(DX))
	Q2_KQUAD(Z12, spread3, 48(BX), 48(DX))
	NEXT(84, q2_Kloop, q2_Kchunk)
