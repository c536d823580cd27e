//go:build !purego

#include "textflag.h"
#include "words_arm64.h"

// What a processor can do at most: loads, multiply-adds and 8-bit products with nothing to wait for. There are as many
// sums as registers allow, more than any processor's latency times the instructions that it begins in a cycle.

#define ALL12(OP) \
	OP(v0)  \
	OP(v1)  \
	OP(v2)  \
	OP(v3)  \
	OP(v4)  \
	OP(v5)  \
	OP(v6)  \
	OP(v7)  \
	OP(v8)  \
	OP(v9)  \
	OP(v10) \
	OP(v11)

#define ALL24(OP) \
	ALL12(OP) \
	OP(v12) \
	OP(v13) \
	OP(v14) \
	OP(v15) \
	OP(v16) \
	OP(v17) \
	OP(v18) \
	OP(v19) \
	OP(v20) \
	OP(v21) \
	OP(v22) \
	OP(v23)

#define ZERO(d) MOVI_0(d)

// The sums are added up in V24, which has been one of the factors.
#define ADDF(d) FADD_4S(v24, v24, d)
#define ADDI(d) ADD_4S(v24, v24, d)

#define FMLA(d) FMLA_4S(d, v24, v25)
#define SDOT(d) SDOT_4S(d, v24, v25)
#define SMMLA(d) SMMLA_4S(d, v24, v25)
#define SMULL(d) SMULL_8H(d, v24, v25)
#define SMLAL(d) SMLAL_8H(d, v24, v25)
#define SMLAL2(d) SMLAL2_8H(d, v24, v25)

// func XorNEON(lanes *[2]uint64, p *byte, n int)
TEXT ·XorNEON(SB), NOSPLIT, $0-24
	MOVD lanes+0(FP), R0
	MOVD p+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	LSR  $7, R2
	CBZ  R2, done

loop:
	PRFM   2048(R1), PLDL1STRM
	PRFM   2112(R1), PLDL1STRM
	VLD1.P 64(R1), [V16.B16, V17.B16, V18.B16, V19.B16]
	VLD1.P 64(R1), [V20.B16, V21.B16, V22.B16, V23.B16]
	VEOR   V16.B16, V0.B16, V0.B16
	VEOR   V17.B16, V1.B16, V1.B16
	VEOR   V18.B16, V2.B16, V2.B16
	VEOR   V19.B16, V3.B16, V3.B16
	VEOR   V20.B16, V0.B16, V0.B16
	VEOR   V21.B16, V1.B16, V1.B16
	VEOR   V22.B16, V2.B16, V2.B16
	VEOR   V23.B16, V3.B16, V3.B16
	SUBS   $1, R2, R2
	BNE    loop

done:
	VEOR V1.B16, V0.B16, V0.B16
	VEOR V3.B16, V2.B16, V2.B16
	VEOR V2.B16, V0.B16, V0.B16
	VST1 [V0.B16], (R0)
	RET

// func MulAddNEON(lanes *[4]float32, rounds int)
TEXT ·MulAddNEON(SB), NOSPLIT, $0-16
	MOVD  lanes+0(FP), R0
	MOVD  rounds+8(FP), R2
	FMOVS $0.5, F24
	FMOVS $0.25, F25
	VDUP  V24.S[0], V24.S4
	VDUP  V25.S[0], V25.S4
	ALL24(ZERO)

	PCALIGN $32
loop:
	ALL24(FMLA)
	SUBS $1, R2, R2
	BNE  loop
	MOVI_0(v24)
	ALL24(ADDF)
	VST1 [V24.B16], (R0)
	RET

// func Dot8NEON(lanes *[4]int32, rounds int)
TEXT ·Dot8NEON(SB), NOSPLIT, $0-16
	MOVD  lanes+0(FP), R0
	MOVD  rounds+8(FP), R2
	VMOVI $3, V24.B16
	VMOVI $5, V25.B16
	ALL24(ZERO)

	// V0-V11 are sums of 16-bit integers, V12-V23 those of 32 bits.
	PCALIGN $32
loop:
	ALL12(SMULL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	ALL12(SMLAL)
	ALL12(SMLAL2)
	SADALP_4S(v12, v0)
	SADALP_4S(v13, v1)
	SADALP_4S(v14, v2)
	SADALP_4S(v15, v3)
	SADALP_4S(v16, v4)
	SADALP_4S(v17, v5)
	SADALP_4S(v18, v6)
	SADALP_4S(v19, v7)
	SADALP_4S(v20, v8)
	SADALP_4S(v21, v9)
	SADALP_4S(v22, v10)
	SADALP_4S(v23, v11)
	SUBS $1, R2, R2
	BNE  loop
	ALL12(ZERO)
	MOVI_0(v24)
	ALL24(ADDI)
	VST1 [V24.B16], (R0)
	RET

// func Dot8DotProd(lanes *[4]int32, rounds int)
TEXT ·Dot8DotProd(SB), NOSPLIT, $0-16
	MOVD  lanes+0(FP), R0
	MOVD  rounds+8(FP), R2
	VMOVI $3, V24.B16
	VMOVI $5, V25.B16
	ALL24(ZERO)

	PCALIGN $32
loop:
	ALL24(SDOT)
	SUBS $1, R2, R2
	BNE  loop
	MOVI_0(v24)
	ALL24(ADDI)
	VST1 [V24.B16], (R0)
	RET

// func Dot8I8MM(lanes *[4]int32, rounds int)
TEXT ·Dot8I8MM(SB), NOSPLIT, $0-16
	MOVD  lanes+0(FP), R0
	MOVD  rounds+8(FP), R2
	VMOVI $3, V24.B16
	VMOVI $5, V25.B16
	ALL24(ZERO)

	PCALIGN $32
loop:
	ALL24(SMMLA)
	SUBS $1, R2, R2
	BNE  loop
	MOVI_0(v24)
	ALL24(ADDI)
	VST1 [V24.B16], (R0)
	RET
