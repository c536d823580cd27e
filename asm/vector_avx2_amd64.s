//go:build !purego

#include "textflag.h"
#include "data_avx2_amd64.h"

LANEMASKS

// MASK makes Y15 the lanes of the last CX values.
#define MASK \
	LEAQ    laneMask<>(SB), AX \
	NEGQ    CX                 \
	VMOVUPS 32(AX)(CX*4), Y15

// func DotAVX2(a, b *float32, n int) float32
TEXT ·DotAVX2(SB), NOSPLIT, $0-28
	MOVQ   a+0(FP), SI
	MOVQ   b+8(FP), DI
	MOVQ   n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SUBQ   $32, CX
	JLT    few

wide:
	VMOVUPS     (SI), Y4
	VMOVUPS     32(SI), Y5
	VMOVUPS     64(SI), Y6
	VMOVUPS     96(SI), Y7
	VFMADD231PS (DI), Y4, Y0
	VFMADD231PS 32(DI), Y5, Y1
	VFMADD231PS 64(DI), Y6, Y2
	VFMADD231PS 96(DI), Y7, Y3
	ADDQ        $128, SI
	ADDQ        $128, DI
	SUBQ        $32, CX
	JGE         wide

few:
	ADDQ $24, CX
	JLT  rest

eight:
	VMOVUPS     (SI), Y4
	VFMADD231PS (DI), Y4, Y0
	ADDQ        $32, SI
	ADDQ        $32, DI
	SUBQ        $8, CX
	JGE         eight

rest:
	ADDQ        $8, CX
	JZ          sum
	MASK
	VMASKMOVPS  (SI), Y15, Y4
	VMASKMOVPS  (DI), Y15, Y5
	VFMADD231PS Y5, Y4, Y1

sum:
	VADDPS       Y1, Y0, Y0
	VADDPS       Y3, Y2, Y2
	VADDPS       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VPSHUFD      $0x4E, X0, X1
	VADDPS       X1, X0, X0
	VPSHUFD      $0xB1, X0, X1
	VADDPS       X1, X0, X0
	VMOVSS       X0, ret+24(FP)
	VZEROUPPER
	RET

// func AxpyAVX2(alpha float32, x, y *float32, n int)
TEXT ·AxpyAVX2(SB), NOSPLIT, $0-32
	MOVSS        alpha+0(FP), X0
	VBROADCASTSS X0, Y0
	MOVQ         x+8(FP), SI
	MOVQ         y+16(FP), DI
	MOVQ         n+24(FP), CX
	SUBQ         $32, CX
	JLT          few

wide:
	VMOVUPS     (DI), Y1
	VMOVUPS     32(DI), Y2
	VMOVUPS     64(DI), Y3
	VMOVUPS     96(DI), Y4
	VFMADD231PS (SI), Y0, Y1
	VFMADD231PS 32(SI), Y0, Y2
	VFMADD231PS 64(SI), Y0, Y3
	VFMADD231PS 96(SI), Y0, Y4
	VMOVUPS     Y1, (DI)
	VMOVUPS     Y2, 32(DI)
	VMOVUPS     Y3, 64(DI)
	VMOVUPS     Y4, 96(DI)
	ADDQ        $128, SI
	ADDQ        $128, DI
	SUBQ        $32, CX
	JGE         wide

few:
	ADDQ $24, CX
	JLT  rest

eight:
	VMOVUPS     (DI), Y1
	VFMADD231PS (SI), Y0, Y1
	VMOVUPS     Y1, (DI)
	ADDQ        $32, SI
	ADDQ        $32, DI
	SUBQ        $8, CX
	JGE         eight

rest:
	ADDQ        $8, CX
	JZ          done
	MASK
	VMASKMOVPS  (DI), Y15, Y1
	VMASKMOVPS  (SI), Y15, Y2
	VFMADD231PS Y2, Y0, Y1
	VMASKMOVPS  Y1, Y15, (DI)

done:
	VZEROUPPER
	RET

// func SquaresAVX2(x *float32, n int) float64
TEXT ·SquaresAVX2(SB), NOSPLIT, $0-24
	MOVQ   x+0(FP), SI
	MOVQ   n+8(FP), CX
	VXORPD Y0, Y0, Y0
	VXORPD Y1, Y1, Y1
	VXORPD Y2, Y2, Y2
	VXORPD Y3, Y3, Y3
	SUBQ   $16, CX
	JLT    few

wide:
	VCVTPS2PD   (SI), Y4
	VCVTPS2PD   16(SI), Y5
	VCVTPS2PD   32(SI), Y6
	VCVTPS2PD   48(SI), Y7
	VFMADD231PD Y4, Y4, Y0
	VFMADD231PD Y5, Y5, Y1
	VFMADD231PD Y6, Y6, Y2
	VFMADD231PD Y7, Y7, Y3
	ADDQ        $64, SI
	SUBQ        $16, CX
	JGE         wide

few:
	ADDQ $16, CX
	JZ   sum

one:
	VMOVSS      (SI), X4
	VCVTSS2SD   X4, X4, X4
	VMULSD      X4, X4, X4
	VADDPD      Y4, Y0, Y0
	ADDQ        $4, SI
	DECQ        CX
	JNZ         one

sum:
	VADDPD       Y1, Y0, Y0
	VADDPD       Y3, Y2, Y2
	VADDPD       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPD       X1, X0, X0
	VPERMILPD    $1, X0, X1
	VADDSD       X1, X0, X0
	VMOVSD       X0, ret+16(FP)
	VZEROUPPER
	RET

// func ScaleAVX2(dst, x, w *float32, n int, scale float32)
TEXT ·ScaleAVX2(SB), NOSPLIT, $0-36
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         w+16(FP), DX
	MOVQ         n+24(FP), CX
	MOVSS        scale+32(FP), X0
	VBROADCASTSS X0, Y0
	SUBQ         $8, CX
	JLT          rest

eight:
	VMULPS  (SI), Y0, Y1
	VMULPS  (DX), Y1, Y1
	VMOVUPS Y1, (DI)
	ADDQ    $32, SI
	ADDQ    $32, DX
	ADDQ    $32, DI
	SUBQ    $8, CX
	JGE     eight

rest:
	ADDQ       $8, CX
	JZ         done
	MASK
	VMASKMOVPS (SI), Y15, Y1
	VMASKMOVPS (DX), Y15, Y2
	VMULPS     Y0, Y1, Y1
	VMULPS     Y2, Y1, Y1
	VMASKMOVPS Y1, Y15, (DI)

done:
	VZEROUPPER
	RET

// ROTATE turns the pairs (Y0, Y1) by the angles with cosines Y2 and sines Y3; the results are Y4 and Y5. Products are
// rounded before they are added, as the reference does: both then give the same keys, bit by bit.
#define ROTATE \
	VMULPS Y3, Y1, Y4 \
	VMULPS Y2, Y1, Y5 \
	VMULPS Y2, Y0, Y2 \
	VMULPS Y3, Y0, Y3 \
	VSUBPS Y4, Y2, Y4 \
	VADDPS Y5, Y3, Y5

// func RopeHalvesAVX2(x, cos, sin *float32, n int)
TEXT ·RopeHalvesAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ cos+8(FP), SI
	MOVQ sin+16(FP), DX
	MOVQ n+24(FP), CX
	LEAQ (DI)(CX*4), R8
	SUBQ $8, CX
	JLT  rest

eight:
	VMOVUPS (DI), Y0
	VMOVUPS (R8), Y1
	VMOVUPS (SI), Y2
	VMOVUPS (DX), Y3
	ROTATE
	VMOVUPS Y4, (DI)
	VMOVUPS Y5, (R8)
	ADDQ    $32, DI
	ADDQ    $32, R8
	ADDQ    $32, SI
	ADDQ    $32, DX
	SUBQ    $8, CX
	JGE     eight

rest:
	ADDQ       $8, CX
	JZ         done
	MASK
	VMASKMOVPS (DI), Y15, Y0
	VMASKMOVPS (R8), Y15, Y1
	VMASKMOVPS (SI), Y15, Y2
	VMASKMOVPS (DX), Y15, Y3
	ROTATE
	VMASKMOVPS Y4, Y15, (DI)
	VMASKMOVPS Y5, Y15, (R8)

done:
	VZEROUPPER
	RET

// ROTATE4 turns four pairs of neighbours in Y0 by the angles with cosines X2 and sines X3.
#define ROTATE4 \
	VPMOVZXDQ X2, Y2        \
	VPMOVZXDQ X3, Y3        \
	VMOVSLDUP Y2, Y2        \
	VMOVSLDUP Y3, Y3        \
	VPERMILPS $0xB1, Y0, Y1 \
	VMULPS    Y3, Y1, Y1    \
	VMULPS    Y2, Y0, Y0    \
	VADDSUBPS Y1, Y0, Y0

// func RopePairsAVX2(x, cos, sin *float32, n int)
TEXT ·RopePairsAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), DI
	MOVQ cos+8(FP), SI
	MOVQ sin+16(FP), DX
	MOVQ n+24(FP), CX
	SUBQ $4, CX
	JLT  rest

four:
	VMOVUPS (DI), Y0
	VMOVUPS (SI), X2
	VMOVUPS (DX), X3
	ROTATE4
	VMOVUPS Y0, (DI)
	ADDQ    $32, DI
	ADDQ    $16, SI
	ADDQ    $16, DX
	SUBQ    $4, CX
	JGE     four

rest:
	ADDQ       $4, CX
	JZ         done
	MASK
	VMASKMOVPS (SI), X15, X2
	VMASKMOVPS (DX), X15, X3
	VMOVUPS    32(AX)(CX*8), Y15
	VMASKMOVPS (DI), Y15, Y0
	ROTATE4
	VMASKMOVPS Y0, Y15, (DI)

done:
	VZEROUPPER
	RET
