// The float32 matrix product. SI, R8: A and the bytes between its rows, R11: the fourth row; DI, R9, R10, R12: B, one and
// three times the bytes between its vectors, and those between its rows; BX, R13: C and the bytes between its rows.

#define GEMM32ARGS \
	MOVQ t+0(FP), AX       \
	MOVQ 0(AX), SI         \
	MOVQ 8(AX), R8         \
	LEAQ (R8)(R8*2), R11   \
	ADDQ SI, R11           \
	MOVQ 16(AX), DI        \
	MOVQ 24(AX), R12       \
	MOVQ 32(AX), R9        \
	LEAQ (R9)(R9*2), R10   \
	MOVQ 40(AX), CX        \
	MOVQ 48(AX), BX        \
	MOVQ 56(AX), R13       \
	MOVQ 64(AX), DX
