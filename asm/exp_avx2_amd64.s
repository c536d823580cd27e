//go:build !purego

#include "textflag.h"
#include "data_avx2_amd64.h"

SAME32(log2e, $0x3fb8aa3b3fb8aa3b)     // 1/ln 2
SAME32(rounder, $0x4b4000004b400000)   // 1.5·2²³: what is added to it is rounded to an integer
SAME32(ln2, $0x3f3172183f317218)       // ln 2
SAME32(ln2rest, $0xb102e308b102e308)   // and what that is short of
SAME32(expLow, $0xc2aeac4fc2aeac4f)    // ln 2⁻¹²⁶
SAME32(expHigh, $0x42b1721742b17217)   // the largest whose exponential is finite
SAME32(infinity, $0x7f8000007f800000)
SAME32(one, $0x3f8000003f800000)
SAME32(two, $0x4000000040000000)

// The polynomial p of degree 4 for which 1 + r + r²·p(r) has the least relative error in ±ln(2)/2: 3.1e-9.
SAME32(exp0, $0x3efffffe3efffffe)
SAME32(exp1, $0x3e2aaa493e2aaa49)
SAME32(exp2, $0x3d2aac793d2aac79)
SAME32(exp3, $0x3c091cf13c091cf1)
SAME32(exp4, $0x3ab5121a3ab5121a)

#define EXPCONSTANTS \
	VMOVUPS log2e<>(SB), Y15   \
	VMOVUPS rounder<>(SB), Y14 \
	VMOVUPS ln2<>(SB), Y13     \
	VMOVUPS ln2rest<>(SB), Y12 \
	VMOVUPS one<>(SB), Y11     \
	VMOVUPS expLow<>(SB), Y10  \
	VMOVUPS expHigh<>(SB), Y9

// EXP makes P the exponential of X. N and R are overwritten.
#define EXP(X, N, P, R) \
	VMOVAPS     Y14, N               \
	VFMADD231PS Y15, X, N            \
	VSUBPS      Y14, N, P            \
	VMOVAPS     X, R                 \
	VFNMADD231PS Y13, P, R           \
	VFNMADD231PS Y12, P, R           \
	VPSLLD      $23, N, N            \
	VMOVUPS     exp4<>(SB), P        \
	VFMADD213PS exp3<>(SB), R, P     \
	VFMADD213PS exp2<>(SB), R, P     \
	VFMADD213PS exp1<>(SB), R, P     \
	VFMADD213PS exp0<>(SB), R, P     \
	VFMADD213PS Y11, R, P            \
	VFMADD213PS Y11, R, P            \
	VPADDD      N, P, P              \
	VCMPPS      $0x11, Y10, X, N     \
	VANDNPS     P, N, P              \
	VCMPPS      $0x16, Y9, X, N      \
	VADDPS      infinity<>(SB), X, R \
	VBLENDVPS   N, R, P, P

LANEMASKS

// MASK makes Y7 the lanes of the last CX values.
#define MASK \
	LEAQ    laneMask<>(SB), AX \
	NEGQ    CX                 \
	VMOVUPS 32(AX)(CX*4), Y7

#define THREE \
	MOVQ dst+0(FP), DI  \
	MOVQ gate+8(FP), SI \
	MOVQ up+16(FP), DX  \
	MOVQ n+24(FP), CX

// func SoftmaxAVX2(x *float32, n int, scale, most float32) (m, sum float32)
TEXT ·SoftmaxAVX2(SB), NOSPLIT, $0-32
	MOVQ         x+0(FP), DI
	MOVQ         n+8(FP), CX
	MOVSS        scale+16(FP), X7
	VBROADCASTSS X7, Y7
	MOVSS        most+20(FP), X8
	VBROADCASTSS X8, Y8
	VMOVAPS      Y8, Y5
	MOVQ         DI, SI
	MOVQ         CX, DX

most:
	VMULPS (SI), Y7, Y0
	VMULPS 32(SI), Y7, Y1
	VMAXPS Y0, Y8, Y8
	VMAXPS Y1, Y5, Y5
	ADDQ   $64, SI
	SUBQ   $16, DX
	JNZ    most
	VMAXPS       Y5, Y8, Y8
	VEXTRACTF128 $1, Y8, X0
	VMAXPS       X0, X8, X8
	VPSHUFD      $0x4E, X8, X0
	VMAXPS       X0, X8, X8
	VPSHUFD      $0xB1, X8, X0
	VMAXPS       X0, X8, X8
	VMOVSS       X8, m+24(FP)
	VBROADCASTSS X8, Y8
	EXPCONSTANTS
	VXORPS       Y6, Y6, Y6

eight:
	VMULPS (DI), Y7, Y0
	VSUBPS Y8, Y0, Y0
	EXP(Y0, Y1, Y2, Y3)
	VMOVUPS Y2, (DI)
	VADDPS  Y2, Y6, Y6
	ADDQ    $32, DI
	SUBQ    $8, CX
	JNZ     eight
	VEXTRACTF128 $1, Y6, X0
	VADDPS       X0, X6, X6
	VPSHUFD      $0x4E, X6, X0
	VADDPS       X0, X6, X6
	VPSHUFD      $0xB1, X6, X0
	VADDPS       X0, X6, X6
	VMOVSS       X6, sum+28(FP)
	VZEROUPPER
	RET

// LOGISTIC makes Y2 the value X over 1 plus the exponential of Y0, times UP.
#define LOGISTIC(X, UP) \
	EXP(Y0, Y1, Y2, Y3) \
	VADDPS Y11, Y2, Y2  \
	VDIVPS Y2, X, Y2    \
	VMULPS UP, Y2, Y2

SAME32(sign, $0x8000000080000000)

#define NEXT3 \
	VMOVUPS Y2, (DI) \
	ADDQ    $32, DI  \
	ADDQ    $32, SI  \
	ADDQ    $32, DX  \
	SUBQ    $8, CX

// func SwiGLUAVX2(dst, gate, up *float32, n int)
TEXT ·SwiGLUAVX2(SB), NOSPLIT, $0-32
	THREE
	EXPCONSTANTS
	VMOVUPS sign<>(SB), Y8
	SUBQ    $8, CX
	JLT     rest

eight:
	VMOVUPS (SI), Y4
	VXORPS  Y8, Y4, Y0
	LOGISTIC(Y4, (DX))
	NEXT3
	JGE     eight

rest:
	ADDQ       $8, CX
	JZ         done
	MASK
	VMASKMOVPS (SI), Y7, Y4
	VMASKMOVPS (DX), Y7, Y5
	VXORPS     Y8, Y4, Y0
	LOGISTIC(Y4, Y5)
	VMASKMOVPS Y2, Y7, (DI)

done:
	VZEROUPPER
	RET

SAME32(geluScale, $0xbfcc422abfcc422a) // −2·√(2/π)
SAME32(geluCube, $0x3d3727133d372713)  // 0.044715

// GELU makes Y0 −2·√(2/π)·(x + 0.044715·x³), with x in Y4.
#define GELU \
	VMULPS      Y4, Y4, Y0              \
	VFMADD132PS geluCube<>(SB), Y11, Y0 \
	VMULPS      Y4, Y0, Y0              \
	VMULPS      Y8, Y0, Y0

// func GeGLUAVX2(dst, gate, up *float32, n int)
TEXT ·GeGLUAVX2(SB), NOSPLIT, $0-32
	THREE
	EXPCONSTANTS
	VMOVUPS geluScale<>(SB), Y8
	SUBQ    $8, CX
	JLT     rest

eight:
	VMOVUPS (SI), Y4
	GELU
	LOGISTIC(Y4, (DX))
	NEXT3
	JGE     eight

rest:
	ADDQ       $8, CX
	JZ         done
	MASK
	VMASKMOVPS (SI), Y7, Y4
	VMASKMOVPS (DX), Y7, Y5
	GELU
	LOGISTIC(Y4, Y5)
	VMASKMOVPS Y2, Y7, (DI)

done:
	VZEROUPPER
	RET

SAME32(magnitude, $0x7fffffff7fffffff)
SAME32(tanhSmall, $0x3f2000003f200000) // 0.625

// The polynomial p of degree 4 for which y + y³·p(y²) has the least relative error, 4.4e-9, up to 0.625.
SAME32(tanh0, $0xbeaaaa99beaaaa99)
SAME32(tanh1, $0x3e0883933e088393)
SAME32(tanh2, $0xbd5c1e2dbd5c1e2d)
SAME32(tanh3, $0x3ca9134e3ca9134e)
SAME32(tanh4, $0xbbbaf0e6bbbaf0e6)

// TANH makes Y4 its own hyperbolic tangent: of magnitudes z below 0.625 by the polynomial, of others 1 − 2/(e^{2z}+1).
#define TANH \
	VANDPS      magnitude<>(SB), Y4, Y5        \
	VADDPS      Y5, Y5, Y0                     \
	EXP(Y0, Y1, Y2, Y3)                        \
	VADDPS      Y11, Y2, Y2                    \
	VMOVUPS     two<>(SB), Y0                  \
	VDIVPS      Y2, Y0, Y2                     \
	VSUBPS      Y2, Y11, Y2                    \
	VANDPS      sign<>(SB), Y4, Y0             \
	VORPS       Y0, Y2, Y2                     \
	VMULPS      Y4, Y4, Y0                     \
	VMOVUPS     tanh4<>(SB), Y1                \
	VFMADD213PS tanh3<>(SB), Y0, Y1            \
	VFMADD213PS tanh2<>(SB), Y0, Y1            \
	VFMADD213PS tanh1<>(SB), Y0, Y1            \
	VFMADD213PS tanh0<>(SB), Y0, Y1            \
	VMULPS      Y0, Y1, Y1                     \
	VFMADD213PS Y4, Y4, Y1                     \
	VCMPPS      $0x11, tanhSmall<>(SB), Y5, Y3 \
	VBLENDVPS   Y3, Y1, Y2, Y4

// func SoftcapAVX2(x *float32, n int, limit float32)
TEXT ·SoftcapAVX2(SB), NOSPLIT, $0-20
	MOVQ         x+0(FP), DI
	MOVQ         n+8(FP), CX
	MOVSS        limit+16(FP), X8
	VBROADCASTSS X8, Y8
	EXPCONSTANTS
	SUBQ         $8, CX
	JLT          rest

eight:
	VMOVUPS (DI), Y4
	VDIVPS  Y8, Y4, Y4
	TANH
	VMULPS  Y8, Y4, Y4
	VMOVUPS Y4, (DI)
	ADDQ    $32, DI
	SUBQ    $8, CX
	JGE     eight

rest:
	ADDQ       $8, CX
	JZ         done
	MASK
	VMASKMOVPS (DI), Y7, Y4
	VDIVPS     Y8, Y4, Y4
	TANH
	VMULPS     Y8, Y4, Y4
	VMASKMOVPS Y4, Y7, (DI)

done:
	VZEROUPPER
	RET
