//go:build !purego

#include "textflag.h"
#include "data_avx2_amd64.h"
#include "codes_avx2_amd64.h"

// In all functions DI points to the signed bytes, SI to the blocks; CX counts blocks. Y15 is bytes15, Y14 nibbleShifts,
// Y13 fifthSpread, Y12 fifthBits, Y11 what is subtracted from codes.

#define ARGS \
	MOVQ    q+0(FP), DI             \
	MOVQ    src+8(FP), SI           \
	MOVQ    blocks+16(FP), CX       \
	VMOVDQU bytes15<>(SB), Y15      \
	VMOVDQU nibbleShifts<>(SB), Y14 \
	VMOVDQU fifthSpread<>(SB), Y13  \
	VMOVDQU fifthBits<>(SB), Y12    \
	TESTQ   CX, CX                  \
	JZ      done

// NEXT goes to the next block, of SIZE bytes and LEN weights.
#define NEXT(SIZE, LEN) \
	ADDQ $SIZE, SI \
	ADDQ $LEN, DI  \
	DECQ CX        \
	JNZ  block

#define PUT(OFF) VMOVDQU Y0, OFF(DI)

#define PUTLESS(OFF) \
	VPSUBB  Y11, Y0, Y0 \
	VMOVDQU Y0, OFF(DI)

// func UnpackQ8_0AVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ8_0AVX2(SB), NOSPLIT, $0-24
	ARGS

block:
	VMOVDQU 2(SI), Y0
	PUT(0)
	NEXT(34, 32)

done:
	VZEROUPPER
	RET

// func UnpackQ4_0AVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ4_0AVX2(SB), NOSPLIT, $0-24
	ARGS
	VMOVDQU bytes8<>(SB), Y11

block:
	NIBBLES(2(SI), Y15, Y14, Y0)
	PUTLESS(0)
	NEXT(18, 32)

done:
	VZEROUPPER
	RET

// func UnpackQ4_1AVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ4_1AVX2(SB), NOSPLIT, $0-24
	ARGS

block:
	NIBBLES(4(SI), Y15, Y14, Y0)
	PUT(0)
	NEXT(20, 32)

done:
	VZEROUPPER
	RET

// func UnpackQ5_0AVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ5_0AVX2(SB), NOSPLIT, $0-24
	ARGS
	VMOVDQU bytes16<>(SB), Y11

block:
	NIBBLES(6(SI), Y15, Y14, Y0)
	FIFTH(2(SI), Y13, Y12, Y1, Y0)
	PUTLESS(0)
	NEXT(22, 32)

done:
	VZEROUPPER
	RET

// func UnpackQ5_1AVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ5_1AVX2(SB), NOSPLIT, $0-24
	ARGS

block:
	NIBBLES(8(SI), Y15, Y14, Y0)
	FIFTH(4(SI), Y13, Y12, Y1, Y0)
	PUT(0)
	NEXT(24, 32)

done:
	VZEROUPPER
	RET

// func UnpackIQ4_NLAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackIQ4_NLAVX2(SB), NOSPLIT, $0-24
	ARGS
	VMOVDQU iq4Levels<>(SB), Y11

block:
	NIBBLES(2(SI), Y15, Y14, Y0)
	VPSHUFB Y0, Y11, Y0
	PUT(0)
	NEXT(18, 32)

done:
	VZEROUPPER
	RET

#define IQ4GROUP(G) \
	NIBBLES((8+16*G)(SI), Y15, Y14, Y0) \
	VPSHUFB Y0, Y11, Y0                 \
	PUT(32*G)

// func UnpackIQ4_XSAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackIQ4_XSAVX2(SB), NOSPLIT, $0-24
	ARGS
	VMOVDQU iq4Levels<>(SB), Y11

block:
	IQ4GROUP(0)
	IQ4GROUP(1)
	IQ4GROUP(2)
	IQ4GROUP(3)
	IQ4GROUP(4)
	IQ4GROUP(5)
	IQ4GROUP(6)
	IQ4GROUP(7)
	NEXT(136, 256)

done:
	VZEROUPPER
	RET

#define Q2HALF(H) \
	BITS2_0((16+32*H)(SI), Y0)  \
	PUT(128*H)                  \
	BITS2(2, (16+32*H)(SI), Y0) \
	PUT(128*H+32)               \
	BITS2(4, (16+32*H)(SI), Y0) \
	PUT(128*H+64)               \
	BITS2(6, (16+32*H)(SI), Y0) \
	PUT(128*H+96)

// func UnpackQ2_KAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ2_KAVX2(SB), NOSPLIT, $0-24
	ARGS

block:
	Q2HALF(0)
	Q2HALF(1)
	NEXT(84, 256)

done:
	VZEROUPPER
	RET

// func UnpackQ3_KAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ3_KAVX2(SB), NOSPLIT, $0-24
	ARGS
	VMOVDQU bytes4<>(SB), Y11

block:
	BITS2_0(32(SI), Y0)
	UP(2, (SI), bytes4, Y1, Y0)
	PUTLESS(0)
	BITS2(2, 32(SI), Y0)
	UP(1, (SI), bytes4, Y1, Y0)
	PUTLESS(32)
	BITS2(4, 32(SI), Y0)
	STAY((SI), bytes4, Y1, Y0)
	PUTLESS(64)
	BITS2(6, 32(SI), Y0)
	DOWN(1, (SI), bytes4, Y1, Y0)
	PUTLESS(96)
	BITS2_0(64(SI), Y0)
	DOWN(2, (SI), bytes4, Y1, Y0)
	PUTLESS(128)
	BITS2(2, 64(SI), Y0)
	DOWN(3, (SI), bytes4, Y1, Y0)
	PUTLESS(160)
	BITS2(4, 64(SI), Y0)
	DOWN(4, (SI), bytes4, Y1, Y0)
	PUTLESS(192)
	BITS2(6, 64(SI), Y0)
	DOWN(5, (SI), bytes4, Y1, Y0)
	PUTLESS(224)
	NEXT(110, 256)

done:
	VZEROUPPER
	RET

#define Q4PAIR(J) \
	LOWS((16+32*J)(SI), Y15, Y0)  \
	PUT(64*J)                     \
	HIGHS((16+32*J)(SI), Y15, Y0) \
	PUT(64*J+32)

// func UnpackQ4_KAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ4_KAVX2(SB), NOSPLIT, $0-24
	ARGS

block:
	Q4PAIR(0)
	Q4PAIR(1)
	Q4PAIR(2)
	Q4PAIR(3)
	NEXT(144, 256)

done:
	VZEROUPPER
	RET

// func UnpackQ5_KAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ5_KAVX2(SB), NOSPLIT, $0-24
	ARGS

block:
	LOWS(48(SI), Y15, Y0)
	UP(4, 16(SI), bytes16, Y1, Y0)
	PUT(0)
	HIGHS(48(SI), Y15, Y0)
	UP(3, 16(SI), bytes16, Y1, Y0)
	PUT(32)
	LOWS(80(SI), Y15, Y0)
	UP(2, 16(SI), bytes16, Y1, Y0)
	PUT(64)
	HIGHS(80(SI), Y15, Y0)
	UP(1, 16(SI), bytes16, Y1, Y0)
	PUT(96)
	LOWS(112(SI), Y15, Y0)
	STAY(16(SI), bytes16, Y1, Y0)
	PUT(128)
	HIGHS(112(SI), Y15, Y0)
	DOWN(1, 16(SI), bytes16, Y1, Y0)
	PUT(160)
	LOWS(144(SI), Y15, Y0)
	DOWN(2, 16(SI), bytes16, Y1, Y0)
	PUT(192)
	HIGHS(144(SI), Y15, Y0)
	DOWN(3, 16(SI), bytes16, Y1, Y0)
	PUT(224)
	NEXT(176, 256)

done:
	VZEROUPPER
	RET

#define Q6HALF(H) \
	LOWS((64*H)(SI), Y15, Y0)                \
	UP(4, (128+32*H)(SI), bytes48, Y1, Y0)   \
	PUTLESS(128*H)                           \
	LOWS((64*H+32)(SI), Y15, Y0)             \
	UP(2, (128+32*H)(SI), bytes48, Y1, Y0)   \
	PUTLESS(128*H+32)                        \
	HIGHS((64*H)(SI), Y15, Y0)               \
	STAY((128+32*H)(SI), bytes48, Y1, Y0)    \
	PUTLESS(128*H+64)                        \
	HIGHS((64*H+32)(SI), Y15, Y0)            \
	DOWN(2, (128+32*H)(SI), bytes48, Y1, Y0) \
	PUTLESS(128*H+96)

// func UnpackQ6_KAVX2(q *int8, src *byte, blocks int)
TEXT ·UnpackQ6_KAVX2(SB), NOSPLIT, $0-24
	ARGS
	VMOVDQU bytes32<>(SB), Y11

block:
	Q6HALF(0)
	Q6HALF(1)
	NEXT(210, 256)

done:
	VZEROUPPER
	RET
