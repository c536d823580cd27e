//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "data_avx2_amd64.h"
#include "codes_avx2_amd64.h"
#include "dot_avx2_amd64.h"

// Rows in super-blocks of 256 weights. First the scales of four rows are brought side by side: those of one group are
// then one register, which waits on the stack. Then the groups of 32 are taken two at a time.
//
// Y15 is bytes15, Y10 the words of 1, X11 the sums; X14 and X13 hold the rows' d and dmin where groups have whole
// numbers as scales.

#define CONSTANTS \
	VMOVDQU bytes15<>(SB), Y15 \
	VMOVDQU words1<>(SB), Y10

// TRANSPOSE turns the rows A, B, C and D of four 32-bit columns into columns.
#define TRANSPOSE(A, B, C, D, T, U) \
	VPUNPCKLDQ  B, A, T \
	VPUNPCKHDQ  B, A, A \
	VPUNPCKLDQ  D, C, U \
	VPUNPCKHDQ  D, C, C \
	VPUNPCKLQDQ C, A, B \
	VPUNPCKHQDQ C, A, D \
	VMOVDQA     B, C    \
	VPUNPCKHQDQ U, T, B \
	VPUNPCKLQDQ U, T, A

#define ROWS16(OFF) \
	VMOVDQU OFF(SI)(R11*1), X0  \
	VMOVDQU OFF(R8)(R11*1), X1  \
	VMOVDQU OFF(R9)(R11*1), X2  \
	VMOVDQU OFF(R10)(R11*1), X3

// Byte 0, 1, 2 or 3 of every 32 bits, alone.
TWICE16(byteA, $0x8080800480808000, $0x8080800c80808008)
TWICE16(byteB, $0x8080800580808001, $0x8080800d80808009)
TWICE16(byteC, $0x8080800680808002, $0x8080800e8080800a)
TWICE16(byteD, $0x8080800780808003, $0x8080800f8080800b)

// ── Q4_K and Q5_K ───────────────────────────────────────────────────────────────────────────────────────────────────
//
// On the stack: at 32·i the scales of group i for each row, then those of group i+4; 128 bytes further on the minimums.

#define K4SCALE(I, PICK) \
	VPSHUFB   PICK<>(SB), Y1, Y4        \
	VPSHUFB   PICK<>(SB), Y2, Y5        \
	VCVTDQ2PS Y4, Y4                    \
	VCVTDQ2PS Y5, Y5                    \
	VMULPS    Y6, Y4, Y4                \
	VMULPS    Y7, Y5, Y5                \
	VMOVUPS   Y4, scales-256+(32*I)(SP) \
	VMOVUPS   Y5, mins-128+(32*I)(SP)

// K4SCALES: the header is d, dmin and twelve bytes: the scales and minimums of groups 0 to 3 are the low six bits of
// the first and the second four; those of 4 to 7 have their low four bits in the third four, their upper two above.
#define K4SCALES \
	ROWS16(0)                          \
	TRANSPOSE(X0, X1, X2, X3, X4, X5)  \
	VPSHUFB      evenOdd<>(SB), X0, X0 \
	VCVTPH2PS    X0, Y0                \
	VPERM2F128   $0x00, Y0, Y0, Y6     \
	VPERM2F128   $0x11, Y0, Y0, Y7     \
	VPSRLD       $2, X1, X4            \
	VPSRLD       $2, X2, X5            \
	VPAND        bytes48<>(SB), X4, X4 \
	VPAND        bytes48<>(SB), X5, X5 \
	VPAND        X15, X3, X0           \
	VPSRLD       $4, X3, X3            \
	VPAND        X15, X3, X3           \
	VPOR         X0, X4, X4            \
	VPOR         X3, X5, X5            \
	VPAND        bytes63<>(SB), X1, X1 \
	VPAND        bytes63<>(SB), X2, X2 \
	VINSERTI128  $1, X4, Y1, Y1        \
	VINSERTI128  $1, X5, Y2, Y2        \
	K4SCALE(0, byteA)                  \
	K4SCALE(1, byteB)                  \
	K4SCALE(2, byteC)                  \
	K4SCALE(3, byteD)

SAME32(bytes63, $0x3f3f3f3f3f3f3f3f)

// GROUP adds the integers of group G, two words for each row in each half of Y, to the sums. AT is where its scales lie.
#define GROUP(G, AT, Y, X) \
	VPMADDWD     Y10, Y, Y                 \
	HALVES(Y, X, X8)                       \
	VBROADCASTSS (4*(G))(BX)(R12*4), X8    \
	VMULPS       scales-256+AT(SP), X8, X8 \
	VCVTDQ2PS    X, X                      \
	VFMADD231PS  X8, X, X11                \
	VBROADCASTSS (4*(G))(DX)(R12*4), X9    \
	VFNMADD231PS mins-128+AT(SP), X9, X11

// Q4ROW multiplies groups 2J and 2J+1 of a row.
#define Q4ROW(J, PTR, A, B) \
	VMOVDQU    (16+32*J)(PTR)(R11*1), A \
	VPSRLW     $4, A, B                 \
	VPAND      Y15, A, A                \
	VPAND      Y15, B, B                \
	VPMADDUBSW (64*J)(DI), A, A         \
	VPMADDUBSW (64*J+32)(DI), B, B

#define Q4GROUPS(J, ATA, ATB) \
	Q4ROW(J, SI, Y0, Y4)      \
	Q4ROW(J, R8, Y1, Y5)      \
	Q4ROW(J, R9, Y2, Y6)      \
	Q4ROW(J, R10, Y3, Y7)     \
	WORDS4(Y0, Y1, Y2, Y3)    \
	WORDS4(Y4, Y5, Y6, Y7)    \
	GROUP(2*J, ATA, Y0, X0)   \
	GROUP(2*J+1, ATB, Y4, X4)

// NEXT goes to the next super-block, SIZE bytes on. R12 counts groups of 32 in it; CX super-blocks.
#define NEXT(SIZE) \
	ADDQ $SIZE, R11     \
	ADDQ $(4*SIZE), R14 \
	ADDQ $256, DI       \
	ADDQ $8, R12        \
	DECQ CX             \
	JNZ  block

// func DotQ4_KAVX2(t *BlockDot)
TEXT ·DotQ4_KAVX2(SB), NOSPLIT, $256-8
	ROWARGS
	BLOCKSUMS
	CONSTANTS

block:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	K4SCALES
	Q4GROUPS(0, 0, 32)
	Q4GROUPS(1, 64, 96)
	Q4GROUPS(2, 16, 48)
	Q4GROUPS(3, 80, 112)
	NEXT(144)
	ROWSOUT

// Q5ROW does the same with a fifth bit at bits 2J and 2J+1 of 32 bytes, brought to bit 4 by SA and SB.
#define Q5ROW(SA, SB, J, PTR, A, B) \
	VMOVDQU    (48+32*J)(PTR)(R11*1), A \
	VPSRLW     $4, A, B                 \
	VPAND      Y15, A, A                \
	VPAND      Y15, B, B                \
	SA(16(PTR)(R11*1), bytes16, Y8, A)  \
	SB(16(PTR)(R11*1), bytes16, Y9, B)  \
	VPMADDUBSW (64*J)(DI), A, A         \
	VPMADDUBSW (64*J+32)(DI), B, B

#define Q5GROUPS(SA, SB, J, ATA, ATB) \
	Q5ROW(SA, SB, J, SI, Y0, Y4)  \
	Q5ROW(SA, SB, J, R8, Y1, Y5)  \
	Q5ROW(SA, SB, J, R9, Y2, Y6)  \
	Q5ROW(SA, SB, J, R10, Y3, Y7) \
	WORDS4(Y0, Y1, Y2, Y3)        \
	WORDS4(Y4, Y5, Y6, Y7)        \
	GROUP(2*J, ATA, Y0, X0)       \
	GROUP(2*J+1, ATB, Y4, X4)

#define UP4(ADDR, MASK, T, Y) UP(4, ADDR, MASK, T, Y)
#define UP3(ADDR, MASK, T, Y) UP(3, ADDR, MASK, T, Y)
#define UP2(ADDR, MASK, T, Y) UP(2, ADDR, MASK, T, Y)
#define UP1(ADDR, MASK, T, Y) UP(1, ADDR, MASK, T, Y)
#define DOWN1(ADDR, MASK, T, Y) DOWN(1, ADDR, MASK, T, Y)
#define DOWN2(ADDR, MASK, T, Y) DOWN(2, ADDR, MASK, T, Y)
#define DOWN3(ADDR, MASK, T, Y) DOWN(3, ADDR, MASK, T, Y)
#define DOWN4(ADDR, MASK, T, Y) DOWN(4, ADDR, MASK, T, Y)
#define DOWN5(ADDR, MASK, T, Y) DOWN(5, ADDR, MASK, T, Y)

// func DotQ5_KAVX2(t *BlockDot)
TEXT ·DotQ5_KAVX2(SB), NOSPLIT, $256-8
	ROWARGS
	BLOCKSUMS
	CONSTANTS

block:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	FETCH(640)
	K4SCALES
	Q5GROUPS(UP4, UP3, 0, 0, 32)
	Q5GROUPS(UP2, UP1, 1, 64, 96)
	Q5GROUPS(STAY, DOWN1, 2, 16, 48)
	Q5GROUPS(DOWN2, DOWN3, 3, 80, 112)
	NEXT(176)
	ROWSOUT

// ── Q6_K, Q3_K and Q2_K ─────────────────────────────────────────────────────────────────────────────────────────────
//
// On the stack: at 32·g the scales of group g as words, that of its first half for each row twice, then that of its
// second half.

// Byte 0 (or 2) of every 32 bits as the upper byte of two words; in the second half byte 1 (or 3).
DATA scalesAB<>+0(SB)/8, $0x0480048000800080
DATA scalesAB<>+8(SB)/8, $0x0c800c8008800880
DATA scalesAB<>+16(SB)/8, $0x0580058001800180
DATA scalesAB<>+24(SB)/8, $0x0d800d8009800980
GLOBL scalesAB<>(SB), RODATA|NOPTR, $32

DATA scalesCD<>+0(SB)/8, $0x0680068002800280
DATA scalesCD<>+8(SB)/8, $0x0e800e800a800a80
DATA scalesCD<>+16(SB)/8, $0x0780078003800380
DATA scalesCD<>+24(SB)/8, $0x0f800f800b800b80
GLOBL scalesCD<>(SB), RODATA|NOPTR, $32

// SCALES16 spreads four scales of each row, signed bytes in X: those of groups 2I and 2I+1.
#define SCALES16(I, Y, X) \
	VINSERTI128 $1, X, Y, Y                  \
	VPSHUFB     scalesAB<>(SB), Y, Y4        \
	VPSHUFB     scalesCD<>(SB), Y, Y5        \
	VPSRAW      $8, Y4, Y4                   \
	VPSRAW      $8, Y5, Y5                   \
	VMOVDQU     Y4, scales-384+(64*I)(SP)    \
	VMOVDQU     Y5, scales-384+(64*I+32)(SP)

// GROUP16 adds the integers of group G, scaled, to the sums.
#define GROUP16(G, Y, X) \
	VPMADDWD     scales-384+(32*G)(SP), Y, Y \
	HALVES(Y, X, X8)                         \
	VBROADCASTSS (4*(G))(BX)(R12*4), X8      \
	VMULPS       X14, X8, X8                 \
	VCVTDQ2PS    X, X                        \
	VFMADD231PS  X8, X, X11

// LESS multiplies codes by activations at OFF and takes off ZERO, the same activations times the codes' zero. Four pairs
// of products with −32 are then no more than 4·2·32·127 = 32512 in magnitude, where 63 would not fit 16 bits.
#define LESS(OFF, ZERO, Y) \
	VPMADDUBSW OFF(DI), Y, Y \
	VPSUBW     ZERO, Y, Y

// Q6ROW multiplies a group of a row: LOWS or HIGHS of the bytes at LO, two bits at HI brought to bits 4 and 5.
#define Q6ROW(HALF, SHIFT, LO, HI, OFF, PTR, Y) \
	HALF(LO(PTR)(R11*1), Y15, Y)          \
	SHIFT(HI(PTR)(R11*1), bytes48, Y4, Y) \
	LESS(OFF, Y9, Y)

#define Q6GROUP(G, HALF, SHIFT, LO, HI) \
	VMOVDQU    bytes32<>(SB), Y9                \
	VPMADDUBSW (32*G)(DI), Y9, Y9               \
	Q6ROW(HALF, SHIFT, LO, HI, (32*G), SI, Y0)  \
	Q6ROW(HALF, SHIFT, LO, HI, (32*G), R8, Y1)  \
	Q6ROW(HALF, SHIFT, LO, HI, (32*G), R9, Y2)  \
	Q6ROW(HALF, SHIFT, LO, HI, (32*G), R10, Y3) \
	WORDS4(Y0, Y1, Y2, Y3)                      \
	GROUP16(G, Y0, X0)

// func DotQ6_KAVX2(t *BlockDot)
TEXT ·DotQ6_KAVX2(SB), NOSPLIT, $384-8
	ROWARGS
	CONSTANTS

block:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	FETCH(640)
	FETCH(768)
	ROWS16(192)
	TRANSPOSE(X0, X1, X2, X3, X4, X5)
	SCALES16(0, Y0, X0)
	SCALES16(1, Y1, X1)
	SCALES16(2, Y2, X2)
	SCALES16(3, Y3, X3)
	HALFS4(208, X14)
	Q6GROUP(0, LOWS, UP4, 0, 128)
	Q6GROUP(1, LOWS, UP2, 32, 128)
	Q6GROUP(2, HIGHS, STAY, 0, 128)
	Q6GROUP(3, HIGHS, DOWN2, 32, 128)
	Q6GROUP(4, LOWS, UP4, 64, 160)
	Q6GROUP(5, LOWS, UP2, 96, 160)
	Q6GROUP(6, HIGHS, STAY, 64, 160)
	Q6GROUP(7, HIGHS, DOWN2, 96, 160)
	NEXT(210)
	ROWSOUT

// SIXBITS makes a scale of the low half of A's bytes (or of A shifted by 4) and two bits of B brought to bits 4 and 5.
#define SIXBITS(A, B, T, OUT) \
	VPAND  bytes48<>(SB), B, T     \
	VPAND  X15, A, OUT             \
	VPOR   T, OUT, OUT             \
	VPSUBB bytes32<>(SB), OUT, OUT

#define TWO0(ADDR, Y) BITS2_0(ADDR, Y)
#define TWO2(ADDR, Y) BITS2(2, ADDR, Y)
#define TWO4(ADDR, Y) BITS2(4, ADDR, Y)
#define TWO6(ADDR, Y) BITS2(6, ADDR, Y)

#define Q3ROW(TWO, SHIFT, LO, OFF, PTR, Y) \
	TWO(LO(PTR)(R11*1), Y)             \
	SHIFT((PTR)(R11*1), bytes4, Y4, Y) \
	LESS(OFF, Y9, Y)

#define Q3GROUP(G, TWO, SHIFT, LO) \
	VMOVDQU    bytes4<>(SB), Y9            \
	VPMADDUBSW (32*G)(DI), Y9, Y9          \
	Q3ROW(TWO, SHIFT, LO, (32*G), SI, Y0)  \
	Q3ROW(TWO, SHIFT, LO, (32*G), R8, Y1)  \
	Q3ROW(TWO, SHIFT, LO, (32*G), R9, Y2)  \
	Q3ROW(TWO, SHIFT, LO, (32*G), R10, Y3) \
	WORDS4(Y0, Y1, Y2, Y3)                 \
	GROUP16(G, Y0, X0)

// func DotQ3_KAVX2(t *BlockDot)
TEXT ·DotQ3_KAVX2(SB), NOSPLIT, $384-8
	ROWARGS
	CONSTANTS

block:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	HALFS4(108, X14)
	ROWS16(94)           // two bytes of codes, twelve of scales, d
	VPSRLDQ $2, X0, X0
	VPSRLDQ $2, X1, X1
	VPSRLDQ $2, X2, X2
	VPSRLDQ $2, X3, X3
	TRANSPOSE(X0, X1, X2, X3, X4, X5)
	VPSLLD  $4, X2, X4
	SIXBITS(X0, X4, X5, X6)
	VPSLLD  $2, X2, X4
	SIXBITS(X1, X4, X5, X7)
	VPSRLD  $4, X0, X0
	SIXBITS(X0, X2, X5, X8)
	VPSRLD  $4, X1, X1
	VPSRLD  $2, X2, X4
	SIXBITS(X1, X4, X5, X9)
	SCALES16(0, Y6, X6)
	SCALES16(1, Y7, X7)
	SCALES16(2, Y8, X8)
	SCALES16(3, Y9, X9)
	Q3GROUP(0, TWO0, UP2, 32)
	Q3GROUP(1, TWO2, UP1, 32)
	Q3GROUP(2, TWO4, STAY, 32)
	Q3GROUP(3, TWO6, DOWN1, 32)
	Q3GROUP(4, TWO0, DOWN2, 64)
	Q3GROUP(5, TWO2, DOWN3, 64)
	Q3GROUP(6, TWO4, DOWN4, 64)
	Q3GROUP(7, TWO6, DOWN5, 64)
	NEXT(110)
	ROWSOUT

// Bytes 0 and 1 (or 2 and 3) of every 32 bits as words.
DATA minsAB<>+0(SB)/8, $0x8005800480018000
DATA minsAB<>+8(SB)/8, $0x800d800c80098008
GLOBL minsAB<>(SB), RODATA|NOPTR, $16

DATA minsCD<>+0(SB)/8, $0x8007800680038002
DATA minsCD<>+8(SB)/8, $0x800f800e800b800a
GLOBL minsCD<>(SB), RODATA|NOPTR, $16

// Q2SCALES spreads four bytes of each row in X: scales in the lower halves, minimums in the upper.
#define Q2SCALES(I, Y, X) \
	VPSRLD   $4, X, X6                  \
	VPAND    X15, X6, X6                \
	VPAND    X15, X, X                  \
	VPSHUFB  minsAB<>(SB), X6, X7       \
	VPSHUFB  minsCD<>(SB), X6, X6       \
	VMOVDQU  X7, mins-128+(32*I)(SP)    \
	VMOVDQU  X6, mins-128+(32*I+16)(SP) \
	SCALES16(I, Y, X)

#define Q2ROW(TWO, LO, OFF, PTR, Y) \
	TWO(LO(PTR)(R11*1), Y)   \
	VPMADDUBSW OFF(DI), Y, Y

#define Q2GROUP(G, TWO, LO) \
	Q2ROW(TWO, LO, (32*G), SI, Y0)           \
	Q2ROW(TWO, LO, (32*G), R8, Y1)           \
	Q2ROW(TWO, LO, (32*G), R9, Y2)           \
	Q2ROW(TWO, LO, (32*G), R10, Y3)          \
	WORDS4(Y0, Y1, Y2, Y3)                   \
	GROUP16(G, Y0, X0)                       \
	VPBROADCASTD (4*G)(R13)(R12*4), X1       \
	VPMADDWD     mins-128+(16*G)(SP), X1, X1 \
	VCVTDQ2PS    X1, X1                      \
	VBROADCASTSS (4*(G))(BX)(R12*4), X2      \
	VMULPS       X13, X2, X2                 \
	VFNMADD231PS X2, X1, X11

// func DotQ2_KAVX2(t *BlockDot)
TEXT ·DotQ2_KAVX2(SB), NOSPLIT, $384-8
	ROWARGS
	CONSTANTS

block:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	ROWS16(0)
	TRANSPOSE(X0, X1, X2, X3, X4, X5)
	Q2SCALES(0, Y0, X0)
	Q2SCALES(1, Y1, X1)
	Q2SCALES(2, Y2, X2)
	Q2SCALES(3, Y3, X3)
	PAIRS4(80, Y14, X14, X13)
	Q2GROUP(0, TWO0, 16)
	Q2GROUP(1, TWO2, 16)
	Q2GROUP(2, TWO4, 16)
	Q2GROUP(3, TWO6, 16)
	Q2GROUP(4, TWO0, 48)
	Q2GROUP(5, TWO2, 48)
	Q2GROUP(6, TWO4, 48)
	Q2GROUP(7, TWO6, 48)
	NEXT(84)
	ROWSOUT

// ── IQ4_XS ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// IQ4SCALE makes the scales of group G: four bits at bit 4G of the lower bits X1, and two at bit 16+2G of X0.
#define IQ4SCALE(G) \
	VPSRLD    $(4*G), X1, X2            \
	VPSRLD    $(12+2*G), X0, X3         \
	VPAND     longs15<>(SB), X2, X2     \
	VPAND     longs48<>(SB), X3, X3     \
	VPOR      X3, X2, X2                \
	VPSUBD    longs32<>(SB), X2, X2     \
	VCVTDQ2PS X2, X2                    \
	VMULPS    X4, X2, X2                \
	VMOVUPS   X2, scales-128+(16*G)(SP)

SAME32(longs15, $0x0000000f0000000f)
SAME32(longs32, $0x0000002000000020)
SAME32(longs48, $0x0000003000000030)

#define IQ4ROW(G, PTR, Y, T) \
	NIBBLES((8+16*G)(PTR)(R11*1), Y15, Y14, Y) \
	VPSHUFB    Y, Y12, Y                       \
	VPABSB     Y, T                            \
	VPSIGNB    Y, Y4, Y                        \
	VPMADDUBSW Y, T, Y                         \
	VPMADDWD   Y10, Y, Y

#define IQ4GROUP(G) \
	VMOVDQU      (32*G)(DI), Y4                \
	IQ4ROW(G, SI, Y0, Y5)                      \
	IQ4ROW(G, R8, Y1, Y6)                      \
	IQ4ROW(G, R9, Y2, Y7)                      \
	IQ4ROW(G, R10, Y3, Y8)                     \
	LONGS4(Y0, Y1, Y2, Y3)                     \
	HALVES(Y0, X0, X1)                         \
	VBROADCASTSS (4*(G))(BX)(R12*4), X8        \
	VMULPS       scales-128+(16*G)(SP), X8, X8 \
	VCVTDQ2PS    X0, X0                        \
	VFMADD231PS  X8, X0, X11

#define QUADIN(OFF, PTR, X) VMOVQ OFF(PTR)(R11*1), X

// func DotIQ4_XSAVX2(t *BlockDot)
TEXT ·DotIQ4_XSAVX2(SB), NOSPLIT, $128-8
	ROWARGS
	CONSTANTS
	VMOVDQU nibbleShifts<>(SB), Y14
	VMOVDQU iq4Levels<>(SB), Y12

block:
	FETCH(0)
	FETCH(128)
	FETCH(256)
	FETCH(384)
	FETCH(512)
	QUADIN(0, SI, X0)
	QUADIN(0, R8, X1)
	QUADIN(0, R9, X2)
	QUADIN(0, R10, X3)
	VPUNPCKLDQ  X1, X0, X0
	VPUNPCKLDQ  X3, X2, X2
	VPUNPCKHQDQ X2, X0, X1 // the lower bits of the scales
	VPUNPCKLQDQ X2, X0, X0 // d and the upper bits
	VPSHUFB     evenOdd<>(SB), X0, X4
	VCVTPH2PS   X4, X4
	IQ4SCALE(0)
	IQ4SCALE(1)
	IQ4SCALE(2)
	IQ4SCALE(3)
	IQ4SCALE(4)
	IQ4SCALE(5)
	IQ4SCALE(6)
	IQ4SCALE(7)
	IQ4GROUP(0)
	IQ4GROUP(1)
	IQ4GROUP(2)
	IQ4GROUP(3)
	IQ4GROUP(4)
	IQ4GROUP(5)
	IQ4GROUP(6)
	IQ4GROUP(7)
	NEXT(136)
	ROWSOUT
