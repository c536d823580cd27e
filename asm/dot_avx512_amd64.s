//go:build !purego

#include "textflag.h"
#include "dot_avx512_amd64.h"

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
	FETCH(0)
	FETCH(128)
	FETCH(256)
	ADDQ            $288, R13
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
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	ADDQ            $544, R13
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
	K4MASKS

q4_Kchunk:
	CHUNK(4)

q4_Kloop:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	ADDQ            $576, R13
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
	K4SCALES
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
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	FETCH(640)
	FETCH(768)
	ADDQ         $840, R13
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
