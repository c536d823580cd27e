//go:build !purego

#include "textflag.h"

// func HalvesAVX2(dst *float32, src *byte, stride, n int, flip uint32)
TEXT ·HalvesAVX2(SB), NOSPLIT, $0-36
	MOVQ         dst+0(FP), DI
	MOVQ         src+8(FP), SI
	MOVQ         stride+16(FP), R8
	MOVQ         n+24(FP), CX
	MOVL         flip+32(FP), AX
	VMOVD        AX, X15
	VPBROADCASTD X15, X15
	LEAQ         (R8)(R8*2), R9
	VPXOR        X0, X0, X0
	SUBQ         $4, CX
	JLT          few

four:
	VPINSRW   $0, (SI), X0, X0
	VPINSRW   $1, (SI)(R8*1), X0, X0
	VPINSRW   $2, (SI)(R8*2), X0, X0
	VPINSRW   $3, (SI)(R9*1), X0, X0
	VCVTPH2PS X0, X1
	VPXOR     X15, X1, X1
	VMOVDQU   X1, (DI)
	LEAQ      (SI)(R8*4), SI
	ADDQ      $16, DI
	SUBQ      $4, CX
	JGE       four

few:
	ADDQ $4, CX
	JZ   done

one:
	VPINSRW   $0, (SI), X0, X0
	VCVTPH2PS X0, X1
	VPXOR     X15, X1, X1
	VMOVD     X1, (DI)
	ADDQ      R8, SI
	ADDQ      $4, DI
	DECQ      CX
	JNZ       one

done:
	VZEROUPPER
	RET

// The header of a block is d, dmin, and twelve bytes a0, a1 and a2 of 32 bits. Of a0, a2, a1 and a2:
DATA k4Shift<>+0(SB)/8, $0x0000000000000000
DATA k4Shift<>+8(SB)/8, $0x0000000400000000
GLOBL k4Shift<>(SB), RODATA|NOPTR, $16

DATA k4Low<>+0(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA k4Low<>+8(SB)/8, $0x0f0f0f0f3f3f3f3f
GLOBL k4Low<>(SB), RODATA|NOPTR, $16

// And of a0, a0, a0 and a1, shifted:
DATA k4High<>+0(SB)/8, $0x3030303000000000
DATA k4High<>+8(SB)/8, $0x3030303000000000
GLOBL k4High<>(SB), RODATA|NOPTR, $16

// func ScalesK4AVX2(scales, mins *float32, src *byte, stride, blocks int)
TEXT ·ScalesK4AVX2(SB), NOSPLIT, $0-40
	MOVQ  scales+0(FP), DI
	MOVQ  mins+8(FP), DX
	MOVQ  src+16(FP), SI
	MOVQ  stride+24(FP), R8
	MOVQ  blocks+32(FP), CX
	TESTQ CX, CX
	JZ    done

block:
	VMOVDQU      (SI), X0
	VPSHUFD      $0xED, X0, X1
	VPSHUFD      $0x95, X0, X2
	VPSRLVD      k4Shift<>(SB), X1, X1
	VPSRLD       $2, X2, X2
	VPAND        k4Low<>(SB), X1, X1
	VPAND        k4High<>(SB), X2, X2
	VPOR         X2, X1, X1
	VPSRLDQ      $8, X1, X2
	VPMOVZXBD    X1, Y1
	VPMOVZXBD    X2, Y2
	VCVTDQ2PS    Y1, Y1
	VCVTDQ2PS    Y2, Y2
	VPSRLD       $16, X0, X3
	VPBROADCASTW X0, X0
	VPBROADCASTW X3, X3
	VCVTPH2PS    X0, Y0
	VCVTPH2PS    X3, Y3
	VMULPS       Y0, Y1, Y1
	VMULPS       Y3, Y2, Y2
	VMOVUPS      Y1, (DI)
	VMOVUPS      Y2, (DX)
	ADDQ         R8, SI
	ADDQ         $32, DI
	ADDQ         $32, DX
	DECQ         CX
	JNZ          block

done:
	VZEROUPPER
	RET

// The low word of every 32 bits, twice.
DATA lowTwice<>+0(SB)/8, $0x0504050401000100
DATA lowTwice<>+8(SB)/8, $0x0d0c0d0c09080908
DATA lowTwice<>+16(SB)/8, $0x0504050401000100
DATA lowTwice<>+24(SB)/8, $0x0d0c0d0c09080908
GLOBL lowTwice<>(SB), RODATA|NOPTR, $32

// func FactorsAVX2(factors, zeros *uint32, scales *int8, zero int)
TEXT ·FactorsAVX2(SB), NOSPLIT, $0-32
	MOVQ         factors+0(FP), DI
	MOVQ         zeros+8(FP), DX
	MOVQ         scales+16(FP), SI
	MOVQ         zero+24(FP), AX
	NEGQ         AX
	VMOVD        AX, X3
	VPBROADCASTW X3, Y3
	VPMOVSXBD    (SI), Y0
	VPMOVSXBD    8(SI), Y1
	VPMOVSXBW    (SI), Y2
	VPSHUFB      lowTwice<>(SB), Y0, Y0
	VPSHUFB      lowTwice<>(SB), Y1, Y1
	VPMULLW      Y3, Y2, Y2
	VMOVDQU      Y0, (DI)
	VMOVDQU      Y1, 32(DI)
	VMOVDQU      Y2, (DX)
	VZEROUPPER
	RET

DATA low4<>+0(SB)/8, $0x0f0f0f0f0f0f0f0f
DATA low4<>+8(SB)/8, $0x0f0f0f0f0f0f0f0f
GLOBL low4<>(SB), RODATA|NOPTR, $16

// func FactorsQ2_KAVX2(factors, minFactors *uint32, src *byte)
TEXT ·FactorsQ2_KAVX2(SB), NOSPLIT, $0-24
	MOVQ      factors+0(FP), DI
	MOVQ      minFactors+8(FP), DX
	MOVQ      src+16(FP), SI
	VMOVDQU   (SI), X0
	VPSRLW    $4, X0, X1
	VPAND     low4<>(SB), X0, X0
	VPAND     low4<>(SB), X1, X1
	VPMOVZXBW X1, Y1
	VPSRLDQ   $8, X0, X2
	VPMOVZXBD X0, Y0
	VPMOVZXBD X2, Y2
	VPSHUFB   lowTwice<>(SB), Y0, Y0
	VPSHUFB   lowTwice<>(SB), Y2, Y2
	VMOVDQU   Y0, (DI)
	VMOVDQU   Y2, 32(DI)
	VMOVDQU   Y1, (DX)
	VZEROUPPER
	RET
