// Stored weight rows against one row of 8-bit activations, four rows at a time. The file that includes this one says how
// bytes are multiplied:
//
//	DOT32(acc)        sums of the products of V0 and V4, and of V1 and V5, in four lanes of acc
//	DOT32B(acc)       the same of V2 and V6, and of V3 and V7
//	DOT16(acc, w, q)  the same of w and q
//
// each with V8 and V9 to work with.
//
// R9 is the description. R19 to R22 point at the next block of the four rows, and R0 at the one whose turn it is; R4 is
// the number of blocks left; R1, R2 and R3 are the activations, their scales and their scaled sums. R7 is the first of
// the rows, R8 the bytes of one, R5 the rows left, R6 the next result.
//
// The sum of a row is taken over its groups in turn, sum += (dot·scale)·columnScale, as the products of [Gemm] do, with
// the rows in the lanes of V24. What minimums take away is summed on its own, as DotRowsF32x1NEON does: group g in lane
// g%4 of the row's register in MINSUM.

#define MINSUM(ROW) (64+16*ROW)(R9)
#define TERMS(ROW, I) (128+64*ROW+16*I)(R9)

#define DOTARGS \
	MOVD t+0(FP), R9    \
	MOVD 0(R9), R7      \
	MOVD 8(R9), R8      \
	MOVD 16(R9), R5     \
	MOVD 56(R9), R6

// STARTROWS points at four rows. The last one stands in for those beyond it.
#define STARTROWS \
	CBZ  R5, done          \
	MOVD R7, R19           \
	ADD  R8, R19, R20      \
	CMP  $2, R5            \
	CSEL GE, R20, R19, R20 \
	ADD  R8, R20, R21      \
	CMP  $3, R5            \
	CSEL GE, R21, R20, R21 \
	ADD  R8, R21, R22      \
	CMP  $4, R5            \
	CSEL GE, R22, R21, R22 \
	MOVD 24(R9), R4        \
	MOVD 32(R9), R1        \
	MOVD 40(R9), R2        \
	MOVD 48(R9), R3        \
	MOVI_0(v24)

#define ENDROWS \
	CMP    $4, R5             \
	BLT    few                \
	VST1.P [V24.B16], 16(R6)  \
	ADD    R8<<2, R7          \
	SUB    $4, R5             \
	B      rows               \
few:                          \
	VST1.P V24.S[0], 4(R6)    \
	CMP    $2, R5             \
	BLT    done               \
	VST1.P V24.S[1], 4(R6)    \
	BEQ    done               \
	VST1   V24.S[2], (R6)     \
done:                         \
	RET

#define NONE \

#define CLEARMINS \
	MOVI_0(v8)                \
	MOVI_0(v9)                \
	FSTPQ (F8, F9), MINSUM(0) \
	FSTPQ (F8, F9), MINSUM(2)

#define SUBMINS \
	FLDPQ MINSUM(0), (F16, F17) \
	FLDPQ MINSUM(2), (F18, F19) \
	FADDP_4S(v16, v16, v17)   \
	FADDP_4S(v18, v18, v19)   \
	FADDP_4S(v16, v16, v18)   \
	FSUB_4S(v24, v24, v16)

// Bytes ahead of the block that is being read, for the processor to fetch.
#define AHEAD 1024

// TREE adds up the lanes of each of four registers: their sums are the lanes of the first.
#define TREE(a, b, c, d) \
	ADDP_4S(a, a, b) \
	ADDP_4S(c, c, d) \
	ADDP_4S(a, a, c)

// FLOATTREE makes them float32.
#define FLOATTREE(a, b, c, d) \
	TREE(a, b, c, d) \
	SCVTF_4S(a, a)

// ADDTERMS adds the terms of four groups of four rows, in V12 to V15, times the groups' scales s.
#define ADDTERMS(s) \
	TRN1_4S(v16, v12, v13)    \
	TRN2_4S(v17, v12, v13)    \
	TRN1_4S(v18, v14, v15)    \
	TRN2_4S(v19, v14, v15)    \
	TRN1_2D(v12, v16, v18)    \
	TRN1_2D(v13, v17, v19)    \
	TRN2_2D(v14, v16, v18)    \
	TRN2_2D(v15, v17, v19)    \
	FMLA_4S_S(v24, v12, s, 0) \
	FMLA_4S_S(v24, v13, s, 1) \
	FMLA_4S_S(v24, v14, s, 2) \
	FMLA_4S_S(v24, v15, s, 3)

// --- Blocks of 32 weights, four at a time and then one by one. SCALES4 puts the scales of four into V20, and adds their
// minimums; SCALES1 does the same for one block of all rows. Codes without their offset are made up for by CORRECT,
// with what SUMS4 and SUMS1 make of the sums of the activations, which R3 then points at. ---

#define FOURBLOCKS(PTR, ROW, TERM, CODES, SIZE, SCALES4, CORRECT) \
	PRFM  AHEAD(PTR), PLDL1STRM \
	MOVD  PTR, R0             \
	ADD   $(4*SIZE), PTR      \
	CODES(0)                  \
	FLDPQ (R1), (F4, F5)      \
	DOT32(v16)                \
	CODES(SIZE)               \
	FLDPQ 32(R1), (F4, F5)    \
	DOT32(v17)                \
	CODES(2*SIZE)             \
	FLDPQ 64(R1), (F4, F5)    \
	DOT32(v18)                \
	CODES(3*SIZE)             \
	FLDPQ 96(R1), (F4, F5)    \
	DOT32(v19)                \
	SCALES4(SIZE, ROW)        \
	TREE(v16, v17, v18, v19)  \
	CORRECT                   \
	SCVTF_4S(v16, v16)        \
	FMUL_4S(TERM, v16, v20)

#define ONEBLOCK(PTR, ACC, CODES, SIZE) \
	MOVD PTR, R0              \
	ADD  $SIZE, PTR           \
	CODES(0)                  \
	DOT32(ACC)

#define DOTBLOCKS32(CODES, SIZE, SCALES4, SCALES1, SUMS4, SUMS1, CORRECT, CLEAR, SUBTRACT) \
	DOTARGS                             \
rows:                                   \
	STARTROWS                           \
	CLEAR                               \
	SUBS   $4, R4                       \
	BLT    rest                         \
four:                                   \
	SUMS4                               \
	FOURBLOCKS(R19, 0, v12, CODES, SIZE, SCALES4, CORRECT) \
	FOURBLOCKS(R20, 1, v13, CODES, SIZE, SCALES4, CORRECT) \
	FOURBLOCKS(R21, 2, v14, CODES, SIZE, SCALES4, CORRECT) \
	FOURBLOCKS(R22, 3, v15, CODES, SIZE, SCALES4, CORRECT) \
	VLD1.P 16(R2), [V25.B16]            \
	ADDTERMS(v25)                       \
	ADD    $128, R1                     \
	ADD    $16, R3                      \
	SUBS   $4, R4                       \
	BGE    four                         \
rest:                                   \
	ADDS   $4, R4                       \
	BEQ    end                          \
one:                                    \
	SUMS1                               \
	SCALES1                             \
	FLDPQ.P 32(R1), (F4, F5)            \
	ONEBLOCK(R19, v16, CODES, SIZE)     \
	ONEBLOCK(R20, v17, CODES, SIZE)     \
	ONEBLOCK(R21, v18, CODES, SIZE)     \
	ONEBLOCK(R22, v19, CODES, SIZE)     \
	TREE(v16, v17, v18, v19)            \
	CORRECT                             \
	SCVTF_4S(v16, v16)                  \
	FMOVS.P 4(R2), F25                  \
	FMUL_4S(v16, v16, v20)              \
	FMLA_4S_S(v24, v16, v25, 0)         \
	SUBS   $1, R4                       \
	BNE    one                          \
end:                                    \
	SUBTRACT                            \
	ENDROWS

// Four numbers of 16 bits are put together in a general register: the pipes for vectors have enough to do.
#define SCALES4D(SIZE, ROW) \
	MOVHU (R0), R10            \
	MOVHU SIZE(R0), R12        \
	MOVHU (2*SIZE)(R0), R13    \
	MOVHU (3*SIZE)(R0), R14    \
	ORR   R12<<16, R10, R10    \
	ORR   R14<<16, R13, R13    \
	ORR   R13<<32, R10, R10    \
	FMOVD R10, F20             \
	FCVTL_4S(v20, v20)

#define SCALES1D \
	VLD1 (R19), V20.H[0]        \
	VLD1 (R20), V20.H[1]        \
	VLD1 (R21), V20.H[2]        \
	VLD1 (R22), V20.H[3]        \
	FCVTL_4S(v20, v20)

// A scale and a number that is added, in 32 bits.
#define SCALES4DM(SIZE, ROW) \
	MOVWU  (R0), R10            \
	MOVWU  SIZE(R0), R12        \
	MOVWU  (2*SIZE)(R0), R13    \
	MOVWU  (3*SIZE)(R0), R14    \
	ORR    R12<<32, R10, R10    \
	ORR    R14<<32, R13, R13    \
	FMOVD  R10, F20             \
	VMOV   R13, V20.D[1]        \
	FMOVQ  MINSUM(ROW), F22     \
	VLD1   (R3), [V23.B16]      \
	FCVTL2_4S(v21, v20)         \
	FCVTL_4S(v20, v20)          \
	UZP2_4S(v25, v20, v21)      \
	UZP1_4S(v20, v20, v21)      \
	FMLS_4S(v22, v25, v23)      \
	FMOVQ  F22, MINSUM(ROW)

#define MINIMUM1(PTR, ROW) \
	MOVD   PTR, R0              \
	LDR_H(v21, 0, 2)            \
	FMOVQ  MINSUM(ROW), F22     \
	FCVTHS F21, F21             \
	FMLS_4S(v22, v21, v23)      \
	FMOVQ  F22, MINSUM(ROW)

#define SCALES1DM \
	SCALES1D                    \
	FMOVS.P 4(R3), F23          \
	MINIMUM1(R19, 0)            \
	MINIMUM1(R20, 1)            \
	MINIMUM1(R21, 2)            \
	MINIMUM1(R22, 3)

// The codes of Q4_0 are 8 too large. R3 points at the 16-bit sums of half blocks.

#define SETSUMS \
	MOVD 384(R9), R3

#define SUMS4Q4_0 \
	VLD1 (R3), [V10.B16]        \
	SADDLP_4S(v10, v10)         \
	SHL_4S(v10, v10, 3)

#define SUMS1Q4_0 \
	FMOVS.P 4(R3), F10          \
	SADDLP_4S(v10, v10)         \
	SHL_4S(v10, v10, 3)         \
	VDUP    V10.S[0], V10.S4

#define CORRECTQ4_0 \
	SUB_4S(v16, v16, v10)

// --- Blocks of 256 weights with eight scales. ---

#define BLOCK256(PTR, ROW, CODES, SIZE, SCALES, MINS) \
	PRFM   AHEAD(PTR), PLDL1STRM        \
	PRFM   (AHEAD+64)(PTR), PLDL1STRM   \
	MOVD   PTR, R0                      \
	ADD    $SIZE, PTR                   \
	SCALES                              \
	FMUL_4S_S(v20, v20, v26, 0)         \
	FMUL_4S_S(v21, v21, v26, 0)         \
	MINS(ROW)                           \
	CODES(0)                            \
	FLDPQ  (R1), (F4, F5)               \
	FLDPQ  32(R1), (F6, F7)             \
	DOT32(v12)                          \
	DOT32B(v13)                         \
	CODES(1)                            \
	FLDPQ  64(R1), (F4, F5)             \
	FLDPQ  96(R1), (F6, F7)             \
	DOT32(v14)                          \
	DOT32B(v15)                         \
	CODES(2)                            \
	FLDPQ  128(R1), (F4, F5)            \
	FLDPQ  160(R1), (F6, F7)            \
	DOT32(v16)                          \
	DOT32B(v17)                         \
	CODES(3)                            \
	FLDPQ  192(R1), (F4, F5)            \
	FLDPQ  224(R1), (F6, F7)            \
	DOT32(v18)                          \
	DOT32B(v19)                         \
	FLOATTREE(v12, v13, v14, v15)            \
	FLOATTREE(v16, v17, v18, v19)            \
	FMUL_4S(v12, v12, v20)              \
	FMUL_4S(v16, v16, v21)              \
	FMOVQ  F12, TERMS(ROW, 0)           \
	FMOVQ  F16, TERMS(ROW, 1)

#define LOADTERMS(I) \
	FMOVQ TERMS(0, I), F12              \
	FMOVQ TERMS(1, I), F13              \
	FMOVQ TERMS(2, I), F14              \
	FMOVQ TERMS(3, I), F15

#define DOTBLOCKS256(CODES, SIZE, SCALES, MINS, CLEAR, SUBTRACT) \
	DOTARGS                             \
rows:                                   \
	STARTROWS                           \
	CLEAR                               \
	CBZ    R4, end                      \
block:                                  \
	BLOCK256(R19, 0, CODES, SIZE, SCALES, MINS) \
	BLOCK256(R20, 1, CODES, SIZE, SCALES, MINS) \
	BLOCK256(R21, 2, CODES, SIZE, SCALES, MINS) \
	BLOCK256(R22, 3, CODES, SIZE, SCALES, MINS) \
	VLD1.P 32(R2), [V4.B16, V5.B16]     \
	LOADTERMS(0)                        \
	ADDTERMS(v4)                        \
	LOADTERMS(1)                        \
	ADDTERMS(v5)                        \
	ADD    $256, R1                     \
	ADD    $32, R3                      \
	SUBS   $1, R4                       \
	BNE    block                        \
end:                                    \
	SUBTRACT                            \
	ENDROWS

#define NOMINIMUMS(ROW) \

#define MINIMUMS8(ROW) \
	FLDPQ  (R3), (F4, F5)               \
	FMOVQ  MINSUM(ROW), F8              \
	FMUL_4S_S(v22, v22, v26, 1)         \
	FMUL_4S_S(v23, v23, v26, 1)         \
	FMLA_4S(v8, v22, v4)                \
	FMLA_4S(v8, v23, v5)                \
	FMOVQ  F8, MINSUM(ROW)

// --- Blocks of 256 weights with sixteen scales. ---

// HALF takes codes of 128 weights, with the scales a and b of their eight groups.
#define HALF(AT, a, b, ROW, I) \
	FLDPQ  (AT)(R1), (F10, F11)         \
	DOT16(v12, v0, v10)                 \
	DOT16(v13, v1, v11)                 \
	FLDPQ  (AT+32)(R1), (F10, F11)      \
	DOT16(v14, v2, v10)                 \
	DOT16(v15, v3, v11)                 \
	FLDPQ  (AT+64)(R1), (F10, F11)      \
	DOT16(v16, v4, v10)                 \
	DOT16(v17, v5, v11)                 \
	FLDPQ  (AT+96)(R1), (F10, F11)      \
	DOT16(v18, v6, v10)                 \
	DOT16(v19, v7, v11)                 \
	FLOATTREE(v12, v13, v14, v15)            \
	FLOATTREE(v16, v17, v18, v19)            \
	FMUL_4S(v12, v12, a)                \
	FMUL_4S(v16, v16, b)                \
	FMOVQ  F12, TERMS(ROW, I)           \
	FMOVQ  F16, TERMS(ROW, (I+1))

#define BLOCK16(PTR, ROW, CODES, SIZE, SCALES, MINS) \
	PRFM   AHEAD(PTR), PLDL1STRM        \
	PRFM   (AHEAD+64)(PTR), PLDL1STRM   \
	MOVD   PTR, R0                      \
	ADD    $SIZE, PTR                   \
	SCALES                              \
	FMUL_4S_S(v20, v20, v26, 0)         \
	FMUL_4S_S(v21, v21, v26, 0)         \
	FMUL_4S_S(v22, v22, v26, 0)         \
	FMUL_4S_S(v23, v23, v26, 0)         \
	MINS(ROW)                           \
	CODES(0)                            \
	HALF(0, v20, v21, ROW, 0)           \
	CODES(1)                            \
	HALF(128, v22, v23, ROW, 2)

#define DOTBLOCKS16(CODES, SIZE, SCALES, MINS, CLEAR, SUBTRACT) \
	DOTARGS                             \
rows:                                   \
	STARTROWS                           \
	CLEAR                               \
	CBZ    R4, end                      \
block:                                  \
	BLOCK16(R19, 0, CODES, SIZE, SCALES, MINS) \
	BLOCK16(R20, 1, CODES, SIZE, SCALES, MINS) \
	BLOCK16(R21, 2, CODES, SIZE, SCALES, MINS) \
	BLOCK16(R22, 3, CODES, SIZE, SCALES, MINS) \
	VLD1.P 64(R2), [V4.B16, V5.B16, V6.B16, V7.B16] \
	LOADTERMS(0)                        \
	ADDTERMS(v4)                        \
	LOADTERMS(1)                        \
	ADDTERMS(v5)                        \
	LOADTERMS(2)                        \
	ADDTERMS(v6)                        \
	LOADTERMS(3)                        \
	ADDTERMS(v7)                        \
	ADD    $256, R1                     \
	ADD    $64, R3                      \
	SUBS   $1, R4                       \
	BNE    block                        \
end:                                    \
	SUBTRACT                            \
	ENDROWS

#define MINIMUMS16(ROW) \
	FMOVQ  MINSUM(ROW), F8              \
	FLDPQ  (R3), (F4, F5)               \
	FLDPQ  32(R3), (F6, F7)             \
	FMUL_4S_S(v12, v12, v26, 1)         \
	FMUL_4S_S(v13, v13, v26, 1)         \
	FMUL_4S_S(v14, v14, v26, 1)         \
	FMUL_4S_S(v15, v15, v26, 1)         \
	FMLA_4S(v8, v12, v4)                \
	FMLA_4S(v8, v13, v5)                \
	FMLA_4S(v8, v14, v6)                \
	FMLA_4S(v8, v15, v7)                \
	FMOVQ  F8, MINSUM(ROW)
