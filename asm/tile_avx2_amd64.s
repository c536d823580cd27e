//go:build !purego

#include "textflag.h"
#include "data_avx2_amd64.h"

SAME32(low4, $0x0f0f0f0f0f0f0f0f)

#define ARGS \
	MOVQ dst+0(FP), DI     \
	MOVQ src+8(FP), SI     \
	MOVQ stride+16(FP), R8 \
	MOVQ n+24(FP), CX      \
	LEAQ (R8)(R8*2), R9    \
	LEAQ (SI)(R8*4), R10   \
	TESTQ CX, CX           \
	JZ   done

// EIGHT loads 32 bytes of eight rows, adds Y15 to every byte, and transposes them in pieces of 32 bits: columns 0 to 7
// end in Y8, Y9, Y12, Y13, Y10, Y11, Y14 and Y0.
#define EIGHT \
	VMOVDQU     (SI), Y0           \
	VMOVDQU     (SI)(R8*1), Y1     \
	VMOVDQU     (SI)(R8*2), Y2     \
	VMOVDQU     (SI)(R9*1), Y3     \
	VMOVDQU     (R10), Y4          \
	VMOVDQU     (R10)(R8*1), Y5    \
	VMOVDQU     (R10)(R8*2), Y6    \
	VMOVDQU     (R10)(R9*1), Y7    \
	VPADDB      Y15, Y0, Y0        \
	VPADDB      Y15, Y1, Y1        \
	VPADDB      Y15, Y2, Y2        \
	VPADDB      Y15, Y3, Y3        \
	VPADDB      Y15, Y4, Y4        \
	VPADDB      Y15, Y5, Y5        \
	VPADDB      Y15, Y6, Y6        \
	VPADDB      Y15, Y7, Y7        \
	VPUNPCKLDQ  Y1, Y0, Y8         \
	VPUNPCKHDQ  Y1, Y0, Y9         \
	VPUNPCKLDQ  Y3, Y2, Y10        \
	VPUNPCKHDQ  Y3, Y2, Y11        \
	VPUNPCKLDQ  Y5, Y4, Y12        \
	VPUNPCKHDQ  Y5, Y4, Y13        \
	VPUNPCKLDQ  Y7, Y6, Y14        \
	VPUNPCKHDQ  Y7, Y6, Y0         \
	VPUNPCKLQDQ Y10, Y8, Y1        \
	VPUNPCKHQDQ Y10, Y8, Y2        \
	VPUNPCKLQDQ Y11, Y9, Y3        \
	VPUNPCKHQDQ Y11, Y9, Y4        \
	VPUNPCKLQDQ Y14, Y12, Y5       \
	VPUNPCKHQDQ Y14, Y12, Y6       \
	VPUNPCKLQDQ Y0, Y13, Y7        \
	VPUNPCKHQDQ Y0, Y13, Y0        \
	VPERM2I128  $0x20, Y5, Y1, Y8  \
	VPERM2I128  $0x31, Y5, Y1, Y10 \
	VPERM2I128  $0x20, Y6, Y2, Y9  \
	VPERM2I128  $0x31, Y6, Y2, Y11 \
	VPERM2I128  $0x20, Y7, Y3, Y12 \
	VPERM2I128  $0x31, Y7, Y3, Y14 \
	VPERM2I128  $0x20, Y0, Y4, Y13 \
	VPERM2I128  $0x31, Y0, Y4, Y0  \
	ADDQ        $32, SI            \
	ADDQ        $32, R10

// SECOND goes on with rows 8 to 15 and the other half of the destination.
#define SECOND \
	MOVQ dst+0(FP), DI   \
	ADDQ $32, DI         \
	MOVQ src+8(FP), SI   \
	LEAQ (SI)(R8*8), SI  \
	LEAQ (SI)(R8*4), R10 \
	MOVQ n+24(FP), CX

// func TileAVX2(dst, src *byte, stride, n int, add uint32)
TEXT ·TileAVX2(SB), NOSPLIT, $0-36
	MOVL         add+32(FP), AX
	VMOVD        AX, X15
	VPBROADCASTD X15, Y15
	ARGS
	MOVQ $2, R11

half:
	EIGHT
	VMOVDQU Y8, (DI)
	VMOVDQU Y9, 64(DI)
	VMOVDQU Y12, 128(DI)
	VMOVDQU Y13, 192(DI)
	VMOVDQU Y10, 256(DI)
	VMOVDQU Y11, 320(DI)
	VMOVDQU Y14, 384(DI)
	VMOVDQU Y0, 448(DI)
	ADDQ    $512, DI
	DECQ    CX
	JNZ     half
	SECOND
	DECQ    R11
	JNZ     half

done:
	VZEROUPPER
	RET

// NIBBLES stores the lower and the upper half of every byte apart; Y7 is low4.
#define NIBBLES(Y, OFF) \
	VPAND   Y7, Y, Y1        \
	VPSRLW  $4, Y, Y2        \
	VPAND   Y7, Y2, Y2       \
	VMOVDQU Y1, OFF(DI)      \
	VMOVDQU Y2, (OFF+64)(DI)

// func TileHalvesAVX2(dst *uint8, src *int8, stride, n int)
TEXT ·TileHalvesAVX2(SB), NOSPLIT, $0-32
	MOVL         $0x80808080, AX
	VMOVD        AX, X15
	VPBROADCASTD X15, Y15
	ARGS
	MOVQ         $2, R11

half:
	EIGHT
	VMOVDQU low4<>(SB), Y7
	NIBBLES(Y8, 0)
	NIBBLES(Y9, 128)
	NIBBLES(Y12, 256)
	NIBBLES(Y13, 384)
	NIBBLES(Y10, 512)
	NIBBLES(Y11, 640)
	NIBBLES(Y14, 768)
	NIBBLES(Y0, 896)
	ADDQ    $1024, DI
	DECQ    CX
	JNZ     half
	SECOND
	DECQ    R11
	JNZ     half

done:
	VZEROUPPER
	RET
