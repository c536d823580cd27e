// The product of queries with four groups of keys that are rotated. SI and R8: the dimensions of a pair; DX: bytes to the
// next pair; R9 and R10: one and three times the bytes between groups; R11, R12 and R13: cosines, sines and the bytes to the
// next pair's; DI, R14 and R15: the first query's element for the pair, one and three times the bytes between queries; BX:
// where the second dimension goes; CX: pairs that are left. SHIFT is the logarithm of the number of bytes in a value of the
// source.

#define TURNDOTARGS(SHIFT) \
	MOVQ t+0(FP), AX       \
	MOVQ 0(AX), BX         \
	MOVQ 8(AX), SI         \
	MOVQ 16(AX), DX        \
	SHLQ $SHIFT, DX        \
	MOVQ 24(AX), R8        \
	SHLQ $SHIFT, R8        \
	ADDQ SI, R8            \
	MOVQ 32(AX), R9        \
	SHLQ $SHIFT, R9        \
	LEAQ (R9)(R9*2), R10   \
	MOVQ 40(AX), R11       \
	MOVQ 48(AX), R12       \
	MOVQ 56(AX), R13       \
	SHLQ $2, R13           \
	MOVQ 64(AX), CX        \
	MOVQ 80(AX), DI        \
	MOVQ 88(AX), R14       \
	SHLQ $2, R14           \
	LEAQ (R14)(R14*2), R15

// NEXTPAIR goes on, and asks for the pair's angles of the four groups that come next: a row of the tables is too long a step
// for the processor to foresee.
#define NEXTPAIR \
	PREFETCHT1 256(R11) \
	PREFETCHT1 320(R11) \
	PREFETCHT1 384(R11) \
	PREFETCHT1 448(R11) \
	PREFETCHT1 256(R12) \
	PREFETCHT1 320(R12) \
	PREFETCHT1 384(R12) \
	PREFETCHT1 448(R12) \
	ADDQ       DX, SI   \
	ADDQ       DX, R8   \
	ADDQ       R13, R11 \
	ADDQ       R13, R12 \
	DECQ       CX
