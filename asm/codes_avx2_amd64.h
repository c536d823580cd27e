// How the block formats hold their codes: macros that bring the codes of 32 weights, in order, into a register as bytes.
// Package quant describes the layouts. An ADDR is a memory operand, with or without an index.

SAME32(bytes1, $0x0101010101010101)
SAME32(bytes3, $0x0303030303030303)
SAME32(bytes4, $0x0404040404040404)
SAME32(bytes8, $0x0808080808080808)
SAME32(bytes15, $0x0f0f0f0f0f0f0f0f)
SAME32(bytes16, $0x1010101010101010)
SAME32(bytes32, $0x2020202020202020)
SAME32(bytes48, $0x3030303030303030)
SAME32(words1, $0x0001000100010001)

// Shifts that leave the low half as it is and bring the high nibbles of the high half down.
DATA nibbleShifts<>+0(SB)/8, $0
DATA nibbleShifts<>+8(SB)/8, $0
DATA nibbleShifts<>+16(SB)/8, $4
DATA nibbleShifts<>+24(SB)/8, $4
GLOBL nibbleShifts<>(SB), RODATA|NOPTR, $32

// Byte i of 4, eight times each.
DATA fifthSpread<>+0(SB)/8, $0x0000000000000000
DATA fifthSpread<>+8(SB)/8, $0x0101010101010101
DATA fifthSpread<>+16(SB)/8, $0x0202020202020202
DATA fifthSpread<>+24(SB)/8, $0x0303030303030303
GLOBL fifthSpread<>(SB), RODATA|NOPTR, $32

// Bit i%8 in byte i.
SAME32(fifthBits, $0x8040201008040201)

// The levels of IQ4_NL and IQ4_XS: −127, −104, −83, −65, −49, −35, −22, −10, 1, 13, 25, 38, 53, 69, 89, 113.
TWICE16(iq4Levels, $0xf6eaddcfbfad9881, $0x7159453526190d01)

// NIBBLES: 16 bytes of codes, value j in the lower half of byte j, value j+16 in the upper.
// LOW is bytes15, SHIFTS is nibbleShifts.
#define NIBBLES(ADDR, LOW, SHIFTS, Y) \
	VBROADCASTI128 ADDR, Y      \
	VPSRLVQ        SHIFTS, Y, Y \
	VPAND          LOW, Y, Y

// FIFTH adds 16 to the codes in Y whose bit is set in the 32 bits at ADDR. SPREAD is fifthSpread, BITS fifthBits.
#define FIFTH(ADDR, SPREAD, BITS, T, Y) \
	VPBROADCASTD ADDR, T             \
	VPSHUFB      SPREAD, T, T        \
	VPAND        BITS, T, T          \
	VPCMPEQB     BITS, T, T          \
	VPAND        bytes16<>(SB), T, T \
	VPOR         T, Y, Y

// BITS2 takes the two bits above bit N of every byte at ADDR; BITS2_0 those above bit 0.
#define BITS2_0(ADDR, Y) \
	VMOVDQU ADDR, Y            \
	VPAND   bytes3<>(SB), Y, Y

#define BITS2(N, ADDR, Y) \
	VMOVDQU ADDR, Y            \
	VPSRLW  $N, Y, Y           \
	VPAND   bytes3<>(SB), Y, Y

// UP and DOWN bring one bit of every byte at ADDR, N places from its own, to the bits that MASK has, and add it to Y.
#define UP(N, ADDR, MASK, T, Y) \
	VMOVDQU ADDR, T          \
	VPSLLW  $N, T, T         \
	VPAND   MASK<>(SB), T, T \
	VPOR    T, Y, Y

#define DOWN(N, ADDR, MASK, T, Y) \
	VMOVDQU ADDR, T          \
	VPSRLW  $N, T, T         \
	VPAND   MASK<>(SB), T, T \
	VPOR    T, Y, Y

#define STAY(ADDR, MASK, T, Y) \
	VMOVDQU ADDR, T          \
	VPAND   MASK<>(SB), T, T \
	VPOR    T, Y, Y

// LOWS and HIGHS take the lower and the upper half of every byte at ADDR.
#define LOWS(ADDR, LOW, Y) \
	VMOVDQU ADDR, Y   \
	VPAND   LOW, Y, Y

#define HIGHS(ADDR, LOW, Y) \
	VMOVDQU ADDR, Y   \
	VPSRLW  $4, Y, Y  \
	VPAND   LOW, Y, Y
