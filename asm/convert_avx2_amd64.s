//go:build !purego

#include "textflag.h"
#include "data_avx2_amd64.h"

SAME32(magnitude, $0x7fffffff7fffffff)
SAME32(notFinite, $0x8000000080000000)
SAME32(f127, $0x42fe000042fe0000)
SAME32(ones8, $0x0101010101010101)
SAME32(ones16, $0x0001000100010001)

// The order of the eight groups of four bytes that packing leaves.
DATA packed<>+0(SB)/8, $0x0000000400000000
DATA packed<>+8(SB)/8, $0x0000000500000001
DATA packed<>+16(SB)/8, $0x0000000600000002
DATA packed<>+24(SB)/8, $0x0000000700000003
GLOBL packed<>(SB), RODATA|NOPTR, $32

// ROUND scales the values in Y and rounds them to integers; what is not finite becomes 0.
#define ROUND(Y, T) \
	VMULPS    Y6, Y, Y  \
	VCVTPS2DQ Y, Y      \
	VPCMPEQD  Y14, Y, T \
	VPANDN    Y, T, Y

// func QuantizeQ8AVX2(q *int8, scales *float32, sums *int16, starts *int32, blockSums *float32, x *float32, blocks int)
TEXT ·QuantizeQ8AVX2(SB), NOSPLIT, $0-56
	MOVQ    q+0(FP), DI
	MOVQ    scales+8(FP), R8
	MOVQ    sums+16(FP), R9
	MOVQ    starts+24(FP), R10
	MOVQ    blockSums+32(FP), R11
	MOVQ    x+40(FP), SI
	MOVQ    blocks+48(FP), CX
	XORQ    BX, BX
	VMOVUPS magnitude<>(SB), Y15
	VMOVDQU notFinite<>(SB), Y14
	VMOVUPS f127<>(SB), Y13
	VMOVDQU packed<>(SB), Y12
	VXORPS  Y11, Y11, Y11
	TESTQ   CX, CX
	JZ      done

block:
	VMOVUPS      (SI), Y0
	VMOVUPS      32(SI), Y1
	VMOVUPS      64(SI), Y2
	VMOVUPS      96(SI), Y3
	VANDPS       Y15, Y0, Y4
	VANDPS       Y15, Y1, Y5
	VANDPS       Y15, Y2, Y6
	VANDPS       Y15, Y3, Y7
	VPMAXUD      Y5, Y4, Y4        // as integers, which orders NaN above all
	VPMAXUD      Y7, Y6, Y6
	VPMAXUD      Y6, Y4, Y4
	VEXTRACTI128 $1, Y4, X5
	VPMAXUD      X5, X4, X4
	VPSHUFD      $0x4E, X4, X5
	VPMAXUD      X5, X4, X4
	VPSHUFD      $0xB1, X4, X5
	VPMAXUD      X5, X4, X4
	VDIVPS       X13, X4, X5       // scale
	VDIVPS       X4, X13, X6       // its inverse
	VCMPPS       $0x1E, X11, X4, X7
	VANDPS       X7, X6, X6
	VBROADCASTSS X6, Y6
	VMOVSS       X5, (R8)(BX*4)
	ROUND(Y0, Y7)
	ROUND(Y1, Y8)
	ROUND(Y2, Y9)
	ROUND(Y3, Y10)
	VPACKSSDW    Y1, Y0, Y0
	VPACKSSDW    Y3, Y2, Y2
	VPACKSSWB    Y2, Y0, Y0
	VPERMD       Y0, Y12, Y0
	VMOVDQU      Y0, (DI)
	VMOVDQU      ones8<>(SB), Y1
	VPMADDUBSW   Y0, Y1, Y1
	VPMADDWD     ones16<>(SB), Y1, Y1
	VPSHUFD      $0x4E, Y1, Y2
	VPADDD       Y2, Y1, Y1
	VPSHUFD      $0xB1, Y1, Y2
	VPADDD       Y2, Y1, Y1
	VEXTRACTI128 $1, Y1, X2
	VPUNPCKLWD   X2, X1, X3
	VMOVD        X3, (R9)(BX*4)
	VPADDD       X2, X1, X1
	VPSLLD       $7, X1, X2
	VPSUBD       X2, X11, X2
	VMOVD        X2, (R10)(BX*4)
	VCVTDQ2PS    X1, X1
	VMULSS       X5, X1, X1
	VMOVSS       X1, (R11)(BX*4)
	ADDQ         $128, SI
	ADDQ         $32, DI
	INCQ         BX
	CMPQ         BX, CX
	JNE          block

done:
	VZEROUPPER
	RET

SAME32(infinity, $0x7f8000007f800000)
SAME32(half, $0x00007fff00007fff)
SAME32(payload, $0x007f0000007f0000)
SAME32(quiet, $0x0000004000000040)
SAME32(one, $0x0000000100000001)

// func RoundBF16AVX2(dst *uint16, x *float32, n int)
TEXT ·RoundBF16AVX2(SB), NOSPLIT, $0-24
	MOVQ    dst+0(FP), DI
	MOVQ    x+8(FP), SI
	MOVQ    n+16(FP), CX
	VMOVDQU magnitude<>(SB), Y15
	VMOVDQU infinity<>(SB), Y14
	VMOVDQU half<>(SB), Y13
	VMOVDQU payload<>(SB), Y12
	VMOVDQU quiet<>(SB), Y11
	VMOVDQU one<>(SB), Y10
	VPXOR   Y9, Y9, Y9
	TESTQ   CX, CX
	JZ      done

eight:
	VMOVDQU      (SI), Y0
	VPSRLD       $16, Y0, Y1
	VPAND        Y10, Y1, Y2        // the last bit that stays
	VPADDD       Y13, Y2, Y2
	VPADDD       Y0, Y2, Y2
	VPSRLD       $16, Y2, Y2        // rounded
	VPAND        Y12, Y0, Y3
	VPCMPEQD     Y9, Y3, Y3
	VPAND        Y11, Y3, Y3
	VPOR         Y3, Y1, Y1         // as a NaN
	VPAND        Y15, Y0, Y0
	VPCMPGTD     Y14, Y0, Y0
	VPBLENDVB    Y0, Y1, Y2, Y2
	VEXTRACTI128 $1, Y2, X3
	VPACKUSDW    X3, X2, X2
	VMOVDQU      X2, (DI)
	ADDQ         $32, SI
	ADDQ         $16, DI
	DECQ         CX
	JNZ          eight

done:
	VZEROUPPER
	RET

// func WidenF16AVX2(dst *float32, src *byte, n int)
TEXT ·WidenF16AVX2(SB), NOSPLIT, $0-24
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	SUBQ  $4, CX
	JLT   few

wide:
	PREFETCHT0 4096(SI) // what is decoded after these rows have met all columns
	VCVTPH2PS  (SI), Y0
	VCVTPH2PS  16(SI), Y1
	VCVTPH2PS  32(SI), Y2
	VCVTPH2PS  48(SI), Y3
	VMOVUPS    Y0, (DI)
	VMOVUPS    Y1, 32(DI)
	VMOVUPS    Y2, 64(DI)
	VMOVUPS    Y3, 96(DI)
	ADDQ       $64, SI
	ADDQ       $128, DI
	SUBQ       $4, CX
	JGE        wide

few:
	ADDQ $4, CX
	JZ   done

eight:
	VCVTPH2PS (SI), Y0
	VMOVUPS   Y0, (DI)
	ADDQ      $16, SI
	ADDQ      $32, DI
	DECQ      CX
	JNZ       eight

done:
	VZEROUPPER
	RET

// func WidenQ8_0AVX2(dst *float32, src *byte, n int)
TEXT ·WidenQ8_0AVX2(SB), NOSPLIT, $0-24
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	TESTQ CX, CX
	JZ    done

block:
	PREFETCHT0   4096(SI) // beyond the end at times, which does no harm
	VPBROADCASTW (SI), X0
	VCVTPH2PS    X0, Y0
	VPMOVSXBD    2(SI), Y1
	VPMOVSXBD    10(SI), Y2
	VPMOVSXBD    18(SI), Y3
	VPMOVSXBD    26(SI), Y4
	VCVTDQ2PS    Y1, Y1
	VCVTDQ2PS    Y2, Y2
	VCVTDQ2PS    Y3, Y3
	VCVTDQ2PS    Y4, Y4
	VMULPS       Y0, Y1, Y1
	VMULPS       Y0, Y2, Y2
	VMULPS       Y0, Y3, Y3
	VMULPS       Y0, Y4, Y4
	VMOVUPS      Y1, (DI)
	VMOVUPS      Y2, 32(DI)
	VMOVUPS      Y3, 64(DI)
	VMOVUPS      Y4, 96(DI)
	ADDQ         $34, SI
	ADDQ         $128, DI
	DECQ         CX
	JNZ          block

done:
	VZEROUPPER
	RET

// func WidenKeysQ8_0AVX2(dst *float32, src *byte, n int)
TEXT ·WidenKeysQ8_0AVX2(SB), NOSPLIT, $0-24
	MOVQ  dst+0(FP), DI
	MOVQ  src+8(FP), SI
	MOVQ  n+16(FP), CX
	TESTQ CX, CX
	JZ    done

block:
	VCVTPH2PS (SI), Y0
	VCVTPH2PS 16(SI), Y1
	ADDQ      $32, SI
	MOVQ      $16, AX

two:
	VPMOVSXBD (SI), Y2
	VPMOVSXBD 8(SI), Y3
	VPMOVSXBD 16(SI), Y4
	VPMOVSXBD 24(SI), Y5
	VCVTDQ2PS Y2, Y2
	VCVTDQ2PS Y3, Y3
	VCVTDQ2PS Y4, Y4
	VCVTDQ2PS Y5, Y5
	VMULPS    Y0, Y2, Y2
	VMULPS    Y1, Y3, Y3
	VMULPS    Y0, Y4, Y4
	VMULPS    Y1, Y5, Y5
	VMOVUPS   Y2, (DI)
	VMOVUPS   Y3, 32(DI)
	VMOVUPS   Y4, 64(DI)
	VMOVUPS   Y5, 96(DI)
	ADDQ      $32, SI
	ADDQ      $128, DI
	DECQ      AX
	JNZ       two
	DECQ      CX
	JNZ       block

done:
	VZEROUPPER
	RET
