//go:build !purego

package asm

// The unpackers write the codes of whole blocks as signed bytes, in the order of the weights, one byte each:
//
//	for b := range blocks {
//		for i := range n { // the weights of a block
//			q[n*b+i] = code(src, b, i) - zero
//		}
//	}
//
// where zero is what the format subtracts before it multiplies by the scale. Scales and minimums are left out.

// UnpackQ4_0AVX2 unpacks blocks of 32 in 18 bytes; codes −8…7.
//
//go:noescape
func UnpackQ4_0AVX2(q *int8, src *byte, blocks int)

// UnpackQ4_1AVX2 unpacks blocks of 32 in 20 bytes; codes 0…15.
//
//go:noescape
func UnpackQ4_1AVX2(q *int8, src *byte, blocks int)

// UnpackQ5_0AVX2 unpacks blocks of 32 in 22 bytes; codes −16…15.
//
//go:noescape
func UnpackQ5_0AVX2(q *int8, src *byte, blocks int)

// UnpackQ5_1AVX2 unpacks blocks of 32 in 24 bytes; codes 0…31.
//
//go:noescape
func UnpackQ5_1AVX2(q *int8, src *byte, blocks int)

// UnpackQ8_0AVX2 unpacks blocks of 32 in 34 bytes; codes −128…127.
//
//go:noescape
func UnpackQ8_0AVX2(q *int8, src *byte, blocks int)

// UnpackIQ4_NLAVX2 unpacks blocks of 32 in 18 bytes; the sixteen levels −127…113.
//
//go:noescape
func UnpackIQ4_NLAVX2(q *int8, src *byte, blocks int)

// UnpackIQ4_XSAVX2 unpacks blocks of 256 in 136 bytes; the sixteen levels −127…113.
//
//go:noescape
func UnpackIQ4_XSAVX2(q *int8, src *byte, blocks int)

// UnpackQ2_KAVX2 unpacks blocks of 256 in 84 bytes; codes 0…3.
//
//go:noescape
func UnpackQ2_KAVX2(q *int8, src *byte, blocks int)

// UnpackQ3_KAVX2 unpacks blocks of 256 in 110 bytes; codes −4…3.
//
//go:noescape
func UnpackQ3_KAVX2(q *int8, src *byte, blocks int)

// UnpackQ4_KAVX2 unpacks blocks of 256 in 144 bytes; codes 0…15.
//
//go:noescape
func UnpackQ4_KAVX2(q *int8, src *byte, blocks int)

// UnpackQ5_KAVX2 unpacks blocks of 256 in 176 bytes; codes 0…31.
//
//go:noescape
func UnpackQ5_KAVX2(q *int8, src *byte, blocks int)

// UnpackQ6_KAVX2 unpacks blocks of 256 in 210 bytes; codes −32…31.
//
//go:noescape
func UnpackQ6_KAVX2(q *int8, src *byte, blocks int)
