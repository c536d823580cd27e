// The vector instructions that Go's assembler has no name for, or only one that cannot take a register's number from a
// macro. Each line defines one, with operands as numbers in the order of the Arm Architecture Reference Manual (DDI 0487),
// destination first, and says behind it what the word means. A test decodes every line for every register.
//
// "4S_S" takes one 32-bit element of the last register for all lanes, "4S_4B" four bytes of it.

#define v0 0
#define v1 1
#define v2 2
#define v3 3
#define v4 4
#define v5 5
#define v6 6
#define v7 7
#define v8 8
#define v9 9
#define v10 10
#define v11 11
#define v12 12
#define v13 13
#define v14 14
#define v15 15
#define v16 16
#define v17 17
#define v18 18
#define v19 19
#define v20 20
#define v21 21
#define v22 22
#define v23 23
#define v24 24
#define v25 25
#define v26 26
#define v27 27
#define v28 28
#define v29 29
#define v30 30
#define v31 31

// Floating-point arithmetic.
#define FADD_4S(d, n, m) WORD $(0x4E20D400 | (m)<<16 | (n)<<5 | (d)) // FADD Vd.4S, Vn.4S, Vm.4S
#define FSUB_4S(d, n, m) WORD $(0x4EA0D400 | (m)<<16 | (n)<<5 | (d)) // FSUB Vd.4S, Vn.4S, Vm.4S
#define FMUL_4S(d, n, m) WORD $(0x6E20DC00 | (m)<<16 | (n)<<5 | (d)) // FMUL Vd.4S, Vn.4S, Vm.4S
#define FDIV_4S(d, n, m) WORD $(0x6E20FC00 | (m)<<16 | (n)<<5 | (d)) // FDIV Vd.4S, Vn.4S, Vm.4S
#define FMAX_4S(d, n, m) WORD $(0x4E20F400 | (m)<<16 | (n)<<5 | (d)) // FMAX Vd.4S, Vn.4S, Vm.4S
#define FMIN_4S(d, n, m) WORD $(0x4EA0F400 | (m)<<16 | (n)<<5 | (d)) // FMIN Vd.4S, Vn.4S, Vm.4S
#define FMLA_4S(d, n, m) WORD $(0x4E20CC00 | (m)<<16 | (n)<<5 | (d)) // FMLA Vd.4S, Vn.4S, Vm.4S
#define FMLS_4S(d, n, m) WORD $(0x4EA0CC00 | (m)<<16 | (n)<<5 | (d)) // FMLS Vd.4S, Vn.4S, Vm.4S
#define FADDP_4S(d, n, m) WORD $(0x6E20D400 | (m)<<16 | (n)<<5 | (d)) // FADDP Vd.4S, Vn.4S, Vm.4S
#define FADD_2D(d, n, m) WORD $(0x4E60D400 | (m)<<16 | (n)<<5 | (d)) // FADD Vd.2D, Vn.2D, Vm.2D
#define FMLA_2D(d, n, m) WORD $(0x4E60CC00 | (m)<<16 | (n)<<5 | (d)) // FMLA Vd.2D, Vn.2D, Vm.2D
#define FADDP_D(d, n) WORD $(0x7E70D800 | (n)<<5 | (d)) // FADDP Dd, Vn.2D
#define FADDP_S(d, n) WORD $(0x7E30D800 | (n)<<5 | (d)) // FADDP Sd, Vn.2S
#define FMAXV_S(d, n) WORD $(0x6E30F800 | (n)<<5 | (d)) // FMAXV Sd, Vn.4S
#define FABS_4S(d, n) WORD $(0x4EA0F800 | (n)<<5 | (d)) // FABS Vd.4S, Vn.4S
#define FNEG_4S(d, n) WORD $(0x6EA0F800 | (n)<<5 | (d)) // FNEG Vd.4S, Vn.4S
#define FMUL_4S_S(d, n, m, i) WORD $(0x4F809000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // FMUL Vd.4S, Vn.4S, Vm.S[i]
#define FMLA_4S_S(d, n, m, i) WORD $(0x4F801000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // FMLA Vd.4S, Vn.4S, Vm.S[i]
#define FMLS_4S_S(d, n, m, i) WORD $(0x4F805000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // FMLS Vd.4S, Vn.4S, Vm.S[i]

// Conversions. FCVTNS rounds to nearest, ties to even; FCVTL takes the lower half of a register, FCVTL2 the upper.
#define SCVTF_4S(d, n) WORD $(0x4E21D800 | (n)<<5 | (d)) // SCVTF Vd.4S, Vn.4S
#define UCVTF_4S(d, n) WORD $(0x6E21D800 | (n)<<5 | (d)) // UCVTF Vd.4S, Vn.4S
#define FCVTNS_4S(d, n) WORD $(0x4E21A800 | (n)<<5 | (d)) // FCVTNS Vd.4S, Vn.4S
#define FCVTL_4S(d, n) WORD $(0x0E217800 | (n)<<5 | (d)) // FCVTL Vd.4S, Vn.4H
#define FCVTL2_4S(d, n) WORD $(0x4E217800 | (n)<<5 | (d)) // FCVTL2 Vd.4S, Vn.8H
#define FCVTL_2D(d, n) WORD $(0x0E617800 | (n)<<5 | (d)) // FCVTL Vd.2D, Vn.2S
#define FCVTL2_2D(d, n) WORD $(0x4E617800 | (n)<<5 | (d)) // FCVTL2 Vd.2D, Vn.4S

// Integers: sums, products, and both at once. SDOT adds the products of four bytes to each lane, SMMLA those of two rows
// and two columns of eight bytes to a 2 by 2 matrix.
#define ADD_4S(d, n, m) WORD $(0x4EA08400 | (m)<<16 | (n)<<5 | (d)) // ADD Vd.4S, Vn.4S, Vm.4S
#define SUB_4S(d, n, m) WORD $(0x6EA08400 | (m)<<16 | (n)<<5 | (d)) // SUB Vd.4S, Vn.4S, Vm.4S
#define ADDP_4S(d, n, m) WORD $(0x4EA0BC00 | (m)<<16 | (n)<<5 | (d)) // ADDP Vd.4S, Vn.4S, Vm.4S
#define SADDLP_4S(d, n) WORD $(0x4E602800 | (n)<<5 | (d)) // SADDLP Vd.4S, Vn.8H
#define SADALP_4S(d, n) WORD $(0x4E606800 | (n)<<5 | (d)) // SADALP Vd.4S, Vn.8H
#define SADDLV_H(d, n) WORD $(0x4E303800 | (n)<<5 | (d)) // SADDLV Hd, Vn.16B
#define SMULL_8H(d, n, m) WORD $(0x0E20C000 | (m)<<16 | (n)<<5 | (d)) // SMULL Vd.8H, Vn.8B, Vm.8B
#define SMLAL_8H(d, n, m) WORD $(0x0E208000 | (m)<<16 | (n)<<5 | (d)) // SMLAL Vd.8H, Vn.8B, Vm.8B
#define SMLAL2_8H(d, n, m) WORD $(0x4E208000 | (m)<<16 | (n)<<5 | (d)) // SMLAL2 Vd.8H, Vn.16B, Vm.16B
#define SDOT_4S(d, n, m) WORD $(0x4E809400 | (m)<<16 | (n)<<5 | (d)) // SDOT Vd.4S, Vn.16B, Vm.16B
#define SDOT_4S_4B(d, n, m, i) WORD $(0x4F80E000 | ((i)&1)<<21 | ((i)>>1)<<11 | (m)<<16 | (n)<<5 | (d)) // SDOT Vd.4S, Vn.16B, Vm.4B[i]
#define SMMLA_4S(d, n, m) WORD $(0x4E80A400 | (m)<<16 | (n)<<5 | (d)) // SMMLA Vd.4S, Vn.16B, Vm.16B

// Widening. Those with a 2 read the upper half.
#define SSHLL_8H(d, n, i) WORD $(0x0F08A400 | (i)<<16 | (n)<<5 | (d)) // SSHLL Vd.8H, Vn.8B, #i
#define SSHLL2_8H(d, n, i) WORD $(0x4F08A400 | (i)<<16 | (n)<<5 | (d)) // SSHLL2 Vd.8H, Vn.16B, #i
#define SSHLL_4S(d, n, i) WORD $(0x0F10A400 | (i)<<16 | (n)<<5 | (d)) // SSHLL Vd.4S, Vn.4H, #i
#define SSHLL2_4S(d, n, i) WORD $(0x4F10A400 | (i)<<16 | (n)<<5 | (d)) // SSHLL2 Vd.4S, Vn.8H, #i
#define USHLL_8H(d, n, i) WORD $(0x2F08A400 | (i)<<16 | (n)<<5 | (d)) // USHLL Vd.8H, Vn.8B, #i
#define USHLL2_8H(d, n, i) WORD $(0x6F08A400 | (i)<<16 | (n)<<5 | (d)) // USHLL2 Vd.8H, Vn.16B, #i
#define USHLL_4S(d, n, i) WORD $(0x2F10A400 | (i)<<16 | (n)<<5 | (d)) // USHLL Vd.4S, Vn.4H, #i
#define USHLL2_4S(d, n, i) WORD $(0x6F10A400 | (i)<<16 | (n)<<5 | (d)) // USHLL2 Vd.4S, Vn.8H, #i

// Bits. SLI leaves the bits of d below the shift as they are, SRI those above.
#define SHL_16B(d, n, i) WORD $(0x4F085400 | (i)<<16 | (n)<<5 | (d)) // SHL Vd.16B, Vn.16B, #i
#define USHR_16B(d, n, i) WORD $(0x6F000400 | (16-(i))<<16 | (n)<<5 | (d)) // USHR Vd.16B, Vn.16B, #i
#define SLI_16B(d, n, i) WORD $(0x6F085400 | (i)<<16 | (n)<<5 | (d)) // SLI Vd.16B, Vn.16B, #i
#define SRI_16B(d, n, i) WORD $(0x6F004400 | (16-(i))<<16 | (n)<<5 | (d)) // SRI Vd.16B, Vn.16B, #i
#define SHL_4S(d, n, i) WORD $(0x4F205400 | (i)<<16 | (n)<<5 | (d)) // SHL Vd.4S, Vn.4S, #i
#define SSHR_4S(d, n, i) WORD $(0x4F000400 | (64-(i))<<16 | (n)<<5 | (d)) // SSHR Vd.4S, Vn.4S, #i
#define USHR_4S(d, n, i) WORD $(0x6F000400 | (64-(i))<<16 | (n)<<5 | (d)) // USHR Vd.4S, Vn.4S, #i
#define AND_16B(d, n, m) WORD $(0x4E201C00 | (m)<<16 | (n)<<5 | (d)) // AND Vd.16B, Vn.16B, Vm.16B
#define BIC_16B(d, n, m) WORD $(0x4E601C00 | (m)<<16 | (n)<<5 | (d)) // BIC Vd.16B, Vn.16B, Vm.16B
#define ORR_16B(d, n, m) WORD $(0x4EA01C00 | (m)<<16 | (n)<<5 | (d)) // ORR Vd.16B, Vn.16B, Vm.16B
#define EOR_16B(d, n, m) WORD $(0x6E201C00 | (m)<<16 | (n)<<5 | (d)) // EOR Vd.16B, Vn.16B, Vm.16B
#define BIT_16B(d, n, m) WORD $(0x6EA01C00 | (m)<<16 | (n)<<5 | (d)) // BIT Vd.16B, Vn.16B, Vm.16B
#define CMTST_16B(d, n, m) WORD $(0x4E208C00 | (m)<<16 | (n)<<5 | (d)) // CMTST Vd.16B, Vn.16B, Vm.16B
#define CMTST_4S(d, n, m) WORD $(0x4EA08C00 | (m)<<16 | (n)<<5 | (d)) // CMTST Vd.4S, Vn.4S, Vm.4S
#define CMHI_4S(d, n, m) WORD $(0x6EA03400 | (m)<<16 | (n)<<5 | (d)) // CMHI Vd.4S, Vn.4S, Vm.4S
#define MOVI_0(d) WORD $(0x6F00E400 | (d)) // MOVI Vd.2D, #0

// Permutations.
#define TBL_16B(d, n, m) WORD $(0x4E000000 | (m)<<16 | (n)<<5 | (d)) // TBL Vd.16B, { Vn.16B }, Vm.16B
#define ZIP1_4S(d, n, m) WORD $(0x4E803800 | (m)<<16 | (n)<<5 | (d)) // ZIP1 Vd.4S, Vn.4S, Vm.4S
#define ZIP2_4S(d, n, m) WORD $(0x4E807800 | (m)<<16 | (n)<<5 | (d)) // ZIP2 Vd.4S, Vn.4S, Vm.4S
#define ZIP1_8H(d, n, m) WORD $(0x4E403800 | (m)<<16 | (n)<<5 | (d)) // ZIP1 Vd.8H, Vn.8H, Vm.8H
#define ZIP2_8H(d, n, m) WORD $(0x4E407800 | (m)<<16 | (n)<<5 | (d)) // ZIP2 Vd.8H, Vn.8H, Vm.8H
#define UZP1_4S(d, n, m) WORD $(0x4E801800 | (m)<<16 | (n)<<5 | (d)) // UZP1 Vd.4S, Vn.4S, Vm.4S
#define UZP1_8H(d, n, m) WORD $(0x4E401800 | (m)<<16 | (n)<<5 | (d)) // UZP1 Vd.8H, Vn.8H, Vm.8H
#define UZP2_8H(d, n, m) WORD $(0x4E405800 | (m)<<16 | (n)<<5 | (d)) // UZP2 Vd.8H, Vn.8H, Vm.8H
#define UZP1_16B(d, n, m) WORD $(0x4E001800 | (m)<<16 | (n)<<5 | (d)) // UZP1 Vd.16B, Vn.16B, Vm.16B
#define UZP2_4S(d, n, m) WORD $(0x4E805800 | (m)<<16 | (n)<<5 | (d)) // UZP2 Vd.4S, Vn.4S, Vm.4S
#define TRN1_4S(d, n, m) WORD $(0x4E802800 | (m)<<16 | (n)<<5 | (d)) // TRN1 Vd.4S, Vn.4S, Vm.4S
#define TRN2_4S(d, n, m) WORD $(0x4E806800 | (m)<<16 | (n)<<5 | (d)) // TRN2 Vd.4S, Vn.4S, Vm.4S
#define TRN1_2D(d, n, m) WORD $(0x4EC02800 | (m)<<16 | (n)<<5 | (d)) // TRN1 Vd.2D, Vn.2D, Vm.2D
#define TRN2_2D(d, n, m) WORD $(0x4EC06800 | (m)<<16 | (n)<<5 | (d)) // TRN2 Vd.2D, Vn.2D, Vm.2D

// Loads of one number to the bottom of a register, from the address in general register n plus a number of bytes.
#define LDR_H(d, n, i) WORD $(0x7D400000 | ((i)/2)<<10 | (n)<<5 | (d)) // LDR Hd, [Xn, #i]
