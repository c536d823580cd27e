// How each block format turns into signed bytes, in the order of the weights, and into scales. R0 points at the block.
//
// Some formats come out multiplied by a power of two, which puts their sign where that of a byte is; their scales are
// divided by it, exactly: Q4_0 by 16, Q3_K by 32, Q6_K by 4. V28 holds that fraction.
//
// Registers: V0 to V7 take the codes; V28 to V31, and V27 for formats with 32 weights to a block, keep constants; V8 to
// V12 are free for use in between.

// The lower half of the bytes counts bits 0 to 7, and so does the upper.
DATA bitOfByte<>+0(SB)/8, $0x8040201008040201
DATA bitOfByte<>+8(SB)/8, $0x8040201008040201
GLOBL bitOfByte<>(SB), RODATA|NOPTR, $16

// Bytes 0 and 1, each for the eight weights whose bits it holds; the other two are 2 further on.
DATA byteOfBit<>+0(SB)/8, $0x0000000000000000
DATA byteOfBit<>+8(SB)/8, $0x0101010101010101
GLOBL byteOfBit<>(SB), RODATA|NOPTR, $16

// The levels of IQ4_NL and IQ4_XS: −127, −104, −83, −65, −49, −35, −22, −10, 1, 13, 25, 38, 53, 69, 89, 113.
DATA iq4Levels<>+0(SB)/8, $0xf6eaddcfbfad9881
DATA iq4Levels<>+8(SB)/8, $0x7159453526190d01
GLOBL iq4Levels<>(SB), RODATA|NOPTR, $16

// --- Blocks of 32, at OFF(R0): the codes go to V0 and V1. ---

#define SETQ4_0 \
	MOVD  $0x3d800000, R10 \
	FMOVS R10, F28         \
	VMOVI $0x88, V30.B16   \
	VMOVI $0xF0, V31.B16

// Flipping the highest bit of a half-byte subtracts 8 from what it says as a signed number.
#define CODESQ4_0(OFF) \
	FMOVQ (2+OFF)(R0), F0 \
	EOR_16B(v0, v0, v30)  \
	AND_16B(v1, v0, v31)  \
	SHL_16B(v0, v0, 4)

// The same, but 8 too large, and not 16 times as large.
#define SETNIBBLES \
	VMOVI $0x0F, V31.B16

#define NIBBLES(OFF) \
	FMOVQ (2+OFF)(R0), F0 \
	USHR_16B(v1, v0, 4)   \
	AND_16B(v0, v0, v31)

#define SETQ4_1 \
	VMOVI $0x0F, V31.B16

#define CODESQ4_1(OFF) \
	FMOVQ (4+OFF)(R0), F0 \
	USHR_16B(v1, v0, 4)   \
	AND_16B(v0, v0, v31)

#define SETQ5 \
	VMOVI $0x0F, V31.B16         \
	VMOVI $2, V28.B16            \
	MOVD  $bitOfByte<>(SB), R10  \
	VLD1  (R10), [V30.B16]       \
	MOVD  $byteOfBit<>(SB), R10  \
	VLD1  (R10), [V29.B16]       \
	VADD  V28.B16, V29.B16, V28.B16

#define SETQ5_0 \
	SETQ5                        \
	VMOVI $0xF0, V27.B16

#define SETQ5_1 \
	SETQ5                        \
	VMOVI $0x10, V27.B16

// FIFTHBITS makes V2 and V3 all ones where the fifth bit of a weight is set.
#define FIFTHBITS(OFF) \
	FMOVS (OFF)(R0), F3      \
	TBL_16B(v2, v3, v29)     \
	TBL_16B(v3, v3, v28)     \
	CMTST_16B(v2, v2, v30)   \
	CMTST_16B(v3, v3, v30)

// A weight without its fifth bit is 16 less: ones in the upper half of its byte.
#define CODESQ5_0(OFF) \
	FMOVQ (6+OFF)(R0), F0    \
	FIFTHBITS(2+OFF)         \
	USHR_16B(v1, v0, 4)      \
	AND_16B(v0, v0, v31)     \
	BIC_16B(v2, v27, v2)     \
	BIC_16B(v3, v27, v3)     \
	ORR_16B(v0, v0, v2)      \
	ORR_16B(v1, v1, v3)

#define CODESQ5_1(OFF) \
	FMOVQ (8+OFF)(R0), F0    \
	FIFTHBITS(4+OFF)         \
	USHR_16B(v1, v0, 4)      \
	AND_16B(v0, v0, v31)     \
	AND_16B(v2, v27, v2)     \
	AND_16B(v3, v27, v3)     \
	ORR_16B(v0, v0, v2)      \
	ORR_16B(v1, v1, v3)

#define SETQ8_0 \
	VMOVI $0, V31.B16

#define CODESQ8_0(OFF) \
	FMOVQ (2+OFF)(R0), F0    \
	FMOVQ (18+OFF)(R0), F1

#define SETIQ4 \
	VMOVI $0x0F, V30.B16         \
	MOVD  $iq4Levels<>(SB), R10  \
	VLD1  (R10), [V31.B16]

#define CODESIQ4_NL(OFF) \
	FMOVQ (2+OFF)(R0), F0    \
	USHR_16B(v1, v0, 4)      \
	AND_16B(v0, v0, v30)     \
	TBL_16B(v1, v31, v1)     \
	TBL_16B(v0, v31, v0)

// --- Blocks of 256 with a scale for each 32. SCALES puts the eight scales into V20 and V21, the eight minimums, if any,
// into V22 and V23, and the numbers of the block that multiply them into the first two lanes of V26. CODES makes the
// 64 codes J in V0 to V3; it is used for J from 0 to 3 in turn. ---

// Of Q4_K and Q5_K, twelve bytes pack them: a general register takes the two halves of four scales and four minimums
// apart. The bytes are a0 to a3: lower six bits of scales, upper two of later ones; a4 to a7 the same of minimums; a8
// to a11 the lower four of later scales and minimums.
#define SCALESQ45_K \
	MOVD  4(R0), R12                       \
	MOVWU 12(R0), R13                      \
	FMOVS (R0), F26                        \
	AND   $0x3f3f3f3f3f3f3f3f, R12, R14    \
	LSR   $2, R12, R12                     \
	AND   $0x3030303030303030, R12, R12    \
	ORR   R13<<28, R13, R13                \
	AND   $0x0f0f0f0f0f0f0f0f, R13, R13    \
	ORR   R12, R13, R13                    \
	FMOVD R14, F20                         \
	FMOVD R13, F21                         \
	FCVTL_4S(v26, v26)                     \
	USHLL_8H(v20, v20, 0)                  \
	USHLL_8H(v21, v21, 0)                  \
	USHLL2_4S(v22, v20, 0)                 \
	USHLL2_4S(v23, v21, 0)                 \
	USHLL_4S(v20, v20, 0)                  \
	USHLL_4S(v21, v21, 0)                  \
	UCVTF_4S(v20, v20)                     \
	UCVTF_4S(v21, v21)                     \
	UCVTF_4S(v22, v22)                     \
	UCVTF_4S(v23, v23)

#define SETQ4_K \
	VMOVI $0x0F, V31.B16

#define CODESQ4_K(J) \
	FLDPQ (16+32*J)(R0), (F0, F1) \
	USHR_16B(v2, v0, 4)           \
	USHR_16B(v3, v1, 4)           \
	AND_16B(v0, v0, v31)          \
	AND_16B(v1, v1, v31)

#define SETQ5_K \
	VMOVI $0x1F, V31.B16

// V10 and V11 keep the fifth bits of what is still to come, from the lowest bit on.
#define SCALESQ5_K \
	SCALESQ45_K             \
	FLDPQ 16(R0), (F10, F11)

#define CODESQ5_K(J) \
	FLDPQ (48+32*J)(R0), (F0, F1) \
	SHL_16B(v2, v10, 3)           \
	SHL_16B(v3, v11, 3)           \
	SRI_16B(v2, v0, 4)            \
	SRI_16B(v3, v1, 4)            \
	SLI_16B(v0, v10, 4)           \
	SLI_16B(v1, v11, 4)           \
	USHR_16B(v10, v10, 2)         \
	USHR_16B(v11, v11, 2)         \
	AND_16B(v2, v2, v31)          \
	AND_16B(v3, v3, v31)          \
	AND_16B(v0, v0, v31)          \
	AND_16B(v1, v1, v31)

#define SETIQ4_XS \
	SETIQ4                        \
	VMOVI $32, V29.B16

// Eight half-bytes, and eight pairs of bits, each spread over the bytes of a general register.
#define SCALESIQ4_XS \
	MOVWU 4(R0), R12                       \
	MOVHU 2(R0), R13                       \
	LDR_H(v26, 0, 0)                       \
	ORR   R12<<16, R12, R12                \
	AND   $0x0000ffff0000ffff, R12, R12    \
	ORR   R12<<8, R12, R12                 \
	AND   $0x00ff00ff00ff00ff, R12, R12    \
	ORR   R12<<4, R12, R12                 \
	AND   $0x0f0f0f0f0f0f0f0f, R12, R12    \
	ORR   R13<<24, R13, R13                \
	AND   $0x000000ff000000ff, R13, R13    \
	ORR   R13<<12, R13, R13                \
	AND   $0x000f000f000f000f, R13, R13    \
	ORR   R13<<6, R13, R13                 \
	AND   $0x0303030303030303, R13, R13    \
	ORR   R13<<4, R12, R12                 \
	FMOVD R12, F20                         \
	FCVTHS F26, F26                        \
	VSUB  V29.B16, V20.B16, V20.B16        \
	SSHLL_8H(v20, v20, 0)                  \
	SSHLL2_4S(v21, v20, 0)                 \
	SSHLL_4S(v20, v20, 0)                  \
	SCVTF_4S(v20, v20)                     \
	SCVTF_4S(v21, v21)

#define CODESIQ4_XS(J) \
	FMOVQ (8+32*J)(R0), F0        \
	FMOVQ (24+32*J)(R0), F2       \
	USHR_16B(v1, v0, 4)           \
	USHR_16B(v3, v2, 4)           \
	AND_16B(v0, v0, v30)          \
	AND_16B(v2, v2, v30)          \
	TBL_16B(v0, v31, v0)          \
	TBL_16B(v1, v31, v1)          \
	TBL_16B(v2, v31, v2)          \
	TBL_16B(v3, v31, v3)

// --- Blocks of 256 with a scale for each 16. SCALES puts the sixteen scales into V20 to V23, the minimums, if any, into
// V12 to V15, and what multiplies them into V26. CODES makes the 128 codes H, 0 or 1, in V0 to V7. ---

// SCALES16 turns the signed bytes of V8 into V20 to V23.
#define SCALES16 \
	SSHLL_8H(v9, v8, 0)    \
	SSHLL2_8H(v8, v8, 0)   \
	SSHLL_4S(v20, v9, 0)   \
	SSHLL2_4S(v21, v9, 0)  \
	SSHLL_4S(v22, v8, 0)   \
	SSHLL2_4S(v23, v8, 0)  \
	SCVTF_4S(v20, v20)     \
	SCVTF_4S(v21, v21)     \
	SCVTF_4S(v22, v22)     \
	SCVTF_4S(v23, v23)

#define SETQ2_K \
	VMOVI $0x0F, V30.B16   \
	VMOVI $0x03, V31.B16

#define SCALESQ2_K \
	FMOVQ (R0), F8         \
	FMOVS 80(R0), F26      \
	USHR_16B(v9, v8, 4)    \
	AND_16B(v8, v8, v30)   \
	FCVTL_4S(v26, v26)     \
	USHLL_8H(v10, v9, 0)   \
	USHLL2_8H(v11, v9, 0)  \
	USHLL_4S(v12, v10, 0)  \
	USHLL2_4S(v13, v10, 0) \
	USHLL_4S(v14, v11, 0)  \
	USHLL2_4S(v15, v11, 0) \
	UCVTF_4S(v12, v12)     \
	UCVTF_4S(v13, v13)     \
	UCVTF_4S(v14, v14)     \
	UCVTF_4S(v15, v15)     \
	SCALES16

#define CODESQ2_K(H) \
	FLDPQ (16+32*H)(R0), (F8, F9) \
	USHR_16B(v6, v8, 6)    \
	USHR_16B(v7, v9, 6)    \
	USHR_16B(v4, v8, 4)    \
	USHR_16B(v5, v9, 4)    \
	USHR_16B(v2, v8, 2)    \
	USHR_16B(v3, v9, 2)    \
	AND_16B(v0, v8, v31)   \
	AND_16B(v1, v9, v31)   \
	AND_16B(v2, v2, v31)   \
	AND_16B(v3, v3, v31)   \
	AND_16B(v4, v4, v31)   \
	AND_16B(v5, v5, v31)

#define SETQ3_K \
	VMOVI $32, V29.B16     \
	VMOVI $0xFF, V30.B16   \
	VMOVI $0xE0, V31.B16   \
	MOVD  $0x3d000000, R10 \
	FMOVS R10, F28

// The lower four bits of the scales are the half-bytes of eight bytes, the upper two lie in four more.
#define SCALESQ3_K \
	MOVD  96(R0), R12                      \
	MOVWU 104(R0), R13                     \
	LDR_H(v26, 0, 108)                     \
	LSR   $4, R12, R14                     \
	ORR   R13<<30, R13, R13                \
	LSR   $4, R13, R10                     \
	AND   $0x0f0f0f0f0f0f0f0f, R12, R12    \
	AND   $0x0f0f0f0f0f0f0f0f, R14, R14    \
	AND   $0x0303030303030303, R13, R13    \
	AND   $0x0303030303030303, R10, R10    \
	ORR   R13<<4, R12, R12                 \
	ORR   R10<<4, R14, R14                 \
	FMOVD R12, F8                          \
	VMOV  R14, V8.D[1]                     \
	FCVTHS F26, F26                        \
	VSUB  V29.B16, V8.B16, V8.B16          \
	FMULS F28, F26, F26                    \
	SCALES16

// THIRD makes two registers of codes: 32 times a number of three bits, the highest of which, bit B of V8 and V9, is its
// sign; the lower two are bits S and S+1 of V10 and V11.
#define THIRD(a, b, B, S) \
	SHL_16B(a, v8, 7-(B))  \
	SHL_16B(b, v9, 7-(B))  \
	SHL_16B(v12, v10, 6-(S)) \
	SHL_16B(v13, v11, 6-(S)) \
	SRI_16B(a, v12, 1)     \
	SRI_16B(b, v13, 1)     \
	AND_16B(a, a, v31)     \
	AND_16B(b, b, v31)

#define CODESQ3_K(H) \
	FLDPQ (R0), (F8, F9)            \
	FLDPQ (32+32*H)(R0), (F10, F11) \
	EOR_16B(v8, v8, v30)            \
	EOR_16B(v9, v9, v30)            \
	THIRD(v0, v1, 4*H, 0)           \
	THIRD(v2, v3, 4*H+1, 2)         \
	THIRD(v4, v5, 4*H+2, 4)         \
	THIRD(v6, v7, 4*H+3, 6)

#define SETQ6_K \
	VMOVI $0xAA, V30.B16   \
	VMOVI $0xF0, V31.B16   \
	MOVD  $0x3e800000, R10 \
	FMOVS R10, F28

#define SCALESQ6_K \
	FMOVQ 192(R0), F8      \
	LDR_H(v26, 0, 208)     \
	FCVTHS F26, F26        \
	FMULS F28, F26, F26    \
	SCALES16

// Four times a number of six bits. The upper two, of which flipping the higher subtracts 32, are moved to the top of the
// byte; the lower four are inserted behind them.
#define CODESQ6_K(H) \
	FLDPQ (128+32*H)(R0), (F6, F7)  \
	FLDPQ (64*H)(R0), (F8, F9)      \
	FLDPQ (32+64*H)(R0), (F10, F11) \
	EOR_16B(v6, v6, v30)   \
	EOR_16B(v7, v7, v30)   \
	SHL_16B(v0, v6, 6)     \
	SHL_16B(v1, v7, 6)     \
	SHL_16B(v2, v6, 4)     \
	SHL_16B(v3, v7, 4)     \
	SHL_16B(v4, v8, 4)     \
	SHL_16B(v5, v9, 4)     \
	SHL_16B(v12, v10, 4)   \
	SHL_16B(v13, v11, 4)   \
	SRI_16B(v0, v4, 2)     \
	SRI_16B(v1, v5, 2)     \
	SRI_16B(v2, v12, 2)    \
	SRI_16B(v3, v13, 2)    \
	SHL_16B(v4, v6, 2)     \
	SHL_16B(v5, v7, 2)     \
	AND_16B(v8, v8, v31)   \
	AND_16B(v9, v9, v31)   \
	AND_16B(v10, v10, v31) \
	AND_16B(v11, v11, v31) \
	SRI_16B(v4, v8, 2)     \
	SRI_16B(v5, v9, 2)     \
	SRI_16B(v6, v10, 2)    \
	SRI_16B(v7, v11, 2)
