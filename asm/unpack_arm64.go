//go:build !purego

package asm

// Unpacked describes rows of a block format that become signed bytes with a scale, and for some formats a minimum, for
// each group of 32 weights or, for Q2_K, Q3_K and Q6_K, of 16. Weight i is
//
//	Scales[i/group]·Q[i] − Mins[i/group]
//
// exactly as the format says it. Of formats without a minimum Mins is not written.
type Unpacked struct {
	Row    *byte
	Blocks int
	Q      *int8
	Scales *float32
	Mins   *float32
}

//go:noescape
func UnpackQ4_0NEON(t *Unpacked)

//go:noescape
func UnpackQ4_1NEON(t *Unpacked)

//go:noescape
func UnpackQ5_0NEON(t *Unpacked)

//go:noescape
func UnpackQ5_1NEON(t *Unpacked)

//go:noescape
func UnpackQ8_0NEON(t *Unpacked)

//go:noescape
func UnpackIQ4_NLNEON(t *Unpacked)

//go:noescape
func UnpackQ4_KNEON(t *Unpacked)

//go:noescape
func UnpackQ5_KNEON(t *Unpacked)

//go:noescape
func UnpackIQ4_XSNEON(t *Unpacked)

//go:noescape
func UnpackQ2_KNEON(t *Unpacked)

//go:noescape
func UnpackQ3_KNEON(t *Unpacked)

//go:noescape
func UnpackQ6_KNEON(t *Unpacked)
