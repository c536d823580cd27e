// What the products of four stored rows with one row of 8-bit activations share.
//
// SI, R8, R9 and R10 are the starts of the four rows and R11 the block's distance from them; R12 is its number and CX
// how many there are. DI points to the block's activations, BX to the activations' scales, DX to their Starts or
// BlockSums, R13 to their Sums; R14 to what is prefetched. X11 is the sum of each row.

#define ROWARGS \
	MOVQ   t+0(FP), AX               \
	MOVQ   BlockDot_Rows+0(AX), SI   \
	MOVQ   BlockDot_Rows+8(AX), R8   \
	MOVQ   BlockDot_Rows+16(AX), R9  \
	MOVQ   BlockDot_Rows+24(AX), R10 \
	MOVQ   BlockDot_Blocks(AX), CX   \
	MOVQ   BlockDot_Q(AX), DI        \
	MOVQ   BlockDot_Scales(AX), BX   \
	MOVQ   BlockDot_Sums(AX), R13    \
	MOVQ   BlockDot_Ahead(AX), R14   \
	ADDQ   SI, R14                   \
	XORQ   R11, R11                  \
	XORQ   R12, R12                  \
	VXORPS X11, X11, X11

#define STARTS MOVQ BlockDot_Starts(AX), DX

#define BLOCKSUMS MOVQ BlockDot_BlockSums(AX), DX

#define ROWSOUT \
	MOVQ    t+0(FP), AX           \
	VMOVUPS X11, BlockDot_Out(AX) \
	VZEROUPPER                    \
	RET

// FETCH asks for the two cache lines OFF bytes from R14. The next four rows follow these four, so that what lies as far
// into them as the kernel has read of all four here is what it will want: prefetched in the order of memory, not row by
// row, since rows can be too short for a distance within them.
#define FETCH(OFF) \
	PREFETCHT0 OFF(R14)      \
	PREFETCHT0 (OFF+64)(R14)

// WORDS4 adds up neighbours of the 16-bit integers of A, B, C and D, twice, side by side in A: two words each of a, b,
// c and d for every 128-bit half.
#define WORDS4(A, B, C, D) \
	VPHADDW B, A, A \
	VPHADDW D, C, C \
	VPHADDW C, A, A

// LONGS4 does the same for 32-bit integers: one each of a, b, c and d for every half.
#define LONGS4(A, B, C, D) \
	VPHADDD B, A, A \
	VPHADDD D, C, C \
	VPHADDD C, A, A

// HALVES adds the two halves of the 32-bit integers in Y, whose low half is X.
#define HALVES(Y, X, T) \
	VEXTRACTI128 $1, Y, T \
	VPADDD       T, X, X

// HALFS4 gathers the 16-bit numbers OFF bytes into a block of each row as float32; not beyond the number itself.
#define HALFS4(OFF, X) \
	VPXOR     X, X, X                   \
	VPINSRW   $0, OFF(SI)(R11*1), X, X  \
	VPINSRW   $1, OFF(R8)(R11*1), X, X  \
	VPINSRW   $2, OFF(R9)(R11*1), X, X  \
	VPINSRW   $3, OFF(R10)(R11*1), X, X \
	VCVTPH2PS X, X

// LONGIN gathers the 32 bits OFF bytes into a block of each row.
#define LONGIN(OFF, X) \
	VMOVD   OFF(SI)(R11*1), X         \
	VPINSRD $1, OFF(R8)(R11*1), X, X  \
	VPINSRD $2, OFF(R9)(R11*1), X, X  \
	VPINSRD $3, OFF(R10)(R11*1), X, X

// Words 0, 2, 4 and 6, then words 1, 3, 5 and 7.
DATA evenOdd<>+0(SB)/8, $0x0d0c090805040100
DATA evenOdd<>+8(SB)/8, $0x0f0e0b0a07060302
GLOBL evenOdd<>(SB), RODATA|NOPTR, $16

// PAIRS4 gathers, OFF bytes into a block of each row, two 16-bit numbers as float32: the first of each row into the low
// half of Y, the second into X2.
#define PAIRS4(OFF, Y, X, X2) \
	LONGIN(OFF, X)                   \
	VPSHUFB      evenOdd<>(SB), X, X \
	VCVTPH2PS    X, Y                \
	VEXTRACTF128 $1, Y, X2
