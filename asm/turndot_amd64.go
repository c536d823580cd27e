//go:build !purego

package asm

// The kernels of [TurnDot] for one, two and four queries, and for keys of float32 and binary16 numbers.

//go:noescape
func TurnDotHalvesF32x1AVX2(t *TurnDot)

//go:noescape
func TurnDotHalvesF16x1AVX2(t *TurnDot)

//go:noescape
func TurnDotPairsF32x1AVX2(t *TurnDot)

//go:noescape
func TurnDotPairsF16x1AVX2(t *TurnDot)

//go:noescape
func TurnDotHalvesF32x1AVX512(t *TurnDot)

//go:noescape
func TurnDotHalvesF16x1AVX512(t *TurnDot)

//go:noescape
func TurnDotPairsF32x1AVX512(t *TurnDot)

//go:noescape
func TurnDotPairsF16x1AVX512(t *TurnDot)

//go:noescape
func TurnDotHalvesF32x2AVX512(t *TurnDot)

//go:noescape
func TurnDotHalvesF16x2AVX512(t *TurnDot)

//go:noescape
func TurnDotPairsF32x2AVX512(t *TurnDot)

//go:noescape
func TurnDotPairsF16x2AVX512(t *TurnDot)

//go:noescape
func TurnDotHalvesF32x4AVX512(t *TurnDot)

//go:noescape
func TurnDotHalvesF16x4AVX512(t *TurnDot)

//go:noescape
func TurnDotPairsF32x4AVX512(t *TurnDot)

//go:noescape
func TurnDotPairsF16x4AVX512(t *TurnDot)
