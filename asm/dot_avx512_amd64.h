// What the products of four stored rows with one row of 8-bit activations share.
//
// SI, R8, R9 and R10 point into the four rows, DI to the activations, BX and DX to what goes with their blocks, R13 to
// what is prefetched. The sums of a group of weights, one group from each residue modulo four, end up side by side for
// the four rows: lane 4·residue + row. Z16 adds them up, times their scales, over 1024 weights, and X17 then takes the
// residues in order: the order in which the tile kernels add.

// Lanes 0 to 3, four times each.
DATA fours<>+0(SB)/8, $0x0000000000000000
DATA fours<>+8(SB)/8, $0x0000000000000000
DATA fours<>+16(SB)/8, $0x0000000100000001
DATA fours<>+24(SB)/8, $0x0000000100000001
DATA fours<>+32(SB)/8, $0x0000000200000002
DATA fours<>+40(SB)/8, $0x0000000200000002
DATA fours<>+48(SB)/8, $0x0000000300000003
DATA fours<>+56(SB)/8, $0x0000000300000003
GLOBL fours<>(SB), RODATA|NOPTR, $64

// Lanes 0, 2, 1 and 3, four times each.
DATA evensFirst<>+0(SB)/8, $0x0000000000000000
DATA evensFirst<>+8(SB)/8, $0x0000000000000000
DATA evensFirst<>+16(SB)/8, $0x0000000200000002
DATA evensFirst<>+24(SB)/8, $0x0000000200000002
DATA evensFirst<>+32(SB)/8, $0x0000000100000001
DATA evensFirst<>+40(SB)/8, $0x0000000100000001
DATA evensFirst<>+48(SB)/8, $0x0000000300000003
DATA evensFirst<>+56(SB)/8, $0x0000000300000003
GLOBL evensFirst<>(SB), RODATA|NOPTR, $64

#define ARGS \
	MOVQ   t+0(FP), AX   \
	MOVQ   0(AX), SI     \
	MOVQ   8(AX), R8     \
	MOVQ   16(AX), R9    \
	MOVQ   24(AX), R10   \
	MOVQ   32(AX), CX    \
	MOVQ   40(AX), DI    \
	MOVQ   48(AX), BX    \
	MOVQ   56(AX), DX    \
	MOVQ   80(AX), R13   \
	ADDQ   SI, R13       \
	VMOVUPS 64(AX), X17

// FETCH asks for the two cache lines OFF bytes from R13, into the second-level cache. Rows are multiplied four at a time,
// but prefetched in the order of memory: from four places at once memory gives half as much.
#define FETCH(OFF) \
	PREFETCHT1 OFF(R13)      \
	PREFETCHT1 (OFF+64)(R13)

// CHUNK begins the next STEPS steps, or those that are left.
#define CHUNK(STEPS) \
	MOVQ    $STEPS, R11   \
	CMPQ    CX, R11       \
	CMOVQLT CX, R11       \
	SUBQ    R11, CX       \
	VPXORD  Z16, Z16, Z16

// FLUSH adds the four residues, lanes A to D of Z16, to the sums.
#define FLUSH(A, B, C, D) \
	VEXTRACTF32X4 $A, Z16, X18  \
	VADDPS        X18, X17, X17 \
	VEXTRACTF32X4 $B, Z16, X18  \
	VADDPS        X18, X17, X17 \
	VEXTRACTF32X4 $C, Z16, X18  \
	VADDPS        X18, X17, X17 \
	VEXTRACTF32X4 $D, Z16, X18  \
	VADDPS        X18, X17, X17

#define DONE \
	MOVQ    t+0(FP), AX \
	VMOVUPS X17, 64(AX) \
	VZEROUPPER          \
	RET

// ROWS adds up the four integers of every 128-bit lane of A, B, C and D and puts the sums side by side: A = a, b, c, d
// of each lane. T is overwritten.
#define ROWS(A, B, C, D, T) \
	VPUNPCKLDQ  B, A, T \
	VPUNPCKHDQ  B, A, A \
	VPADDD      T, A, A \
	VPUNPCKLDQ  D, C, T \
	VPUNPCKHDQ  D, C, C \
	VPADDD      T, C, C \
	VPUNPCKLQDQ C, A, T \
	VPUNPCKHQDQ C, A, A \
	VPADDD      T, A, A

// HALVES adds up the two 128-bit lanes of each half of A and B: T, of A's low half, A's high half, B's low, B's high.
#define HALVES(A, B, T) \
	VSHUFI64X2 $0x88, B, A, T \
	VSHUFI64X2 $0xDD, B, A, A \
	VPADDD     A, T, T

// ROWMASKS sets K3-K6 to every fourth lane, from lane 0, 1, 2 and 3 on.
#define ROWMASKS \
	MOVL  $0x1111, AX \
	KMOVW AX, K3      \
	ADDL  AX, AX      \
	KMOVW AX, K4      \
	ADDL  AX, AX      \
	KMOVW AX, K5      \
	ADDL  AX, AX      \
	KMOVW AX, K6

// What brings the low bits of the scales and minimums of a block of Q4_K or Q5_K down, and their masks.
DATA q4_KShift<>+0(SB)/8, $0x0000000000000000
DATA q4_KShift<>+8(SB)/8, $0x0000000400000000
DATA q4_KShift<>+16(SB)/8, $0x0000000000000000
DATA q4_KShift<>+24(SB)/8, $0x0000000400000000
DATA q4_KShift<>+32(SB)/8, $0x0000000000000000
DATA q4_KShift<>+40(SB)/8, $0x0000000400000000
DATA q4_KShift<>+48(SB)/8, $0x0000000000000000
DATA q4_KShift<>+56(SB)/8, $0x0000000400000000
GLOBL q4_KShift<>(SB), RODATA|NOPTR, $64

DATA q4_KLow<>+0(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+8(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+16(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+24(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+32(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+40(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+48(SB)/8, $0x0f0f0f0f3f3f3f3f
DATA q4_KLow<>+56(SB)/8, $0x0f0f0f0f3f3f3f3f
GLOBL q4_KLow<>(SB), RODATA|NOPTR, $64

DATA q4_KHigh<>+0(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+8(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+16(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+24(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+32(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+40(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+48(SB)/8, $0x3030303000000000
DATA q4_KHigh<>+56(SB)/8, $0x3030303000000000
GLOBL q4_KHigh<>(SB), RODATA|NOPTR, $64

// Byte 0, 2, 1 or 3 of each row's 16, at the low end of the lane that it belongs to.
DATA q4_KSpread<>+0(SB)/8, $0x0000001000000000
DATA q4_KSpread<>+8(SB)/8, $0x0000003000000020
DATA q4_KSpread<>+16(SB)/8, $0x0000001200000002
DATA q4_KSpread<>+24(SB)/8, $0x0000003200000022
DATA q4_KSpread<>+32(SB)/8, $0x0000001100000001
DATA q4_KSpread<>+40(SB)/8, $0x0000003100000021
DATA q4_KSpread<>+48(SB)/8, $0x0000001300000003
DATA q4_KSpread<>+56(SB)/8, $0x0000003300000023
GLOBL q4_KSpread<>(SB), RODATA|NOPTR, $64

// Word 0 of each row's 16 bytes, for every lane.
DATA q4_KD<>+0(SB)/8, $0x0018001000080000
DATA q4_KD<>+8(SB)/8, $0x0018001000080000
DATA q4_KD<>+16(SB)/8, $0x0018001000080000
DATA q4_KD<>+24(SB)/8, $0x0018001000080000
DATA q4_KD<>+32(SB)/8, $0x0000000000000000
DATA q4_KD<>+40(SB)/8, $0x0000000000000000
DATA q4_KD<>+48(SB)/8, $0x0000000000000000
DATA q4_KD<>+56(SB)/8, $0x0000000000000000
GLOBL q4_KD<>(SB), RODATA|NOPTR, $64

// K4MASKS sets what K4SCALES takes as given: K1, Z27, Z28 and Z29.
#define K4MASKS \
	VMOVDQU64  q4_KD<>(SB), Z28        \
	VPTERNLOGD $0xFF, Z29, Z29, Z29    \
	VPSUBW     Z29, Z28, Z29           \
	VMOVDQU64  q4_KSpread<>(SB), Z27   \
	MOVQ       $0x1111111111111111, AX \
	KMOVQ      AX, K1

// K4SCALES reads the headers of four blocks of Q4_K or Q5_K. Z18 and Z19 become the scales of groups 0, 2, 1, 3 and
// 4, 6, 5, 7 of each row, Z24 and Z25 the minimums.
#define K4SCALES \
	VMOVDQU      (SI), X8                        \
	VINSERTI32X4 $1, (R8), Z8, Z8                \
	VINSERTI32X4 $2, (R9), Z8, Z8                \
	VINSERTI32X4 $3, (R10), Z8, Z8               \
	VPERMW       Z8, Z28, Z9                     \
	VPERMW       Z8, Z29, Z10                    \
	VPSHUFD      $0xED, Z8, Z18                  \
	VPSHUFD      $0x95, Z8, Z19                  \
	VPSRLVD      q4_KShift<>(SB), Z18, Z18       \
	VPSRLD       $2, Z19, Z19                    \
	VPANDD       q4_KLow<>(SB), Z18, Z18         \
	VPTERNLOGD   $0xF8, q4_KHigh<>(SB), Z19, Z18 \
	VCVTPH2PS    Y9, Z9                          \
	VCVTPH2PS    Y10, Z10                        \
	VPSRLDQ      $4, Z18, Z19                    \
	VPSRLDQ      $8, Z18, Z20                    \
	VPSRLDQ      $12, Z18, Z21                   \
	VPERMB.Z     Z18, Z27, K1, Z18               \
	VPERMB.Z     Z19, Z27, K1, Z19               \
	VPERMB.Z     Z20, Z27, K1, Z20               \
	VPERMB.Z     Z21, Z27, K1, Z21               \
	VCVTDQ2PS    Z18, Z18                        \
	VCVTDQ2PS    Z19, Z19                        \
	VCVTDQ2PS    Z20, Z20                        \
	VCVTDQ2PS    Z21, Z21                        \
	VMULPS       Z9, Z18, Z18                    \
	VMULPS       Z9, Z19, Z19                    \
	VMULPS       Z10, Z20, Z24                   \
	VMULPS       Z10, Z21, Z25
