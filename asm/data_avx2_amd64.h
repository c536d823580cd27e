// Constants of 32 bytes, and what loads and stores fewer lanes than a register has.

// SAME32 is eight bytes four times.
#define SAME32(NAME, A) \
	DATA NAME<>+0(SB)/8, A;             \
	DATA NAME<>+8(SB)/8, A;             \
	DATA NAME<>+16(SB)/8, A;            \
	DATA NAME<>+24(SB)/8, A;            \
	GLOBL NAME<>(SB), RODATA|NOPTR, $32

// TWICE16 is sixteen bytes twice.
#define TWICE16(NAME, A, B) \
	DATA NAME<>+0(SB)/8, A;             \
	DATA NAME<>+8(SB)/8, B;             \
	DATA NAME<>+16(SB)/8, A;            \
	DATA NAME<>+24(SB)/8, B;            \
	GLOBL NAME<>(SB), RODATA|NOPTR, $32

// LANEMASKS defines laneMask: at 32−4·n of it begins a mask of n lanes of eight.
#define LANEMASKS \
	DATA laneMask<>+0(SB)/8, $-1;           \
	DATA laneMask<>+8(SB)/8, $-1;           \
	DATA laneMask<>+16(SB)/8, $-1;          \
	DATA laneMask<>+24(SB)/8, $-1;          \
	DATA laneMask<>+32(SB)/8, $0;           \
	DATA laneMask<>+40(SB)/8, $0;           \
	DATA laneMask<>+48(SB)/8, $0;           \
	DATA laneMask<>+56(SB)/8, $0;           \
	GLOBL laneMask<>(SB), RODATA|NOPTR, $64
