// The rotation of interleaved keys. For a pair of dimensions and a group: BX and R14: where they go and where they are, R9:
// values between the two; R11 and R12: the pair's cosines and sines, DX: the group's place among them. DI and SI: the pair
// in the first group; R8, R10 and R13: values to the next pair, the next group, and the next pair's angles; CX and R15:
// pairs and groups that are left. SIZE is the number of bytes in a value of the source.

#define TURNARGS \
	MOVQ t+0(FP), AX \
	MOVQ 0(AX), DI   \
	MOVQ 8(AX), SI   \
	MOVQ 16(AX), R8  \
	MOVQ 24(AX), R9  \
	MOVQ 32(AX), R10 \
	MOVQ 40(AX), R11 \
	MOVQ 48(AX), R12 \
	MOVQ 56(AX), R13 \
	MOVQ 64(AX), CX

#define FIRSTGROUP \
	MOVQ DI, BX      \
	MOVQ SI, R14     \
	XORL DX, DX      \
	MOVQ 72(AX), R15

#define NEXTGROUP(SIZE) \
	LEAQ (BX)(R10*4), BX       \
	LEAQ (R14)(R10*SIZE), R14  \
	ADDQ $16, DX               \
	DECQ R15

#define NEXTPAIR(SIZE) \
	LEAQ (DI)(R8*4), DI    \
	LEAQ (SI)(R8*SIZE), SI \
	LEAQ (R11)(R13*4), R11 \
	LEAQ (R12)(R13*4), R12 \
	DECQ CX
