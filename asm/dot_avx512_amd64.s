//go:build !purego

#include "textflag.h"

// Four weight rows, as they are stored, against one row of 8-bit activations.
//
// SI, R8, R9 and R10 point into the four rows, DI to the activations, BX and DX to what goes with their blocks. The
// sums of a group of weights, one group from each residue modulo four, end up side by side for the four rows: lane
// 4·residue + row. Z16 adds them up, times their scales, over 1024 weights, and X17 then takes the residues in order:
// the order in which the tile kernels add.

// Lanes 0 to 3, four times each.
DATA fours<>+0(SB)/8, $0x0000000000000000
DATA fours<>+8(SB)/8, $0x0000000000000000
DATA fours<>+16(SB)/8, $0x0000000100000001
DATA fours<>+24(SB)/8, $0x0000000100000001
DATA fours<>+32(SB)/8, $0x0000000200000002
DATA fours<>+40(SB)/8, $0x0000000200000002
DATA fours<>+48(SB)/8, $0x0000000300000003
DATA fours<>+56(SB)/8, $0x0000000300000003
GLOBL fours<>(SB), RODATA|NOPTR, $64

// Lanes 0, 2, 1 and 3, four times each.
DATA evensFirst<>+0(SB)/8, $0x0000000000000000
DATA evensFirst<>+8(SB)/8, $0x0000000000000000
DATA evensFirst<>+16(SB)/8, $0x0000000200000002
DATA evensFirst<>+24(SB)/8, $0x0000000200000002
DATA evensFirst<>+32(SB)/8, $0x0000000100000001
DATA evensFirst<>+40(SB)/8, $0x0000000100000001
DATA evensFirst<>+48(SB)/8, $0x0000000300000003
DATA evensFirst<>+56(SB)/8, $0x0000000300000003
GLOBL evensFirst<>(SB), RODATA|NOPTR, $64

// The nibbles of three blocks of 18 bytes.
DATA q4_0Nibbles<>+0(SB)/8, $0x0908070605040302
DATA q4_0Nibbles<>+8(SB)/8, $0x11100f0e0d0c0b0a
DATA q4_0Nibbles<>+16(SB)/8, $0x1b1a191817161514
DATA q4_0Nibbles<>+24(SB)/8, $0x232221201f1e1d1c
DATA q4_0Nibbles<>+32(SB)/8, $0x2d2c2b2a29282726
DATA q4_0Nibbles<>+40(SB)/8, $0x3534333231302f2e
DATA q4_0Nibbles<>+48(SB)/8, $0x0000000000000000
DATA q4_0Nibbles<>+56(SB)/8, $0x0000000000000000
GLOBL q4_0Nibbles<>(SB), RODATA|NOPTR, $64

// Words 0, 9, 18 and 27, the scales of four blocks of 18 bytes.
DATA q4_0Scales<>+0(SB)/8, $0x0000000000000000
DATA q4_0Scales<>+8(SB)/8, $0x0009000900090009
DATA q4_0Scales<>+16(SB)/8, $0x0012001200120012
DATA q4_0Scales<>+24(SB)/8, $0x001b001b001b001b
DATA q4_0Scales<>+32(SB)/8, $0x0000000000000000
DATA q4_0Scales<>+40(SB)/8, $0x0000000000000000
DATA q4_0Scales<>+48(SB)/8, $0x0000000000000000
DATA q4_0Scales<>+56(SB)/8, $0x0000000000000000
GLOBL q4_0Scales<>(SB), RODATA|NOPTR, $64

// Words 0 and 17, the scales of two blocks of 34 bytes, and the same again.
DATA q8_0Scales<>+0(SB)/8, $0x0000000000000000
DATA q8_0Scales<>+8(SB)/8, $0x0011001100110011
DATA q8_0Scales<>+16(SB)/8, $0x0000000000000000
DATA q8_0Scales<>+24(SB)/8, $0x0011001100110011
DATA q8_0Scales<>+32(SB)/8, $0x0000000000000000
DATA q8_0Scales<>+40(SB)/8, $0x0000000000000000
DATA q8_0Scales<>+48(SB)/8, $0x0000000000000000
DATA q8_0Scales<>+56(SB)/8, $0x0000000000000000
GLOBL q8_0Scales<>(SB), RODATA|NOPTR, $64

// What brings the low bits of the scales and minimums of a Q4_K block down, and their masks.
DATA q4_KShift<>+0(SB)/8, $0x0000000000000000
DATA q4_KShift<>+8(SB)/8, $0x0000000400000000
DATA q4_KShift<>+16(SB)/8, $0x0000000000000000
DATA q4_KShift<>+24(SB)/8, $0x0000000400000000
DATA q4_KShift<>+32(SB)/8, $0x0000000000000000
DATA q4_KShift<>+40(SB)/8, $0x0000000400000000
DATA q4_KShift<>+48(SB)/8, $0x0000000000000000
DATA q4_KShift<>+56(SB)/8, $0x0000000400000000
GLOBL q4_KShift<>(SB), RODATA|NOPTR, $64

DATA q4_KLow<>+0(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+8(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+16(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+24(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+32(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+40(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+48(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+56(SB)/8, $0x0f0f0f0f3f3f3f3f
GLOBL q4_KLow<>(SB), RODATA|NOPTR, $64

DATA q4_KHigh<>+0(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+8(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+16(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+24(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+32(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+40(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+48(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+56(SB)/8, $0x3030303000000000
GLOBL q4_KHigh<>(SB), RODATA|NOPTR, $64

// Byte 0, 2, 1 or 3 of each row's 16, at the low end of the lane that it belongs to.
DATA q4_KSpread<>+0(SB)/8, $0x0000001000000000
DATA q4_KSpread<>+8(SB)/8, $0x0000003000000020
DATA q4_KSpread<>+16(SB)/8, $0x0000001200000002
DATA q4_KSpread<>+24(SB)/8, $0x0000003200000022
DATA q4_KSpread<>+32(SB)/8, $0x0000001100000001
DATA q4_KSpread<>+40(SB)/8, $0x0000003100000021
DATA q4_KSpread<>+48(SB)/8, $0x0000001300000003
DATA q4_KSpread<>+56(SB)/8, $0x0000003300000023
GLOBL q4_KSpread<>(SB), RODATA|NOPTR, $64

// Word 0 of each row's 16 bytes, for every lane.
DATA q4_KD<>+0(SB)/8, $0x0018001000080000
DATA q4_KD<>+8(SB)/8, $0x0018001000080000
DATA q4_KD<>+16(SB)/8, $0x0018001000080000
DATA q4_KD<>+24(SB)/8, $0x0018001000080000
DATA q4_KD<>+32(SB)/8, $0x0000000000000000
DATA q4_KD<>+40(SB)/8, $0x0000000000000000
DATA q4_KD<>+48(SB)/8, $0x0000000000000000
DATA q4_KD<>+56(SB)/8, $0x0000000000000000
GLOBL q4_KD<>(SB), RODATA|NOPTR, $64

// Byte 0, 1, 2 or 3 of each row's 16, at the high end of the lane that it belongs to.
DATA q6_KSpread<>+0(SB)/8, $0x1000000000000000
DATA q6_KSpread<>+8(SB)/8, $0x3000000020000000
DATA q6_KSpread<>+16(SB)/8, $0x1100000001000000
DATA q6_KSpread<>+24(SB)/8, $0x3100000021000000
DATA q6_KSpread<>+32(SB)/8, $0x1200000002000000
DATA q6_KSpread<>+40(SB)/8, $0x3200000022000000
DATA q6_KSpread<>+48(SB)/8, $0x1300000003000000
DATA q6_KSpread<>+56(SB)/8, $0x3300000023000000
GLOBL q6_KSpread<>(SB), RODATA|NOPTR, $64

#define ARGS \
	MOVQ   t+0(FP), AX   \
	MOVQ   0(AX), SI     \
	MOVQ   8(AX), R8     \
	MOVQ   16(AX), R9    \
	MOVQ   24(AX), R10   \
	MOVQ   32(AX), CX    \
	MOVQ   40(AX), DI    \
	MOVQ   48(AX), BX    \
	MOVQ   56(AX), DX    \
	MOVQ   80(AX), R12   \
	ADDQ   SI, R12       \
	VXORPS X17, X17, X17

// AHEAD5 asks for five cache lines of rows to come, in the order of their addresses whatever the order of their use:
// what brings lines in by itself follows ascending addresses, not four rows at a time.
#define AHEAD5 \
	PREFETCHT1 (R12)    \
	PREFETCHT1 64(R12)  \
	PREFETCHT1 128(R12) \
	PREFETCHT1 192(R12) \
	PREFETCHT1 256(R12)

#define AHEAD9 \
	AHEAD5              \
	PREFETCHT1 320(R12) \
	PREFETCHT1 384(R12) \
	PREFETCHT1 448(R12) \
	PREFETCHT1 512(R12)

#define AHEAD14 \
	AHEAD9              \
	PREFETCHT1 576(R12) \
	PREFETCHT1 640(R12) \
	PREFETCHT1 704(R12) \
	PREFETCHT1 768(R12) \
	PREFETCHT1 832(R12)

// CHUNK begins the next STEPS steps, or those that are left.
#define CHUNK(STEPS) \
	MOVQ    $STEPS, R11  \
	CMPQ    CX, R11      \
	CMOVQLT CX, R11      \
	SUBQ    R11, CX      \
	VPXORD  Z16, Z16, Z16

// FLUSH adds the four residues, lanes A to D of Z16, to the sums.
#define FLUSH(A, B, C, D) \
	VEXTRACTF32X4 $A, Z16, X18 \
	VADDPS        X18, X17, X17 \
	VEXTRACTF32X4 $B, Z16, X18 \
	VADDPS        X18, X17, X17 \
	VEXTRACTF32X4 $C, Z16, X18 \
	VADDPS        X18, X17, X17 \
	VEXTRACTF32X4 $D, Z16, X18 \
	VADDPS        X18, X17, X17

#define DONE \
	MOVQ    t+0(FP), AX \
	VMOVUPS X17, 64(AX) \
	VZEROUPPER          \
	RET

// ROWS adds up the four integers of every 128-bit lane of A, B, C and D and puts the sums side by side: A = a, b, c, d
// of each lane. T is overwritten.
#define ROWS(A, B, C, D, T) \
	VPUNPCKLDQ  B, A, T   \
	VPUNPCKHDQ  B, A, A   \
	VPADDD      T, A, A   \
	VPUNPCKLDQ  D, C, T   \
	VPUNPCKHDQ  D, C, C   \
	VPADDD      T, C, C   \
	VPUNPCKLQDQ C, A, T   \
	VPUNPCKHQDQ C, A, A   \
	VPADDD      T, A, A

// HALVES adds up the two 128-bit lanes of each half of A and B: T, of A's low half, A's high half, B's low, B's high.
#define HALVES(A, B, T) \
	VSHUFI64X2 $0x88, B, A, T \
	VSHUFI64X2 $0xDD, B, A, A \
	VPADDD     A, T, T

// Four blocks of a row: their nibbles meet Z2 (low) and Z3 (high) on top of Z5, −8·Σq; their scales go to the lanes in K.
#define Q4_0ROW(PTR, ACC, K) \
	VPERMB       (PTR), Z30, Z6     \
	VINSERTI32X4 $3, 56(PTR), Z6, Z6 \
	VPSRLW       $4, Z6, Z7         \
	VPANDD       Z31, Z6, Z6        \
	VPANDD       Z31, Z7, Z7        \
	VMOVDQA32    Z5, ACC            \
	VPDPBUSD     Z2, Z6, ACC        \
	VPDPBUSD     Z3, Z7, ACC        \
	VPERMW       (PTR), Z29, K, Z12 \
	ADDQ         $72, PTR

// ROWMASKS sets K3-K6 to every fourth lane, from lane 0, 1, 2 and 3 on.
#define ROWMASKS \
	MOVL  $0x1111, AX \
	KMOVW AX, K3      \
	ADDL  AX, AX      \
	KMOVW AX, K4      \
	ADDL  AX, AX      \
	KMOVW AX, K5      \
	ADDL  AX, AX      \
	KMOVW AX, K6

// func dotQ4_0x4AVX512(t *Dot4)
TEXT ·dotQ4_0x4AVX512(SB), NOSPLIT, $0-8
	ARGS
	ROWMASKS
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z31
	VMOVDQU64    q4_0Nibbles<>(SB), Z30
	VMOVDQU64    q4_0Scales<>(SB), Z29
	VMOVDQU64    fours<>(SB), Z28
	VPXORD       Z12, Z12, Z12

q4_0chunk:
	CHUNK(8)

q4_0loop:
	AHEAD5
	ADDQ            $288, R12
	ADDQ $288, R12
	VMOVDQU64       (DI), Z0
	VMOVDQU64       64(DI), Z1
	VSHUFI32X4      $0x88, Z1, Z0, Z2
	VSHUFI32X4      $0xDD, Z1, Z0, Z3
	VBROADCASTF32X4 (BX), Z4
	VPERMPS         Z4, Z28, Z4
	VMOVDQU         (DX), X5
	VPSRAD          $4, X5, X5
	VPEXPANDD.Z     Z5, K3, Z5
	Q4_0ROW(SI, Z8, K3)
	Q4_0ROW(R8, Z9, K4)
	Q4_0ROW(R9, Z10, K5)
	Q4_0ROW(R10, Z11, K6)
	ROWS(Z8, Z9, Z10, Z11, Z6)
	VCVTDQ2PS       Z8, Z8
	VCVTPH2PS       Y12, Z7
	VMULPS          Z4, Z7, Z7
	VFMADD231PS     Z7, Z8, Z16
	ADDQ            $128, DI
	ADDQ            $16, BX
	ADDQ            $16, DX
	DECQ            R11
	JNZ             q4_0loop
	FLUSH(0, 1, 2, 3)
	TESTQ           CX, CX
	JNZ             q4_0chunk
	DONE

// Four blocks of a row: two meet Z0 on top of Z2, two meet Z1 on top of Z3.
#define Q8_0ROW(PTR, ACC, K) \
	VMOVDQU      2(PTR), Y6               \
	VMOVDQU      70(PTR), Y7              \
	VINSERTI64X4 $1, 36(PTR), Z6, Z6      \
	VINSERTI64X4 $1, 104(PTR), Z7, Z7     \
	VPXORD       Z31, Z6, Z6              \
	VPXORD       Z31, Z7, Z7              \
	VMOVDQA32    Z2, Z14                  \
	VMOVDQA32    Z3, Z15                  \
	VPDPBUSD     Z0, Z6, Z14              \
	VPDPBUSD     Z1, Z7, Z15              \
	HALVES(Z14, Z15, ACC)                 \
	VPERMW       (PTR), Z29, K, Z12       \
	VPERMW       68(PTR), Z29, K, Z13     \
	ADDQ         $136, PTR

// func dotQ8_0x4AVX512(t *Dot4)
TEXT ·dotQ8_0x4AVX512(SB), NOSPLIT, $0-8
	ARGS
	ROWMASKS
	MOVL         $0x0101, AX
	KMOVW        AX, K1
	MOVL         $0x80808080, AX
	VPBROADCASTD AX, Z31
	VMOVDQU64    q8_0Scales<>(SB), Z29
	VMOVDQU64    fours<>(SB), Z28
	VPXORD       Z12, Z12, Z12
	VPXORD       Z13, Z13, Z13

q8_0chunk:
	CHUNK(8)

q8_0loop:
	AHEAD9
	ADDQ            $544, R12
	ADDQ $544, R12
	VMOVDQU64       (DI), Z0
	VMOVDQU64       64(DI), Z1
	VMOVQ           (DX), X2
	VMOVQ           8(DX), X3
	VPEXPANDD.Z     Z2, K1, Z2
	VPEXPANDD.Z     Z3, K1, Z3
	VBROADCASTF32X4 (BX), Z4
	VPERMPS         Z4, Z28, Z4
	Q8_0ROW(SI, Z8, K3)
	Q8_0ROW(R8, Z9, K4)
	Q8_0ROW(R9, Z10, K5)
	Q8_0ROW(R10, Z11, K6)
	ROWS(Z8, Z9, Z10, Z11, Z6)
	VCVTDQ2PS       Z8, Z8
	VPBLENDD        $0xF0, Y13, Y12, Y7
	VCVTPH2PS       Y7, Z7
	VMULPS          Z4, Z7, Z7
	VFMADD231PS     Z7, Z8, Z16
	ADDQ            $128, DI
	ADDQ            $16, BX
	ADDQ            $16, DX
	DECQ            R11
	JNZ             q8_0loop
	FLUSH(0, 1, 2, 3)
	TESTQ           CX, CX
	JNZ             q8_0chunk
	DONE

// One block of a row: sub-blocks 0, 2, 1 and 3 to QA, 4, 6, 5 and 7 to QB.
#define Q4_KROW(PTR, QA, QB) \
	VMOVDQU64  16(PTR), Z18       \
	VMOVDQU64  80(PTR), Z20       \
	VPSRLW     $4, Z18, Z19       \
	VPSRLW     $4, Z20, Z21       \
	VPANDD     Z31, Z18, Z18      \
	VPANDD     Z31, Z19, Z19      \
	VPANDD     Z31, Z20, Z20      \
	VPANDD     Z31, Z21, Z21      \
	VPXORD     Z22, Z22, Z22      \
	VPXORD     Z23, Z23, Z23      \
	VPDPBUSD   Z0, Z18, Z22       \
	VPDPBUSD   Z1, Z19, Z23       \
	VPXORD     Z18, Z18, Z18      \
	VPXORD     Z19, Z19, Z19      \
	VPDPBUSD   Z2, Z20, Z18       \
	VPDPBUSD   Z3, Z21, Z19       \
	HALVES(Z22, Z23, QA)          \
	HALVES(Z18, Z19, QB)          \
	ADDQ       $144, PTR

// func dotQ4_Kx4AVX512(t *Dot4)
TEXT ·dotQ4_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	MOVL            $0x0f0f0f0f, AX
	VPBROADCASTD    AX, Z31
	VMOVDQU64       evensFirst<>(SB), Z30
	VMOVDQU64       q4_KD<>(SB), Z28
	VPTERNLOGD      $0xFF, Z29, Z29, Z29
	VPSUBW          Z29, Z28, Z29          // the word after it
	VMOVDQU64       q4_KSpread<>(SB), Z27
	MOVQ            $0x1111111111111111, AX
	KMOVQ           AX, K1

q4_Kchunk:
	CHUNK(4)

q4_Kloop:
	AHEAD9
	ADDQ            $576, R12
	ADDQ $576, R12
	VMOVDQU64       (DI), Z8
	VMOVDQU64       64(DI), Z9
	VMOVDQU64       128(DI), Z10
	VMOVDQU64       192(DI), Z11
	VSHUFI64X2      $0x44, Z9, Z8, Z0
	VSHUFI64X2      $0xEE, Z9, Z8, Z1
	VSHUFI64X2      $0x44, Z11, Z10, Z2
	VSHUFI64X2      $0xEE, Z11, Z10, Z3
	VBROADCASTF32X4 (BX), Z4
	VBROADCASTF32X4 16(BX), Z5
	VBROADCASTF32X4 (DX), Z6
	VBROADCASTF32X4 16(DX), Z7
	VPERMPS         Z4, Z30, Z4
	VPERMPS         Z5, Z30, Z5
	VPERMPS         Z6, Z30, Z6
	VPERMPS         Z7, Z30, Z7

	// The four headers: Z18 becomes scales 0-7, minimums 0-7 of each row, in bytes.
	VMOVDQU         (SI), X8
	VINSERTI32X4    $1, (R8), Z8, Z8
	VINSERTI32X4    $2, (R9), Z8, Z8
	VINSERTI32X4    $3, (R10), Z8, Z8
	VPERMW          Z8, Z28, Z9
	VPERMW          Z8, Z29, Z10
	VPSHUFD         $0xED, Z8, Z18
	VPSHUFD         $0x95, Z8, Z19
	VPSRLVD         q4_KShift<>(SB), Z18, Z18
	VPSRLD          $2, Z19, Z19
	VPANDD          q4_KLow<>(SB), Z18, Z18
	VPTERNLOGD      $0xF8, q4_KHigh<>(SB), Z19, Z18
	VCVTPH2PS       Y9, Z9                 // d
	VCVTPH2PS       Y10, Z10               // dmin
	VPSRLDQ         $4, Z18, Z19
	VPSRLDQ         $8, Z18, Z20
	VPSRLDQ         $12, Z18, Z21
	VPERMB.Z        Z18, Z27, K1, Z18
	VPERMB.Z        Z19, Z27, K1, Z19
	VPERMB.Z        Z20, Z27, K1, Z20
	VPERMB.Z        Z21, Z27, K1, Z21
	VCVTDQ2PS       Z18, Z18
	VCVTDQ2PS       Z19, Z19
	VCVTDQ2PS       Z20, Z20
	VCVTDQ2PS       Z21, Z21
	VMULPS          Z9, Z18, Z18
	VMULPS          Z9, Z19, Z19
	VMULPS          Z10, Z20, Z24
	VMULPS          Z10, Z21, Z25
	VMULPS          Z4, Z18, Z4
	VMULPS          Z5, Z19, Z5
	Q4_KROW(SI, Z8, Z12)
	Q4_KROW(R8, Z9, Z13)
	Q4_KROW(R9, Z10, Z14)
	Q4_KROW(R10, Z11, Z15)
	ROWS(Z8, Z9, Z10, Z11, Z18)
	ROWS(Z12, Z13, Z14, Z15, Z18)
	VCVTDQ2PS       Z8, Z8
	VCVTDQ2PS       Z12, Z12
	VFMADD231PS     Z4, Z8, Z16
	VFNMADD231PS    Z6, Z24, Z16
	VFMADD231PS     Z5, Z12, Z16
	VFNMADD231PS    Z7, Z25, Z16
	ADDQ            $256, DI
	ADDQ            $32, BX
	ADDQ            $32, DX
	DECQ            R11
	JNZ             q4_Kloop
	FLUSH(0, 2, 1, 3)
	TESTQ           CX, CX
	JNZ             q4_Kchunk
	DONE

// Half a block of a row, 128 weights: low bits at OFF, high bits at HIGH; the first 64 meet XA on top of Z4, the
// others XB on top of Z5.
#define Q6_KROW(PTR, OFF, HIGH, XA, XB, PA, PB) \
	VMOVDQU64       OFF(PTR), Z18         \
	VBROADCASTI64X4 HIGH(PTR), Z20        \
	VPSRLW          $4, Z18, Z19          \
	VPANDD          Z31, Z18, Z18         \
	VPANDD          Z31, Z19, Z19         \
	VPSLLVW         Z29, Z20, Z21         \
	VPSRLVW         Z28, Z20, Z22         \
	VPTERNLOGD      $0xF8, Z30, Z21, Z18  \
	VPTERNLOGD      $0xF8, Z30, Z22, Z19  \
	VMOVDQA32       Z4, PA                \
	VMOVDQA32       Z5, PB                \
	VPDPBUSD        XA, Z18, PA           \
	VPDPBUSD        XB, Z19, PB

// STARTS sets ALL, whose low part LOW is, to −32·Σq of four groups of 16, each in the first of the group's lanes.
#define STARTS(OFF, LOW, ALL) \
	VMOVDQU     OFF(DX), LOW   \
	VPSRAD      $2, LOW, LOW   \
	VPEXPANDD.Z ALL, K3, ALL

// QUAD adds the sums in P of four groups of the four rows, times their scales: bytes OFF to OFF+3 of each lane of Z24,
// d in Z25, the activations' at ADDR.
#define QUAD(P, OFF, ADDR) \
	VPSRLDQ         $OFF, Z24, Z18     \
	VPERMB.Z        Z18, Z27, K1, Z18  \
	VPSRAD          $24, Z18, Z18      \
	VCVTDQ2PS       Z18, Z18           \
	VBROADCASTF32X4 ADDR, Z19          \
	VPERMPS         Z19, Z26, Z19      \
	VMULPS          Z25, Z18, Z18      \
	VMULPS          Z19, Z18, Z18      \
	VCVTDQ2PS       P, P               \
	VFMADD231PS     Z18, P, Z16

// func dotQ6_Kx4AVX512(t *Dot4)
TEXT ·dotQ6_Kx4AVX512(SB), NOSPLIT, $0-8
	ARGS
	MOVL         $0x1111, AX
	KMOVW        AX, K3
	MOVQ         $0x8888888888888888, AX
	KMOVQ        AX, K1
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, Z31
	MOVL         $0x30303030, AX
	VPBROADCASTD AX, Z30
	MOVL         $0x00020002, AX
	VPBROADCASTD AX, Z0
	VPADDW       Z0, Z0, Z1
	VPXORD       Z2, Z2, Z2
	VSHUFI64X2   $0x44, Z0, Z1, Z29        // words of 4, then of 2
	VSHUFI64X2   $0x44, Z0, Z2, Z28        // words of 0, then of 2
	VMOVDQU64    q6_KSpread<>(SB), Z27
	VMOVDQU64    fours<>(SB), Z26

q6_Kchunk:
	CHUNK(4)

q6_Kloop:
	AHEAD14
	ADDQ            $840, R12
	ADDQ $840, R12
	VMOVDQU64    (DI), Z0
	VMOVDQU64    64(DI), Z1
	VMOVDQU64    128(DI), Z2
	VMOVDQU64    192(DI), Z3
	VMOVDQU32    192(SI), X24
	VINSERTI32X4 $1, 192(R8), Z24, Z24
	VINSERTI32X4 $2, 192(R9), Z24, Z24
	VINSERTI32X4 $3, 192(R10), Z24, Z24
	VPXOR        X6, X6, X6
	VPINSRW      $0, 208(SI), X6, X6
	VPINSRW      $1, 208(R8), X6, X6
	VPINSRW      $2, 208(R9), X6, X6
	VPINSRW      $3, 208(R10), X6, X6
	VCVTPH2PS    X6, X6
	VSHUFF32X4   $0, Z6, Z6, Z25
	STARTS(0, X4, Z4)
	STARTS(16, X5, Z5)
	Q6_KROW(SI, 0, 128, Z0, Z1, Z8, Z12)
	Q6_KROW(R8, 0, 128, Z0, Z1, Z9, Z13)
	Q6_KROW(R9, 0, 128, Z0, Z1, Z10, Z14)
	Q6_KROW(R10, 0, 128, Z0, Z1, Z11, Z15)
	ROWS(Z8, Z9, Z10, Z11, Z18)
	ROWS(Z12, Z13, Z14, Z15, Z18)
	QUAD(Z8, 0, (BX))
	QUAD(Z12, 4, 16(BX))
	STARTS(32, X4, Z4)
	STARTS(48, X5, Z5)
	Q6_KROW(SI, 64, 160, Z2, Z3, Z8, Z12)
	Q6_KROW(R8, 64, 160, Z2, Z3, Z9, Z13)
	Q6_KROW(R9, 64, 160, Z2, Z3, Z10, Z14)
	Q6_KROW(R10, 64, 160, Z2, Z3, Z11, Z15)
	ROWS(Z8, Z9, Z10, Z11, Z18)
	ROWS(Z12, Z13, Z14, Z15, Z18)
	QUAD(Z8, 8, 32(BX))
	QUAD(Z12, 12, 48(BX))
	ADDQ         $210, SI
	ADDQ         $210, R8
	ADDQ         $210, R9
	ADDQ         $210, R10
	ADDQ         $256, DI
	ADDQ         $64, BX
	ADDQ         $64, DX
	DECQ         R11
	JNZ          q6_Kloop
	FLUSH(0, 1, 2, 3)
	TESTQ        CX, CX
	JNZ          q6_Kchunk
	DONE
