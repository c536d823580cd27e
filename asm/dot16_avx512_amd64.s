//go:build !purego

#include "textflag.h"
#include "dot_avx512_amd64.h"

// Q2_K and Q3_K: 256 weights to a block, with a scale for every 16. Every byte of 32 holds two bits of a weight of four
// groups of 32: bits 2·i and up those of group i. The two bits of groups 1 and 3 stay where they are, as four times the
// codes, and it is the sums that are divided.

// What brings bit 0 of every byte to bit 2, and in the upper half bit 1 to bit 4.
DATA q3_KBits0<>+0(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+8(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+16(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+24(SB)/8, $0x0000000200000002
DATA q3_KBits0<>+32(SB)/8, $0x0000000300000003
DATA q3_KBits0<>+40(SB)/8, $0x0000000300000003
DATA q3_KBits0<>+48(SB)/8, $0x0000000300000003
DATA q3_KBits0<>+56(SB)/8, $0x0000000300000003
GLOBL q3_KBits0<>(SB), RODATA|NOPTR, $64

// What brings bit 2 of every byte to bit 2, and in the upper half bit 3 to bit 4.
DATA q3_KBits1<>+0(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+8(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+16(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+24(SB)/8, $0x0000000000000000
DATA q3_KBits1<>+32(SB)/8, $0x0000000100000001
DATA q3_KBits1<>+40(SB)/8, $0x0000000100000001
DATA q3_KBits1<>+48(SB)/8, $0x0000000100000001
DATA q3_KBits1<>+56(SB)/8, $0x0000000100000001
GLOBL q3_KBits1<>(SB), RODATA|NOPTR, $64

// What brings bit 4 of every byte to bit 2, and in the upper half bit 5 to bit 4.
DATA q3_KBits2<>+0(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+8(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+16(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+24(SB)/8, $0x0000001e0000001e
DATA q3_KBits2<>+32(SB)/8, $0x0000001f0000001f
DATA q3_KBits2<>+40(SB)/8, $0x0000001f0000001f
DATA q3_KBits2<>+48(SB)/8, $0x0000001f0000001f
DATA q3_KBits2<>+56(SB)/8, $0x0000001f0000001f
GLOBL q3_KBits2<>(SB), RODATA|NOPTR, $64

// What brings bit 6 of every byte to bit 2, and in the upper half bit 7 to bit 4.
DATA q3_KBits3<>+0(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+8(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+16(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+24(SB)/8, $0x0000001c0000001c
DATA q3_KBits3<>+32(SB)/8, $0x0000001d0000001d
DATA q3_KBits3<>+40(SB)/8, $0x0000001d0000001d
DATA q3_KBits3<>+48(SB)/8, $0x0000001d0000001d
DATA q3_KBits3<>+56(SB)/8, $0x0000001d0000001d
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

// Lanes 4 to 7, four times each.
DATA fours1<>+0(SB)/8, $0x0000000400000004
DATA fours1<>+8(SB)/8, $0x0000000400000004
DATA fours1<>+16(SB)/8, $0x0000000500000005
DATA fours1<>+24(SB)/8, $0x0000000500000005
DATA fours1<>+32(SB)/8, $0x0000000600000006
DATA fours1<>+40(SB)/8, $0x0000000600000006
DATA fours1<>+48(SB)/8, $0x0000000700000007
DATA fours1<>+56(SB)/8, $0x0000000700000007
GLOBL fours1<>(SB), RODATA|NOPTR, $64

// Lanes 8 to 11, four times each.
DATA fours2<>+0(SB)/8, $0x0000000800000008
DATA fours2<>+8(SB)/8, $0x0000000800000008
DATA fours2<>+16(SB)/8, $0x0000000900000009
DATA fours2<>+24(SB)/8, $0x0000000900000009
DATA fours2<>+32(SB)/8, $0x0000000a0000000a
DATA fours2<>+40(SB)/8, $0x0000000a0000000a
DATA fours2<>+48(SB)/8, $0x0000000b0000000b
DATA fours2<>+56(SB)/8, $0x0000000b0000000b
GLOBL fours2<>(SB), RODATA|NOPTR, $64

// Lanes 12 to 15, four times each.
DATA fours3<>+0(SB)/8, $0x0000000c0000000c
DATA fours3<>+8(SB)/8, $0x0000000c0000000c
DATA fours3<>+16(SB)/8, $0x0000000d0000000d
DATA fours3<>+24(SB)/8, $0x0000000d0000000d
DATA fours3<>+32(SB)/8, $0x0000000e0000000e
DATA fours3<>+40(SB)/8, $0x0000000e0000000e
DATA fours3<>+48(SB)/8, $0x0000000f0000000f
DATA fours3<>+56(SB)/8, $0x0000000f0000000f
GLOBL fours3<>(SB), RODATA|NOPTR, $64

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

// What brings the lower bits of the scales to bit 0.
DATA q3_KDown<>+0(SB)/8, $0x0000000000000000
DATA q3_KDown<>+8(SB)/8, $0x0000000400000004
DATA q3_KDown<>+16(SB)/8, $0x0000000000000000
DATA q3_KDown<>+24(SB)/8, $0x0000000400000004
DATA q3_KDown<>+32(SB)/8, $0x0000000000000000
DATA q3_KDown<>+40(SB)/8, $0x0000000400000004
DATA q3_KDown<>+48(SB)/8, $0x0000000000000000
DATA q3_KDown<>+56(SB)/8, $0x0000000400000004
GLOBL q3_KDown<>(SB), RODATA|NOPTR, $64

// And the upper ones to bit 4.
DATA q3_KUp<>+0(SB)/8, $0x0000000200000004
DATA q3_KUp<>+8(SB)/8, $0x0000001e00000000
DATA q3_KUp<>+16(SB)/8, $0x0000000200000004
DATA q3_KUp<>+24(SB)/8, $0x0000001e00000000
DATA q3_KUp<>+32(SB)/8, $0x0000000200000004
DATA q3_KUp<>+40(SB)/8, $0x0000001e00000000
DATA q3_KUp<>+48(SB)/8, $0x0000000200000004
DATA q3_KUp<>+56(SB)/8, $0x0000001e00000000
GLOBL q3_KUp<>(SB), RODATA|NOPTR, $64

// The bits of the lower and upper parts of scales, and 2⁻²⁴.
DATA q3_KNumbers<>+0(SB)/4, $0x0f0f0f0f
DATA q3_KNumbers<>+4(SB)/4, $0x30303030
DATA q3_KNumbers<>+8(SB)/4, $0x33800000
GLOBL q3_KNumbers<>(SB), RODATA|NOPTR, $12

// What is subtracted from scales.
DATA q3_KZero<>+0(SB)/8, $0x2020202020202020
DATA q3_KZero<>+8(SB)/8, $0x2020202020202020
DATA q3_KZero<>+16(SB)/8, $0x2020202020202020
DATA q3_KZero<>+24(SB)/8, $0x2020202020202020
DATA q3_KZero<>+32(SB)/8, $0x2020202020202020
DATA q3_KZero<>+40(SB)/8, $0x2020202020202020
DATA q3_KZero<>+48(SB)/8, $0x2020202020202020
DATA q3_KZero<>+56(SB)/8, $0x2020202020202020
GLOBL q3_KZero<>(SB), RODATA|NOPTR, $64

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

// CODES sets ALL to BYTES in its lower half and to four times them in the upper.
#define CODES(BYTES, ALL) \
	MOVL         $BYTES, AX           \
	VPBROADCASTD AX, Z18              \
	VPSLLD       $2, Z18, Z19         \
	VSHUFI64X2   $0x44, Z19, Z18, ALL

// CONSTANTS: Z27 is words of 1, Z28 0 in the lower half and 2 in the upper, Z31 the bits of codes.
#define CONSTANTS \
	MOVL         $0x00010001, AX      \
	VPBROADCASTD AX, Z27              \
	MOVL         $2, AX               \
	VPBROADCASTD AX, Z18              \
	VPXORD       Z19, Z19, Z19        \
	VSHUFI64X2   $0x44, Z18, Z19, Z28 \
	CODES(0x03030303, Z31)

// SUMS adds up the four integers of every 128-bit lane of A, B, C and D as ROWS does, and divides them by 1 or 4. No sum
// of two of them is beyond 16 bits: four times 7·127 for each of eight weights.
#define SUMS(A, B, C, D) \
	VPACKSSDW B, A, A   \
	VPACKSSDW D, C, C   \
	VPMADDWD  Z27, A, A \
	VPMADDWD  Z27, C, C \
	VPACKSSDW C, A, A   \
	VPMADDWD  Z27, A, A \
	VPSRAVD   Z28, A, A

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

// Half a block of a row, 128 weights: low bits at OFF; the first 64 meet XA, the others XB. Their high bits are at what
// BITSA and BITSB say.
#define Q3_KROW(PTR, OFF, BITSA, BITSB, XA, XB, PA, PB) \
	VBROADCASTI64X4 OFF(PTR), Z18        \
	VBROADCASTI64X4 (PTR), Z20           \
	VPXORD          PA, PA, PA           \
	VPXORD          PB, PB, PB           \
	VPROLVD         BITSB, Z20, Z21      \
	VPROLVD         BITSA, Z20, Z20      \
	VPSRLW          $4, Z18, Z19         \
	VPANDD          Z31, Z18, Z18        \
	VPANDD          Z31, Z19, Z19        \
	VPTERNLOGD      $0xF8, Z30, Z20, Z18 \
	VPTERNLOGD      $0xF8, Z30, Z21, Z19 \
	VPDPBUSD        XA, Z18, PA          \
	VPDPBUSD        XB, Z19, PB

// Q3_KQUAD adds the sums in P of four groups of the four rows, less four times those of activations, in Z5, times their
// scales: the bytes of Z24 that SPREAD says, times 2²⁴, d over 2²⁴ in Z25, and the activations', in Z4. LANES are the
// groups in those.
#define Q3_KQUAD(P, SPREAD, LANES) \
	VMOVDQU64   SPREAD<>(SB), Z18 \
	VMOVDQU64   LANES<>(SB), Z19  \
	VPERMB.Z    Z24, Z18, K1, Z18 \
	VPERMD      Z5, Z19, Z20      \
	VPERMPS     Z4, Z19, Z19      \
	VCVTDQ2PS   Z18, Z18          \
	VPADDD      Z20, P, P         \
	VMULPS      Z25, Z18, Z18     \
	VCVTDQ2PS   P, P              \
	VMULPS      Z19, Z18, Z18     \
	VFMADD231PS Z18, P, Z16

// func dotQ3_Kx4AVX512(t *Dot4)
TEXT ·dotQ3_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	CONSTANTS
	CODES(0x04040404, Z30)
	MOVQ         $0x8888888888888888, AX
	KMOVQ        AX, K1
	VMOVDQU64    q3_KBits0<>(SB), Z6
	VMOVDQU64    q3_KBits1<>(SB), Z7
	VMOVDQU64    q3_KBits2<>(SB), Z22
	VMOVDQU64    q3_KBits3<>(SB), Z23

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
	VMOVUPS      (BX), Z4
	VPSRAD       $5, (DX), Z5              // −4·Σq

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
	VPANDD.BCST  q3_KNumbers<>+0(SB), Z24, Z24
	VPTERNLOGD.BCST $0xF8, q3_KNumbers<>+4(SB), Z20, Z24
	VMULPS.BCST  q3_KNumbers<>+8(SB), Z25, Z25
	VPSUBB       q3_KZero<>(SB), Z24, Z24
	Q3_KROW(SI, 32, Z6, Z7, Z0, Z1, Z8, Z12)
	Q3_KROW(R8, 32, Z6, Z7, Z0, Z1, Z9, Z13)
	Q3_KROW(R9, 32, Z6, Z7, Z0, Z1, Z10, Z14)
	Q3_KROW(R10, 32, Z6, Z7, Z0, Z1, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q3_KQUAD(Z8, spread0, fours)
	Q3_KQUAD(Z12, spread1, fours1)
	Q3_KROW(SI, 64, Z22, Z23, Z2, Z3, Z8, Z12)
	Q3_KROW(R8, 64, Z22, Z23, Z2, Z3, Z9, Z13)
	Q3_KROW(R9, 64, Z22, Z23, Z2, Z3, Z10, Z14)
	Q3_KROW(R10, 64, Z22, Z23, Z2, Z3, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q3_KQUAD(Z8, spread2, fours2)
	Q3_KQUAD(Z12, spread3, fours3)
	NEXT(110, q3_Kloop, q3_Kchunk)

// Half a block of a row, 128 weights: the first 64 meet XA, the others XB.
#define Q2_KROW(PTR, OFF, XA, XB, PA, PB) \
	VBROADCASTI64X4 OFF(PTR), Z18 \
	VPXORD          PA, PA, PA    \
	VPXORD          PB, PB, PB    \
	VPSRLW          $4, Z18, Z19  \
	VPANDD          Z31, Z18, Z18 \
	VPANDD          Z31, Z19, Z19 \
	VPDPBUSD        XA, Z18, PA   \
	VPDPBUSD        XB, Z19, PB

// Q2_KQUAD adds the sums in P of four groups of the four rows, times their scales: the bytes of Z24 that SPREAD says, d
// in Z25, and the activations', in Z4; and takes off minimums, bytes of Z23, dmin in Z22, times the activations' sums,
// in Z5. LANES are the groups in those.
#define Q2_KQUAD(P, SPREAD, LANES) \
	VMOVDQU64    SPREAD<>(SB), Z18 \
	VMOVDQU64    LANES<>(SB), Z21  \
	VPERMB.Z     Z24, Z18, K1, Z19 \
	VPERMB.Z     Z23, Z18, K1, Z20 \
	VPERMPS      Z5, Z21, Z18      \
	VPERMPS      Z4, Z21, Z21      \
	VCVTDQ2PS    Z19, Z19          \
	VCVTDQ2PS    Z20, Z20          \
	VCVTDQ2PS    P, P              \
	VMULPS       Z25, Z19, Z19     \
	VMULPS       Z22, Z20, Z20     \
	VMULPS       Z21, Z19, Z19     \
	VFMADD231PS  Z19, P, Z16       \
	VFNMADD231PS Z18, Z20, Z16

// func dotQ2_Kx4AVX512(t *Dot4)
TEXT ·dotQ2_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	CONSTANTS
	MOVQ         $0x1111111111111111, AX
	KMOVQ        AX, K1
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z30
	VMOVDQU64    q2_KD<>(SB), Z7

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
	VMOVUPS       (BX), Z4
	VMOVUPS       (DX), Z5

	// Z24 becomes the scales of each row, Z23 the minimums, Z25 d, Z22 dmin.
	VMOVDQU32     (SI), X24
	VINSERTI32X4  $1, (R8), Z24, Z24
	VINSERTI32X4  $2, (R9), Z24, Z24
	VINSERTI32X4  $3, (R10), Z24, Z24
	VPSRLW        $4, Z24, Z23
	VPANDD        Z30, Z24, Z24
	VPANDD        Z30, Z23, Z23
	VMOVD         80(SI), X6
	VPINSRD       $1, 80(R8), X6, X6
	VPINSRD       $2, 80(R9), X6, X6
	VPINSRD       $3, 80(R10), X6, X6
	VPERMW        Z6, Z7, Z6
	VCVTPH2PS     Y6, Z25
	VEXTRACTI64X4 $1, Z6, Y6
	VCVTPH2PS     Y6, Z22
	Q2_KROW(SI, 16, Z0, Z1, Z8, Z12)
	Q2_KROW(R8, 16, Z0, Z1, Z9, Z13)
	Q2_KROW(R9, 16, Z0, Z1, Z10, Z14)
	Q2_KROW(R10, 16, Z0, Z1, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q2_KQUAD(Z8, spread0, fours)
	Q2_KQUAD(Z12, spread1, fours1)
	Q2_KROW(SI, 48, Z2, Z3, Z8, Z12)
	Q2_KROW(R8, 48, Z2, Z3, Z9, Z13)
	Q2_KROW(R9, 48, Z2, Z3, Z10, Z14)
	Q2_KROW(R10, 48, Z2, Z3, Z11, Z15)
	SUMS(Z8, Z9, Z10, Z11)
	SUMS(Z12, Z13, Z14, Z15)
	Q2_KQUAD(Z8, spread2, fours2)
	Q2_KQUAD(Z12, spread3, fours3)
	NEXT(84, q2_Kloop, q2_Kchunk)
