// What all products of [Gemm] have in common. R0 is the description, R21 the weights of the first quad, R22 its scales,
// R24 the quads left, R25 and R26 the bytes from one quad to the next, R16, R17, R19 and R20 the results.

#define GEMMARGS \
	MOVD t+0(FP), R0  \
	MOVD 0(R0), R21   \
	MOVD 8(R0), R22   \
	MOVD 16(R0), R24  \
	MOVD 24(R0), R25  \
	MOVD 32(R0), R26  \
	MOVD 112(R0), R16 \
	MOVD 120(R0), R17 \
	MOVD 128(R0), R19 \
	MOVD 136(R0), R20 \
	CBZ  R24, done

// COLUMNS points R5 to R8 at the activations, R9 to R12 at their scales, and sets R13 to the number of groups.
#define COLUMNS \
	MOVD 40(R0), R13  \
	MOVD 48(R0), R5   \
	MOVD 56(R0), R6   \
	MOVD 64(R0), R7   \
	MOVD 72(R0), R8   \
	MOVD 80(R0), R9   \
	MOVD 88(R0), R10  \
	MOVD 96(R0), R11  \
	MOVD 104(R0), R12

// NEXTQUAD steps over a quad.
#define NEXTQUAD \
	ADD  R25, R21     \
	ADD  R26, R22     \
	SUB  $1, R24

// Integer sums begin at the bits of 1.5·2²³: while they stay below 2²² in magnitude, as those of 32 products of bytes do,
// taking that away as a floating-point number leaves them converted, on more pipes than a conversion.
#define SETMAGIC \
	MOVD  $0x4b400000, R14 \
	VDUP  R14, V30.S4

#define BEGIN(a) \
	ORR_16B(a, v30, v30)

#define BEGIN4(a) \
	BEGIN(a)   \
	BEGIN(a+1) \
	BEGIN(a+2) \
	BEGIN(a+3)

// SCALED multiplies an integer sum by the scales of rows in w.
#define SCALED(a, w) \
	FSUB_4S(a, a, v30) \
	FMUL_4S(a, a, w)
