//go:build !purego

#include "textflag.h"

#define NEXT(SIZE) \
	ADDQ $SIZE, SI \
	DECQ CX        \
	JNZ  block

// func ScalesQ2_KAVX512(scales, mins *float32, src *byte, blocks int)
TEXT ·ScalesQ2_KAVX512(SB), NOSPLIT, $0-32
	MOVQ         scales+0(FP), DI
	MOVQ         mins+8(FP), DX
	MOVQ         src+16(FP), SI
	MOVQ         blocks+24(FP), CX
	MOVL         $15, AX
	VPBROADCASTD AX, Z31
	TESTQ        CX, CX
	JZ           done

block:
	VPMOVZXBD    (SI), Z0
	VPBROADCASTW 80(SI), Y2
	VPBROADCASTW 82(SI), Y3
	VPSRLD       $4, Z0, Z1
	VPANDD       Z31, Z0, Z0
	VCVTPH2PS    Y2, Z2
	VCVTPH2PS    Y3, Z3
	VCVTDQ2PS    Z0, Z0
	VCVTDQ2PS    Z1, Z1
	VMULPS       Z2, Z0, Z0
	VMULPS       Z3, Z1, Z1
	VMOVUPS      Z0, (DI)
	VMOVUPS      Z1, (DX)
	ADDQ         $64, DI
	ADDQ         $64, DX
	NEXT(84)

done:
	VZEROUPPER
	RET

// The low four bits of scales 0 to 7 are in the lower halves of eight bytes, those of 8 to 15 in the upper ones; the
// other two of 0 to 3 in bits 0 and 1 of four bytes, of 4 to 7 in bits 2 and 3, and so on.
DATA q3Low<>+0(SB)/8, $0x0000000000000000
DATA q3Low<>+8(SB)/8, $0x0000000400000004
GLOBL q3Low<>(SB), RODATA|NOPTR, $16

DATA q3High<>+0(SB)/8, $0x0000000200000004
DATA q3High<>+8(SB)/8, $0x0000001e00000000
GLOBL q3High<>(SB), RODATA|NOPTR, $16

// func ScalesQ3_KAVX512(scales *float32, src *byte, blocks int)
TEXT ·ScalesQ3_KAVX512(SB), NOSPLIT, $0-24
	MOVQ         scales+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         blocks+16(FP), CX
	MOVL         $0x0f0f0f0f, AX
	VPBROADCASTD AX, X31
	MOVL         $0x30303030, AX
	VPBROADCASTD AX, X30
	MOVL         $0x20202020, AX
	VPBROADCASTD AX, X29
	TESTQ        CX, CX
	JZ           done

block:
	VPBROADCASTQ 96(SI), X0
	VPBROADCASTD 104(SI), X1
	VPBROADCASTW 108(SI), Y2
	VPSRLVD      q3Low<>(SB), X0, X0
	VPROLVD      q3High<>(SB), X1, X1
	VPANDD       X31, X0, X0
	VPTERNLOGD   $0xF8, X30, X1, X0
	VPSUBB       X29, X0, X0
	VPMOVSXBD    X0, Z0
	VCVTPH2PS    Y2, Z2
	VCVTDQ2PS    Z0, Z0
	VMULPS       Z2, Z0, Z0
	VMOVUPS      Z0, (DI)
	ADDQ         $64, DI
	NEXT(110)

done:
	VZEROUPPER
	RET

// func ScalesQ6_KAVX512(scales *float32, src *byte, blocks int)
TEXT ·ScalesQ6_KAVX512(SB), NOSPLIT, $0-24
	MOVQ  scales+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  blocks+16(FP), CX
	TESTQ CX, CX
	JZ    done

block:
	VPMOVSXBD    192(SI), Z0
	VPBROADCASTW 208(SI), Y2
	VCVTPH2PS    Y2, Z2
	VCVTDQ2PS    Z0, Z0
	VMULPS       Z2, Z0, Z0
	VMOVUPS      Z0, (DI)
	ADDQ         $64, DI
	NEXT(210)

done:
	VZEROUPPER
	RET

// Scale g has its low four bits from bit 4·g of 32 on, its upper two from bit 2·g of 16.
DATA iq4Low<>+0(SB)/8, $0x0000000400000000
DATA iq4Low<>+8(SB)/8, $0x0000000c00000008
DATA iq4Low<>+16(SB)/8, $0x0000001400000010
DATA iq4Low<>+24(SB)/8, $0x0000001c00000018
GLOBL iq4Low<>(SB), RODATA|NOPTR, $32

// How far those rotate, of 16 bits twice, to bit 4.
DATA iq4High<>+0(SB)/8, $0x0000000200000004
DATA iq4High<>+8(SB)/8, $0x0000001e00000000
DATA iq4High<>+16(SB)/8, $0x0000001a0000001c
DATA iq4High<>+24(SB)/8, $0x0000001600000018
GLOBL iq4High<>(SB), RODATA|NOPTR, $32

// func ScalesIQ4_XSAVX512(scales *float32, src *byte, blocks int)
TEXT ·ScalesIQ4_XSAVX512(SB), NOSPLIT, $0-24
	MOVQ         scales+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         blocks+16(FP), CX
	MOVL         $15, AX
	VPBROADCASTD AX, Y31
	MOVL         $48, AX
	VPBROADCASTD AX, Y30
	MOVL         $32, AX
	VPBROADCASTD AX, Y29
	TESTQ        CX, CX
	JZ           done

block:
	VPBROADCASTD 4(SI), Y0
	VPBROADCASTW 2(SI), Y1
	VPBROADCASTW (SI), X2
	VPSRLVD      iq4Low<>(SB), Y0, Y0
	VPROLVD      iq4High<>(SB), Y1, Y1
	VPANDD       Y31, Y0, Y0
	VPTERNLOGD   $0xF8, Y30, Y1, Y0
	VPSUBD       Y29, Y0, Y0
	VCVTPH2PS    X2, Y2
	VCVTDQ2PS    Y0, Y0
	VMULPS       Y2, Y0, Y0
	VMOVUPS      Y0, (DI)
	ADDQ         $32, DI
	NEXT(136)

done:
	VZEROUPPER
	RET

// Lanes 0 to 7, twice each.
DATA pairs<>+0(SB)/8, $0x0000000000000000
DATA pairs<>+8(SB)/8, $0x0000000100000001
DATA pairs<>+16(SB)/8, $0x0000000200000002
DATA pairs<>+24(SB)/8, $0x0000000300000003
DATA pairs<>+32(SB)/8, $0x0000000400000004
DATA pairs<>+40(SB)/8, $0x0000000500000005
DATA pairs<>+48(SB)/8, $0x0000000600000006
DATA pairs<>+56(SB)/8, $0x0000000700000007
GLOBL pairs<>(SB), RODATA|NOPTR, $64

// func HalvesQ8AVX512(starts *int32, scales, sums *float32, q8Sums *int16, q8Scales *float32, blocks int)
TEXT ·HalvesQ8AVX512(SB), NOSPLIT, $0-48
	MOVQ      starts+0(FP), DI
	MOVQ      scales+8(FP), R8
	MOVQ      sums+16(FP), R9
	MOVQ      q8Sums+24(FP), SI
	MOVQ      q8Scales+32(FP), BX
	MOVQ      blocks+40(FP), DX
	VMOVDQU64 pairs<>(SB), Z31
	VPXORD    Z30, Z30, Z30
	XORQ      AX, AX            // blocks done

eight:
	// K1 and K2 cover the blocks that are left, up to eight, and their halves.
	MOVQ         DX, CX
	SUBQ         AX, CX
	JLE          done
	MOVQ         $8, R10
	CMPQ         CX, R10
	CMOVQGT      R10, CX
	MOVL         $1, R10
	SHLL         CX, R10
	DECL         R10
	KMOVW        R10, K1
	MOVL         $1, R10
	SHLL         CX, R10
	SHLL         CX, R10
	DECL         R10
	KMOVW        R10, K2
	VMOVUPS.Z    (BX)(AX*4), K1, Y1
	VMOVDQU16.Z  (SI)(AX*4), K2, Y0
	VPERMPS      Z1, Z31, Z1
	VPMOVSXWD    Y0, Z0
	VCVTDQ2PS    Z0, Z2
	VPSLLD       $7, Z0, Z0
	VPSUBD       Z0, Z30, Z0
	VMULPS       Z1, Z2, Z2
	VMOVDQU32    Z0, K2, (DI)(AX*8)
	VMOVUPS      Z1, K2, (R8)(AX*8)
	VMOVUPS      Z2, K2, (R9)(AX*8)
	ADDQ         $8, AX
	JMP          eight

done:
	VZEROUPPER
	RET
