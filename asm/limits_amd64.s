//go:build !purego

#include "textflag.h"

// What a processor can do at most: loads, multiply-adds and 8-bit products with nothing to wait for. There are as many
// sums as registers allow, more than any processor's latency times the instructions that it begins in a cycle.

// AHEAD is how far before a load its cache line is asked for.
#define AHEAD 4096

DATA limitHalf<>+0(SB)/4, $0.5
GLOBL limitHalf<>(SB), RODATA|NOPTR, $4
DATA limitQuarter<>+0(SB)/4, $0.25
GLOBL limitQuarter<>(SB), RODATA|NOPTR, $4
DATA limitThree<>+0(SB)/4, $0x03030303
GLOBL limitThree<>(SB), RODATA|NOPTR, $4
DATA limitFive<>+0(SB)/4, $0x05050505
GLOBL limitFive<>(SB), RODATA|NOPTR, $4
DATA limitOne16<>+0(SB)/4, $0x00010001
GLOBL limitOne16<>(SB), RODATA|NOPTR, $4

#define ZERO8(A, B, C, D, E, F, G, H) \
	VPXOR A, A, A \
	VPXOR B, B, B \
	VPXOR C, C, C \
	VPXOR D, D, D \
	VPXOR E, E, E \
	VPXOR F, F, F \
	VPXOR G, G, G \
	VPXOR H, H, H

#define ZERO8Z(A, B, C, D, E, F, G, H) \
	VPXORQ A, A, A \
	VPXORQ B, B, B \
	VPXORQ C, C, C \
	VPXORQ D, D, D \
	VPXORQ E, E, E \
	VPXORQ F, F, F \
	VPXORQ G, G, G \
	VPXORQ H, H, H

#define ZERO24 \
	ZERO8Z(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)         \
	ZERO8Z(Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)   \
	ZERO8Z(Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)

// FOLD8 adds eight registers up in A.
#define FOLD8(ADD, A, B, C, D, E, F, G, H) \
	ADD B, A, A \
	ADD D, C, C \
	ADD F, E, E \
	ADD H, G, G \
	ADD C, A, A \
	ADD G, E, E \
	ADD E, A, A

#define FOLD24(ADD) \
	FOLD8(ADD, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)         \
	FOLD8(ADD, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)   \
	FOLD8(ADD, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23) \
	ADD Z8, Z0, Z0                                     \
	ADD Z16, Z0, Z0

#define ALL8(OP, X, Y, A, B, C, D, E, F, G, H) \
	OP X, Y, A \
	OP X, Y, B \
	OP X, Y, C \
	OP X, Y, D \
	OP X, Y, E \
	OP X, Y, F \
	OP X, Y, G \
	OP X, Y, H

#define ALL24(OP) \
	ALL8(OP, Z24, Z25, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)         \
	ALL8(OP, Z24, Z25, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15)   \
	ALL8(OP, Z24, Z25, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23)

// func XorAVX512(lanes *[8]uint64, p *byte, n int)
TEXT ·XorAVX512(SB), NOSPLIT, $0-24
	MOVQ lanes+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	ZERO8Z(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	SHRQ $9, CX
	JZ   done

loop:
	PREFETCHT0 (AHEAD+0)(SI)
	PREFETCHT0 (AHEAD+64)(SI)
	PREFETCHT0 (AHEAD+128)(SI)
	PREFETCHT0 (AHEAD+192)(SI)
	PREFETCHT0 (AHEAD+256)(SI)
	PREFETCHT0 (AHEAD+320)(SI)
	PREFETCHT0 (AHEAD+384)(SI)
	PREFETCHT0 (AHEAD+448)(SI)
	VPXORQ     (SI), Z0, Z0
	VPXORQ     64(SI), Z1, Z1
	VPXORQ     128(SI), Z2, Z2
	VPXORQ     192(SI), Z3, Z3
	VPXORQ     256(SI), Z4, Z4
	VPXORQ     320(SI), Z5, Z5
	VPXORQ     384(SI), Z6, Z6
	VPXORQ     448(SI), Z7, Z7
	ADDQ       $512, SI
	DECQ       CX
	JNZ        loop

done:
	FOLD8(VPXORQ, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7)
	VMOVDQU64 Z0, (DI)
	VZEROUPPER
	RET

// func XorAVX2(lanes *[4]uint64, p *byte, n int)
TEXT ·XorAVX2(SB), NOSPLIT, $0-24
	MOVQ lanes+0(FP), DI
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	ZERO8(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	SHRQ $8, CX
	JZ   done

loop:
	PREFETCHT0 (AHEAD+0)(SI)
	PREFETCHT0 (AHEAD+64)(SI)
	PREFETCHT0 (AHEAD+128)(SI)
	PREFETCHT0 (AHEAD+192)(SI)
	VPXOR      (SI), Y0, Y0
	VPXOR      32(SI), Y1, Y1
	VPXOR      64(SI), Y2, Y2
	VPXOR      96(SI), Y3, Y3
	VPXOR      128(SI), Y4, Y4
	VPXOR      160(SI), Y5, Y5
	VPXOR      192(SI), Y6, Y6
	VPXOR      224(SI), Y7, Y7
	ADDQ       $256, SI
	DECQ       CX
	JNZ        loop

done:
	FOLD8(VPXOR, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VMOVDQU Y0, (DI)
	VZEROUPPER
	RET

// func MulAddAVX512(lanes *[16]float32, rounds int)
TEXT ·MulAddAVX512(SB), NOSPLIT, $0-16
	MOVQ         lanes+0(FP), DI
	MOVQ         rounds+8(FP), CX
	ZERO24
	VBROADCASTSS limitHalf<>(SB), Z24
	VBROADCASTSS limitQuarter<>(SB), Z25

	PCALIGN $32
loop:
	ALL24(VFMADD231PS)
	DECQ CX
	JNZ  loop
	FOLD24(VADDPS)
	VMOVUPS Z0, (DI)
	VZEROUPPER
	RET

// func Dot8AVX512(lanes *[16]int32, rounds int)
TEXT ·Dot8AVX512(SB), NOSPLIT, $0-16
	MOVQ         lanes+0(FP), DI
	MOVQ         rounds+8(FP), CX
	ZERO24
	VPBROADCASTD limitFive<>(SB), Z24
	VPBROADCASTD limitThree<>(SB), Z25

	PCALIGN $32
loop:
	ALL24(VPDPBUSD)
	DECQ CX
	JNZ  loop
	FOLD24(VPADDD)
	VMOVDQU32 Z0, (DI)
	VZEROUPPER
	RET

// func MulAddAVX2(lanes *[8]float32, rounds int)
TEXT ·MulAddAVX2(SB), NOSPLIT, $0-16
	MOVQ         lanes+0(FP), DI
	MOVQ         rounds+8(FP), CX
	ZERO8(Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VPXOR        Y8, Y8, Y8
	VPXOR        Y9, Y9, Y9
	VPXOR        Y10, Y10, Y10
	VPXOR        Y11, Y11, Y11
	VBROADCASTSS limitHalf<>(SB), Y12
	VBROADCASTSS limitQuarter<>(SB), Y13

	PCALIGN $32
loop:
	ALL8(VFMADD231PS, Y12, Y13, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VFMADD231PS Y12, Y13, Y8
	VFMADD231PS Y12, Y13, Y9
	VFMADD231PS Y12, Y13, Y10
	VFMADD231PS Y12, Y13, Y11
	DECQ CX
	JNZ  loop
	FOLD8(VADDPS, Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7)
	VADDPS  Y9, Y8, Y8
	VADDPS  Y11, Y10, Y10
	VADDPS  Y8, Y0, Y0
	VADDPS  Y10, Y0, Y0
	VMOVUPS Y0, (DI)
	VZEROUPPER
	RET

// FIRST6 and NEXT6 multiply 32 bytes for each of six sums of 16-bit integers; WIDEN adds such a sum to one of 32 bits.
#define FIRST6 \
	VPMADDUBSW Y13, Y12, Y0 \
	VPMADDUBSW Y13, Y12, Y1 \
	VPMADDUBSW Y13, Y12, Y2 \
	VPMADDUBSW Y13, Y12, Y3 \
	VPMADDUBSW Y13, Y12, Y4 \
	VPMADDUBSW Y13, Y12, Y5

#define NEXT(A, T) \
	VPMADDUBSW Y13, Y12, T \
	VPADDW     T, A, A

#define NEXT6 \
	NEXT(Y0, Y14) \
	NEXT(Y1, Y14) \
	NEXT(Y2, Y14) \
	NEXT(Y3, Y14) \
	NEXT(Y4, Y14) \
	NEXT(Y5, Y14)

#define WIDEN(A, B) \
	VPMADDWD Y15, A, A \
	VPADDD   A, B, B

// func Dot8AVX2(lanes *[8]int32, rounds int)
TEXT ·Dot8AVX2(SB), NOSPLIT, $0-16
	MOVQ         lanes+0(FP), DI
	MOVQ         rounds+8(FP), CX
	ZERO8(Y6, Y7, Y8, Y9, Y10, Y11, Y14, Y15)
	VPBROADCASTD limitThree<>(SB), Y12
	VPBROADCASTD limitFive<>(SB), Y13
	VPBROADCASTD limitOne16<>(SB), Y15

	PCALIGN $32
loop:
	FIRST6
	NEXT6
	NEXT6
	NEXT6
	NEXT6
	NEXT6
	NEXT6
	NEXT6
	WIDEN(Y0, Y6)
	WIDEN(Y1, Y7)
	WIDEN(Y2, Y8)
	WIDEN(Y3, Y9)
	WIDEN(Y4, Y10)
	WIDEN(Y5, Y11)
	DECQ CX
	JNZ  loop
	VPADDD  Y7, Y6, Y6
	VPADDD  Y9, Y8, Y8
	VPADDD  Y11, Y10, Y10
	VPADDD  Y8, Y6, Y6
	VPADDD  Y10, Y6, Y6
	VMOVDQU Y6, (DI)
	VZEROUPPER
	RET
