//go:build !purego

package asm

// TurnF32AVX2 rotates float32 keys.
//
//go:noescape
func TurnF32AVX2(t *Turn)

// TurnF16AVX2 rotates binary16 keys.
//
//go:noescape
func TurnF16AVX2(t *Turn)

// TurnF32AVX512 rotates float32 keys.
//
//go:noescape
func TurnF32AVX512(t *Turn)

// TurnF16AVX512 rotates binary16 keys.
//
//go:noescape
func TurnF16AVX512(t *Turn)
